"""A recording as it came, and how the networks hear it: mono, at their rate and their level."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Union

import numpy as np
import soxr

from ppaudioldm.audio.files import (
    MAX_CHANNELS,
    MAX_SECONDS,
    MAX_VALUES,
    check_finite,
    check_rate,
    count_frames,
    read_audio,
    sound_file,
)

PEAK = 0.5  # checkpoints were trained on recordings without their mean, whose largest sample was this
SILENCE = 1e-3  # of full scale, -60 dB: what never rises above is not made louder for the networks
CANCELLED = 0.01  # of the power of its channels: a mix that has less has lost them to opposite phases
# libsndfile's encodings whose samples have a number of bits, and what `write_audio` calls it; others decode to float.
SUBTYPES = {
    **dict.fromkeys(("PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "ALAC_16"), "pcm16"),
    **dict.fromkeys(("PCM_24", "ALAC_20", "ALAC_24"), "pcm24"),
    **dict.fromkeys(("PCM_32", "ALAC_32"), "pcm32"),
    "DOUBLE": "double",
}


@dataclass(frozen=True)
class Recording:
    """A sound as it came: samples (n, channels), float32 or float64, full scale being 1, at `sample_rate` Hz.

    subtype: as which `write_audio` writes these samples without loss.
    """

    samples: np.ndarray
    sample_rate: int
    subtype: str = "float"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


Source = Union[str, "os.PathLike[str]", "tuple[np.ndarray, int]", Recording]


def open_recording(audio: Source, beginning: bool = False) -> Recording:
    """`audio`: a file, or samples (n,) or (n, channels) and their rate, or a recording.

    beginning: the first MAX_SECONDS of a longer file will do, with a warning in the log.
    Raises ValueError for more than MAX_SECONDS or MAX_VALUES, and ValueError or OSError, as `read_audio` does, for what
    is no sound.
    """
    if isinstance(audio, Recording):
        return audio
    if isinstance(audio, tuple):
        return _from_samples(*audio)
    with sound_file(audio) as file:
        if not beginning:
            frames = count_frames(file, MAX_SECONDS * file.samplerate)
            _check_length(frames, file.channels, file.samplerate)
        subtype = SUBTYPES.get(file.subtype, "float")
    samples, rate = read_audio(audio, mono=False, exact=True)
    return Recording(samples, rate, subtype)


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
    check_finite(samples, "the recording")
    check_rate(sample_rate)
    _check_length(*samples.shape, sample_rate)
    if samples.dtype == np.float64:
        return Recording(samples, sample_rate, "double")
    return Recording(samples.astype(np.float32), sample_rate)


def downmixed(samples: np.ndarray) -> np.ndarray:
    """`samples` (n, channels) as mono (n,): the mean of the channels, or the loudest where they cancel each other."""
    mono = samples.mean(1)
    power = (samples**2).mean(0)
    return mono if (mono**2).mean() >= CANCELLED * power.mean() else samples[:, power.argmax()]


def scale_for_networks(samples: np.ndarray) -> float:
    """What `samples`, without their mean, are to be multiplied with; 1 for silence, which has no level."""
    peak = float(np.abs(samples).max(initial=0))
    return PEAK / peak if peak > SILENCE else 1.0


def resampled(samples: np.ndarray, sample_rate: int, wanted_rate: int, count: int) -> np.ndarray:
    """`samples` (n,) at another rate, cut or followed by silence to be `count`."""
    if sample_rate != wanted_rate:
        samples = soxr.resample(samples, sample_rate, wanted_rate)
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def heard(recording: Recording, rate: int) -> tuple[np.ndarray, float]:
    """`recording` as the networks hear it, (samples,) float32 at `rate` Hz, and by how much it was made louder."""
    count = max(1, round(len(recording.samples) * rate / recording.sample_rate))
    mono = resampled(downmixed(recording.samples), recording.sample_rate, rate, count)
    mono = mono - mono.mean()
    scale = scale_for_networks(mono)
    return (scale * mono).astype(np.float32), scale
