"""Compressed sound and the sound of videos, decoded by PyAV, which brings FFmpeg; an optional dependency.

Nothing but the opened file is ever read: FFmpeg gets its bytes, no name and no protocol, and formats that refer to
other files, such as playlists, are not among those allowed.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from ppaudioldm.audio.containers import container_of, mp3_states_length, ogg_is_cut
from ppaudioldm.audio.formats import MAX_CHANNELS

logger = logging.getLogger(__name__)

INSTALL = "pip install 'ppaudioldm[media]'"
FORMATS = "mp3,ogg,aac,mov,asf,matroska,avi,flv,mpeg,mpegts,amr,ac3,eac3,ape,wv,tta,mpc,mpc8,caf,flac,wav,w64,aiff,au"
CODECS = (
    "mp3float,mp3,mp2float,mp2,mp1float,mp1,aac,aac_fixed,aac_latm,alac,vorbis,opus,libopus,speex,flac,"
    "wmav1,wmav2,wmapro,wmalossless,wmavoice,ac3,ac3_fixed,eac3,amrnb,amrwb,ape,wavpack,tta,mpc7,mpc8,"
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,"
    "pcm_u8,pcm_s8,pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm,gsm_ms"
)
EXACT_SLACK_S = 0.1  # seconds by which a sound may differ from a length that is stated: less than a few packets
PREROLL_S = 0.5  # before the samples that are sought: decoding has settled when it reaches them
PREROLL_FRAMES = 2  # that are dropped
SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "flt": "FLOAT", "dbl": "DOUBLE"}  # libsndfile's names
PLANES = 8  # pointers to channels in an FFmpeg frame
INTEGER_BITS = {"u8": 8, "s16": 16, "s32": 32}


def is_installed() -> bool:
    """Whether PyAV can be imported."""
    return importlib.util.find_spec("av") is not None


class _Bytes:
    """The bytes of an open file without its name, by whose extension FFmpeg would guess the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new position, or -1, an error to FFmpeg, where a damaged file leads to before the first byte."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


