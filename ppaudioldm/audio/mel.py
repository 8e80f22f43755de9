"""Log-mel spectrograms in NumPy, as the VAE encodes them; that of CLAP is `clap_mel.py`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppaudioldm.audio.mel_filters import MEL_16K, MelConfig, mel_filters

BLOCK_FRAMES = 4096  # frames that are computed at once


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
