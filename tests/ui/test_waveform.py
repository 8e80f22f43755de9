"""The drawing of a recording, and the range on it."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.serving.settings import Limits
from ppaudioldm.ui.waveform import COLUMNS, Outline


def outline(path, samples: np.ndarray) -> Outline:
    return Outline.of(write_audio(path / "a.wav", samples.astype(np.float32), 16000), Limits())


def test_columns_are_the_extremes(tmp_path):
    samples = np.zeros(16000)
    samples[8000] = 0.25
    samples[12000] = -0.25
    drawn = outline(tmp_path, samples)
    assert drawn.duration == 1 and len(drawn.levels) == COLUMNS
    assert drawn.levels[COLUMNS // 2] == (0, 1)  # as loud as the drawing is high
    assert drawn.levels[3 * COLUMNS // 4] == (-1, 0)
    assert drawn.levels[0] == (0, 0)


@pytest.mark.parametrize("count", [1, 100])
def test_short_and_silent(tmp_path, count):
    drawn = outline(tmp_path, np.zeros(count))
    assert len(drawn.levels) == count
    assert "nan" not in drawn.html(None, None)


def test_the_range_stays_inside(tmp_path):
    drawn = outline(tmp_path, np.ones(16000))
    assert drawn.first_range == (0.4, 0.6)
    assert 'data-start="0.250" data-end="0.500"' in drawn.html(0.25, 0.5)
    assert 'data-start="0.000" data-end="1.000"' in drawn.html(None, None)
    assert 'data-start="0.000" data-end="1.000"' in drawn.html(-3, 8)
    assert 'data-start="0.700" data-end="0.700"' in drawn.html(0.7, 0.2)


def test_too_long_and_no_sound(tmp_path):
    path = write_audio(tmp_path / "a.wav", np.zeros(16000, np.float32), 16000)
    with pytest.raises(ValueError, match="lasts 1.0 seconds, allowed on this server: up to 0.5"):
        Outline.of(path, Limits(duration_s=0.5))
    (tmp_path / "b.wav").write_bytes(b"no sound at all")
    with pytest.raises(ValueError):
        Outline.of(tmp_path / "b.wav", Limits())
