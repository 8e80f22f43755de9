"""Silence at the ends of sounds, over every kind that the built-in model knows: cut off, without touching an attack."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.silence import FADE_IN_S, FADE_OUT_S, from_beginning, trimmed
from ppaudioldm.sounds import KINDS, SINGLE_KINDS

RATE = 16000
PADDING = round(0.3 * RATE)
SILENCE_S = 0.01  # that may stay at either end


def clean(kind: str, seed: int = 0, duration: float = 2.56) -> np.ndarray:
    """A sound of that kind, with nothing but zeros around it, at -6 dBFS."""
    rng = np.random.default_rng([seed, 7])
    sound = KINDS[kind].synthesise(rng, KINDS[kind].draw(rng, duration), duration, RATE)
    return np.pad(sound * (0.5 / np.abs(sound).max()), PADDING).astype(np.float32)


def with_floor(sound: np.ndarray, level_db: float = -62.0) -> np.ndarray:
    hiss = np.random.default_rng(3).standard_normal(len(sound)).astype(np.float32)
    return sound + np.float32(10 ** (level_db / 20)) * hiss


def ends(sound: np.ndarray, share: float) -> tuple[int, int]:
    """The first sample that exceeds this share of the peak, and the one behind the last."""
    loud = np.flatnonzero(np.abs(sound) > share * np.abs(sound).max())
    return int(loud[0]), int(loud[-1]) + 1


def offset(part: np.ndarray, whole: np.ndarray) -> int:
    """Where `part`, of which the middle is as in `whole`, is cut from."""
    middle = len(part) // 2
    (found,) = np.flatnonzero(whole == part[middle])
    return int(found) - middle


@pytest.mark.parametrize("kind", SINGLE_KINDS)
def test_silence_is_cut_off_and_attacks_are_untouched(kind):
    sound = clean(kind)
    waveform = with_floor(sound)
    result = trimmed(waveform, RATE)
    start = offset(result, waveform)
    end = start + len(result)
    audible_from, audible_to = ends(sound, 0.005)
    assert start >= audible_from - SILENCE_S * RATE and end <= audible_to + SILENCE_S * RATE
    loud_from, loud_to = ends(sound, 0.05)
    fade_in, fade_out = round(FADE_IN_S * RATE), round(FADE_OUT_S * RATE)
    assert start + fade_in <= loud_from and end - fade_out >= loud_to
    np.testing.assert_array_equal(result[fade_in:-fade_out], waveform[start + fade_in : end - fade_out])
    assert abs(result[0]) < 1e-3 and abs(result[-1]) < 1e-3


def test_a_sound_that_fills_the_clip():
    tone = (0.5 * np.cos(np.arange(RATE) * 0.3)).astype(np.float32)
    result = trimmed(tone, RATE)
    assert len(result) == RATE and result[0] == tone[0]  # its attack stays; its end is faded
    assert abs(result[-1]) < 0.01


@pytest.mark.parametrize("samples", [1, 5, 79, 80, 1000])
def test_silence_and_clicks(samples):
    silence = np.zeros(samples, np.float32)
    np.testing.assert_array_equal(trimmed(silence, RATE), silence)
    click = np.zeros(samples + 4000, np.float32)
    click[2000] = 1
    result = trimmed(click, RATE)
    assert result.max() == 1 and len(result) <= 0.02 * RATE and np.argmax(result) <= SILENCE_S * RATE


@pytest.mark.parametrize("kind", SINGLE_KINDS)
def test_a_short_sound_starts_at_once(kind):
    """Half a second of a longer clip: it starts within 20 ms, whatever was before."""
    waveform = with_floor(clean(kind))
    result = from_beginning(waveform, RATE, RATE // 2)
    assert result.shape == (RATE // 2,) and result.dtype == np.float32
    assert ends(result, 0.05)[0] <= 0.02 * RATE
    start = offset(result, waveform)
    assert start + round(FADE_IN_S * RATE) <= ends(waveform, 0.1)[0] or start == 0


def test_a_sound_that_begins_too_late():
    late = np.zeros(RATE, np.float32)
    late[-100:] = 0.5
    result = from_beginning(late, RATE, RATE // 2)
    assert len(result) == RATE // 2 and np.flatnonzero(result)[0] == RATE // 2 - 100
    np.testing.assert_array_equal(from_beginning(np.zeros(800, np.float32), RATE, 400), np.zeros(400, np.float32))
