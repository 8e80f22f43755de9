"""Synthesised sounds match their captions, depend on their number alone, and use only words of the training split."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.sounds import KINDS, LEVEL_A, LEVEL_B, SAMPLE_RATE, describe, example, known_words
from ppaudioldm.sounds.captions import SLOTS, fill, frame_words, wordings, words
from ppaudioldm.sounds.signals import harmonics, noise, ringing


@pytest.mark.parametrize("kind", LEVEL_B)
def test_a_clip_is_the_same_each_time_and_another_for_another_seed(kind):
    first, again, other = (example(seed, (kind,), 2.0) for seed in (3, 3, 4))
    assert first.waveform.shape == (2 * SAMPLE_RATE,) and first.waveform.dtype == np.float32
    assert np.array_equal(first.waveform, again.waveform)
    assert (first.caption, first.parameters) == (again.caption, again.parameters)
    assert np.abs(log_mel(first.waveform) - log_mel(other.waveform)).mean() > 0.05


@pytest.mark.parametrize("kind", LEVEL_B)
@pytest.mark.parametrize("duration", [1.0, 2.56])
def test_a_clip_is_finite_not_clipped_and_nowhere_digitally_silent(kind, duration):
    for seed in range(3):
        waveform = example(seed, (kind,), duration).waveform
        assert np.isfinite(waveform).all()
        assert 0.2 < np.abs(waveform).max() < 0.9
        frames = waveform[: len(waveform) // 400 * 400].reshape(-1, 400)
        floor = np.sqrt((frames.astype(np.float64) ** 2).mean(1)).min()
        assert floor > 4e-4, "the noise floor is missing"


def test_a_clip_depends_on_its_number_alone_not_on_earlier_ones():
    alone = example(7, LEVEL_B)
    for seed in range(3):
        example(seed, LEVEL_B)
    assert np.array_equal(example(7, LEVEL_B).waveform, alone.waveform)


@pytest.mark.parametrize(
    ("number", "split", "kind", "caption", "samples", "rms"),
    [
        (
            0,
            "train",
            "crickets",
            "a recording of a summer night with crickets.",
            [0.23673, -0.00987, 0.05876, 0.00021],
            0.14162,
        ),
        (
            1,
            "test",
            "telephone",
            "a clip with the ringing of an old telephone",
            [0.22616, -0.25817, -0.08419, -0.13057],
            0.12692,
        ),
        (
            3,
            "test",
            "together",
            "This is the sound of a phone number being dialled on a keypad and at the same time "
            "the wind howling in the trees",
            [-0.10964, -0.16983, -0.00142, -0.05444],
            0.08914,
        ),
        (4, "train", "knocks", "two knocks on a door", [0.0458, 0.02607, 6e-05, 0.00071], 0.01794),
        (5, "test", "guitar", "Somebody plays a rapid guitar melody", [0.00019, -0.12259, 0.11345, -0.05714], 0.10908),
    ],
)
def test_clips_stay_those_that_the_shipped_networks_were_trained_on(number, split, kind, caption, samples, rms):
    clip = example(number, LEVEL_B, 1.0, split)
    assert (clip.kind, clip.caption) == (kind, caption)
    np.testing.assert_allclose(clip.waveform[1500::4000], samples, atol=2e-5)
    assert np.sqrt(np.mean(np.square(clip.waveform))) == pytest.approx(rms, rel=1e-3)


def test_splits_share_neither_clips_nor_templates():
    train, test = example(5, ("bell",)), example(5, ("bell",), split="test")
    assert not np.array_equal(train.waveform, test.waveform) and train.parameters != test.parameters
    for name, kind in KINDS.items():
        seen = kind.train.noun_phrases + kind.train.clauses
        held_out = kind.test.noun_phrases + kind.test.clauses
        assert len(seen) >= 6 and len(held_out) >= 3, name
        assert not set(seen) & set(held_out), name


def test_held_out_captions_use_no_word_that_training_lacks():
    assert frame_words("test") <= frame_words("train")
    for kinds in (LEVEL_A, LEVEL_B):
        trained = set().union(*(words(text) for name in kinds for text in wordings(KINDS[name].train)))
        for name in kinds:
            for text in wordings(KINDS[name].test):
                assert words(text) <= trained | frame_words("train"), f"{name}: {words(text) - trained}"


def test_every_slot_has_a_word_for_every_value_that_is_drawn():
    rng = np.random.default_rng(0)
    for name, kind in KINDS.items():
        for template in (
            t for split in ("train", "test") for t in kind.wording(split).noun_phrases + kind.wording(split).clauses
        ):
            if name in ("sequence", "together"):
                continue
            for seed in range(4):
                text = fill(rng, template, kind.draw(np.random.default_rng(seed), 2.56))
                assert "{" not in text and "  " not in text


def test_captions_are_english_enough():
    for seed in range(600):
        text = example(seed, LEVEL_B, 1.0, ("train", "test")[seed % 2]).caption
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  |{|}", text), text
        assert "one beeps" not in text and "single beeps" not in text


def test_level_a_is_fourteen_kinds_and_b_has_more_than_thirty():
    assert len(LEVEL_A) == len(set(LEVEL_A)) == 14
    assert len(LEVEL_B) == len(KINDS) > 30


def test_a_caption_names_two_sounds_in_their_order():
    for seed in range(40):
        clip = example(seed, ("sequence",), 2.56)
        first, second = (KINDS[clip.parameters[place]] for place in ("first", "second"))
        text = clip.caption.lower()
        start = _where(text, first.train.noun_phrases, clip.parameters["first_parameters"])
        end = _where(text, second.train.noun_phrases, clip.parameters["second_parameters"])
        assert start >= 0 and end >= 0 and start != end
        assert (start < end) == (not re.search(r"(?<!at first )(?<!, )\bafter\b(?! that)", text)), text


def _where(text: str, phrases: tuple[str, ...], parameters: dict) -> int:
    """The position in `text` of the longest of the templates `phrases` that occurs; -1 if none does."""
    found = []
    for template in phrases:
        pattern = re.escape(template.lower())
        for slot in re.findall(r"{(\w+)}", template):
            parameter, table = SLOTS[slot]
            choices = "|".join(word.lower() for word in table[parameters[parameter]])
            pattern = pattern.replace(re.escape("{" + slot + "}"), f"(?:{choices})")
        if match := re.search(pattern.replace(r"a\ ", r"an?\ "), text):
            found.append((match.end() - match.start(), match.start()))
    return max(found)[1] if found else -1


def test_known_words_name_sounds_and_not_their_sentences():
    known = known_words(LEVEL_A)
    assert {"bell", "rings", "thunder", "tone", "engine"} <= known
    assert not {"a", "the", "sound", "recording", "trombone", "bubbles", "low", "garden", "somebody"} & known
    assert "bubbles" in known_words(LEVEL_B)
    for name in LEVEL_B:
        for split in ("train", "test"):
            for seed in range(3):
                text = example(seed, (name,), 1.0, split).caption
                assert words(text) & known_words(LEVEL_B), f"nothing is known in {text!r}"


def test_a_description_has_a_prompt_for_each_kind():
    found = describe(LEVEL_B)
    assert [name for name, _, _ in found] == list(LEVEL_B)
    assert all(title and prompt and "{" not in prompt for _, title, prompt in found)
    assert dict((name, prompt) for name, _, prompt in found)["sequence"] == "a big bell, then light rain"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, ("trombone",)), "trombone"),
        ((0, ()), "unknown kind"),
        ((-1,), "seed is -1"),
        ((0, ("bell",), 0.5), "duration is 0.5"),
        ((0, ("bell",), float("nan")), "duration is nan"),
        ((0, ("bell",), 2.56, "valid"), "split is 'valid'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        example(*arguments)


def test_harmonics_are_sines():
    time = np.arange(1, 4001) / SAMPLE_RATE
    expected = sum(a * np.sin(2 * np.pi * 200 * k * time) for k, a in ((1, 1.0), (2, 0.5), (5, 0.25)))
    assert np.abs(harmonics(200.0, (1, 0.5, 0, 0, 0.25), 4000, SAMPLE_RATE) - expected).max() < 1e-4


def test_harmonics_do_not_alias():
    spectrum = np.abs(np.fft.rfft(harmonics(3000.0, (1,) * 8, 16000, SAMPLE_RATE) * np.hanning(16000)))
    assert set(np.flatnonzero(spectrum > 0.01 * spectrum.max()) // 10) <= {299, 300, 599, 600}


def test_ringing_is_a_sum_of_decaying_sines():
    time = np.arange(3000) / SAMPLE_RATE
    expected = 0.5 * np.exp(-time / 0.1) * np.sin(2 * np.pi * 440 * time)
    actual = ringing(np.array([440.0, 9000.0]), np.array([0.5, 1]), np.array([0.1, 0.1]), 3000, SAMPLE_RATE)
    assert np.abs(actual - expected).max() < 1e-4


def test_noise_has_unit_power_in_its_band():
    for low, high in ((0, np.inf), (500, 1500), (3000, np.inf)):
        samples = noise(np.random.default_rng(0), 40000, SAMPLE_RATE, low, high)
        assert np.mean(samples**2) == pytest.approx(1, rel=0.06)
        power = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.fft.rfftfreq(40000, 1 / SAMPLE_RATE)
        assert power[(hertz > low / 2) & (hertz < 2 * high)].sum() > 0.9 * power.sum()
