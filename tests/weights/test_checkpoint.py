"""What `open_checkpoint` promises for every layout; what is peculiar to one stands in that layout's own test."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from ppaudioldm.weights.convert import write_native, write_random
from ppaudioldm.weights.locate import BUILT_IN, files_read, locate
from ppaudioldm.weights.tokenizer_files import TOKENIZERS, byte_tokenizer_json, folder_of
from ppaudioldm.weights.torch_files import read_torch, write_torch
from tests.support import AUDIOLDM1, at_most
from tests.weights.examples import (
    IN_DIFFUSERS,
    LAYOUTS,
    all_values,
    assert_same_values,
    error_of,
    paddlemix_tensors,
    stored,
    tiny_in,
    tiny_tensors,
    write_published,
)
from tests.weights.hostile import LIVE, PROTOCOL
from tests.weights.paddle_writer import write_paddle

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(range(256)) * 8


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_layouts_hold_the_same(layouts, name):
    checkpoint = open_checkpoint(layouts[name])
    assert checkpoint.config == tiny_in(name).config and not checkpoint.is_random
    assert_same_values(checkpoint, tiny_in(name))


@pytest.mark.parametrize("name", LAYOUTS)
def test_opening_reads_no_values(layouts, name):
    """Shapes are known at once, and are those of what is read later."""
    for parameters in open_checkpoint(str(layouts[name])).networks.values():
        for key, tensor in parameters.items():
            assert tensor.shape == tensor.read().shape, key


def test_random_by_name():
    checkpoint = open_checkpoint("untrained")
    assert (checkpoint.name, checkpoint.layout, checkpoint.is_random) == ("untrained", "random", True)
    assert_same_values(checkpoint, random_checkpoint("untrained", UNTRAINED, 0))


def test_a_name_comes_before_a_folder_of_that_name(layouts, tmp_path, monkeypatch, caplog):
    shutil.copytree(layouts["native"], tmp_path / "untrained")
    monkeypatch.chdir(tmp_path)
    assert open_checkpoint("untrained").layout == "random"
    expected = "untrained is the published checkpoint; the one in this folder is ./untrained"
    assert [record.getMessage() for record in caplog.records] == [expected]
    for path in ("./untrained", tmp_path / "untrained", Path("untrained"), "../" + tmp_path.name + "/untrained"):
        assert open_checkpoint(path).layout == "native"
    (tmp_path / "tiny").mkdir()
    assert locate("tiny").path == BUILT_IN / "tiny"


# Folders of the hub's cache


def cached(folder: Path, content: Path, commits: tuple[str, ...] = ("abc",)) -> Path:
    """A folder models--owner--name of the hub's cache with `content` as its last commit."""
    cache = folder / "models--owner--name"
    for commit in commits:
        (cache / "snapshots" / commit).mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commits[-1])
    if content.is_dir():
        shutil.copytree(content, cache / "snapshots" / commits[-1], dirs_exist_ok=True)
    else:
        (cache / "snapshots" / commits[-1] / content.name).symlink_to(content)
    return cache


@pytest.mark.parametrize("name", ["original", "diffusers"])
def test_the_folder_of_a_repository_in_the_hubs_cache(layouts, tmp_path, name):
    cache = cached(tmp_path, layouts[name], ("old", "new"))
    for path in (cache, str(cache), cache / "snapshots" / "new"):
        checkpoint = open_checkpoint(path)
        assert checkpoint.layout == name
        assert_same_values(checkpoint, tiny_in(name))
    (cache / "refs" / "main").unlink()
    expected = f"{cache}: a folder of the hub's cache with 2 snapshots, expected 1"
    assert error_of(open_checkpoint, cache) == expected
    (cache / "snapshots" / "old").rmdir()
    assert open_checkpoint(cache).layout == name


@pytest.mark.parametrize("file", ["model_index.json", "x.pth", "config.json"])
def test_dangling_links_of_a_cache(tmp_path, file):
    cache = cached(tmp_path, tmp_path / file)
    broken = cache / "snapshots" / "abc" / file
    assert broken.is_symlink() and not broken.exists()
    for path in (cache, broken.parent):
        assert error_of(open_checkpoint, path) == f"{broken}: a link to a file that does not exist"
    assert error_of(open_checkpoint, broken) == f"{broken}: a link to a file that does not exist"


# What a cache of translated networks depends on


