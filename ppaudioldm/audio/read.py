"""Reading sound files block by block, by libsndfile or PyAV, in little more memory than the result takes."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
import soxr

from ppaudioldm.audio import media
from ppaudioldm.audio.containers import (
    HEAD_BYTES,
    container_of,
    first_mp3_frame,
    missing_share,
    mp3_states_length,
    ogg_is_cut,
)
from ppaudioldm.audio.formats import MAX_CHANNELS, WIDE_ENCODINGS, PathLike, check_rate, check_samples
from ppaudioldm.storage.regular import is_device_or_pipe

logger = logging.getLogger(__name__)

MAX_VALUES = 2**28  # samples over all channels that are read, 1 GiB: 10 minutes of 8 channels at 48 kHz fit
MAX_SECONDS = 600.0  # of a file that is read, unless the caller asks for more
DECODED_VALUES = 4096  # samples over all channels that are decoded at once: a damaged FLAC file loses such a block
UNKNOWN_LENGTH = 2**62  # frames, or more: libsndfile's length of a stream whose header has none


def read_audio(
    path: PathLike,
    sample_rate: int | None = None,
    mono: bool = True,
    max_seconds: float | None = MAX_SECONDS,
    exact: bool = False,
) -> tuple[np.ndarray, int]:
    """Read a sound file: samples (samples,) float32, or (samples, channels) if not `mono`, and their rate in Hz.

    sample_rate: resample to this many Hz; None keeps the file's. max_seconds: stop after these, with a warning in the
    log; None reads everything, up to MAX_VALUES. exact: float64 for a file whose samples float32 cannot hold. Memory
    holds the result, not the whole file. A damaged file is read as far as it can be, with a warning in the log.
    Raises ValueError for a file that is not audio, is empty, holds NaN, has more than MAX_CHANNELS if not `mono`, or
    has a rate out of range; OSError for one that cannot be opened.
    """
    if sample_rate is not None:
        check_rate(sample_rate)
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}, expected more than 0")
    with sound_file(path) as source:
        check_rate(source.samplerate)
        if not mono and source.channels > MAX_CHANNELS:
            raise ValueError(f"the file has {source.channels} channels, allowed: up to {MAX_CHANNELS}")
        rate = sample_rate or source.samplerate
        dtype = "float64" if exact and source.subtype in WIDE_ENCODINGS else "float32"
        seconds = MAX_VALUES / (rate * (1 if mono else source.channels))
        seconds = min(seconds, math.inf if max_seconds is None else max_seconds)
        beginning = _Beginning(source, round(min(UNKNOWN_LENGTH, max(1.0, seconds * source.samplerate))), dtype)
        samples = _read(beginning, source, rate, mono, dtype)
        if beginning.goes_on:
            logger.warning("%s: only the first %g seconds are used", path, seconds)
    return samples, rate


class SoundSource(Protocol):
    """An open sound file, to be read once.

    name: for messages. samplerate: Hz. subtype: libsndfile's name of the encoding, or of one that holds the decoded
    samples. frames: samples of each channel; None where the file does not say, or where that would be a guess. warns:
    whether `blocks` logs what is lost.
    """

    name: str
    samplerate: int
    channels: int
    subtype: str
    frames: int | None
    warns: bool

    @property
    def stated_frames(self) -> int | None:
        """Like `frames`, or what the header says where that is exact unless the file is damaged."""
        ...

    def seek(self, frame: int) -> int | None:
        """Let `blocks` begin at `frame`, or before. Returns where; None if that fails: it can then not be read."""
        ...

    def blocks(self, dtype: str) -> Iterator[np.ndarray]:
        """All samples in blocks (n, channels) of `dtype`; of a damaged file what can be read, with a warning."""
        ...

    def close(self) -> None: ...


class _Forward(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end."""

    def seekable(self) -> bool:
        # soundfile would seek after every read, to the position that the file already has. That restarts the MP3
        # decoder: a click at every block.
        return False


