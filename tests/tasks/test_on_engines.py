"""The same seed and recording make the same sound on the framework and on OpenVINO."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.extend import extend
from ppaudioldm.tasks.inpaint import inpaint
from ppaudioldm.tasks.loop import loop
from ppaudioldm.tasks.rank import rank
from ppaudioldm.tasks.restyle import restyle
from ppaudioldm.tasks.upscale import upscale
from ppaudioldm.tasks.vary import vary
from tests.support import relative_error
from tests.tasks.examples import FAST, sound, untrained

if framework.NAME != "paddle":
    pytest.skip("only Paddle's programs are translated", allow_module_level=True)

RECORDING = sound(0.3), 16000


@cache
def openvino() -> AudioLDM:
    return AudioLDM.from_pretrained("untrained", engine="openvino", precision="f32")


@pytest.mark.parametrize(
    "task",
    [
        lambda pipeline: vary(pipeline, RECORDING, **FAST),
        lambda pipeline: restyle(pipeline, RECORDING, "A dog", **FAST),
        lambda pipeline: inpaint(pipeline, RECORDING, ranges=[(0.1, 0.2)], **FAST),
        lambda pipeline: extend(pipeline, RECORDING, "A dog", duration=0.32, **FAST),
        lambda pipeline: loop(pipeline, "A dog", duration=0.32, **FAST),
        lambda pipeline: upscale(pipeline, (sound(0.32, 8000), 8000), "A dog", **FAST),
    ],
    ids=["vary", "restyle", "inpaint", "extend", "loop", "upscale"],
)
def test_the_same_clip(task):
    assert relative_error(task(openvino()).waveforms, task(untrained()).waveforms) < 1e-4


def test_the_same_scores(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", *RECORDING)
    scores = [rank(pipeline, [tmp_path / "a.wav"], ["A dog", "Birds"]) for pipeline in (openvino(), untrained())]
    np.testing.assert_allclose(*scores, atol=1e-4)