@pytest.mark.parametrize("name", ["diffusers", "native"])
def test_the_fingerprint_of_a_folder_is_of_the_files_that_are_read(copy_of, name):
    folder = copy_of(name)
    before = locate(folder).fingerprint()
    for output in ("rain.wav", "rain.json", "out/rain.wav", "README.md", "unet/notes.txt"):
        (folder / output).parent.mkdir(exist_ok=True)
        (folder / output).write_text("{}")
    assert locate(folder).fingerprint() == before
    read = {"diffusers": "unet/config.json", "native": "config.json"}[name]
    for file in (read, "tokenizer/tokenizer.json", next(folder.rglob("*.safetensors")).relative_to(folder)):
        previous = locate(folder).fingerprint()
        (folder / file).write_bytes((folder / file).read_bytes() + b" ")
        assert locate(folder).fingerprint() != previous


@pytest.mark.parametrize("name", ["original", "paddlemix"])
def test_the_fingerprint_of_a_file_is_of_its_tokenizers_too(copy_of, name):
    path = copy_of(name)
    fingerprints = {locate(path).fingerprint()}
    (path.with_suffix("") / "tokenizer").mkdir(parents=True)
    (path.with_suffix("") / "rain.wav").write_text("x")
    assert locate(path).fingerprint() in fingerprints
    for content in ("{}", "{} "):
        (path.with_suffix("") / "tokenizer" / "tokenizer.json").write_text(content)
        fingerprints.add(locate(path).fingerprint())
    assert len(fingerprints) == 3


def test_every_file_that_opening_reads_is_in_the_fingerprint(layouts, monkeypatch):
    """As the interpreter sees it: every file under the checkpoint that is opened is one of `files_read`."""
    opened: set[Path] = set()

    def hook(event: str, arguments: tuple) -> None:
        if recording and event == "open" and isinstance(arguments[0], (str, Path)):
            opened.add(Path(arguments[0]))

    recording = True
    sys.addaudithook(hook)
    for name in ("diffusers", "native", "original", "paddlemix"):
        checkpoint = open_checkpoint(layouts[name])
        if name != "paddlemix":
            for kind in TOKENIZERS:
                checkpoint.tokenizer_json(kind)
        for network in checkpoint.networks.values():
            next(iter(network.values())).read()
    recording = False
    known = {file for name in layouts for file in files_read(layouts[name])}
    read = {path for path in opened if any(path.is_relative_to(layouts[name].parent) for name in layouts)}
    assert read and read <= known


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
def test_published_keys_as_safetensors(layouts, tmp_path, suffix):
    tensors = {key: tensor.read() for key, tensor in read_torch(layouts["original"]).items()}
    path = tmp_path / f"model{suffix}"
    save_file(tensors, path)
    checkpoint = open_checkpoint(path)
    assert (checkpoint.name, checkpoint.layout) == ("model", "original")
    assert_same_values(checkpoint, tiny_in("original"))
    assert_same_values(open_checkpoint(path, ema=True), open_checkpoint(layouts["original"], ema=True))
    path.unlink()


def test_a_file_may_have_any_suffix(layouts, tmp_path):
    path = shutil.copyfile(layouts["original"], tmp_path / "model.ckpt")
    checkpoint = open_checkpoint(path)
    assert (checkpoint.name, checkpoint.layout) == ("model", "original")


# A network that a checkpoint may do without


@pytest.mark.parametrize("name", ["original", "native", "paddlemix"])
def test_a_checkpoint_without_audiomae(tmp_path, name):
    """Files of before it was read, and those that leave it out, are checkpoints for generation from text."""
    without = random_checkpoint("untrained", IN_DIFFUSERS, 0)
    if name == "original":
        tensors = {key: tensor for key, tensor in tiny_tensors().items() if ".audiomae." not in key}
        path = write_published(tmp_path / "x.pth", tensors)
    elif name == "paddlemix":
        write_paddle(tmp_path / "x.pdparams", paddlemix_tensors(without, name).items())
        path = tmp_path / "x.pdparams"
    else:
        path = tmp_path / "folder"
        write_native(without, path)
        values = json.loads((path / "config.json").read_text())
        del values["config"]["audiomae"]
        (path / "config.json").write_text(json.dumps(values))
    checkpoint = open_checkpoint(path)
    assert checkpoint.config == IN_DIFFUSERS and "audiomae" not in checkpoint.networks


INNER_CLAP = "cond_stage_models.0.cond_stage_models.0.model."


