"""Time stretching at constant pitch, by WSOLA (Verhelst and Roelands, ICASSP 1993).

Overlapping windows of the sound are placed closer together or further apart, each taken from where it continues the
window before it best. This suits speech, whose waveform is nearly periodic.
"""

from __future__ import annotations

import numpy as np

WINDOW_S = 0.04  # two periods of a deep voice
SEARCH_S = 0.012  # by which a window may be moved either way: a period of a deep voice
MIN_FACTOR, MAX_FACTOR = 0.1, 10.0


def stretched(waveform: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """`waveform`, (samples,) floating point, stretched to `factor` times its duration.

    Returns (round(samples * factor),) float32.
    Raises ValueError for a factor outside MIN_FACTOR to MAX_FACTOR, or a waveform of another shape.
    """
    if not MIN_FACTOR <= factor <= MAX_FACTOR:
        raise ValueError(f"factor is {factor:g}, allowed: {MIN_FACTOR:g} to {MAX_FACTOR:g}")
    if waveform.ndim != 1:
        raise ValueError(f"the waveform has shape {waveform.shape}, expected (samples,)")
    hop = max(1, round(WINDOW_S * sample_rate / 2))
    reach = max(1, round(SEARCH_S * sample_rate))
    count = round(len(waveform) * factor)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)  # two of them, a hop apart, sum to one
    padded = np.pad(waveform.astype(np.float32), (hop + reach, 3 * hop + 2 * reach))
    frames = -(-count // hop) + 1
    result = np.zeros((frames + 1) * hop, np.float32)
    start = reach  # of the previous window, in `padded`
    for frame in range(frames):
        ideal = reach + round(frame * hop / factor)
        ideal = min(ideal, len(padded) - 2 * hop - reach)
        if frame:
            continuation = padded[start + hop : start + 3 * hop]  # of the previous window, in the input
            start = ideal - reach + _best_match(padded[ideal - reach : ideal + reach + 2 * hop], continuation)
        result[frame * hop : (frame + 2) * hop] += window * padded[start : start + 2 * hop]
    return result[hop : hop + count]


def _best_match(region: np.ndarray, target: np.ndarray) -> int:
    """The offset in `region` with the highest normalised cross-correlation to `target`; the middle if all are equal."""
    size = len(target)
    correlation = np.correlate(region, target, "valid")
    sums = np.concatenate([[0.0], np.cumsum(region.astype(np.float64) ** 2)])
    energy = np.sqrt(np.maximum(sums[size:] - sums[:-size], 0)) + 1e-6
    score = correlation / energy
    middle = len(score) // 2
    best = int(score.argmax())
    return best if score[best] > score[middle] + 1e-6 else middle
