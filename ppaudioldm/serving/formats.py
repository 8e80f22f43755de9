"""Audio formats of answers, under the names that clients use, and their encoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from ppaudioldm.audio.write import encode_audio
from ppaudioldm.serving.result import Sound

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATE = 48000


@dataclass(frozen=True)
class Format:
    """container, encoding: libsndfile's names. rate: Hz, None is the sound's own. kbps: bitrate, None is the encoder's
    default. mono: all channels are mixed.
    """

    container: str
    encoding: str
    media_type: str
    extension: str
    rate: int | None = None
    kbps: int | None = None
    mono: bool = False

    @property
    def depths(self) -> dict[str, str]:
        """Encodings of a WAV file with the sample format of an edited recording, by `write_audio`'s names of them."""
        return {"pcm24": "PCM_24", "pcm32": "PCM_32"} if self.container == "WAV" and self.rate is None else {}


def _raw(encoding: str, media_type: str, extension: str, rate: int) -> Format:
    return Format("RAW", encoding, media_type, extension, rate, mono=True)


def _mp3(rate: int | None = None, kbps: int | None = None) -> Format:
    return Format("MP3", "MPEG_LAYER_III", "audio/mpeg", "mp3", rate, kbps)


def _opus(kbps: int) -> Format:
    return Format("OGG", "OPUS", "audio/ogg", "opus", OPUS_RATE, kbps)


FORMATS: dict[str, Format] = {
    "wav": Format("WAV", "PCM_16", "audio/wav", "wav"),
    "flac": Format("FLAC", "PCM_24", "audio/flac", "flac"),
    "ogg": Format("OGG", "VORBIS", "audio/ogg", "ogg"),
    "mp3": _mp3(),
    "opus": _opus(96),
    # ElevenLabs' names: codec_rate, or codec_rate_bitrate.
    **{
        f"mp3_{rate}_{kbps}": _mp3(rate, kbps)
        for rate, kbps in (
            (22050, 32),
            (24000, 48),
            (44100, 32),
            (44100, 64),
            (44100, 96),
            (44100, 128),
            (44100, 192),
        )
    },
    **{f"opus_48000_{kbps}": _opus(kbps) for kbps in (32, 64, 96, 128, 192)},
    **{
        f"pcm_{rate}": _raw("PCM_16", "audio/pcm", "pcm", rate)
        for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000)
    },
    **{
        f"wav_{rate}": Format("WAV", "PCM_16", "audio/wav", "wav", rate)
        for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000)
    },
    "ulaw_8000": _raw("ULAW", "audio/PCMU", "ulaw", 8000),
    "alaw_8000": _raw("ALAW", "audio/PCMA", "alaw", 8000),
}
MEDIA_TYPES = tuple(dict.fromkeys(format.media_type for format in FORMATS.values()))


def checked_format(name: str) -> str:
    """`name` if it is in FORMATS. Raises ValueError."""
    if name not in FORMATS:
        raise ValueError(f"unknown format {name[:100]!r}, choose from {', '.join(FORMATS)}")
    return name


def encode(sound: Sound, name: str) -> bytes:
    """`sound` in the format `name`. Raises ValueError for an unknown one."""
    format = FORMATS[checked_format(name)]
    samples = sound.waveform
    if format.mono and samples.ndim > 1:
        samples = samples.mean(1)
    rate = format.rate or (_mp3_rate(sound.sample_rate) if format.container == "MP3" else sound.sample_rate)
    if rate != sound.sample_rate:
        samples = soxr.resample(samples, sound.sample_rate, rate)
    if format.container in ("MP3", "OGG") and samples.ndim > 1 and samples.shape[1] > 2:
        samples = samples.mean(1)  # these encoders take two channels
    encoding = format.depths.get(sound.subtype, format.encoding)
    channels = samples.shape[1] if samples.ndim > 1 else 1
    return encode_audio(
        np.ascontiguousarray(samples),
        rate,
        format.container,
        encoding,
        compression=None if format.kbps is None else _compression(format, rate, channels),
        tags=sound.tags,
    )


def _mp3_rate(rate: int) -> int:
    """The lowest rate of MP3 that loses nothing of a sound at `rate`, or the highest."""
    return next((known for known in MP3_RATES if known >= rate), MP3_RATES[-1])


def _compression(format: Format, rate: int, channels: int) -> float:
    """Where the bitrate lies between libsndfile's highest, which is 0, and its lowest, towards 1."""
    assert format.kbps is not None
    if format.encoding == "OPUS":
        highest, lowest, kbps = 256.0, 6.0, format.kbps / channels
    else:
        # One more: it takes the next bitrate below.
        highest, lowest, kbps = (320.0, 32.0, format.kbps + 1) if rate >= 32000 else (160.0, 8.0, format.kbps + 1)
    return (highest - kbps) / (highest - lowest)