def test_without_the_clap_of_ranking_the_copy_that_conditions_is_read(layouts, tmp_path):
    tensors = {key: tensor for key, tensor in read_torch(layouts["original"]).items() if not key.startswith("clap.")}
    path = write_published(tmp_path / "x.pth", tensors)
    assert_same_values(open_checkpoint(path), tiny_in("original"))
    path.unlink()


def test_without_any_audio_tower_nothing_can_be_ranked(path):
    left_out = ("clap.", f"{INNER_CLAP}audio_")
    write_published(path, {key: t for key, t in tiny_tensors().items() if not key.startswith(left_out)})
    checkpoint = open_checkpoint(path)
    assert checkpoint.config == replace(UNTRAINED, clap_audio=None) and "clap_audio" not in checkpoint.networks


def test_half_a_clap_is_an_error(path):
    key = "clap.model.audio_branch.norm.bias"
    write_published(path, {name: tensor for name, tensor in tiny_tensors().items() if name != key})
    assert open_checkpoint(path).config == UNTRAINED  # the other copy has it
    left_out = (f"{INNER_CLAP}audio_", key)
    write_published(path, {name: t for name, t in tiny_tensors().items() if not name.startswith(left_out)})
    assert f"1 tensors of clap_audio are missing, the first: {key}" in error_of(open_checkpoint, path)


@pytest.fixture(scope="module")
def audioldm1_file(tmp_path_factory) -> Path:
    """The published layout of a small AudioLDM 1, whose averaged UNet is that of the next seed."""
    path = tmp_path_factory.mktemp("audioldm1") / "x.ckpt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, "untrained", replace(CHECKPOINTS["untrained"], config=AUDIOLDM1))
        write_random("untrained", path, "original", seed=0)
    return path


@pytest.mark.parametrize("ema, seed", [(None, 1), (True, 1), (False, 0)])
def test_audioldm1_samples_with_the_averaged_weights_by_default(audioldm1_file, ema, seed):
    checkpoint = open_checkpoint(audioldm1_file, ema=ema)
    assert checkpoint.config == AUDIOLDM1
    parts = [random_checkpoint("untrained", AUDIOLDM1, n).networks for n in (0, seed)]
    assert_same_values(checkpoint, replace(checkpoint, networks={**parts[0], "unet": parts[1]["unet"]}))


def test_audioldm1_without_averaged_weights(audioldm1_file, tmp_path):
    tensors = read_torch(audioldm1_file)
    path = write_published(tmp_path / "x.ckpt", {k: t for k, t in tensors.items() if not k.startswith("model_ema.")})
    assert_same_values(open_checkpoint(path), random_checkpoint("untrained", AUDIOLDM1, 0))
    assert "tensors of unet are missing, the first: model_ema." in error_of(open_checkpoint, path, ema=True)


def test_the_only_clap_of_audioldm1_may_lack_its_audio_branch(audioldm1_file, tmp_path):
    prefix = "cond_stage_model.model.audio_"
    kept = {key: t for key, t in read_torch(audioldm1_file).items() if not key.startswith(prefix)}
    checkpoint = open_checkpoint(write_published(tmp_path / "x.ckpt", kept))
    assert checkpoint.config == replace(AUDIOLDM1, clap_audio=None) and "clap_audio" not in checkpoint.networks


def test_an_incomplete_audiomae(tmp_path):
    tensors = tiny_tensors()
    del tensors["cond_stage_models.0.cond_stage_models.2.audiomae.model.blocks.1.attn.qkv.bias"]
    message = error_of(open_checkpoint, write_published(tmp_path / "x.pth", tensors))
    assert "3 tensors of audiomae are missing, the first: cond_stage_models.0" in message


# Averaged weights


def test_averaged_weights_replace_the_unets_alone(layouts):
    raw, averaged = (all_values(open_checkpoint(layouts["original"], ema=ema)) for ema in (False, True))
    for key, values in raw.items():
        assert np.array_equal(averaged[key], values) == (not key.startswith("unet.")), key
    other = all_values(random_checkpoint("untrained", UNTRAINED, 1))  # `write_random` takes the next seed for them
    assert all(np.array_equal(averaged[key], other[key]) for key in raw if key.startswith("unet."))


def test_a_published_file_without_averaged_weights(tmp_path):
    path = write_published(tmp_path / "raw.pth", tiny_tensors())
    assert open_checkpoint(path).layout == "original"
    message = error_of(open_checkpoint, path, ema=True)
    assert "tensors of unet are missing, the first: model_ema.diffusion_modeltime_embed0weight" in message


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "original"])
def test_other_layouts_have_no_averaged_weights(layouts, name):
    assert error_of(open_checkpoint, layouts[name], ema=True).startswith(f"{layouts[name]}: no averaged weights")