class _LibsndfileSource:
    """A `SoundSource` that libsndfile decodes. loss: a warning for the end of the file, "" for none."""

    warns = True

    def __init__(self, file: soundfile.SoundFile, name: str, is_length_known: bool = True, loss: str = "") -> None:
        self._file, self.name, self._loss, self._start = file, name, loss, 0
        self.samplerate, self.channels, self.subtype = file.samplerate, file.channels, file.subtype
        self.frames = file.frames if is_length_known and file.frames < UNKNOWN_LENGTH else None
        if share := missing_share(file.extra_info):
            place, promised = file.frames / file.samplerate, file.frames / (1 - share) / file.samplerate
            self._loss = f"ends after {place:g} s of {promised:g} s, the rest is lost"

    def close(self) -> None:
        self._file.close()

    @property
    def stated_frames(self) -> int | None:
        return self.frames

    def seek(self, frame: int) -> int | None:
        if self.subtype.startswith("MPEG"):  # it would be restarted, which is a click
            return 0
        try:
            self._start = self._file.seek(min(frame, self._file.frames))
        except soundfile.LibsndfileError:
            return None
        return self._start

    def blocks(self, dtype: str) -> Iterator[np.ndarray]:
        count, file = self._start, self._file
        while count < file.frames:
            try:
                block = file.read(max(1, DECODED_VALUES // file.channels), dtype=dtype, always_2d=True)
            except soundfile.LibsndfileError as error:
                if not count:
                    raise
                place, reason = f"{count / file.samplerate:g} s", error.error_string.strip()
                self._warn("%s is damaged after %s, the rest is lost: %s", self.name, place, reason)
                return
            if not len(block):
                if count and self.frames is not None and self.frames - count > DECODED_VALUES:
                    place, promised = f"{count / file.samplerate:g} s", f"{self.frames / file.samplerate:g} s"
                    self._warn("%s ends after %s of %s, the rest is lost", self.name, place, promised)
                    return
                break
            count += len(block)
            yield block
        if self._loss:
            self._warn("%s %s", self.name, self._loss)

    def _warn(self, message: str, *arguments: object) -> None:
        if self.warns:
            logger.warning(message, *arguments)


@contextlib.contextmanager
def sound_file(path: PathLike) -> Iterator[SoundSource]:
    """The sound file `path`, open for reading in the block.

    libsndfile decodes WAV, FLAC, AIFF, Ogg and the like, whose exact length it knows; PyAV decodes MP3 and all
    that libsndfile does not know. Where PyAV is not installed, libsndfile decodes MP3 as well, up to the length that it
    finds. Raises ValueError, in one line that names the file, for one that is not audio, is not a regular file or
    cannot be decoded, and for a ValueError of the block; OSError for one that cannot be opened.
    """
    if is_device_or_pipe(path):
        raise ValueError(f"{path} is a device or pipe, expected a sound file")  # reading could wait or go on forever
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        try:
            source = _opened(path, file)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            # TypeError: headerless formats by their extension
            raise ValueError(f"{path} is not a sound file that can be read: {_reason(error)}") from error
        stack.callback(source.close)
        try:
            yield source
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{path} is not a sound file that can be read: {_reason(error)}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "it has no header"
    reason: str = getattr(error, "error_string", str(error)).strip()
    # What libsndfile says of an MP3 file in which libmpg123 finds no frame.
    return "it holds no sound that can be decoded" if reason.startswith("File does not exist") else reason


def _opened(path: PathLike, file: BinaryIO) -> SoundSource:
    """The source for `path`, which is open as `file`. Raises ValueError, TypeError or soundfile's error."""
    kind = container_of(file.read(HEAD_BYTES))
    file.seek(0)
    name = str(path)
    if kind not in (None, "Ogg"):
        if media.is_installed():
            return media.MediaSource(name, file)
        if kind == "MP3":
            return _mp3_without_media(path, file)
        raise ValueError(f"{kind} needs PyAV: {media.INSTALL}")
    try:
        loss = "ends without the mark of its end, the rest is lost" if kind == "Ogg" and ogg_is_cut(file) else ""
        opened = _LibsndfileSource(_Forward(path), name, loss=loss)
    except soundfile.LibsndfileError:
        if not media.is_installed():
            raise
        file.seek(0)
        with contextlib.suppress(ValueError):
            return media.MediaSource(name, file)  # Speex, a video, or a compressed sound in a WAV file
        raise
    if opened.subtype.startswith("MPEG"):  # with other bytes before its first frame
        opened.close()
        return media.MediaSource(name, file) if media.is_installed() else _mp3_without_media(path, file)
    return opened


def _mp3_without_media(path: PathLike, file: BinaryIO) -> SoundSource:
    """The source for an MP3 file, where PyAV is not installed."""
    # libmpg123 would write to stderr about a file without frames.
    if not first_mp3_frame(file):
        raise ValueError(f"no MP3 frames at its beginning; if it is of another format: {media.INSTALL}")
    file.seek(0)
    if mp3_states_length(file):
        return _LibsndfileSource(_Forward(path), str(path))
    loss = f"may be read only in part, for it does not state its length: {media.INSTALL} reads all of it"
    return _LibsndfileSource(_Forward(path), str(path), is_length_known=False, loss=loss)


def count_frames(source: SoundSource, limit: float) -> int:
    """The number of samples of each channel of `source`.

    If the file does not say, it is decoded to count them, up to `limit` or a few more; what is lost is left for
    `read_audio` to log. Raises ValueError as that does.
    """
    if source.frames is not None:
        return source.frames
    count, source.warns = 0, False
    for block in source.blocks("float32"):
        count += len(block)
        if count > limit:
            break
    return count


class _Beginning:
    """The blocks of `source` up to `limit` samples of each channel. goes_on: whether there are more, at the end."""

    def __init__(self, source: SoundSource, limit: int, dtype: str) -> None:
        self._blocks, self._limit = source.blocks(dtype), limit
        self.goes_on = False

    def __iter__(self) -> Iterator[np.ndarray]:
        count = 0
        for block in self._blocks:
            if count + len(block) > self._limit:
                self.goes_on = True
                block = block[: self._limit - count]
            count += len(block)
            if len(block):
                yield block
            if self.goes_on:
                return


def _read(blocks: _Beginning, source: SoundSource, sample_rate: int, mono: bool, dtype: str) -> np.ndarray:
    """`blocks` of `source` at `sample_rate`: (samples,) or (samples, channels)."""
    channels = 1 if mono else source.channels
    stream = None
    if sample_rate != source.samplerate:
        stream = soxr.ResampleStream(source.samplerate, sample_rate, channels, dtype=dtype)
    parts: list[np.ndarray] = []
    for block in blocks:
        check_samples(block, "the file")
        block = block.mean(1, keepdims=True) if mono else block
        parts.append(stream.resample_chunk(block) if stream else block)
    if stream and parts:
        parts.append(stream.resample_chunk(np.zeros((0, channels), dtype), last=True))
    samples = _concatenated(parts)
    if not len(samples):
        raise ValueError("the file holds no samples")
    return samples[:, 0] if mono else samples


def _concatenated(blocks: list[np.ndarray]) -> np.ndarray:
    """`blocks` (n, channels) as one array; empties the list on the way, so that memory holds no sample twice."""
    if not blocks:
        return np.zeros((0, 1))
    samples = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), blocks[0].dtype)
    end = len(samples)
    while blocks:
        block = blocks.pop()
        samples[end - len(block) : end] = block
        end -= len(block)
    return samples
