"""The cache of OpenVINO models: used without a framework, rebuilt when damaged, safe with several processes."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset15

import ppaudioldm
from ppaudioldm import framework

if framework.NAME != "paddle":
    pytest.skip("networks are translated by Paddle", allow_module_level=True)

from ppaudioldm import pipeline
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.engines.choice import create_engine
from ppaudioldm.generation.clip import Clip
from ppaudioldm.openvino_engine import cache as model_cache
from ppaudioldm.openvino_engine.cache import ModelCache
from ppaudioldm.openvino_engine.engine import OpenVINOEngine
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native, write_random
from ppaudioldm.weights.locate import locate
from tests.network_examples import EXAMPLES
from tests.support import noise, relative_error

TEXT = np.array([[0, 5, 6, 2]]), np.ones((1, 4), np.int64)
LATENTS = noise(1, 8, 4, 16)
MEL = noise(1, 16, 64)
FAST = {"duration": 0.5, "num_inference_steps": 2, "seed": 3}
GENERATE = """
import sys
from ppaudioldm import AudioLDM
pipeline = AudioLDM.from_pretrained("untrained", engine="openvino")
clip = pipeline.generate("rain", duration=0.5, num_inference_steps=2, seed=3)
print(clip.waveforms.tobytes().hex()[:64], bool({"paddle", "torch"} & set(sys.modules)))
"""
RUN = """
from tests.openvino_engine.test_cache import digest
print(digest())
"""


def python(code: str, cache: Path) -> subprocess.Popen:
    environment = {**os.environ, "PPAUDIOLDM_CACHE": str(cache)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


def first_samples(clip: Clip) -> str:
    """What GENERATE prints of a clip."""
    return clip.waveforms.tobytes().hex()[:64]


def answer(process: subprocess.Popen) -> list[str]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.split()


def digest() -> str:
    """A hash of what a new engine returns for three functions, which are translated if the cache has none of them."""
    _, engine = create_engine(locate("untrained"), "openvino")
    calls = ("clap_text", *TEXT), ("vae_decoder", LATENTS), ("vocoder", MEL)
    return hashlib.sha256(b"".join(engine.run(*call).tobytes() for call in calls)).hexdigest()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, str]:
    """A cache with all models of a checkpoint, and the clip that was generated while they were translated."""
    folder = tmp_path_factory.mktemp("cache")
    clip, has_framework = answer(python(GENERATE, folder))
    assert has_framework == "True"
    return folder, clip


@pytest.fixture(scope="module")
def cache(prepared) -> Path:
    return prepared[0]


@pytest.fixture
def models(cache) -> ModelCache:
    return ModelCache(locate("untrained"), None, create_engine(locate("untrained"), "openvino")[1].precision, cache)


def test_later_start_imports_no_framework_and_makes_the_same_clip(prepared):
    folder, clip = prepared
    assert answer(python(GENERATE, folder)) == [clip, "False"]


def test_later_start_compiles_nothing_of_a_whole_clip(models, prepared):
    clip = AudioLDM(models.description(), engine_that_only_reads_back(models)).generate("rain", **FAST)
    assert first_samples(clip) == prepared[1]


@pytest.mark.parametrize("file", ["model.bin", "model.xml", "sum.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "other"])
def test_broken_entry_is_made_again(models, file, damage, caplog):
    path = models.folder / "vocoder" / file
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:-10], "empty": b"", "other": b"\0" * (len(whole) + 1)}[damage])
    with caplog.at_level(logging.WARNING, "ppaudioldm"):
        assert models.model("vocoder").get_friendly_name() is not None
    assert json.loads((models.folder / "vocoder" / "sum.json").read_text())["constants"] > 0
    assert (models.folder / "vocoder" / "model.bin").stat().st_size > 1000


def unavailable(function: str) -> openvino.Model:
    raise AssertionError(f"{function} is compiled again")


def engine_that_only_reads_back(models: ModelCache) -> OpenVINOEngine:
    return OpenVINOEngine(unavailable, "auto", models)


@pytest.fixture
def run_before(models) -> dict[str, np.ndarray]:
    """What functions gave, of which all that was compiled is kept: one for any shapes, one for exact ones."""
    engine = OpenVINOEngine(models.model, "auto", models)
    return {"clap_text": engine.run("clap_text", *TEXT), "vocoder": engine.run("vocoder", MEL)}


def test_later_start_compiles_nothing(models, run_before):
    engine = engine_that_only_reads_back(models)
    np.testing.assert_array_equal(engine.run("clap_text", *TEXT), run_before["clap_text"])
    np.testing.assert_array_equal(engine.run("vocoder", MEL), run_before["vocoder"])
    with pytest.raises(AssertionError, match="vocoder is compiled again"):
        engine.run("vocoder", MEL[:, :8])


def test_later_start_compiles_nothing_of_a_unet_of_four_levels(tmp_path):
    """What a compiled model keeps of itself is not all that it was: numbers of 64 bits come back as 32.

    The deepest level of this UNet has two columns, which have a convolution of their own.
    """
    unet = replace(UNTRAINED.unet, channel_mult=(1, 1, 1, 1), attention_levels=(3,))
    config = replace(UNTRAINED, unet=unet)
    write_native(random_checkpoint("four-levels", config, 0), tmp_path / "four-levels")
    models = ModelCache(locate(tmp_path / "four-levels"), None, "f32", tmp_path)
    inputs = EXAMPLES["unet_guided_step"](config, 1, 1)
    first = OpenVINOEngine(models.model, "f32", models).run("unet_guided_step", *inputs)
    again = OpenVINOEngine(unavailable, "f32", models)
    np.testing.assert_array_equal(again.run("unet_guided_step", *inputs), first)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "of another model"])
def test_broken_compiled_function_is_compiled_again(models, run_before, damage):
    for path in (models.folder / "vocoder").glob("compiled-*"):
        whole = path.read_bytes()
        blob = b"\0" * 1000  # says it is whole, and is nothing that OpenVINO knows
        other = hashlib.sha256(blob).digest() + blob
        path.write_bytes(
            {"cut": whole[:-10], "empty": b"", "other": whole[:-1] + b"x", "of another model": other}[damage]
        )
    with pytest.raises(AssertionError, match="vocoder is compiled again"):
        engine_that_only_reads_back(models).run("vocoder", MEL)
    again = OpenVINOEngine(models.model, "auto", models).run("vocoder", MEL)
    np.testing.assert_array_equal(again, run_before["vocoder"])
    engine_that_only_reads_back(models).run("vocoder", MEL)


def test_compiled_functions_used_last_are_kept(models):
    folder = models.folder / "vocoder"
    for path in folder.glob("compiled-*"):
        path.unlink()
    for i in range(model_cache.MOST_VARIANTS + 2):
        models.store_compiled("vocoder", str(i), b"blob")
        os.utime(folder / f"compiled-{i}", ns=(i, i))
    kept = {path.name for path in folder.glob("compiled-*")}
    assert kept == {f"compiled-{i}" for i in range(2, model_cache.MOST_VARIANTS + 2)}
    assert models.load_compiled("vocoder", "2") == (b"blob", folder / "model.bin")
    models.store_compiled("vocoder", "new", b"blob")
    assert not (folder / "compiled-3").exists()
    assert models.load_compiled("vocoder", "2") is not None
    for path in folder.glob("compiled-*"):
        path.unlink()


def test_what_a_killed_process_left_half_written_is_removed(models, run_before):
    left = models.folder / "vocoder" / ".compiled-0123456789abcdef-01234567"
    left.write_bytes(b"half")
    models.store_compiled("vocoder", "new", b"blob")
    assert not left.exists() and models.load_compiled("vocoder", "new") is not None
    models._compiled_path("vocoder", "new").unlink()


def test_no_room_for_what_was_compiled_is_a_warning(models, caplog, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model_cache, "atomic_path", full)
    with caplog.at_level(logging.WARNING, "ppaudioldm"):
        assert OpenVINOEngine(models.model, "auto", models).run("vocoder", MEL[:, :12]).shape[0] == 1
    assert "No space left on device" in caplog.text


def test_broken_description_is_read_from_the_checkpoint(models):
    path = models.folder / model_cache.ENTRY
    whole = path.read_text()
    for broken in ("", "{", "[]", '{"name": 1}', json.dumps(json.loads(whole) | {"config": {"unet": {"bogus": 1}}})):
        path.write_text(broken)
        assert models.description().config == locate_config()
    path.write_text(whole)


def test_an_entry_of_an_earlier_version_is_used(tmp_path, monkeypatch):
    """Names and contents of its files are spelt out here: a change needs another FORMAT."""
    facts = [8, ppaudioldm.__version__, openvino.get_version(), locate("untrained").fingerprint(), False, "f32"]
    folder = tmp_path / f"untrained-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}"
    (folder / "loa").mkdir(parents=True)
    known = {"sounds": [{"name": "bell", "title": "a bell", "prompt": "a big bell"}], "words": ["bell"]}
    entry = {"name": "mine", "layout": "native", "precision": "f32", "config": locate_config().to_dict()}
    (folder / "entry.json").write_text(json.dumps({**entry, "knows": known}))
    (folder / "clap-tokenizer.json").write_text("a tokenizer")
    x = opset15.parameter([3], np.float32)
    model = openvino.Model([opset15.add(x, np.arange(3, dtype=np.float32))], [x])
    openvino.save_model(model, folder / "loa" / "model.xml", compress_to_fp16=False)
    graph = hashlib.sha256((folder / "loa" / "model.xml").read_bytes()).hexdigest()
    (folder / "loa" / "sum.json").write_text(json.dumps({"constants": 12, "graph": graph}))
    (folder / "loa" / "compiled-0123").write_bytes(hashlib.sha256(b"blob").digest() + b"blob")

    models = ModelCache(locate("untrained"), None, "f32", tmp_path)
    monkeypatch.setattr(models, "_opened", lambda: pytest.fail("the checkpoint is opened"))
    found = models.description()
    assert (found.name, found.layout, found.config) == ("mine", "native", locate_config())
    assert found.known_sounds is not None and found.known_sounds.to_dict() == known
    assert found.tokenizer_json("clap") == "a tokenizer"
    assert [op.get_type_name() for op in models.model("loa").get_ordered_ops()].count("Add") == 1
    assert models.has("loa") and models.constants_bytes("loa") == 12
    assert models.load_compiled("loa", "0123") == (b"blob", folder / "loa" / "model.bin")
    (entry,) = model_cache.entries(tmp_path)
    assert (entry.name, entry.precision, entry.functions) == ("mine", "f32", ("loa",))


def test_what_is_computed_in_float32_is_stored_in_float32(tmp_path):
    models, unet = ModelCache(locate("untrained"), None, "bf16", tmp_path), locate_config().unet
    models.model("unet_time_embedding")
    parameters = (unet.model_channels + 1 + unet.time_embed_dim + 1) * unet.time_embed_dim
    others = 16  # bytes at most: sizes, not weights
    assert 4 * parameters <= models.constants_bytes("unet_time_embedding") <= 4 * parameters + others


def locate_config():
    from ppaudioldm.checkpoints import CHECKPOINTS

    return CHECKPOINTS["untrained"].config


@pytest.mark.slow
def test_two_processes_at_once_prepare_the_same(tmp_path):
    processes = [python(RUN, tmp_path) for _ in range(2)]
    first, second = [answer(process) for process in processes]
    assert first == second
    (entry,) = model_cache.entries(tmp_path)
    assert entry.functions == ("clap_text", "vae_decoder", "vocoder")
    assert not [p for p in entry.folder.iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_a_killed_preparation_leaves_nothing_that_breaks_the_next(tmp_path, cache, monkeypatch):
    process = python(RUN, tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/*/model.xml")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(tmp_path.glob("*/*/sum.json"))) < 3  # it was in the middle
    outputs = []
    for folder in (tmp_path, cache):
        monkeypatch.setenv("PPAUDIOLDM_CACHE", str(folder))
        outputs.append(digest())
    assert outputs[0] == outputs[1]


def test_a_changed_file_has_another_fingerprint(tmp_path):
    path = tmp_path / "untrained"
    write_random("untrained", path, "native", seed=1)
    before = locate(path).fingerprint()
    assert locate(path).fingerprint() == before
    os.utime(path / "unet.safetensors", ns=(1, 1))
    assert locate(path).fingerprint() != before


def test_ten_threads_make_the_clips_they_make_alone(cache, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(cache))
    pipe = AudioLDM.from_pretrained("untrained", engine="openvino")

    def make(seed: int) -> np.ndarray:
        return pipe.generate("rain", duration=0.5, num_inference_steps=2, seed=seed).waveforms

    alone = [make(seed) for seed in range(10)]
    with ThreadPoolExecutor(10) as threads:
        together = list(threads.map(make, range(10)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_f32_clip_is_paddles():
    eager = AudioLDM.from_pretrained("untrained", engine="eager").generate("rain", **FAST)
    openvino = AudioLDM.from_pretrained("untrained", engine="openvino", precision="f32").generate("rain", **FAST)
    assert relative_error(openvino.waveforms, eager.waveforms) < 1e-5


def test_cached_constants_of_bf16_are_half_the_size(tmp_path):
    sizes = {}
    for precision in ("f32", "bf16"):
        models = ModelCache(locate("untrained"), None, precision, tmp_path)
        models.model("vae_decoder")
        sizes[precision] = (models.folder / "vae_decoder" / "model.bin").stat().st_size
    assert 0.45 < sizes["bf16"] / sizes["f32"] < 0.55


def test_cache_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PPAUDIOLDM_CACHE", str(tmp_path))
    assert main(["cache"]) == 0
    assert f"nothing in {tmp_path}" in capsys.readouterr().out
    ModelCache(locate("untrained"), None, "f32").model("loa")
    assert main(["cache"]) == 0
    assert "untrained  f32" in capsys.readouterr().out
    assert main(["cache", "--clear", "other"]) == 0
    assert len(model_cache.entries()) == 1
    assert main(["cache", "--clear", "untrained", "--json"]) == 0
    assert model_cache.entries() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onnx"}, "unknown engine 'onnx', choose from auto, openvino, eager"),
        ({"engine": "openvino", "device": "cuda:0"}, "runs on the cpu only"),
        ({"engine": "openvino", "precision": "int8"}, "unknown precision 'int8'"),
        ({"engine": "openvino", "compile_step": True}, "openvino always compiles"),
        ({"engine": "eager", "precision": "bf16"}, "with PyTorch only"),
        ({"engine": "eager", "device": "tpu"}, "device 'tpu'"),
        ({"engine": "eager", "compile_step": True}, "compile_step needs PyTorch"),
        ({"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_impossible_engines(options, message, monkeypatch):
    """Known before a checkpoint is looked for, which may be a download of gigabytes."""
    monkeypatch.setattr(pipeline, "locate", lambda checkpoint: pytest.fail(f"{checkpoint} is looked for"))
    with pytest.raises(ValueError, match=message):
        AudioLDM.from_pretrained("untrained", **options)


def test_auto_is_openvino_on_a_cpu(monkeypatch):
    monkeypatch.delenv("PPAUDIOLDM_ENGINE")
    for device in (None, "cpu"):
        assert type(create_engine(locate("untrained"), device=device)[1]).__name__ == "OpenVINOEngine"


def test_output_of_a_cached_network_is_not_overwritten_by_the_next_call(models, cache):
    _, engine = create_engine(locate("untrained"), "openvino")
    first = engine.run("vocoder", noise(1, 8, 64))
    copy = first.copy()
    engine.run("vocoder", noise(1, 8, 64, seed=1))
    np.testing.assert_array_equal(first, copy)
