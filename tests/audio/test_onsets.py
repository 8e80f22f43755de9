"""Onsets are counted right on synthesised clips whose number is known, and in noise."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.sounds import example

CLIPS = 40
MOST_WRONG = 1  # of CLIPS: 97 %


@pytest.mark.parametrize("kind", ["beeps", "knocks"])
def test_counts_are_right_on_held_out_clips(kind):
    clips = [example(seed, (kind,), split="test") for seed in range(CLIPS)]
    wrong = [clip.parameters for clip in clips if count_onsets(clip.waveform) != clip.parameters["count"]]
    assert len(wrong) <= MOST_WRONG, wrong


def test_onsets_are_counted_in_noise_too():
    rng = np.random.default_rng(0)
    for count in (1, 3, 5):
        waveform = 0.03 * rng.standard_normal(40000)
        for number in range(count):
            start = 2000 + 6000 * number
            waveform[start : start + 1600] += np.sin(0.3 * np.arange(1600))
        assert count_onsets(waveform) == count
