"""VGGish and Cnn14, which judge sounds, on both frameworks and translated to OpenVINO."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.models.cnn14 import Cnn14
from ppaudioldm.models.functions import Input
from ppaudioldm.models.vggish import VGGish
from tests.evaluation_networks import SMALL_CNN14, SMALL_VGGISH, network_of
from tests.support import load_golden, noise, relative_error, run


def slow(clips: int, frames: int) -> np.ndarray:
    """(clips, frames, 64) of unit size: what pooling does not average out, unlike plain noise, and some noise."""
    coarse = noise(clips, -(-frames // 24), 4)
    return np.repeat(np.repeat(coarse, 24, 1)[:, :frames], 16, 2) + 0.3 * noise(clips, frames, 64)


def vggish_mel() -> np.ndarray:
    return slow(2, 96) - 2


def cnn14_mel() -> np.ndarray:
    """Decibels. 70 frames are an odd number at every resolution but the first."""
    return 10 * slow(2, 70) - 30


def test_vggish_matches_the_public_reference():
    embedding = run(network_of(VGGish, SMALL_VGGISH), vggish_mel())
    golden = load_golden("vggish")["embedding"]
    assert relative_error(embedding, golden) < 1e-5 and relative_error(golden[:1], golden[1:]) > 0.05


def test_cnn14_matches_the_public_reference():
    golden = load_golden("cnn14")
    assert relative_error(golden["embedding"][:1], golden["embedding"][1:]) > 0.05
    embedding, logits = run(network_of(Cnn14, SMALL_CNN14), cnn14_mel())
    assert relative_error(embedding, golden["embedding"]) < 1e-5
    assert relative_error(1 / (1 + np.exp(-logits)), golden["probabilities"]) < 1e-5


@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
@pytest.mark.parametrize(
    ("network_class", "config", "shape", "lengths"),
    [(VGGish, SMALL_VGGISH, (None, 96, 64), (96, 96)), (Cnn14, SMALL_CNN14, (None, None, 64), (201, 99))],
)
def test_translated_it_is_the_same(network_class: Any, config: Any, shape: Any, lengths: Any):
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import translated

    network = network_of(network_class, config)
    engine = OpenVINOEngine(lambda _: translated(network, [Input("log_mel", shape)]), "f32")
    for batch, length in zip((1, 3), lengths, strict=True):
        mel = 10 * slow(batch, length) - 20
        found, expected = engine.run("network", mel), run(network, mel)
        for a, b in zip(*(x if isinstance(x, (list, tuple)) else [x] for x in (found, expected)), strict=True):
            assert relative_error(a, b) < 1e-5