def test_random_weights_have_no_averaged_ones():
    assert "no averaged weights" in error_of(open_checkpoint, "untrained", ema=True)


# Names and paths


@pytest.mark.parametrize("name", ["audioldm3", "./missing.pth", "cvssp/audioldm3", "", "x\ny", "\x1b[2J", "a" * 100])
def test_unknown_names_list_the_known_ones(name):
    if name:
        message = error_of(open_checkpoint, name)
        assert all(known in message for known in CHECKPOINTS)
    else:
        error_of(open_checkpoint, name)


def test_a_name_that_no_path_can_have():
    assert error_of(open_checkpoint, "x" * 5000).endswith("...': File name too long")
    assert "unknown checkpoint 'a\\x00b'" in error_of(open_checkpoint, "a\0b")


# Files that are no checkpoint


def text(path: Path) -> None:
    path.write_text("hello, I am a checkpoint")


def plain_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("song.txt", "la la")


def safetensors_alone(path: Path) -> None:
    save_file({"unet/conv_in.weight": np.zeros(3, np.float32)}, path)


def another_model(path: Path) -> None:
    write_torch(path, [("bert.embeddings.weight", stored(np.zeros((3, 4), np.float32)))])


def a_list(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", PROTOCOL + pickle.EMPTY_LIST + pickle.STOP)


def torch_script(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/constants.pkl", b"x")
        archive.writestr("x/code/__torch__.py", b"x")


def zipped(name: str) -> Callable[[Path], None]:
    def write_zip(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, b"x" * 1000)

    return write_zip


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 8793600000\n"
HTML = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head>"
INDEX = b'{\n  "_class_name": "AudioLDM2Pipeline",\n  "_diffusers_version": "0.25.0"\n}'

FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "one byte": (lambda path: path.write_bytes(b"\x80"), ""),
    "text": (text, "a text file, not a checkpoint"),
    "JPEG": (lambda path: path.write_bytes(JPEG), "a JPEG image"),
    "zeros": (lambda path: path.write_bytes(bytes(100_000)), "a file of zeros: its download was interrupted"),
    "zip": (plain_zip, "a zip archive that holds 'song.txt', not one of torch.save"),
    "compressed zip": (zipped("song.txt"), "a zip archive that holds 'song.txt', not one of torch.save"),
    "zipped checkpoint": (zipped("a/b.pth"), "a zip archive that holds 'a/b.pth': unpack it, and give the checkpoint"),
    "zipped folder": (zipped("d/model_index.json"), "a diffusers folder: unpack it, and give the folder"),
    "TorchScript": (torch_script, "a TorchScript program, not a checkpoint"),
    "HTML": (lambda path: path.write_bytes(HTML), "an HTML page, not a checkpoint"),
    "Git LFS": (lambda path: path.write_bytes(LFS), "a pointer of Git LFS, not the file"),
    "model_index.json": (
        lambda path: path.write_bytes(INDEX),
        "the model_index.json of a diffusers folder: give the folder",
    ),
    "JSON": (lambda path: path.write_bytes(b'{"a": 1}'), "a JSON file, not a checkpoint"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x" * 1000)), "a gzip archive: unpack it"),
    "safetensors by itself": (safetensors_alone, "not an AudioLDM checkpoint"),
    "another model": (another_model, "not an AudioLDM checkpoint ('first_stage_model.vocoder.conv_pre.weight'"),
    "a list": (a_list, "not a dict of tensors"),
    "folder": (lambda path: path.mkdir(), "not a checkpoint folder: it has neither model_index.json"),
}


@pytest.mark.parametrize("suffix", [".pth", ".pdparams", ".ckpt", ".safetensors"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(tmp_path, kind, suffix):
    make, message = FOREIGN[kind]
    path = tmp_path / f"model{suffix}"
    make(path)
    found = error_of(open_checkpoint, path)
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.parametrize("name", ["original", "paddlemix"])
@pytest.mark.parametrize("part", [0.0001, 0.1, 0.5, 0.999, 1])
def test_truncated_files(layouts, tmp_path, name, part):
    content = layouts[name].read_bytes()
    path = tmp_path / layouts[name].name
    path.write_bytes(content[: min(int(len(content) * part), len(content) - 1)])
    assert error_of(open_checkpoint, path).startswith(f"{path}: ")
    path.unlink()


@pytest.mark.parametrize("name", ["native", "diffusers"])
@pytest.mark.parametrize("part", [0, 0.01, 0.999])
def test_truncated_folders(copy_of, name, part):
    folder = copy_of(name)
    path = next(folder.rglob("*.safetensors"))
    os.truncate(path, int(path.stat().st_size * part))
    assert error_of(open_checkpoint, folder).startswith(f"{path}: ")


def test_unreadable_files(copy_of):
    path = copy_of("original")
    path.chmod(0)
    if not os.access(path, os.R_OK):  # root may read anything
        assert error_of(open_checkpoint, path) == f"{path}: Permission denied"


# Tensors that are wrong


@pytest.fixture
def path(tmp_path) -> Iterator[Path]:
    """For a file that is removed again."""
    yield tmp_path / "x.pth"
    (tmp_path / "x.pth").unlink()


def changed(path: Path, **changes: object) -> Path:
    """A published file with some tensors replaced, and those with None left out."""
    tensors = {key: tensor for key, tensor in {**tiny_tensors(), **changes}.items() if tensor is not None}
    return write_published(path, tensors)  # type: ignore[arg-type]


VAE = "first_stage_model.decoder."


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {f"{VAE}conv_in.weight": stored(np.zeros((128, 8, 1, 1), np.float32))},
            f"1 wrong shapes in vae_decoder, the first: {VAE}conv_in.weight [128, 8, 1, 1], expected [128, 8, 3, 3]",
        ),
        (
            {f"{VAE}conv_in.{leaf}": None for leaf in ("weight", "bias")} | {f"{VAE}norm_out.weight": None},
            f"3 tensors of vae_decoder are missing, the first: {VAE}conv_in.weight, {VAE}conv_in.bias, {VAE}norm_out",
        ),
        (
            {f"lora.{i}": stored(np.zeros(1, np.float32)) for i in range(4)},
            "4 unexpected tensors, the first: lora.0, lora.1, lora.2",
        ),
        ({"x\x1b[2J\ny": stored(np.zeros(1, np.float32))}, "1 unexpected tensors, the first: "),
        ({"scale_factor": stored(np.asarray(np.nan, np.float32))}, "vae.scale_factor is nan, expected a positive"),
        ({"scale_factor": stored(np.asarray(0, np.float32))}, "vae.scale_factor is 0.0, expected a positive"),
        (
            {"model.diffusion_model.input_blocks.0.0.weight": stored(np.zeros((32, 4, 3, 3), np.float32))},
            "unet.in_channels is 4, but vae.latent_channels is 8",
        ),
        (
            {"cond_stage_models.0.input_sequence_embed_linear.1.weight": stored(np.zeros((128, 96), np.float32))},
            "loa.condition_dims is (64, 96), but the width of its conditions is (64, 160)",
        ),
        (
            {"cond_stage_models.0.input_sequence_embed_linear.0.weight": stored(np.zeros((192, 64), np.float32))},
            "unet.context_dims is (128, 160), but the width of ('loa', 'flan_t5') is (192, 160)",
        ),
    ],
)
def test_wrong_tensors(path, changes, message):
    changed(path, **changes)
    found = error_of(open_checkpoint, path)
    assert found.startswith(f"{path}: ") and message in found


def test_absurd_numbers_of_layers_end_before_networks_are_built(path):
    empty = stored(np.zeros(1, np.float32))
    changed(path, **{f"clap.model.text_branch.encoder.layer.{i}.x": empty for i in range(1000)})
    assert "clap_text.num_layers is 1000, expected 1 to 128" in error_of(open_checkpoint, path)


def test_a_small_file_that_claims_much_memory(tmp_path):
    """Every tensor a view of the same stored values: honest for tied weights, a bomb for all of them."""
    tensors = {key: tensor.shape for key, tensor in tiny_tensors().items()}
    largest = max(int(np.prod(shape)) for shape in tensors.values())
    storage = write.tuple_of(
        write.text("storage"), write.global_name("torch", "FloatStorage"), write.text("0"), write.text("cpu"),
        write.number(largest),
    ) + pickle.BINPERSID  # fmt: skip
    items = []
    for key, shape in tensors.items():
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        parts = storage, write.number(0), write.numbers(shape), write.numbers(strides), pickle.NEWFALSE, write.dict_of()
        items += [write.text(key), write.call(write.global_name("torch._utils", "_rebuild_tensor_v2"), *parts)]
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", PROTOCOL + write.dict_of(*items) + pickle.STOP)
        archive.writestr("x/data/0", np.ones(largest, "<f4").tobytes())
    assert read_torch(path).keys() == tensors.keys()
    found = error_of(open_checkpoint, path)
    assert found.endswith(f"values in {path.stat().st_size} bytes")


# Code in a file


@pytest.mark.parametrize("suffix", [".pth", ".pdparams"])
@pytest.mark.parametrize("attack", LIVE)
def test_nothing_in_a_file_runs(tmp_path, attack, suffix):
    marker, path = tmp_path / "pwned", tmp_path / f"evil{suffix}"
    content = PROTOCOL + write.dict_of(write.text("state_dict"), LIVE[attack](marker)) + pickle.STOP
    if suffix == ".pth":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", content)
    else:
        path.write_bytes(content)
    assert error_of(open_checkpoint, path).startswith(f"{path}: ")
    assert not marker.exists()


def test_nothing_in_a_diffusers_pickle_runs(copy_of, tmp_path):
    folder, marker = copy_of("diffusers"), tmp_path / "pwned"
    (folder / "vocoder" / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "vocoder" / "pytorch_model.bin", "w") as archive:
        archive.writestr("x/data.pkl", PROTOCOL + LIVE["os.mkdir"](marker) + pickle.STOP)
    assert "pytorch_model.bin: " in error_of(open_checkpoint, folder)
    assert not marker.exists()


def test_python_code_beside_a_checkpoint_is_not_looked_at(copy_of, tmp_path, monkeypatch):
    folder = copy_of("diffusers")
    for name in ("__init__.py", "pipeline.py", "sitecustomize.py", "unet/modeling.py"):
        (folder / name).write_text(f"import os; os.mkdir({str(tmp_path / 'pwned')!r})")
    monkeypatch.chdir(folder)
    open_checkpoint(folder)
    assert not (tmp_path / "pwned").exists()


# Tokenizers


@pytest.mark.parametrize("name", ["original", "diffusers", "native"])
def test_tokenizers_stand_beside_the_weights(layouts, name):
    checkpoint = open_checkpoint(layouts[name])
    for kind in TOKENIZERS:
        assert checkpoint.tokenizer_json(kind) == byte_tokenizer_json(kind)


def test_tokenizers_that_are_nowhere(copy_of):
    message = error_of(open_checkpoint(copy_of("paddlemix")).tokenizer_json, "clap")
    assert message.startswith("cannot get FacebookAI/roberta-base/tokenizer.json") and "HF_HUB_OFFLINE=1" in message


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"null", b"\xff\xfe\xfd", b"[" * 100_000])
def test_damaged_tokenizers(copy_of, content):
    path = copy_of("native")
    (path / "tokenizer" / "tokenizer.json").write_bytes(content)

    def use(checkpoint: Checkpoint) -> PromptTokenizer:
        return PromptTokenizer(checkpoint.tokenizer_json("clap"), "CLAP", 512, 1, 300)

    assert "tokenizer" in error_of(use, open_checkpoint(path))


