"""The parameters of mel spectrograms, and the filters of their bands."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MelConfig:
    """The parameters of a mel spectrogram; the defaults are those of the 16 kHz checkpoints."""

    sample_rate: int = 16000  # Hz
    n_fft: int = 1024  # samples in a frame, also the length of the window
    hop_length: int = 160  # samples between frames
    n_mels: int = 64
    f_min: float = 0.0  # Hz, where the lowest band starts
    f_max: float = 8000.0  # Hz, where the highest band ends


MEL_16K = MelConfig()
MEL_48K = MelConfig(sample_rate=48000, n_fft=2048, hop_length=480, n_mels=256, f_min=20.0, f_max=24000.0)


@functools.lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> np.ndarray:
    """Triangular filters (n_mels, n_fft // 2 + 1), evenly spaced on Slaney's mel scale, each of unit area."""
    edges = mel_edges(config)
    start, peak, end = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
    triangles = np.minimum((bins - start) / (peak - start), (end - bins) / (end - peak))
    filters = np.maximum(triangles, 0) * 2 / (end - start)
    filters.setflags(write=False)  # shared by every caller
    return filters


def mel_edges(config: MelConfig) -> np.ndarray:
    """Frequencies (n_mels + 2,) in Hz: filter i rises from edge i to its peak at edge i + 1 and falls to edge i + 2."""
    low, high = _hertz_to_slaney_mel(config.f_min), _hertz_to_slaney_mel(config.f_max)
    return _slaney_mel_to_hertz(np.linspace(low, high, config.n_mels + 2))


# Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, 15 mel; above, 27 mel to a factor of 6.4.
def _hertz_to_slaney_mel(hertz: float) -> float:
    return 0.015 * hertz if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _slaney_mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27))
