"""Log-mel spectrograms in NumPy, as the VAE encodes them; that of CLAP is `clap_mel.py`."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_FRAMES = 4096  # frames that are computed at once


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


def log_mel(waveform: np.ndarray, config: MelConfig = MEL_16K) -> np.ndarray:
    """Natural-log mel spectrogram (frames, n_mels) float32 of `waveform` (samples,), floating point.

    Frame i is centred on sample i * hop_length, so there are samples // hop_length + 1. The filters are applied to
    magnitudes, and the result has a floor of 1e-5 before the logarithm.
    Raises ValueError for a waveform that is empty, not finite, not 1-D or not floating point.
    """
    filters = mel_filters(config).T
    blocks = _magnitude_blocks(checked_waveform(waveform), config.n_fft, config.hop_length)
    return np.concatenate([np.log(np.maximum(block @ filters, 1e-5)).astype(np.float32) for block in blocks])


def checked_waveform(waveform: np.ndarray) -> np.ndarray:
    """`waveform` as float64. Raises ValueError if it is empty, not finite, not 1-D or not floating point."""
    waveform = np.asarray(waveform)
    if waveform.ndim != 1 or not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"expected a 1-D floating-point waveform, got {waveform.dtype} of shape {waveform.shape}")
    if not waveform.size:
        raise ValueError("the waveform is empty")
    if not np.isfinite(waveform).all():
        raise ValueError("the waveform holds values that are not finite")
    return waveform.astype(np.float64)


def stft_magnitude(waveform: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """Magnitudes (frames, n_fft // 2 + 1) of frames centred on every hop, under a periodic Hann window.

    The ends are mirrored, repeatedly if the waveform is shorter than half a frame.
    """
    return np.concatenate(list(_magnitude_blocks(waveform, n_fft, hop_length)))


def _magnitude_blocks(waveform: np.ndarray, n_fft: int, hop_length: int) -> Iterator[np.ndarray]:
    """`stft_magnitude`, BLOCK_FRAMES at a time: the frames of ten minutes would take a gigabyte."""
    padded = np.pad(waveform, n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    for start in range(0, len(frames), BLOCK_FRAMES):
        yield np.abs(np.fft.rfft(frames[start : start + BLOCK_FRAMES] * window))


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
