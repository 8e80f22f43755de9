"""The loudness of generated sound: gains that match it to a recording's, with its peaks limited."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.limiter import attenuation
from ppaudioldm.audio.loudness import loudness

LIMITER_S = 1e-3  # seconds of a block of the limiter: short, so that dense peaks cost little loudness
MAX_GAIN = 1000.0  # of generated sound, 60 dB: what is softer is silence
MAX_DRIVE = 8.0  # 18 dB: by which a gain may rise to make up for the loudness that the limiter takes
DRIVE_STEPS = 10
SUFFICIENT_LU = 0.25  # what may be missing


def channel_loudness(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Integrated loudness in LUFS of each channel, (channels,), of `samples` (n, channels); -inf for silence."""
    return np.array([loudness(channel, sample_rate) if len(channel) else -np.inf for channel in samples.T])


def peak_limit(samples: np.ndarray) -> float:
    """What no sample of a result exceeds: full scale, or the peak of the recording's `samples` where that is more."""
    return max(1.0, float(np.abs(samples).max(initial=0)))


def limiter_block(sample_rate: int) -> int:
    """Samples of a block of the limiter."""
    return max(1, round(LIMITER_S * sample_rate))


def gain_to_loudness(
    added: np.ndarray, rest: np.ndarray, lowest: float, highest: float, sample_rate: int, limit: float
) -> float:
    """The gain that brings the loudness of `added` (n,) within `lowest` to `highest` LUFS, up to MAX_GAIN.

    It is 1 where the loudness is within them already, or where `added` is silent; 0 where `highest` is -inf. rest:
    (n,), to which it is added under a limiter, see `limiter.attenuation`. The gain makes up for what the limiter takes,
    by up to MAX_DRIVE.
    """
    if highest == -np.inf:
        return 0.0
    peak = float(np.abs(added).max(initial=0))
    # Measured at full scale: a quiet sound is not silence.
    current = loudness(added / peak, sample_rate) + 20 * np.log10(peak) if peak > 0 else -np.inf
    if current == -np.inf:
        return 1.0
    gain = first = min(float(10 ** ((np.clip(current, lowest, highest) - current) / 20)), MAX_GAIN)
    for _ in range(DRIVE_STEPS):
        louder = gain * added
        if not exceeds(rest, louder, limit):
            break
        limited = louder * attenuation(rest, louder, limit, limiter_block(sample_rate))
        missing = lowest - loudness(limited, sample_rate)
        if missing <= SUFFICIENT_LU or gain >= MAX_DRIVE * first:
            break
        gain = min(gain * float(10 ** (1.5 * min(missing, 6.0) / 20)), MAX_DRIVE * first)
    return gain


def exceeds(rest: np.ndarray, added: np.ndarray, limit: float) -> bool:
    """Whether a sample of the sum of the two exceeds `limit`."""
    return bool(np.abs(rest + added).max(initial=0) > limit)
