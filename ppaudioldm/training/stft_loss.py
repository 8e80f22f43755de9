"""Spectra of waveforms as part of a loss: the same on both frameworks, and a gradient passes through them.

A Fourier transform is a product of frames with a constant table here: nothing that the two frameworks could do
differently, and on the short clips of training no slower.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ppaudioldm.audio.mel import MEL_16K, MelConfig, mel_filters
from ppaudioldm.framework import F, Tensor, constant, xp
from ppaudioldm.training import precision

RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512))  # samples a frame, samples between frames
LOG_FLOOR = 1e-3  # of a magnitude: about -90 dB of a full-scale tone; below it nothing is to be learnt
POWER_FLOOR = 1e-10  # keeps the gradient of the root finite in silence


def stft_magnitude(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    """Magnitudes (B, (samples - n_fft) // hop + 1, n_fft // 2 + 1) of the frames inside `waveform` (B, samples).

    A periodic Hann window, as in `audio.mel.stft_magnitude`, whose ends are mirrored besides: see `mirrored`.
    Raises ValueError for a waveform shorter than a frame.
    """
    if waveform.shape[1] < n_fft:
        raise ValueError(f"a waveform of {waveform.shape[1]} samples is shorter than a frame of {n_fft}")
    # Never in half precision: what is 48 dB below the loudest partial would be lost in its rounding.
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


def mirrored(waveform: Tensor, n_fft: int) -> Tensor:
    """`waveform` (B, samples) with half a frame more at both ends, so that frames are centred on every hop."""
    return F.pad(waveform.unsqueeze(1), [n_fft // 2, n_fft // 2], mode="reflect").squeeze(1)


def log_mel(waveform: Tensor, config: MelConfig = MEL_16K) -> Tensor:
    """`audio.mel.log_mel` of every waveform of a batch: (B, samples) -> (B, samples // hop_length + 1, n_mels)."""
    magnitudes = stft_magnitude(mirrored(waveform, config.n_fft), config.n_fft, config.hop_length)
    with precision.autocast("f32", str(waveform.device)):
        mel = xp.matmul(magnitudes, constant(_transposed_filters(config), waveform))
    return xp.log(xp.clip(mel, min=1e-5))


def multi_resolution_stft_loss(
    actual: Tensor, wanted: Tensor, resolutions: Sequence[tuple[int, int]] = RESOLUTIONS
) -> Tensor:
    """How far the spectra of `actual` (B, samples) are from those of `wanted`, the mean over resolutions.

    Spectral convergence and the distance of log magnitudes (Parallel WaveGAN, arXiv:1910.11480). The convergence is of
    the whole batch: of a single clip of near silence it would explode. Resolutions longer than the clip are left out.
    """
    terms = []
    for n_fft, hop in resolutions:
        if n_fft <= wanted.shape[1]:
            a, w = stft_magnitude(actual, n_fft, hop), stft_magnitude(wanted, n_fft, hop)
            convergence = xp.sqrt(((a - w) ** 2).sum() / (w**2).sum())
            terms.append(convergence + (_log(a) - _log(w)).abs().mean())
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
