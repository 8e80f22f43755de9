"""The input of CLAP's audio branch: a mel spectrogram in decibels, of which the frames are interpolated to 1024."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.mel import checked_waveform, stft_magnitude
from ppaudioldm.audio.mel_filters import MelConfig, mel_filters

CLAP_SAMPLE_RATE = 48000  # Hz
CLAP_MAX_SAMPLES = 480000  # CLAP's input is the first 10 s
CLAP_FRAMES = 1024
MEL_CLAP = MelConfig(sample_rate=CLAP_SAMPLE_RATE, n_fft=1024, hop_length=480, n_mels=64, f_min=50.0, f_max=14000.0)


def clap_log_mel(waveform: np.ndarray, repeat: bool = False) -> np.ndarray:
    """CLAP's input (1, 1024, 64) float32, in dB, for `waveform` (samples,) at 48 kHz, floating point.

    Only the first 10 s are used. The frames of a shorter waveform are interpolated to the same 1024, as AudioLDM 2
    does; the published code normalises every mel band before it interpolates; this order gives the same, since the
    weights of the interpolation sum to one. repeat: as AudioLDM 1, repeat a shorter waveform as often as it fits
    whole, and fill up with silence. Raises ValueError as `log_mel` does.
    """
    if repeat:
        waveform = checked_waveform(waveform)[:CLAP_MAX_SAMPLES]
        repeated = np.tile(waveform, CLAP_MAX_SAMPLES // len(waveform))
        waveform = np.pad(repeated, (0, CLAP_MAX_SAMPLES - len(repeated)))
    return stretched(mel_decibels(waveform))


def mel_decibels(waveform: np.ndarray) -> np.ndarray:
    """The mel spectrogram (frames, 64) in dB of the first 10 s of `waveform` (samples,) at 48 kHz, a frame every 10 ms.

    Raises ValueError as `log_mel` does.
    """
    waveform = checked_waveform(waveform)[:CLAP_MAX_SAMPLES]
    power = stft_magnitude(waveform, MEL_CLAP.n_fft, MEL_CLAP.hop_length) ** 2
    decibels: np.ndarray = 10 * np.log10(np.maximum(power @ mel_filters(MEL_CLAP).T, 1e-10))
    return decibels


def stretched(decibels: np.ndarray) -> np.ndarray:
    """CLAP's input (1, 1024, 64) float32: `decibels` (frames, 64), interpolated over time."""
    return interpolate_frames(decibels, CLAP_FRAMES)[None].astype(np.float32)


def interpolate_frames(frames: np.ndarray, length: int) -> np.ndarray:
    """`frames` (n, bands) interpolated to (length, bands) with a cubic kernel; the first and last frames stay.

    Keys' kernel with a = -0.75, as in PyTorch's bicubic interpolation; beyond the ends the outermost frame repeats.
    """
    last = len(frames) - 1
    positions = np.linspace(0, last, length)
    left = np.floor(positions).astype(np.int64)
    neighbours = left[:, None] + np.arange(-1, 3)
    weights = _cubic_weight(np.abs(positions[:, None] - neighbours))
    return np.einsum("tk,tkb->tb", weights, frames[np.clip(neighbours, 0, last)])


def _cubic_weight(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' kernel, IEEE Trans. ASSP 29(6), 1981, for distances in [0, 2]."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far)
