from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.fbank import FLOOR, FRAMES, MEAN, SPREAD, audiomae_fbank, htk_filters, log_fbank
from tests.audio.test_mel import waveform
from tests.support import load_golden

LONGEST = 1023 * 160 + 400  # samples of 1024 frames
PADDING = -MEAN / SPREAD  # a log-power of 0, normalised


def log_units(fbank: np.ndarray) -> np.ndarray:
    """The inverse of the normalisation."""
    return fbank * SPREAD + MEAN


def test_matches_the_public_reference():
    fbank = audiomae_fbank(waveform(4000))
    assert fbank.dtype == np.float32 and fbank.shape == (FRAMES, 128)
    np.testing.assert_allclose(log_units(fbank[:24:4]), load_golden("fbank")["log_fbank"], atol=1e-4)


def test_tone_peaks_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(LONGEST) / 16000)
    expected = htk_filters(128)[:, 32].argmax()  # bin 32 of 512 at 16 kHz is 1 kHz
    assert (audiomae_fbank(tone).argmax(1) == expected).all()


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_fbank(np.zeros(1600), 128), np.log(FLOOR), rtol=1e-6)
    np.testing.assert_allclose(log_units(audiomae_fbank(np.full(LONGEST, 0.5))), np.log(FLOOR), rtol=1e-5)


@pytest.mark.parametrize("samples, frames", [(400, 1), (559, 1), (560, 2), (LONGEST - 1, 1023), (LONGEST, 1024)])
def test_frames_lie_inside_the_waveform_and_the_rest_is_padding(samples, frames):
    fbank = audiomae_fbank(waveform(samples))
    assert (fbank[frames - 1] != np.float32(PADDING)).all()
    np.testing.assert_allclose(fbank[frames:], PADDING, rtol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 399])
def test_shorter_than_a_frame_is_one_frame(samples):
    short = waveform(samples) + 0.5
    fbank = audiomae_fbank(short)
    np.testing.assert_allclose(fbank[1:], PADDING, rtol=1e-6)
    filled = np.pad(short - short.mean(), (0, 400 - samples))
    np.testing.assert_allclose(log_units(fbank[:1]), log_fbank(filled, 128), atol=1e-2)


def test_level_of_direct_current_does_not_matter():
    np.testing.assert_allclose(audiomae_fbank(waveform(4000) + 0.25), audiomae_fbank(waveform(4000)), atol=1e-4)


def test_only_the_first_1024_frames_are_used():
    long = waveform(LONGEST + 50000)
    np.testing.assert_allclose(audiomae_fbank(long), audiomae_fbank(long[:LONGEST]), atol=1e-5)


@pytest.mark.parametrize(
    "samples, message",
    [
        (np.zeros(0), "the waveform is empty"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([0.0, np.inf], np.float32), "not finite"),
        (np.zeros(100, np.int16), "floating-point waveform, got int16"),
        (np.zeros((1, 100)), r"1-D .* of shape \(1, 100\)"),
    ],
)
def test_refuses(samples, message):
    with pytest.raises(ValueError, match=message):
        audiomae_fbank(samples)


def test_one_band_is_narrower_than_the_spectrum_resolves():
    filters = htk_filters(128)
    assert np.flatnonzero(filters.sum(1) == 0).tolist() == [3]
    assert filters.max() <= 1
