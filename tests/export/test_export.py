"""Exported programs and their runner, which does without this package. tests/parity exports every function of tiny."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm import framework
from ppaudioldm.audio.tagging.files import read_tags
from ppaudioldm.audio.tagging.xmp import GENERATED
from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.choices import samplers_for
from ppaudioldm.cli import main
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.export import runner
from ppaudioldm.export.export import exportable_functions, write_runner
from ppaudioldm.export.runner import marking, write_wav
from ppaudioldm.models.functions import INPUTS
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import CONSISTENCYTTA, relative_error

if framework.NAME != "paddle":
    pytest.skip("networks are traced by Paddle", allow_module_level=True)

PROMPT = "A dog barks in the rain"
UNET = ["unet_contexts", "unet_time_embedding", "unet_guided_step"]
NEEDED = ["flan_t5", "clap_text", "loa", "gpt2", *UNET, "vae_decoder", "vocoder"]
# Imports of this package fail.
ALONE = """
import os, runpy, sys
sys.modules["ppaudioldm"] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The functions that turn a prompt into a sound: three CPU seconds, for every test of this file."""
    folder = tmp_path_factory.mktemp("export") / "untrained"
    command = ["export", "untrained", str(folder), "--prompt", PROMPT, "--functions", *NEEDED]
    assert main(command) == 0
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, str(folder / "run.py"), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONSAFEPATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_runner_makes_the_pipelines_clip(exported):
    options = ["--seconds", "0.4", "--steps", "3", "--seed", "5"]
    result = run(exported, "--prompts", "prompts.json", *options, "-o", "clip.npy")
    assert result.returncode == 0, result.stderr
    pipeline = AudioLDM.from_pretrained("untrained", engine="eager", device="cpu")
    expected = pipeline.generate(PROMPT, duration=0.4, num_inference_steps=3, seed=5).waveforms[0]
    assert relative_error(np.load(exported / "clip.npy"), expected) < 1e-5


def test_the_manifest_and_the_files(exported):
    manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
    assert (manifest["format"], manifest["name"], list(manifest["functions"])) == ("paddle", "untrained", NEEDED)
    assert manifest["functions"]["vae_decoder"]["inputs"] == [
        {"name": "latents", "shape": [None, 8, None, 16], "dtype": "float32", "is_state": False}
    ]
    assert {path.suffix for path in (exported / "functions").iterdir()} == {".json", ".pdiparams"}
    (prompt,) = json.loads((exported / "prompts.json").read_text("utf-8"))
    assert prompt["text"] == PROMPT and set(prompt["tokens"]) == {"clap", "flan_t5"}


def test_the_runtime_is_small_and_whole(tmp_path):
    write_runner(tmp_path)
    texts = [path.read_text("utf-8") for path in tmp_path.rglob("*.py")]
    assert sum(len(code(text)) for text in texts) < 70_000
    assert not any(f"{word} ppaudioldm." in text for text in texts for word in ("from", "import"))


def code(text):
    """A module without comments and docstrings, which would otherwise be squeezed by a bound of its length."""
    module = ast.parse(text)
    for node in ast.walk(module):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(module)


def test_its_file_says_that_it_is_generated(tmp_path):
    write_wav(tmp_path / "x.wav", np.zeros(101), 16000, marking({"made_by": "ppaudioldm 1", "name": "tiny"}))
    tags = read_tags(tmp_path / "x.wav")
    assert tags["DIGITALSOURCETYPE"] == GENERATED and tags["ENCODER"] == "ppaudioldm 1"
    assert tags["COMMENT"] == "AI-generated with ppaudioldm 1 and the model tiny"
    assert soundfile.info(tmp_path / "x.wav").frames == 101


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "error: one of --prompt and --prompts is needed"),
        (["--prompts", "missing.json"], "error: [Errno 2] No such file or directory: 'missing.json'"),
        (["--prompts", "prompts.json", "--sampler", "x"], "error: sampler is 'x', allowed for this checkpoint: {}"),
    ],
)
def test_what_the_runner_refuses(arguments, message, exported):
    result = run(exported, *arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == message.format(", ".join(samplers_for("dpm++")))


def test_what_the_command_refuses(tmp_path, capsys):
    assert main(["export", "untrained", str(tmp_path)]) == 2
    assert main(["export", "untrained", str(tmp_path / "x"), "--functions", "unet"]) == 2
    assert main(["export", "untrained", str(tmp_path / "x"), "--half"]) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.endswith("exists: choose another name, or add --overwrite")
    assert "untrained has no function 'unet', choose from unet_contexts, unet_time_embedding, " in second
    assert third.endswith("--half is for --format openvino") and not (tmp_path / "x").exists()


def test_functions_of_each_kind_of_checkpoint():
    assert set(INPUTS) - set(exportable_functions(UNTRAINED)) == {"phoneme_encoder"}
    assert exportable_functions(CONSISTENCYTTA) == [
        *("unet_contexts", "unet_time_embedding", "unet_step", "unet_any_length_step"),
        *("vae_encoder", "vae_decoder", "vocoder", "flan_t5"),
    ]
    film = exportable_functions(CHECKPOINTS["audioldm_48k"].config)
    assert {"unet_time_embedding", "unet_step", "unet_guided_step"} < set(film)
    assert not {"unet_contexts", "gpt2", "flan_t5"} & set(film)
    assert "vocoder" not in exportable_functions(CHECKPOINTS["tiny"].config)  # it has Griffin-Lim


class EnginePrograms(runner.Programs):
    """The functions of a checkpoint, run by an engine in place of exported programs."""

    def __init__(self, engine: EagerEngine) -> None:
        self.config, self._engine = engine.checkpoint.config, engine
        self.manifest = {"default_seconds": 10.0, "empty_prompt": {}}

    def run(self, function: str, *inputs: Any) -> Any:
        def converted(x: Any, convert: Callable[[Any], Any]) -> Any:
            return [convert(y) for y in x] if isinstance(x, (list, tuple)) else None if x is None else convert(x)

        output = self._engine.run(function, *[converted(x, self._engine.asarray) for x in inputs])
        return converted(output, self._engine.to_numpy)


LATENT = replace(
    CONSISTENCYTTA,
    diffusion=replace(CONSISTENCYTTA.diffusion, prediction="v", sampler="lcm", num_inference_steps=2),
)


@pytest.mark.parametrize("config,steps", [(CONSISTENCYTTA, None), (CONSISTENCYTTA, 3), (LATENT, None)])
def test_the_runner_makes_the_clip_of_a_consistency_model(config, steps):
    checkpoint = random_checkpoint("consistencytta", config, 0)
    engine = EagerEngine(checkpoint, "cpu")
    t5 = CONSISTENCYTTA.flan_t5
    tokenizer = PromptTokenizer(checkpoint.tokenizer_json("flan_t5"), "FLAN-T5", t5.max_tokens, 0, t5.vocab_size)
    tokens = {"flan_t5": tokenizer([PROMPT])[0][0].tolist()}
    programs = EnginePrograms(engine)
    waveform = runner.generate(programs, tokens, seconds=0.4, seed=5, steps=steps)
    expected = AudioLDM(checkpoint, engine).generate(PROMPT, duration=0.4, seed=5, num_inference_steps=steps)
    assert relative_error(waveform, expected.waveforms[0]) < 1e-5
    for refused, message in (
        ({"negative_tokens": tokens}, "a negative prompt is set, but the guidance scale is an input"),
        ({"sampler_name": "ddim"}, f"sampler is 'ddim', allowed for this checkpoint: {config.diffusion.sampler}"),
    ):
        with pytest.raises(ValueError, match=message):
            runner.generate(programs, tokens, seconds=0.4, **refused)
