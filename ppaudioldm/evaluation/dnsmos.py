"""DNSMOS: how good speech sounds to a network that was trained on the opinions of listeners.

The models are those of the package `speechmos` (Reddy, Gopal and Cutler, "DNSMOS P.835", ICASSP 2022), which OpenVINO
runs. Of the package, only its files are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ppaudioldm.installed import is_installed

SAMPLE_RATE = 16000  # Hz
WINDOW = int(9.01 * SAMPLE_RATE)  # samples that the network takes
# The authors' mapping of the network's outputs to the scale of the opinions, highest power first.
SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Opinion:
    """Mean opinions of speech, of its background and of both, from 1, bad, to 5, excellent."""

    signal: float
    background: float
    overall: float


class Dnsmos:
    """Judges speech. Make one where `is_available`."""

    def __init__(self) -> None:
        import openvino

        spec = find_spec("speechmos")
        assert spec is not None and spec.submodule_search_locations is not None
        model = Path(spec.submodule_search_locations[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._network = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    @staticmethod
    def is_available() -> bool:
        """Whether the packages `speechmos` and `openvino` are installed."""
        return is_installed("speechmos") and is_installed("openvino")

    def judge(self, waveform: np.ndarray) -> Opinion:
        """The mean over windows of `waveform` (samples,) at 16 kHz, one a second; a shorter one is repeated.

        Raises ValueError for an empty waveform.
        """
        if not len(waveform):
            raise ValueError("the waveform is empty")
        repeated = np.resize(waveform, max(len(waveform), WINDOW)).astype(np.float32)
        starts = range(0, len(repeated) - WINDOW + 1, SAMPLE_RATE)
        outputs = [self._network(repeated[None, start : start + WINDOW])[0][0] for start in starts]
        mappings = (SIGNAL, BACKGROUND, OVERALL)
        scores = [[np.polyval(m, raw) for m, raw in zip(mappings, output, strict=True)] for output in outputs]
        return Opinion(*(float(score) for score in np.mean(scores, 0)))
