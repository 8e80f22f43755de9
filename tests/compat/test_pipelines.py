"""The pipelines of `compat` on the smallest checkpoint; tests/parity compares their latents with diffusers'."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.compat import AudioLDM2Pipeline, AudioLDMPipeline, EulerDiscreteScheduler, base
from ppaudioldm.weights.convert import write_random
from ppaudioldm.weights.locate import Located
from tests.support import noise, relative_error
from tests.test_every_checkpoint import SMALL

SECONDS = 0.52  # 13 latent frames: an odd number, and at the next level as well
QUICK: dict[str, Any] = {"audio_length_in_s": SECONDS, "num_inference_steps": 2}
EMBEDS = {"prompt_embeds": noise(1, 4, 160), "generated_prompt_embeds": noise(1, 8, 128)}
PROMPT = "The sound of a hammer hitting a wooden surface."


@pytest.fixture(scope="module")
def pipe():
    made = AudioLDM2Pipeline.from_pretrained("untrained", device="cpu")
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def film_folder(tmp_path_factory):
    """A checkpoint whose UNet gets CLAP's embedding by FiLM."""
    path = tmp_path_factory.mktemp("film") / "checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        from dataclasses import replace

        patch.setitem(CHECKPOINTS, "audioldm_48k", replace(CHECKPOINTS["audioldm_48k"], config=SMALL["audioldm_48k"]))
        write_random("audioldm_48k", path, "native", seed=0)
    return path


@pytest.mark.skipif(framework.NAME != "paddle", reason="an example for Paddle")
def test_a_script_for_ppdiffusers(tmp_path, monkeypatch):
    """As its documentation has it, in fewer and shorter steps; a published name stands for the smallest checkpoint."""
    import paddle

    monkeypatch.setattr(base, "locate", lambda name: Located(name, None) if name == "untrained" else 1 / 0)
    pipeline = AudioLDM2Pipeline.from_pretrained("untrained", paddle_dtype=paddle.float16)
    generator = paddle.Generator().manual_seed(0)
    audio = pipeline(
        PROMPT,
        negative_prompt="Low quality.",
        num_inference_steps=2,
        audio_length_in_s=1.0,
        num_waveforms_per_prompt=3,
        generator=generator,
    ).audios
    soundfile.write(tmp_path / "techno.wav", audio[0], 16000)
    assert audio.shape == (3, 16000) and audio.dtype == np.float32 and 0 < np.abs(audio).max() <= 1
    embeds, mask, generated = pipeline.encode_prompt(prompt="Techno music", do_classifier_free_guidance=True)
    assert isinstance(embeds, paddle.Tensor) and embeds.shape[0] == 2 and generated.shape == [2, 8, 128]
    more = {"prompt_embeds": embeds, "attention_mask": mask, "generated_prompt_embeds": generated}
    assert pipeline(**more, **QUICK).audios.shape == (2, round(SECONDS * 16000))


def test_results_in_every_form(pipe):
    arguments = {"prompt": PROMPT, "latents": noise(1, 8, 13, 16), **QUICK}
    result = pipe(**arguments)
    assert result.audios is result[0] is result["audios"] and isinstance(result.audios, np.ndarray)
    (audio,) = pipe(**arguments, return_dict=False)
    np.testing.assert_array_equal(audio, result.audios)
    tensor = pipe(**arguments, output_type={"paddle": "pd", "torch": "pt"}[framework.NAME]).audios
    np.testing.assert_array_equal(tensor.numpy(), audio)
    latents = pipe(**arguments, output_type="latent").audios
    assert tuple(latents.shape) == (1, 8, 13, 16)
    assert tuple(pipe(PROMPT, num_inference_steps=1, output_type="latent").audios.shape) == (1, 8, 256, 16)  # 10.24 s


def test_generators(pipe):
    def audio(generator: Any, **more: Any) -> np.ndarray:
        return pipe([PROMPT, "Birds"], generator=generator, **QUICK, **more).audios

    first = audio(np.random.default_rng(1))
    np.testing.assert_array_equal(audio(np.random.default_rng(1)), first)
    both = audio([np.random.default_rng(1), np.random.default_rng(2)])
    swapped = pipe(["Birds", PROMPT], generator=[np.random.default_rng(2), np.random.default_rng(1)], **QUICK).audios
    assert relative_error(swapped[::-1], both) < 1e-4  # an item depends on its own generator
    assert relative_error(audio(None), audio(None)) > 0.1


def test_callbacks_may_change_the_latents(pipe):
    seen = []

    def callback(step: int, timestep: int, latents: Any) -> None:
        seen.append((step, int(timestep)))
        latents.zero_()

    latents = pipe(
        PROMPT, callback=callback, callback_steps=2, output_type="latent", **{**QUICK, "num_inference_steps": 3}
    ).audios
    assert seen == [(0, 667), (2, 1)] and not np.asarray(latents).any()


