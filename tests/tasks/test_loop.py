"""Loops: exact lengths, and a seam that is no jump."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.tasks.loop import SEAM_S, closed_circle, loop, quiet_start
from tests.tasks.examples import FAST, KnownPipeline, sound, untrained

RATE = 16000


def jump(samples: np.ndarray) -> float:
    """At the seam, over the 99th percentile of the changes elsewhere."""
    samples = samples.reshape(len(samples), -1)
    return float(np.abs(samples[0] - samples[-1]).max() / np.percentile(np.abs(np.diff(samples, axis=0)), 99))


@pytest.mark.parametrize("duration", [0.3, 0.5, 0.777, 1.0])
def test_a_prompts_loop_on_networks(duration):
    clip = loop(untrained(), "An engine idles", duration=duration, **FAST)
    assert clip.waveforms.shape == (1, round(duration * RATE)) and clip.sample_rate == RATE
    assert jump(clip.waveforms[0]) <= 1
    assert clip.seeds == (3,) and np.isfinite(clip.waveforms).all()


def test_a_recordings_loop_on_networks():
    recording = sound(0.9, 22050, 2)
    clip = loop(untrained(), None, (recording, 22050), **FAST)
    samples = clip.waveforms[0]
    assert samples.shape == recording.shape and jump(samples) <= 1
    ((start, end),) = clip.kept
    assert end - start > 0.3 * len(samples)
    # The start moved by a millisecond at most.
    shifts = [k for k in range(23) if (samples[start:end] == recording[start + k : end + k]).all()]
    assert len(shifts) == 1


@pytest.mark.parametrize("duration", [None, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_recordings_seam(duration, seed):
    recording = np.cumsum(sound(3, 8000, 2, seed=seed), 0, dtype=np.float64)  # whose ends lie far apart
    recording -= recording.mean(0)
    recording /= np.abs(recording).max()
    pipeline = KnownPipeline()
    clip = loop(pipeline, "wind", (recording, 8000), duration=duration, **{**FAST, "seed": seed})
    samples = clip.waveforms[0]
    count = round((duration or 3) * 8000)
    assert samples.shape == (count, 2) and jump(samples) <= 1
    ((start, end),) = clip.kept
    there = min(count, 24000)
    assert there - (end - start) == min(round(SEAM_S * 8000), there // 2) + 2 * 160
    shifts = [k for k in range(9) if (samples[start:end] == recording[start + k : end + k]).all()]
    assert len(shifts) == 1


def test_the_network_sees_the_end_before_the_start():
    pipeline = KnownPipeline()
    time = np.arange(3 * RATE)
    recording = np.where(time < 1.5 * RATE, 0.01, 0.2)[:, None] * sound(3, level=1)
    loop(pipeline, "wind", (recording, RATE), **FAST)
    (encoded,) = pipeline.encoded
    assert encoded[:RATE].std() > 5 * encoded[2 * RATE :].std()
    keep = pipeline.conditions[0].keep_mask
    assert keep[:24].all() and not keep[25:50].any() and keep[51:].all()


def test_only_the_seam_is_processed():
    pipeline = KnownPipeline()
    loop(pipeline, "wind", (sound(500, 1000), 1000), **FAST)
    assert len(pipeline.encoded[0]) == round(10.24 * RATE)


@pytest.mark.parametrize("rest", [0, 1, 100, 639])
def test_a_circle_is_shortened_without_a_jump(rest):
    count = 6400 - rest
    circle = np.sin(2 * np.pi * 5 * np.arange(6400) / 6400)  # closed
    made = closed_circle(circle, count, 320)
    assert len(made) == count and jump(made[:, None]) <= 1.01
    np.testing.assert_array_equal(made[320:], circle[320:count])
    np.testing.assert_allclose(made, circle, atol=1e-12) if rest == 0 else None


def test_a_loop_begins_where_it_is_quiet_and_smooth():
    wave = np.sin(2 * np.pi * np.arange(1000) / 250 + 0.7)
    wave[100] = 0.9  # a jump
    start = quiet_start(wave[:, None], 1000)
    assert abs(wave[start]) < 0.02 or abs(wave[start] - wave[start - 1]) < 0.02
    assert start not in (100, 101)
    assert quiet_start(wave[:, None], 1) == 0
    assert quiet_start(np.zeros((10, 2)), 10) == 0


@pytest.mark.parametrize("seconds", [0.01, 0.1])
def test_a_short_recording(seconds):
    clip = loop(KnownPipeline(), "wind", (sound(seconds, 44100, 2), 44100), duration=0.5, **FAST)
    assert clip.waveforms.shape == (1, 22050, 2) and np.isfinite(clip.waveforms).all()


def test_what_is_no_loop():
    with pytest.raises(ValueError, match="no prompt and no audio"):
        loop(KnownPipeline())
    with pytest.raises(ValueError, match="duration is 0.1, allowed"):
        loop(KnownPipeline(), "x", duration=0.1)
    with pytest.raises(ValueError, match="duration is 700, allowed"):
        loop(KnownPipeline(), "x", (sound(1), RATE), duration=700)
    with pytest.raises(ValueError, match="prompt is ''"):
        loop(KnownPipeline(), "", duration=1)
