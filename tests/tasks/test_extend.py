"""A recording that goes on: its beginning to the bit, its end seen by the network, its level kept."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.joins import FADE_S
from ppaudioldm.tasks.extend import extend
from tests.tasks.examples import FAST, KnownPipeline, decibels, sound, untrained

RATE = 16000


@pytest.mark.parametrize("encoding", ["PCM_16", "PCM_24", "FLOAT"])
def test_the_beginning_is_the_recording(tmp_path, encoding):
    soundfile.write(tmp_path / "x.wav", sound(1, 12000, 2), 12000, encoding)
    clip = extend(KnownPipeline(), tmp_path / "x.wav", duration=2.5, **FAST)
    (path,) = clip.save(tmp_path / "y.wav")
    before, after = (soundfile.read(p, dtype="float64")[0] for p in (tmp_path / "x.wav", path))
    there = 12000 - round(FADE_S * 12000)
    assert after.shape == (30000, 2) and soundfile.info(path).subtype == encoding
    np.testing.assert_array_equal(after[:there], before[:there])
    assert clip.kept == ((0, there),)
    np.testing.assert_allclose(decibels(after[12000:].std(0) / before.std(0)), 0, atol=2)


def test_the_network_sees_the_end_and_makes_the_rest():
    pipeline = KnownPipeline()
    extend(pipeline, (sound(100, 8000), 8000), duration=104, **FAST)
    assert len(pipeline.encoded[0]) == round(10.24 * RATE)
    keep = pipeline.conditions[0].keep_mask
    assert keep[:156].all() and not keep[156:].any()  # 6.24 s of 10.24
    # Where the recording ends there is no silence, which would say that it is over.
    levels = pipeline.encoded[0][: 10 * RATE].reshape(100, -1).std(1)
    assert levels.min() > 0.8 * levels.max()


def test_a_long_continuation():
    pipeline = KnownPipeline()
    clip = extend(pipeline, (sound(3, 1000), 1000), duration=60, **FAST)
    assert clip.waveforms.shape == (1, 60_000) and len(pipeline.encoded) == 1


def test_on_networks():
    recording = sound(0.3, 22050)
    clip = extend(untrained(), (recording, 22050), duration=0.6, **FAST)
    there = clip.kept[0][1]
    assert clip.waveforms.shape == (1, 13230) and clip.sample_rate == 22050
    np.testing.assert_array_equal(clip.waveforms[0, :there], recording[:there, 0])
    assert clip.waveforms[0, 6615:].std() > 0


@pytest.mark.parametrize("seconds", [0.001, 0.1])
def test_a_short_recording(seconds):
    clip = extend(KnownPipeline(), (sound(seconds, 44100, 2), 44100), duration=1, **FAST)
    assert clip.waveforms.shape == (1, 44100, 2) and np.isfinite(clip.waveforms).all()


def test_silence_goes_on_at_the_networks_level():
    clip = extend(untrained(), (np.zeros((8000, 1), np.float32), RATE), "A dog", duration=0.8, **FAST)
    assert not clip.waveforms[0, :7680].any() and 0 < np.abs(clip.waveforms[0, 8000:]).max() <= 1


@pytest.mark.parametrize(
    ("duration", "message"),
    [
        (2, "duration is 2, allowed: more than the recording's 2 seconds"),
        (601, "duration is 601, allowed: 0.3 to 600 seconds"),
        (float("nan"), "duration is nan"),
    ],
)
def test_durations_that_are_none(duration, message):
    with pytest.raises(ValueError, match=message):
        extend(KnownPipeline(), (sound(2), RATE), duration=duration, **FAST)