def test_waveforms_are_ranked(pipe):
    audio = pipe(PROMPT, num_waveforms_per_prompt=3, generator=np.random.default_rng(0), **QUICK).audios
    text = pipe._pipeline.embed_text([PROMPT])[0]
    scores = [float(pipe._pipeline.embed_audio(waveform, 16000) @ text) for waveform in audio]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 3


def test_a_checkpoint_with_film(film_folder):
    pipeline = AudioLDMPipeline.from_pretrained(film_folder, scheduler=EulerDiscreteScheduler())
    assert pipeline.vocoder.config.sampling_rate == 48000 and pipeline.scheduler.config.beta_start == 0.0001
    arguments = {"num_inference_steps": 2, "audio_length_in_s": 0.5, "num_waveforms_per_prompt": 2}
    noise_source = {"generator": np.random.default_rng(0)}
    audio = pipeline("techno music", negative_prompt="x", **arguments, **noise_source).audios
    assert audio.shape == (2, 24000) and np.abs(audio).max() > 0
    embeds = pipeline._clap("prompt_embeds", ["techno music", "x"], None)
    again = pipeline(
        prompt_embeds=embeds[:1], negative_prompt_embeds=embeds[1:], **arguments, generator=np.random.default_rng(0)
    ).audios
    assert relative_error(again, audio) < 1e-4
    with pytest.raises(ValueError, match=r"prompt_embeds have shape \(1, 3\), expected \(B, 64\)"):
        pipeline(prompt_embeds=np.zeros((1, 3)), **arguments)
    with pytest.raises(ValueError, match="checkpoint is conditioned by FiLM: use AudioLDMPipeline"):
        AudioLDM2Pipeline.from_pretrained(film_folder)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({}, "prompt is missing, or else prompt_embeds"),
        ({"prompt": ""}, "prompt is '', allowed: a text that is not empty"),
        ({"prompt": "a", "prompt_embeds": noise(1, 2, 160)}, "prompt and prompt_embeds are both given"),
        ({"prompt": "a", "audio_length_in_s": 0}, "audio_length_in_s is 0, allowed: 0.04 to 600"),
        ({"prompt": "a", "output_type": "tf"}, "output_type is 'tf', allowed: np, pt, pd, latent"),
        ({"prompt": "a", "num_waveforms_per_prompt": 0}, "num_waveforms_per_prompt is 0, allowed: whole numbers"),
        ({"prompt": "a", "num_inference_steps": 1001}, "num_inference_steps is 1001, allowed: whole numbers from 1"),
        ({"prompt": "a", "callback_steps": 0}, "callback_steps is 0, allowed: whole numbers from 1"),
        ({"prompt": "a", "latents": noise(1, 8, 12, 16)}, r"latents have shape \(1, 8, 12, 16\), expected \(1, 8, 13"),
        ({"prompt": "a", "generator": 7}, "generator is a int, allowed: generators of PyTorch, Paddle or NumPy"),
        ({"prompt": "a", "generator": []}, "0 generators for a batch of 1, allowed: one, or one for each item"),
        ({"prompt": ["a", "b"], "negative_prompt": ["a", "b", "c"]}, "allowed: a text, or one for each of 2 prompts"),
        ({"prompt_embeds": noise(1, 4, 160)}, "generated_prompt_embeds are missing"),
        ({**EMBEDS, "prompt_embeds": noise(1, 4, 3)}, r"prompt_embeds are float32 of shape \(1, 4, 3\), expected"),
        ({**EMBEDS, "attention_mask": np.zeros((1, 4))}, "attention_mask has shape"),
    ],
)
def test_wrong_arguments(arguments, message, pipe):
    with pytest.raises(ValueError, match=message):
        pipe(**{**QUICK, **arguments})


def test_opening(caplog, pipe):
    with pytest.raises(ValueError, match="unet cannot be replaced here, only the scheduler can"):
        AudioLDM2Pipeline.from_pretrained("untrained", unet=None)
    with pytest.raises(ValueError, match="untrained is an AudioLDM 2 checkpoint: use AudioLDM2Pipeline"):
        AudioLDMPipeline.from_pretrained("untrained")
    with pytest.raises(ValueError, match="scheduler is a int, which has no set_timesteps"):
        pipe.scheduler = 3
    with caplog.at_level(logging.WARNING):
        made = AudioLDM2Pipeline.from_pretrained("untrained", variant="fp16", use_safetensors=True, revision="x")
    assert caplog.messages == ["from_pretrained: revision='x' is not used"]
    if framework.default_device() == "cpu":
        assert made.to("cuda") is made and made.device == "cpu"
        assert caplog.messages[-1] == f"{framework.NAME} has no GPU here, so 'cuda' is the cpu"
    made.enable_model_cpu_offload()
    made.enable_attention_slicing()
    assert made.to("float32")(PROMPT, audio_length_in_s=0.32, num_inference_steps=1).audios.shape == (1, 5120)
