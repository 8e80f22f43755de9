"""Multi-resolution STFT loss and differentiable log-mel spectrograms, the same on both frameworks.

The Fourier transform is a matrix product of frames with a constant table: both frameworks compute it alike, and for the
short clips of training it is not slower.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ppaudioldm.audio.mel_filters import MEL_16K, MelConfig, mel_filters
from ppaudioldm.framework import F, Tensor, constant, xp
from ppaudioldm.training import precision

RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512))  # samples a frame, samples between frames
LOG_FLOOR = 1e-3  # of a magnitude: about -90 dB of a full-scale tone; below it differences do not count
POWER_FLOOR = 1e-10  # keeps the gradient of the root finite in silence


def stft_magnitude(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    """Magnitudes (B, (samples - n_fft) // hop + 1, n_fft // 2 + 1) of the frames inside `waveform` (B, samples).

    A periodic Hann window, as in `audio.mel.stft_magnitude`, which also pads the ends: see `pad_by_reflection`.
    Raises ValueError for a waveform shorter than a frame.
    """
    if waveform.shape[1] < n_fft:
        raise ValueError(f"a waveform of {waveform.shape[1]} samples is shorter than a frame of {n_fft}")
    # Never in bf16: its rounding would hide everything 48 dB below the loudest partial.
    with precision.autocast("f32", str(waveform.device)):
        return _magnitude(waveform.to(xp.float32), n_fft, hop)


def _magnitude(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    count, columns = (waveform.shape[1] - n_fft) // hop + 1, math.ceil(n_fft / hop)
    needed = (count + columns - 1) * hop
    padded = F.pad(waveform.unsqueeze(1), [0, max(0, needed - waveform.shape[1])]).squeeze(1)
    hops = padded[:, :needed].reshape([-1, count + columns - 1, hop])
    frames = xp.concat([hops[:, k : k + count] for k in range(columns)], 2)
    spectrum = xp.matmul(frames, constant(fourier_table(n_fft, columns * hop), waveform))
    real, imaginary = spectrum[:, :, : n_fft // 2 + 1], spectrum[:, :, n_fft // 2 + 1 :]
    return xp.sqrt(real**2 + imaginary**2 + POWER_FLOOR)


def pad_by_reflection(waveform: Tensor, n_fft: int) -> Tensor:
    """`waveform` (B, samples) padded by half a frame at both ends, so that frames are centred on every hop."""
    return F.pad(waveform.unsqueeze(1), [n_fft // 2, n_fft // 2], mode="reflect").squeeze(1)


def differentiable_log_mel(waveform: Tensor, config: MelConfig = MEL_16K) -> Tensor:
    """`audio.mel.log_mel` of every waveform of a batch: (B, samples) -> (B, samples // hop_length + 1, n_mels)."""
    magnitudes = stft_magnitude(pad_by_reflection(waveform, config.n_fft), config.n_fft, config.hop_length)
    with precision.autocast("f32", str(waveform.device)):
        mel = xp.matmul(magnitudes, constant(_transposed_filters(config), waveform))
    return xp.log(xp.clip(mel, min=1e-5))


def multi_resolution_stft_loss(
    predicted: Tensor, target: Tensor, resolutions: Sequence[tuple[int, int]] = RESOLUTIONS
) -> Tensor:
    """Mean over resolutions of spectral convergence and log-magnitude L1 of `predicted` and `target` (B, samples).

    Source: Parallel WaveGAN, arXiv:1910.11480. The convergence is normalised over the whole batch, for that of a nearly
    silent clip would be huge. Resolutions with frames longer than the clip are left out.
    """
    terms = []
    for n_fft, hop in resolutions:
        if n_fft <= target.shape[1]:
            p, t = stft_magnitude(predicted, n_fft, hop), stft_magnitude(target, n_fft, hop)
            convergence = xp.sqrt(((p - t) ** 2).sum() / (t**2).sum())
            terms.append(convergence + (_log(p) - _log(t)).abs().mean())
    return sum(terms) / len(terms)


def _log(magnitudes: Tensor) -> Tensor:
    return xp.log(xp.clip(magnitudes, min=LOG_FLOOR))


@functools.lru_cache(maxsize=8)
def fourier_table(n_fft: int, rows: int) -> np.ndarray:
    """(rows, 2 * (n_fft // 2 + 1)) float32: windowed cosines, then windowed sines; rows beyond n_fft are zeros."""
    time = np.arange(n_fft)
    angle = 2 * np.pi * np.outer(time, np.arange(n_fft // 2 + 1)) / n_fft
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / n_fft)
    table = np.zeros((rows, 2 * (n_fft // 2 + 1)), np.float32)
    table[:n_fft] = np.concatenate([np.cos(angle), np.sin(angle)], 1) * window[:, None]
    return table


@functools.lru_cache(maxsize=8)
def _transposed_filters(config: MelConfig) -> np.ndarray:
    return np.ascontiguousarray(mel_filters(config).T.astype(np.float32))
