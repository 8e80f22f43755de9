"""What a generation starts from besides its prompts, on the tiny configuration."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.choices import samplers_for
from ppaudioldm.config import DiffusionConfig
from ppaudioldm.diffusion.noise import KEPT, gaussian
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Clip
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from tests.generation.test_decoding import SHORT
from tests.support import RecordingEngine, noise, relative_error
from tests.tasks.test_speak import TINY_SPEECH
from tests.test_pipeline import FILM

FRAMES = 16  # 0.64 s
LATENTS = noise(8, FRAMES, 16, seed=5)
KEEP = np.zeros((FRAMES, 16), np.float32)
KEEP[:6] = 1
KEEP[:, :2] = 1
SETTINGS: dict[str, Any] = {"duration": 0.64, "seed": 3, "num_inference_steps": 4}


@cache
def engine() -> RecordingEngine:
    return RecordingEngine(open_checkpoint("untrained"))


def made(
    prompt: str | list[str] | None = "Birds", condition: AudioCondition | None = None, **options: Any
) -> tuple[Clip, np.ndarray]:
    """The clip, and the latents (B, channels, T, bands) that it was decoded from."""
    engine().calls.clear()
    clip = AudioLDM(engine().checkpoint, engine()).generate(
        prompt, audio_condition=condition, **{**SETTINGS, **options}
    )
    latents = [inputs[0] * engine().checkpoint.config.vae.scale_factor for inputs, _ in engine().of("vae_decoder")]
    return clip, np.concatenate([engine().to_numpy(x) for x in latents])


# ---- Latents to start from


def test_at_full_strength_the_latents_do_not_matter():
    alone, with_latents = made()[0], made(condition=AudioCondition(init_latents=LATENTS))[0]
    np.testing.assert_array_equal(with_latents.waveforms, alone.waveforms)


@pytest.mark.parametrize("sampler", samplers_for("dpm++"))
def test_the_weaker_the_nearer(sampler):
    steps = {"num_inference_steps": 20, "guidance_scale": 1.0, "sampler": sampler}
    errors = []
    is_lcm = sampler == "lcm"  # takes all steps within the share of its 50 timesteps, and ends with a prediction of x0
    expected = (2, 20, 20) if is_lcm else (1, 10, 20)
    for strength, calls in zip((0.05, 0.5, 1.0), expected, strict=True):
        latents = made(condition=AudioCondition(init_latents=LATENTS, strength=strength), **steps)[1][0]
        assert abs(len(engine().of("unet_step")) - calls) <= (sampler == "plms")
        errors.append(relative_error(latents, LATENTS))
    assert errors[0] < (0.5 if is_lcm else 0.35) and sorted(errors) == errors and errors[2] > 0.9


def test_the_last_step_leaves_almost_everything():
    condition = AudioCondition(init_latents=LATENTS, strength=1e-6)
    assert relative_error(made(condition=condition, num_inference_steps=200)[1][0], LATENTS) < 0.1


def test_every_candidate_starts_from_the_same():
    condition = AudioCondition(init_latents=LATENTS, keep_mask=KEEP, strength=0.5)
    both = made("Birds", condition, num_waveforms_per_prompt=2, batch_size=2)[1]
    for seed, latents in zip((3, 4), both, strict=True):
        assert relative_error(latents, made("Birds", condition, seed=seed)[1][0]) < 1e-4
    assert relative_error(both[0], both[1]) > 1e-2


# ---- A part to keep


@pytest.mark.parametrize("sampler", samplers_for("dpm++"))
def test_what_is_kept_stays_and_the_rest_is_new(sampler):
    _, latents = made(condition=AudioCondition(init_latents=LATENTS, keep_mask=KEEP), sampler=sampler)
    kept = np.broadcast_to(KEEP == 1, latents.shape)
    np.testing.assert_allclose(latents[kept], LATENTS[None][kept], atol=1e-6)
    assert relative_error(latents[~kept], LATENTS[None][~kept]) > 0.5


def test_what_is_kept_is_as_noisy_as_the_rest_before_each_step():
    made(condition=AudioCondition(init_latents=LATENTS, keep_mask=KEEP))
    sampler = make_sampler("dpm++", NoiseSchedule(DiffusionConfig()), 4)
    kept = np.broadcast_to(KEEP == 1, (1, *LATENTS.shape))
    calls = engine().of("unet_guided_step")
    assert len(calls) == 4
    for i, (inputs, _) in enumerate(calls):
        expected = sampler.add_noise(i, LATENTS[None], gaussian(LATENTS.shape, [3], KEPT, i))
        np.testing.assert_allclose(engine().to_numpy(inputs[0])[kept], expected[kept], atol=1e-5)


def test_keeping_all_or_nothing():
    ones = np.ones_like(KEEP)
    np.testing.assert_allclose(
        made(condition=AudioCondition(init_latents=LATENTS, keep_mask=ones))[1][0], LATENTS, atol=1e-6
    )
    nothing = made(condition=AudioCondition(init_latents=LATENTS, keep_mask=0 * ones))[0]
    assert relative_error(nothing.waveforms, made()[0].waveforms) < 1e-5


def test_what_is_kept_shapes_the_rest():
    first, second = (made(condition=AudioCondition(init_latents=x, keep_mask=KEEP))[1] for x in (LATENTS, -LATENTS))
    anew = np.broadcast_to(KEEP == 0, first.shape)
    assert relative_error(first[anew], second[anew]) > 1e-2


# ---- LOA tokens

LOA = noise(8, 128, seed=6)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.5])
def test_loa_tokens_take_the_place_of_gpt2s(guidance_scale):
    clip, _ = made(condition=AudioCondition(loa=LOA), guidance_scale=guidance_scale)
    assert not engine().of("gpt2") and not engine().of("clap_text")
    ((contexts,), _), *_ = engine().of("unet_contexts")
    np.testing.assert_array_equal(engine().to_numpy(contexts[0])[-1], LOA)
    if guidance_scale > 1:
        np.testing.assert_array_equal(engine().to_numpy(contexts[0])[0], 0 * LOA)
    assert relative_error(made(condition=AudioCondition(loa=-LOA))[0].waveforms, clip.waveforms) > 1e-3


def test_networks_that_are_not_needed_are_not_loaded():
    fresh = RecordingEngine(open_checkpoint("untrained"))
    AudioLDM(fresh.checkpoint, fresh).generate(None, audio_condition=AudioCondition(loa=LOA), **SETTINGS)
    assert set(fresh._networks) == {"flan_t5", "unet", "vae_decoder", "vocoder"}
    AudioLDM(fresh.checkpoint, fresh).generate(
        None, audio_condition=AudioCondition(loa=LOA), negative_prompt="music", **SETTINGS
    )
    assert {"gpt2", "loa", "clap_text"} <= set(fresh._networks)


def test_a_prompt_may_be_absent():
    clip, _ = made(None, AudioCondition(loa=LOA))
    assert clip.prompts == ("",) and clip.scores is None
    ((contexts,), _), *_ = engine().of("unet_contexts")
    states = engine().to_numpy(contexts[1])
    np.testing.assert_array_equal(states[0], states[1])  # those of an empty text, guided or not
    assert relative_error(made("Birds", AudioCondition(loa=LOA))[0].waveforms, clip.waveforms) > 1e-3


def test_without_a_prompt_nothing_ranks_the_candidates():
    clip, latents = made(None, AudioCondition(loa=LOA), num_waveforms_per_prompt=3)
    assert len(latents) == 1 and clip.seeds == (3,)
    clip, latents = made(None, AudioCondition(loa=LOA), num_waveforms_per_prompt=3, keep_candidates=True)
    assert len(latents) == 3 and clip.scores is None and clip.candidate_scores is None
    assert clip.candidates is not None and clip.candidates.shape == (1, 3, 10240)
    np.testing.assert_array_equal(clip.waveforms, clip.candidates[:, 0])


@pytest.mark.parametrize("count", [1, 5, 20])
def test_any_number_of_tokens(count):
    assert np.isfinite(made(condition=AudioCondition(loa=noise(count, 128)))[0].waveforms).all()


def test_a_speech_checkpoint_is_given_what_to_say():
    checkpoint = random_checkpoint("tiny-speech", TINY_SPEECH, seed=0)
    fresh = RecordingEngine(checkpoint)
    clip = AudioLDM(checkpoint, fresh).generate("A man", audio_condition=AudioCondition(loa=noise(16, 128)), **SETTINGS)
    assert clip.waveforms.shape == (1, 10240) and not fresh.of("phoneme_encoder")


# ---- Circles


@pytest.mark.parametrize("duration", [0.32, 0.36, 1.28, 2.04])
def test_the_end_of_a_circle_continues_in_its_start(duration):
    checkpoint = random_checkpoint("short", SHORT, seed=0)
    fresh = RecordingEngine(checkpoint)
    clip = AudioLDM(checkpoint, fresh).generate(
        "Rain", audio_condition=AudioCondition(circular=True), **{**SETTINGS, "duration": duration}
    )
    assert clip.waveforms.shape == (1, round(16000 * duration))
    steps = np.abs(np.diff(clip.waveforms[0]))
    assert abs(clip.waveforms[0, 0] - clip.waveforms[0, -1]) <= np.percentile(steps, 99.9)
    shapes = {tuple(inputs[0].shape) for inputs, _ in fresh.of("unet_guided_step")}
    assert len(shapes) == 1  # which OpenVINO compiles once


def test_a_circle_has_whole_latent_frames():
    with pytest.raises(ValueError, match=r"duration is 1\.01, allowed for a loop: whole multiples of 0\.04 seconds"):
        made(condition=AudioCondition(circular=True), duration=1.01)


# ---- What is refused


def with_nan(array: np.ndarray) -> np.ndarray:
    return np.where(np.arange(array.size).reshape(array.shape) == 7, np.nan, array).astype(np.float32)


@pytest.mark.parametrize(
    "condition,message",
    [
        (AudioCondition(strength=0.5), "strength is 0.5, but there are no init_latents to start from"),
        (AudioCondition(init_latents=LATENTS, strength=0), "strength is 0, allowed: above 0, at most 1"),
        (AudioCondition(init_latents=LATENTS, strength=1.5), "strength is 1.5, allowed"),
        (AudioCondition(init_latents=LATENTS, strength=np.nan), "strength is nan, allowed"),
        (
            AudioCondition(init_latents=LATENTS[:, 1:]),
            r"init_latents is float32 of shape \(8, 15, 16\), expected .* \(8, 16, 16\)",
        ),
        (AudioCondition(init_latents=LATENTS.astype(np.int64)), "init_latents is int64 .* expected float32"),
        (AudioCondition(init_latents=with_nan(LATENTS)), "init_latents holds values that are not finite"),
        (AudioCondition(keep_mask=KEEP), "keep_mask is set, but there are no init_latents to keep"),
        (AudioCondition(init_latents=LATENTS, keep_mask=KEEP[None]), "keep_mask is float32 of shape .* expected"),
        (AudioCondition(init_latents=LATENTS, keep_mask=2 * KEEP), "keep_mask goes from 0.0 to 2.0, allowed: 0 to 1"),
        (AudioCondition(init_latents=LATENTS, keep_mask=with_nan(KEEP)), "keep_mask holds values that are not finite"),
        (AudioCondition(loa=LOA[:0]), r"loa has shape \(0, 128\), allowed: 1 to 256 tokens of 128"),
        (AudioCondition(loa=LOA[0]), r"loa has shape \(128,\), allowed"),
        (AudioCondition(loa=LOA[:, :100]), r"loa is float32 of shape \(8, 100\), expected"),
        (AudioCondition(loa=with_nan(LOA)), "loa holds values that are not finite"),
    ],
)
def test_refused(condition, message):
    with pytest.raises(ValueError, match=message) as error:
        made(condition=condition)
    assert "\n" not in str(error.value) and not engine().calls


def test_checkpoints_without_loa_are_given_none():
    with pytest.raises(ValueError, match="loa is set, but the checkpoint has no LOA tokens"):
        AudioCondition(loa=LOA).check(FILM, FRAMES)
    with pytest.raises(ValueError, match="prompt is None, allowed"):
        made(None, AudioCondition(init_latents=LATENTS))


def test_the_shape_is_that_of_the_duration():
    pipeline = AudioLDM(engine().checkpoint, engine())
    assert (pipeline.latent_frames(0.64), pipeline.latent_frames(0.65)) == (16, 20)
    assert pipeline.latent_frames(0.65, circular=True) == 17
    assert (
        AudioLDM(replace(engine().checkpoint, config=replace(UNTRAINED, unet=SHORT.unet)), engine()).latent_frames(10)
        == 252
    )
