"""Spoken clips: a pure function of their number, by four speakers, and one clear line without the program flite."""

import re
import shutil

import numpy as np
import pytest

from ppaudioldm.sounds.speech.clips import LEAD_S, LEVEL, SAMPLE_RATE, spoken_clip, synthesise
from ppaudioldm.sounds.speech.held_out import HELD_OUT, normalised
from ppaudioldm.sounds.speech.speakers import SPEAKERS, Delivery, delivery, descriptions
from tests.sounds.speech.support import install_stand_in

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")


def test_every_description_belongs_to_one_speaker():
    texts = [text.lower() for speaker in SPEAKERS.values() for text in (*speaker.descriptions, *speaker.held_out)]
    assert len(texts) == len(set(texts))
    assert all(len(speaker.descriptions) >= 8 for speaker in SPEAKERS.values())
    assert {"a man with a deep voice", "a woman", "a Scottish man"} <= set(descriptions())
    drawn = [delivery(np.random.default_rng(seed), "train", tuple(SPEAKERS), 0.5) for seed in range(2000)]
    texts = [manner.description for manner in drawn]
    assert words(texts) <= words(descriptions()) and {"young", "warm", "slowly"} <= words(texts)
    assert 300 < sum(text.endswith(".") for text in texts) < 500 and not any("." in text[:-1] for text in texts)
    plain = [delivery(np.random.default_rng(seed), "test", tuple(SPEAKERS), 0.0) for seed in range(50)]
    assert all(manner.description in SPEAKERS[manner.speaker].held_out for manner in plain)
    assert all(("high" in m.description) == (m.pitch_hz == (SPEAKERS[m.speaker].pitch_hz or (0, 0))[1]) for m in drawn)
    assert {manner.speaker for manner in drawn} == set(SPEAKERS)


def words(texts):
    return set(re.findall(r"\w+|[.,]", " ".join(texts)))


def test_clips_are_a_function_of_seed_and_number(tmp_path, monkeypatch):
    install_stand_in(tmp_path / "bin", monkeypatch)
    clip, again, other = spoken_clip(3, 2.56), spoken_clip(3, 2.56), spoken_clip(3, 2.56, seed=1)
    assert np.array_equal(clip.waveform, again.waveform) and clip.text == again.text
    assert other.text != clip.text
    assert clip.waveform.dtype == np.float32 and len(clip.waveform) == 2.56 * SAMPLE_RATE
    lead = clip.waveform[: round(LEAD_S * SAMPLE_RATE)]
    assert 5e-4 < np.abs(lead).mean() < 2e-3
    speech = clip.waveform[len(lead) : len(lead) + 4000]
    assert LEVEL / 2 < np.sqrt(np.mean(speech**2)) < 2 * LEVEL


def test_the_test_split_is_what_is_held_out(tmp_path, monkeypatch):
    install_stand_in(tmp_path / "bin", monkeypatch)
    held_out = [spoken_clip(number, 2.56, "test", variation=0.0) for number in range(6)]
    assert all(normalised(clip.text) in HELD_OUT for clip in held_out)
    assert all(clip.description in SPEAKERS[clip.speaker].held_out for clip in held_out)
    assert {spoken_clip(number, 2.56, speakers=("woman",)).speaker for number in range(3)} == {"woman"}


def test_without_flite_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="^spoken training data needs the program flite: apt-get install flite$"):
        spoken_clip(0, 2.56)
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\necho voice slt not found >&2\n")
    program.chmod(0o755)
    with pytest.raises(ValueError, match=r"^flite, voice slt, failed: voice slt not found$"):
        synthesise("hello", Delivery("woman", "a woman"))


def test_a_clip_too_short_for_any_sentence_is_an_error(tmp_path, monkeypatch):
    install_stand_in(tmp_path / "bin", monkeypatch)
    with pytest.raises(ValueError, match="allowed"):
        spoken_clip(0, 0.2)


@needs_flite
def test_flite_speaks_the_four_voices_at_the_pace_and_pitch_that_is_asked_for():
    sounds = {name: synthesise("open the door", Delivery(name, "")).waveform for name in SPEAKERS}
    assert len({len(sound) for sound in sounds.values()}) == 4
    assert np.array_equal(sounds["man"], synthesise("open the door", Delivery("man", "")).waveform)
    low, high = (_pitch(synthesise("open the door", Delivery("woman", "", hz)).waveform) for hz in (141.0, 215.0))
    assert low < 165 and high > 190


def _pitch(sound):
    """The median over windows of the strongest period from 120 to 240 Hz."""
    found = []
    for start in range(0, len(sound) - 1024, 512):
        window = sound[start : start + 1024] - sound[start : start + 1024].mean()
        lags = np.correlate(window, window, "full")[1023:]
        if lags[0] > 1024 * (LEVEL / 2) ** 2:
            shortest = SAMPLE_RATE // 240
            found.append(SAMPLE_RATE / (shortest + lags[shortest : SAMPLE_RATE // 120].argmax()))
    return np.median(found)
