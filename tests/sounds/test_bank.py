"""The bank of recorded sounds: its index, levels, pitches and credits, and clear errors where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.sounds.bank import LICENCES, SAMPLE_RATE, open_bank
from ppaudioldm.sounds.bank.pitch import cents, measured_pitch_hz

FOLDER = Path(__file__).parents[2] / "assets" / "bank"


@pytest.fixture(scope="module")
def bank():
    return open_bank(FOLDER)


def test_it_is_as_large_as_it_may_be_and_has_the_kinds_that_it_should(bank):
    files = list(FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    assert {file.stem for file in files if file.suffix == ".ogg"} == set(bank.kinds)
    pitched = [kind for kind in bank.kinds if all(one.pitch_hz for one in bank.recordings(kind))]
    looped = [kind for kind in bank.kinds if any(one.loopable for one in bank.recordings(kind))]
    assert len(pitched) >= 25
    assert len(bank.kinds) - len(pitched) >= 30
    assert {"rain", "sea", "birds", "crickets", "fire"} <= set(looped)


def test_kinds_with_five_recordings_hold_some_out_and_others_none(bank):
    for kind in bank.kinds:
        count, held_out = len(bank.recordings(kind)), len(bank.recordings(kind, "test"))
        assert held_out == 0 if count < 5 else 1 <= held_out <= count / 3, kind
        assert len(bank.recordings(kind, "train")) + held_out == count


@pytest.mark.parametrize("kind", ["dog_bark", "rain", "piano"])
def test_samples_are_at_the_level_and_of_the_length_that_the_index_says(bank, kind):
    for one in bank.recordings(kind):
        samples = bank.samples(one)
        assert samples.dtype == np.float32 and len(samples) == round(one.duration_s * SAMPLE_RATE)
        peak, rms = np.abs(samples).max(), np.sqrt(np.mean(samples**2))
        assert 0.8 < peak <= 1 or (one.loopable and 0.09 < rms < 0.11), one.name
        assert np.abs(samples[round(one.onset_s * SAMPLE_RATE) :][:80]).max() > 0.05 * peak or one.loopable


def test_notes_sound_at_the_pitch_that_the_index_says(bank):
    for kind in ("piano", "violin", "flute", "marimba"):
        one = bank.recordings(kind)[len(bank.recordings(kind)) // 2]
        assert abs(cents(measured_pitch_hz(bank.samples(one), one.pitch_hz), one.pitch_hz)) < 10


def test_every_recording_is_credited_with_its_licence(bank):
    credits = (FOLDER.parent / "CREDITS.md").read_text(encoding="utf-8")
    assert "Copyright © 2000-2002, 2008 Frank Wen" in credits and "Copyright © 2008 Toby Smithe" in credits
    assert "The above copyright notice and this permission notice shall be" in credits
    for kind in bank.kinds:
        for one in bank.recordings(kind):
            assert one.licence in LICENCES and one.author and one.title and one.source
            if one.licence != "MIT":
                (line,) = [
                    line for line in credits.splitlines() if f"“{one.title}” by {one.author}." in line and kind in line
                ]
                assert one.address in line
                assert not one.licence.startswith("CC-BY") or (
                    line.endswith(f"CC BY {one.licence[6:]}. Modified; used to train.")
                )


def test_a_folder_without_a_bank_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_BANK", str(tmp_path))
    with pytest.raises(ValueError, match="no bank of recorded sounds"):
        open_bank()
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(ValueError, match="not the index of a bank"):
        open_bank()


def test_an_index_that_is_not_as_it_should_be_is_refused(tmp_path):
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    entry = index["recordings"][0]
    for change in ({"kind": "../piano"}, {"licence": "GPL-3.0"}, {"start": -1}, {"split": "both"}, {"colour": "red"}):
        index["recordings"] = [entry | change]
        (tmp_path / "index.json").write_text(json.dumps(index))
        with pytest.raises(ValueError, match="not the index of a bank"):
            open_bank(tmp_path)


def test_a_kind_that_is_absent_or_damaged_is_named(bank, tmp_path):
    with pytest.raises(ValueError, match="no recordings of 'unicorn'; it has piano"):
        bank.recordings("unicorn")
    (tmp_path / "index.json").write_bytes((FOLDER / "index.json").read_bytes())
    (tmp_path / "piano.ogg").write_bytes(b"OggS" + bytes(100))
    damaged = open_bank(tmp_path)
    with pytest.raises(ValueError, match="piano.ogg: cannot be decoded"):
        damaged.samples(damaged.recordings("piano")[0])
