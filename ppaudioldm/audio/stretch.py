"""A sound made longer or shorter, at the same pitch.

Overlapping windows of the sound are laid closer together or further apart, each moved a little to where it continues
the one before best (WSOLA: Verhelst and Roelands, ICASSP 1993): right for speech, whose waves repeat.
"""

from __future__ import annotations

import numpy as np

WINDOW = 0.04  # seconds: two periods of a deep voice
SEARCH = 0.012  # seconds that a window may move either way: a period of a deep voice
MIN_FACTOR, MAX_FACTOR = 0.1, 10.0


def stretched(waveform: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """`waveform`, (samples,) floating point, in `factor` times its duration, to the sample; float32.

    Raises ValueError for a factor outside MIN_FACTOR to MAX_FACTOR, or a waveform of another shape.
    """
    if not MIN_FACTOR <= factor <= MAX_FACTOR:
        raise ValueError(f"factor is {factor:g}, allowed: {MIN_FACTOR:g} to {MAX_FACTOR:g}")
    if waveform.ndim != 1:
        raise ValueError(f"the waveform has shape {waveform.shape}, expected (samples,)")
    hop = max(1, round(WINDOW * sample_rate / 2))
    reach = max(1, round(SEARCH * sample_rate))
    count = round(len(waveform) * factor)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)  # of which two, a hop apart, sum to one
    padded = np.pad(waveform.astype(np.float32), (hop + reach, 3 * hop + 2 * reach))
    frames = -(-count // hop) + 1
    result = np.zeros((frames + 1) * hop, np.float32)
    start = reach  # of the window before, in `padded`
    for frame in range(frames):
        ideal = reach + round(frame * hop / factor)
        ideal = min(ideal, len(padded) - 2 * hop - reach)
        if frame:
            follows = padded[start + hop : start + 3 * hop]  # what came next in the sound itself
            start = ideal - reach + _best(padded[ideal - reach : ideal + reach + 2 * hop], follows)
        result[frame * hop : (frame + 2) * hop] += window * padded[start : start + 2 * hop]
    return result[hop : hop + count]


def _best(region: np.ndarray, wanted: np.ndarray) -> int:
    """Where in `region` a stretch as long as `wanted` is most like it; the middle where nothing is."""
    size = len(wanted)
    likeness = np.correlate(region, wanted, "valid")
    sums = np.concatenate([[0.0], np.cumsum(region.astype(np.float64) ** 2)])
    energy = np.sqrt(np.maximum(sums[size:] - sums[:-size], 0)) + 1e-6
    score = likeness / energy
    middle = len(score) // 2
    best = int(score.argmax())
    return best if score[best] > score[middle] + 1e-6 else middle
