"""A recording with its own rate, channels and bit depth, and the input that networks take: mono, at their level."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Union

import numpy as np
import soxr

from ppaudioldm.audio.formats import MAX_CHANNELS, check_rate, check_samples
from ppaudioldm.audio.read import MAX_SECONDS, MAX_VALUES, count_frames, read_audio, sound_file

NETWORK_PEAK = 0.5  # the checkpoints were trained on recordings without DC offset, normalised to this peak
SILENCE_PEAK = 1e-3  # of full scale, -60 dB: a recording that never exceeds it is not amplified for the networks
MIN_MIX_POWER = 0.01  # of the power of the channels: with less, the mix has lost them to opposite phases
# libsndfile's encodings of integer samples -> the subtype of `write_audio` that holds them; others decode to floats.
SUBTYPES = {
    **dict.fromkeys(("PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "ALAC_16"), "pcm16"),
    **dict.fromkeys(("PCM_24", "ALAC_20", "ALAC_24"), "pcm24"),
    **dict.fromkeys(("PCM_32", "ALAC_32"), "pcm32"),
    "DOUBLE": "double",
}


@dataclass(frozen=True)
class Recording:
    """Samples (n, channels), float32 or float64, full scale being 1, at `sample_rate` Hz, unchanged from their source.

    subtype: of `write_audio`, with which it writes these samples without loss.
    """

    samples: np.ndarray
    sample_rate: int
    subtype: str = "float"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


AudioSource = Union[str, "os.PathLike[str]", "tuple[np.ndarray, int]", Recording]


def open_recording(audio: AudioSource, truncate: bool = False) -> Recording:
    """The recording in `audio`: a file, samples (n,) or (n, channels) and their rate, or already a Recording.

    truncate: of a file longer than MAX_SECONDS read the beginning, with a warning in the log.
    Raises ValueError for more than MAX_SECONDS or MAX_VALUES, and ValueError or OSError, as `read_audio` does, for
    an input that is not audio.
    """
    if isinstance(audio, Recording):
        return audio
    if isinstance(audio, tuple) and len(audio) == 2:
        return _from_samples(*audio)
    _check_kind(audio)
    with sound_file(audio) as file:
        if not truncate:
            frames = count_frames(file, MAX_SECONDS * file.samplerate)
            _check_length(frames, file.channels, file.samplerate)
        subtype = SUBTYPES.get(file.subtype, "float")
    samples, rate = read_audio(audio, mono=False, exact=True)
    return Recording(samples, rate, subtype)


def _check_kind(audio: object) -> None:
    """Raise ValueError for what is neither a file nor samples with their rate."""
    if not isinstance(audio, (str, os.PathLike)):
        kind = "an array without its rate" if hasattr(audio, "shape") else f"a {type(audio).__name__}"
        raise ValueError(f"audio is {kind}, allowed: a file, or a pair (samples, rate in Hz)")


def _check_length(count: int, channels: int, rate: int) -> None:
    if count > MAX_SECONDS * rate:
        raise ValueError(f"the recording lasts {count / rate:.1f} seconds, allowed: up to {MAX_SECONDS:g}")
    if count * channels > MAX_VALUES:
        raise ValueError(f"the recording has {count * channels} samples in all channels, allowed: up to {MAX_VALUES}")


def _from_samples(samples: np.ndarray, sample_rate: int) -> Recording:
    samples = np.asarray(samples)
    if not np.issubdtype(samples.dtype, np.floating) or samples.ndim not in (1, 2) or not samples.size:
        raise ValueError(f"the recording is {samples.dtype} of shape {samples.shape}, expected floats (n, channels)")
    samples = samples.reshape(len(samples), -1)
    if samples.shape[1] > MAX_CHANNELS:
        raise ValueError(f"the recording has {samples.shape[1]} channels, allowed: up to {MAX_CHANNELS}")
    check_samples(samples, "the recording")
    check_rate(sample_rate)
    _check_length(*samples.shape, sample_rate)
    if samples.dtype == np.float64:
        return Recording(samples, sample_rate, "double")
    return Recording(samples.astype(np.float32), sample_rate)


def downmixed(samples: np.ndarray) -> np.ndarray:
    """`samples` (n, channels) as mono (n,): the mean of the channels, or the loudest where they cancel each other."""
    mono = samples.mean(1)
    power = (samples**2).mean(0)
    return mono if (mono**2).mean() >= MIN_MIX_POWER * power.mean() else samples[:, power.argmax()]


def scale_for_networks(samples: np.ndarray) -> float:
    """The factor that brings `samples`, which have no DC offset, to the peak NETWORK_PEAK; 1 for silence."""
    peak = float(np.abs(samples).max(initial=0))
    return NETWORK_PEAK / peak if peak > SILENCE_PEAK else 1.0


def resampled(samples: np.ndarray, sample_rate: int, target_rate: int, count: int) -> np.ndarray:
    """`samples` (n,) at `target_rate` Hz, cut or padded with silence to (count,)."""
    if sample_rate != target_rate:
        samples = soxr.resample(samples, sample_rate, target_rate)
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def network_input(recording: Recording, rate: int) -> tuple[np.ndarray, float]:
    """`recording` as networks take it, and the factor by which it was amplified.

    The first is (samples,) float32 at `rate` Hz: mono, without DC offset, its peak at NETWORK_PEAK.
    """
    count = max(1, round(len(recording.samples) * rate / recording.sample_rate))
    mono = resampled(downmixed(recording.samples), recording.sample_rate, rate, count)
    mono = mono - mono.mean()
    scale = scale_for_networks(mono)
    return (scale * mono).astype(np.float32), scale
