"""Style transfer: how much is left of the recording, and at which level."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.loudness import loudness
from ppaudioldm.tasks.restyle import restyle
from tests.support import relative_error
from tests.tasks.examples import FAST, KnownPipeline, sound, untrained

RATE = 16000
STEPS = {"num_inference_steps": 5, "seed": 3}


def made(strength: float, recording: np.ndarray, prompt: str = "A dog") -> np.ndarray:
    return restyle(untrained(), (recording, RATE), prompt, strength=strength, **STEPS).waveforms[0]


def gain_to(recording: np.ndarray, waveform: np.ndarray) -> float:
    """The factor that makes `waveform` as loud as `recording`."""
    return 10 ** ((loudness(recording, RATE) - loudness(waveform, RATE)) / 20)


def test_the_less_the_strength_the_nearer_to_the_recording():
    recording = sound(0.32)
    encoded = 0.5 * recording[:, 0] / np.abs(recording).max()
    alone = untrained().decode_latents(untrained().encode_audio(encoded)[None])[0, :5120]
    alone *= gain_to(recording, alone)
    errors = [relative_error(made(strength, recording), alone) for strength in (0.2, 0.6, 1.0)]
    assert errors[0] < errors[1] < errors[2] and errors[0] < 0.5
    assert relative_error(made(0.5, recording, "Birds"), made(0.5, recording)) > 1e-4


def test_it_is_as_long_and_as_loud_as_the_recording():
    pipeline = KnownPipeline()
    recording = sound(1.23, 44100, 2, level=0.003)
    clip = restyle(pipeline, (recording, 44100), "A dog", **FAST)
    assert clip.waveforms.shape == (1, round(1.23 * RATE)) and clip.sample_rate == RATE
    assert np.isclose(np.abs(pipeline.encoded[0]).max(), 0.5, rtol=0.01) and pipeline.conditions[0].strength == 0.5
    assert np.abs(clip.waveforms).max() < 0.02


@pytest.mark.parametrize("seconds", [0.01, 0.2])
def test_a_short_recording(seconds):
    clip = restyle(KnownPipeline(), (sound(seconds, 8000), 8000), "A dog", **FAST)
    assert clip.waveforms.shape == (1, round(seconds * RATE))


def test_all_of_the_steps_leave_nothing(caplog):
    clip = restyle(untrained(), (sound(0.3), RATE), "A dog", strength=1, **FAST)
    assert "nothing of the recording is left" in caplog.text
    expected = untrained().generate("A dog", duration=0.3, **FAST).waveforms
    assert relative_error(clip.waveforms, expected * gain_to(sound(0.3), expected[0])) < 1e-5


@pytest.mark.parametrize("strength", [0, -0.5, 1.01, float("nan"), "x", True, None])
def test_strengths_that_are_none(strength):
    with pytest.raises(ValueError, match=r"strength is .*, allowed: above 0, at most 1"):
        restyle(KnownPipeline(), (sound(1), RATE), "A dog", strength=strength, **FAST)


@pytest.mark.parametrize("prompt", ["", None, 3])
def test_prompts_that_are_none(prompt):
    with pytest.raises(ValueError, match="prompt is"):
        restyle(KnownPipeline(), (sound(1), RATE), prompt, **FAST)


def test_silence_stays_finite():
    clip = restyle(untrained(), (np.zeros(4800, np.float32), RATE), "A dog", **FAST)
    assert np.abs(clip.waveforms).max() <= 1