class MediaSource:
    """The first sound stream of an open media file, to be read once; `audio.read.SoundSource` describes its attributes.

    Raises ValueError for a file without sound that can be decoded.
    """

    frames: int | None = None  # whatever a header says
    warns = True

    def __init__(self, name: str, file: BinaryIO) -> None:
        import av

        self.name, self._error = name, av.error.FFmpegError
        kind = container_of(file.read(64))
        file.seek(0)
        stated = kind == "MP3" and mp3_states_length(file)
        file.seek(0)
        self._is_cut = kind == "Ogg" and ogg_is_cut(file)
        file.seek(0)
        allowed = {"format_whitelist": FORMATS, "codec_whitelist": CODECS, "protocol_whitelist": "none"}
        try:
            self._container = av.open(_Bytes(file), "r", options=allowed)
        except self._error as error:
            raise ValueError(_reason(error)) from None
        try:
            streams = self._container.streams.audio
            if not streams:
                raise ValueError("it holds no sound")
            stream = streams[0]
            if stream.codec_context is None or stream.codec_context.name not in CODECS.split(","):
                raise ValueError("its sound is of a kind that is not decoded")
            self._is_filled_up = "mov" in self._container.format.name.split(",")
            exact = stated or self._is_filled_up
            self._seconds: float | None = None
            if exact and stream.duration is not None and stream.time_base is not None:
                self._seconds = float(stream.duration * stream.time_base)
            self._stream, self._start = stream, 0
            self._decoded = self._frames(stream)
            self._first = next(self._decoded, None)
            if self._first is None:
                raise ValueError("no sound in it can be decoded")
            self.samplerate, self.channels = self._first.sample_rate, self._first.layout.nb_channels
            if self.channels > MAX_CHANNELS:
                raise ValueError(f"its sound has {self.channels} channels, allowed: up to {MAX_CHANNELS}")
            self._format = self._first.format.name
            # PyAV reads beyond the pointers to the channels of a planar frame that has eight or more.
            self._packed = av.AudioResampler(self._first.format.packed, self._first.layout, self.samplerate)
            self.subtype = SUBTYPES.get(self._format.removesuffix("p"), "FLOAT")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._container.close()

    @property
    def stated_frames(self) -> int | None:
        """Samples of each channel as the header states them, where headers of its kind are exact."""
        return None if self._seconds is None else round(self._seconds * self.samplerate)

    def seek(self, frame: int) -> int | None:
        """Begin at `frame` or a little before; returns where. None if that is not possible: it can then not be read."""
        base, origin = self._stream.time_base, self._first.pts if self._first else None
        seconds = frame / self.samplerate - PREROLL_S
        if seconds <= 0:
            return 0
        if base is None or origin is None:
            return None
        try:
            self._container.seek(target := origin + int(seconds / base), stream=self._stream)
        except self._error:
            return None
        self._decoded = self._frames(self._stream, target)
        # The first frame may lack what its decoder takes from the packets before it.
        for _ in range(1 + PREROLL_FRAMES):
            self._first = next(self._decoded, None)
        if self._first is None or self._first.pts is None:
            return None
        self._start = round(float((self._first.pts - origin) * base) * self.samplerate)
        return self._start if 0 <= self._start <= frame else None

    def blocks(self, dtype: str) -> Iterator[np.ndarray]:
        """All samples in blocks (n, channels) of `dtype`, or those behind where `seek` led to; a warning in the log
        where some are lost."""
        count, most = self._start, None
        if self._seconds is not None:
            most = round(self._seconds * self.samplerate)
        slack = round(EXACT_SLACK_S * self.samplerate)
        for block in self._arrays(dtype):
            # The last packet of MP4 is filled up: what is behind the stated end is no sound. In MP3 FFmpeg knows.
            ends = self._is_filled_up and most is not None and 0 < most <= count + len(block) <= most + slack
            shown = block[: most - count] if ends and most is not None and most > count else block
            if ends and most is not None and most <= count:
                break
            count += len(shown)
            yield shown
        place = f"{count / self.samplerate:g} s"
        if most is not None and count < most - slack:
            self._warn("%s ends after %s of %g s, the rest is lost", self.name, place, self._seconds)
        elif self._is_cut:
            self._warn("%s ends after %s without the mark of its end, the rest is lost", self.name, place)

    def _arrays(self, dtype: str) -> Iterator[np.ndarray]:
        frame, self._first = self._first, None
        while frame is not None:
            if (frame.sample_rate, frame.layout.nb_channels, frame.format.name) != (
                self.samplerate,
                self.channels,
                self._format,
            ):
                self._warn("%s changes its rate or its channels midway, the rest is lost", self.name)
                return
            frames = [frame]
            if frame.format.is_planar and self.channels >= PLANES:
                try:
                    frames = self._packed.resample(frame)
                except (self._error, ValueError) as error:
                    self._warn("%s is damaged, the rest is lost: %s", self.name, _reason(error))
                    return
            for converted in frames:
                yield _samples(converted, self.channels, dtype)
            frame = next(self._decoded, None)

    def _frames(self, stream: Any, first_pts: int | None = None) -> Iterator[Any]:
        """The decoded frames; packets that cannot be decoded are left out, with a warning if there are more behind.

        first_pts: packets before it are not decoded; a container may only know where every fifth second is.
        """
        damaged = 0
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (self._error, IndexError) as error:  # IndexError: PyAV, of a stream that only appears midway
                self._warn("%s is damaged, the rest is lost: %s", self.name, _reason(error))
                return
            if packet is None:
                return
            if first_pts is not None and packet.pts is not None and packet.pts < first_pts:
                continue
            try:
                frames = packet.decode()
            except self._error:
                damaged += 1
                continue
            for frame in frames:
                if damaged:
                    self._warn("%s is damaged: %d packets are left out", self.name, damaged)
                    damaged = 0
                if frame.samples:
                    yield frame

    def _warn(self, message: str, *arguments: object) -> None:
        if self.warns:
            logger.warning(message, *arguments)


def _samples(frame: Any, channels: int, dtype: str) -> np.ndarray:
    """The samples (n, channels) of a PyAV frame, full scale being 1."""
    array = frame.to_ndarray()
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    bits = INTEGER_BITS.get(frame.format.name.removesuffix("p"))
    if bits is None:
        return np.ascontiguousarray(samples, dtype)
    centred = samples.astype(np.float64) - (128 if bits == 8 else 0)
    return (centred / 2 ** (bits - 1)).astype(dtype)


def _reason(error: Any) -> str:
    return (str(getattr(error, "strerror", None) or error) or "unknown error").splitlines()[0]
