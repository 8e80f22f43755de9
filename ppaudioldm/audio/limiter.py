"""A peak limiter: gains that keep samples within a limit and change too slowly to sound like clipping."""

from __future__ import annotations

import numpy as np


def limited(waveform: np.ndarray, block: int, limit: float = 1.0) -> np.ndarray:
    """`waveform` (n,) attenuated around samples beyond `limit`, so that none exceeds it: (n,) float32.

    Clipping such peaks would be audible, and so would attenuating the whole clip. The gain changes over two blocks of
    `block` samples.
    """
    gains = smooth_gains(limit / np.maximum(limit, np.abs(waveform)), block)
    return (waveform * gains).clip(-limit, limit).astype(np.float32)  # rounding may leave a peak slightly above


def attenuation(rest: np.ndarray, added: np.ndarray, limit: float, block: int) -> np.ndarray:
    """Gains (n,), at most 1, of `added` (n,), with which no sample of its sum with `rest` (n,) exceeds `limit`.

    The samples of `rest` do not exceed it. The gains change over two blocks of `block` samples.
    """
    room = np.maximum(limit - np.sign(added) * rest, 0)
    return smooth_gains(room / np.maximum(np.maximum(room, np.abs(added)), np.finfo(np.float32).tiny), block)


def smooth_gains(gains: np.ndarray, block: int) -> np.ndarray:
    """`gains` (n,), at most 1, lowered to gains (n,) that change over two blocks of `block` samples."""
    padded = np.pad(gains, (block, block - len(gains) % block + block), constant_values=1)
    lowest = padded[: len(padded) // block * block].reshape(-1, block).min(1)
    # A block's gain also suits its neighbours, hence so does every gain interpolated between two blocks.
    lowest = np.minimum(lowest[1:-1], np.minimum(lowest[:-2], lowest[2:]))
    centres = block * (np.arange(len(lowest)) + 0.5)
    return np.interp(np.arange(len(gains)), centres, lowest)
