"""When each phoneme is spoken: symbols of espeak along the phones of flite."""

import shutil

import numpy as np
import pytest

from ppaudioldm.sounds.speech.alignment import Phone, phoneme_times
from ppaudioldm.sounds.speech.clips import LEAD_S, SAMPLE_RATE, spoken_clip, synthesise
from ppaudioldm.sounds.speech.speakers import Delivery


def phones_of(text: str) -> list[Phone]:
    """A phone every 100 ms."""
    return [Phone(name, 0.1 * i, 0.1 * i + 0.1) for i, name in enumerate(text.split())]


def starts(phonemes: str, phones: str) -> list[float]:
    times = phoneme_times(phonemes, phones_of(phones))
    assert times.dtype == np.float32 and np.array_equal(times[:-1, 1], times[1:, 0]) and times[-1, 1] == np.inf
    return [round(float(time), 3) for time in times[:, 0]]


def test_each_symbol_begins_with_its_phone_and_ends_where_the_next_one_begins():
    assert starts("kæt", "k ae t") == [0.0, 0.1, 0.2, 0.3]


def test_symbols_of_one_phone_share_its_time():
    assert starts("eɪ", "ey") == [0.0, 0.05, 0.1]
    assert starts("tʃuːz", "ch uw z") == [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]


def test_a_pause_belongs_to_the_comma_or_the_space_before_the_next_word():
    times = starts("oʊ, noʊ", "pau ow pau n ow pau")
    o, _, comma, space, n, *_, end = times
    assert (o, n, end) == (0.1, 0.3, 0.5) and 0.1 < comma <= space < 0.3


def test_phones_that_no_symbol_names_are_skipped_and_other_vowels_are_taken():
    assert starts("bɪt", "b ax hh t")[::3] == [0.0, 0.4]
    assert starts("bɪt", "b ax hh t")[2] == pytest.approx(0.3)


@pytest.mark.parametrize("phonemes, phones", [("", "k"), ("k", "")])
def test_nothing_to_align(phonemes, phones):
    with pytest.raises(ValueError, match="allowed: one or more of each"):
        phoneme_times(phonemes, phones_of(phones))


@pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")
def test_the_phones_of_flite_are_where_the_sound_is():
    """Speech begins with its first phone, and ends with its last one; a fricative has no low frequencies."""
    clip = spoken_clip(3, 5.12, speakers=("woman",))
    first, last = (next(p for p in order if p.name != "pau") for order in (clip.phones, clip.phones[::-1]))
    assert first.start == pytest.approx(LEAD_S, abs=0.03) and last.end < 5.12
    loud = np.flatnonzero(np.abs(clip.waveform) > 0.01)
    assert loud[-1] / SAMPLE_RATE == pytest.approx(last.end, abs=0.06)
    speech = synthesise("a sea", Delivery("man", ""))
    start, end = next((p.start, p.end) for p in speech.phones if p.name == "s")
    spectrum = np.abs(np.fft.rfft(speech.waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])) ** 2
    assert spectrum[: len(spectrum) // 4].sum() < 0.3 * spectrum.sum()
