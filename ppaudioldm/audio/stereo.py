"""Two channels of a mono sound, decorrelated, whose mean is the mono sound.

The left channel is the sound and a side signal, the right one the sound without it. The side signal is the sound with
every frequency 90 degrees ahead or behind, in turns of bands: at every frequency it is orthogonal to the sound, so that
both channels have its spectrum, and differ in phase alone.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.bands import filtered
from ppaudioldm.audio.levels import limiter_block
from ppaudioldm.audio.limiter import attenuation

SIDE_GAIN = 0.6  # of the sound: the correlation of the channels is (1 - 0.36) / (1 + 0.36) = 0.47
TAPS_S = 0.064  # seconds of the filter, half of them before the sound: enough for the lowest band
BANDS_PER_OCTAVE = 1.5  # after which the phase changes its sign
LOWEST_HZ = 40.0


def widened(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """`waveform` (n,) in two channels, (n, 2) float32, whose mean it is.

    No sample exceeds full scale, or the peak of `waveform` where that is more: there the side signal is attenuated.
    """
    # A pure tone may be where one of the filters changes its sign; the other does not do so there.
    sides = [filtered(waveform.astype(np.float64)[:, None], taps)[:, 0] for taps in side_filters(sample_rate)]
    side = SIDE_GAIN * max(sides, key=lambda signal: float((signal**2).sum()))
    limit = max(1.0, float(np.abs(waveform).max(initial=0)))
    block = limiter_block(sample_rate)
    side *= np.minimum(attenuation(waveform, side, limit, block), attenuation(waveform, -side, limit, block))
    return np.stack([waveform + side, waveform - side], 1).astype(np.float32).clip(-limit, limit)


def side_filters(sample_rate: int) -> list[np.ndarray]:
    """The taps, an odd number, of two filters with gain 1 and a phase of 90 or -90 degrees, which change its sign at
    frequencies that lie between those of the other."""
    half = round(TAPS_S / 2 * sample_rate)
    size = 1 << (8 * half).bit_length()
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), LOWEST_HZ)
    bands = BANDS_PER_OCTAVE * np.log2(hertz / LOWEST_HZ)
    filters = []
    for offset in (0.25, 0.75):  # of a band
        response = 1j * np.sign(np.sin(np.pi * (bands + offset)))
        response[0] = response[-1] = 0  # a phase of 90 degrees is impossible there
        impulse = np.fft.irfft(response, size)
        taps = np.concatenate([impulse[-half:], impulse[: half + 1]])
        filters.append(taps * np.hanning(2 * half + 3)[1:-1])
    return filters
