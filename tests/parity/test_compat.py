"""`compat` against diffusers' own pipeline on the same checkpoint: equal arguments give equal latents.

And the examples in diffusers' documentation, which run when only their import changes.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline as Reference
from tokenizers import Tokenizer
from transformers import T5Tokenizer

from ppaudioldm import compat, framework
from ppaudioldm.compat import base
from ppaudioldm.weights.convert import write_random
from ppaudioldm.weights.locate import Located
from tests.support import noise, relative_error

SECONDS = 0.52  # 13 latent frames: an odd number, and at the next level as well
SHAPE = (2, 8, 13, 16)
PROMPTS = ["A dog barks in the rain", "Birds"]
STEPS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("compat") / "untrained"
    write_random("untrained", path, "diffusers", seed=0)
    return path


@pytest.fixture(scope="module")
def reference(folder):
    # transformers reads this class's vocabulary in another way than others'.
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer_2" / "tokenizer.json"))
    pipe = Reference.from_pretrained(
        folder, tokenizer_2=T5Tokenizer(tokenizer_object=tokenizer, model_max_length=512), local_files_only=True
    )
    pipe.tokenizer.model_max_length = 512
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def pipe(folder):
    made = compat.AudioLDM2Pipeline.from_pretrained(folder, torch_dtype=torch.float32, engine="eager", device="cpu")
    made.set_progress_bar_config(disable=True)
    return made


def both(reference: Any, pipe: Any, **arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    """The results of both pipelines for equal arguments; a generator is made afresh for each."""
    seed = arguments.pop("seed", None)
    results = []
    for one in (reference, pipe):
        more = {} if seed is None else {"generator": torch.Generator().manual_seed(seed)}
        defaults = {"num_inference_steps": STEPS, "audio_length_in_s": SECONDS, "output_type": "latent"}
        results.append(np.asarray(one(**{**defaults, **arguments, **more}).audios))
    return results[0], results[1]


CASES: dict[str, dict[str, Any]] = {
    "two prompts": {"prompt": PROMPTS},
    "negative prompts": {"prompt": PROMPTS, "negative_prompt": ["Low quality, with much more to say", "x"]},
    "no guidance": {"prompt": PROMPTS, "guidance_scale": 1.0},
    "eta, two of a prompt": {"prompt": "Birds", "num_waveforms_per_prompt": 2, "eta": 0.6},
    "whole latents": {"prompt": "Birds", "audio_length_in_s": 0.64, "num_waveforms_per_prompt": 2},
    "new tokens": {"prompt": PROMPTS, "max_new_tokens": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_latents(case, reference, pipe):
    expected, actual = both(reference, pipe, seed=5, **CASES[case])
    error = relative_error(actual, expected)
    print(f"compat, {case}, on {framework.NAME}: {error:.1e}")
    assert error < 1e-4


@pytest.mark.parametrize("name", compat.SCHEDULERS)
def test_schedulers_by_name(name, reference, pipe, monkeypatch):
    ours, theirs = (getattr(library, name) for library in (compat, diffusers))
    monkeypatch.setattr(reference, "scheduler", theirs.from_config(reference.scheduler.config))
    latents = torch.from_numpy(noise(*SHAPE))
    for scheduler in (ours.from_config(pipe.scheduler.config), theirs.from_config(pipe.scheduler.config)):
        monkeypatch.setattr(pipe, "scheduler", scheduler)
        expected, actual = both(reference, pipe, prompt=PROMPTS, latents=latents, seed=1)
        assert relative_error(actual, expected) < 1e-4, type(scheduler)


def test_embeddings(reference, pipe):
    arguments = {"device": "cpu", "num_waveforms_per_prompt": 2, "do_classifier_free_guidance": True}
    with torch.no_grad():
        expected = reference.encode_prompt(PROMPTS, **arguments)
    actual = pipe.encode_prompt(PROMPTS, **arguments)
    for theirs, ours in zip(expected, actual, strict=True):
        assert isinstance(ours, torch.Tensor)
        assert relative_error(ours.numpy().astype(np.float32), theirs.numpy().astype(np.float32)) < 1e-4
    embeds, mask, generated = (tensor[4:6] for tensor in expected)
    given = {"prompt_embeds": embeds, "attention_mask": mask, "generated_prompt_embeds": generated}
    theirs, ours = both(reference, pipe, latents=torch.from_numpy(noise(*SHAPE)), **given)
    assert relative_error(ours, theirs) < 1e-4


def test_sound_and_callbacks(reference, pipe):
    calls: list[tuple[int, int, float]] = []

    def callback(step: int, timestep: Any, latents: Any) -> None:
        calls.append((step, int(timestep), float(latents.norm())))
        if step == 1:
            latents *= 0.5  # in place

    expected, actual = both(
        reference, pipe, prompt=PROMPTS, seed=2, output_type="np", callback=callback, callback_steps=1
    )
    assert actual.shape == expected.shape == (2, round(SECONDS * 16000))
    assert relative_error(actual, expected) < 1e-3
    half = len(calls) // 2
    assert [call[:2] for call in calls[:half]] == [call[:2] for call in calls[half:]] and half == STEPS


# ---- The documentation's examples


def examples() -> list[str]:
    """The code of every example in the docstrings of diffusers' two pipelines."""
    modules = [importlib.import_module(name) for name in (Reference.__module__, diffusers.AudioLDMPipeline.__module__)]
    texts = [modules[0].EXAMPLE_DOC_STRING, Reference.encode_prompt.__doc__, modules[1].EXAMPLE_DOC_STRING]
    blocks = [block for text in texts for block in re.findall(r"```(?:py|python)?\n(.*?)```", text, re.DOTALL)]
    lines = [re.findall(r"^ *(?:>>>|\.\.\.) ?(.*)$", block, re.MULTILINE) for block in blocks]
    return ["\n".join(code) for code in lines if code]


def test_there_are_examples():
    assert len(examples()) == 4
    assert sum("AudioLDMPipeline" in example for example in examples()) == 1


@pytest.mark.parametrize("example", examples(), ids=["generate", "speak", "encode_prompt", "AudioLDM 1"])
def test_the_examples_run_with_another_import(example, tmp_path, monkeypatch):
    """On random checkpoints in place of the published ones, and, where there is no GPU, for "cpu" instead of "cuda"."""
    import scipy.io.wavfile  # the examples import scipy, of which this is a part that has to be imported

    from tests.test_every_checkpoint import SMALL

    name = re.findall(r'repo_id = "(.*)"', example)[0]
    config = {"cvssp/audioldm2": "untrained"}.get(name, name)
    folder = tmp_path / "checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        if config in SMALL:
            from dataclasses import replace

            from ppaudioldm.checkpoints import CHECKPOINTS

            patch.setitem(CHECKPOINTS, config, replace(CHECKPOINTS[config], config=SMALL[config]))
        write_random(config, folder, "native", seed=0)
    monkeypatch.setattr(base, "locate", lambda _: Located(name, folder))
    monkeypatch.chdir(tmp_path)
    code = example.replace("from diffusers import", "from ppaudioldm.compat import")
    if not torch.cuda.is_available():
        code = code.replace('Generator("cuda")', 'Generator("cpu")')
    # Fewer steps: the schedulers have tests of their own.
    code = code.replace("num_inference_steps=200", "num_inference_steps=2")
    exec(compile(code, "example", "exec"), {})
    (path,) = tmp_path.glob("*.wav")
    rate, samples = scipy.io.wavfile.read(path)
    seconds = 10 if "10.0" in example else 5
    assert rate == 16000 and len(samples) == seconds * 16000