def test_a_huge_tokenizer(copy_of):
    path = copy_of("native") / "tokenizer" / "tokenizer.json"
    os.truncate(path, (64 << 20) + 1)
    assert error_of(open_checkpoint(path.parents[1]).tokenizer_json, "clap") == (
        f"{path}: too large, allowed: 67,108,864 bytes"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("original", ""),
        ("paddlemix", ""),
        ("native", "unet.safetensors"),
        ("diffusers", "unet/config.json"),
        ("diffusers", "unet/diffusion_pytorch_model.safetensors"),
    ],
)
def test_a_pipe_or_a_device_in_the_place_of_a_file(copy_of, name, file):
    """Opening the one waits for ever, and reading /dev/zero has no end."""
    folder = copy_of(name)
    path = folder / file if file else folder
    path.unlink()
    os.mkfifo(path)
    with at_most(20):
        assert error_of(open_checkpoint, folder) == f"{path}: a device or pipe, expected a file"
    path.unlink()
    path.symlink_to("/dev/null")
    assert error_of(open_checkpoint, folder) == f"{path}: a device or pipe, expected a file"


def test_where_tokenizers_are_looked_for(tmp_path):
    assert folder_of(tmp_path) == tmp_path
    assert folder_of(tmp_path / "audioldm2-full.pth") == tmp_path / "audioldm2-full"
