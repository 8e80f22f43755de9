"""CLAP's scores of files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.generation.candidates import clap_scores
from ppaudioldm.tasks.rank import rank
from tests.tasks.examples import KnownPipeline, sound, untrained


def test_scores(tmp_path):
    files = [tmp_path / "a.wav", tmp_path / "b.flac"]
    soundfile.write(files[0], sound(0.5, 48000), 48000, "FLOAT")
    soundfile.write(files[1], sound(12, 8000, 2), 8000)
    scores = rank(untrained(), files, ["A dog", "Birds", "A dog"])
    assert scores.shape == (2, 3) and np.abs(scores).max() <= 1.0001
    np.testing.assert_allclose(scores[:, 0], scores[:, 2], atol=1e-6)
    text = untrained().embed_text(["Birds"])[0]
    expected = clap_scores(untrained().engine, text, sound(0.5, 48000).T, 48000)
    np.testing.assert_allclose(scores[0, 1], expected[0], atol=1e-5)


def test_what_cannot_be_ranked(tmp_path):
    (tmp_path / "a.wav").write_text("hello")
    with pytest.raises(ValueError, match="a.wav is not a sound file"):
        rank(untrained(), [tmp_path / "a.wav"], ["A dog"])
    with pytest.raises(ValueError, match="files is 'a.wav'"):
        rank(untrained(), "a.wav", ["A dog"])
    with pytest.raises(ValueError, match="prompt is an empty list"):
        rank(untrained(), ["a.wav"], [])
    with pytest.raises(ValueError, match="silent has no CLAP"):
        rank(KnownPipeline(replace(UNTRAINED, clap_audio=None), name="silent"), ["a.wav"], ["A dog"])
