"""Reading any sound file that libsndfile knows, block by block, in little more memory than the result takes."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import stat
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr

from ppaudioldm.audio.formats import MAX_CHANNELS, WIDE_ENCODINGS, PathLike, check_rate, check_samples

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
    holds the result, not the whole file. A damaged file is read up to the damage, with a warning in the log.
    Raises ValueError for a file that is not audio, is empty, holds NaN, has more than MAX_CHANNELS if not `mono`, or
    has a rate out of range; OSError for one that cannot be opened.
    """
    if sample_rate is not None:
        check_rate(sample_rate)
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}, expected more than 0")
    with sound_file(path) as file:
        check_rate(file.samplerate)
        if not mono and file.channels > MAX_CHANNELS:
            raise ValueError(f"the file has {file.channels} channels, allowed: up to {MAX_CHANNELS}")
        rate = sample_rate or file.samplerate
        dtype = "float64" if exact and file.subtype in WIDE_ENCODINGS else "float32"
        seconds = MAX_VALUES / (rate * (1 if mono else file.channels))
        seconds = min(seconds, math.inf if max_seconds is None else max_seconds)
        frames = round(min(file.frames, max(1.0, seconds * file.samplerate)))
        samples = _read(file, frames, rate, mono, dtype)
        if frames < file.frames and len(file.read(1)):
            logger.warning("%s: only the first %g seconds are used", path, seconds)
    return samples, rate


class _Forward(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end."""

    def seekable(self) -> bool:
        # soundfile would seek after every read, to the position that the file already has. That restarts the MP3
        # decoder: a click at every block.
        return False


@contextlib.contextmanager
def sound_file(path: PathLike) -> Iterator[soundfile.SoundFile]:
    """The sound file `path`, open for reading in the block.

    Raises ValueError, in one line that names the file, for one that is not audio, is not a regular file or cannot be
    decoded, and for a ValueError of the block; OSError for one that cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a device or pipe, expected a sound file")  # reading could wait or go on forever
    with open(path, "rb"):
        pass  # Python's error says why a file cannot be opened; libsndfile's is always "System error"
    try:
        with _Forward(path) as file:
            yield file
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless formats by their extension
        reason = getattr(error, "error_string", "it has no header").strip()
        raise ValueError(f"{path} is not a sound file that can be read: {reason}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def count_frames(file: soundfile.SoundFile, limit: float) -> int:
    """The number of samples of each channel of `file`.

    If the header lacks it, the file is read to count them, up to `limit` or a few more. Raises ValueError as
    `read_audio` does.
    """
    if file.frames < UNKNOWN_LENGTH:
        return file.frames
    count = 0
    for block in _blocks(file, file.frames, "float32"):
        count += len(block)
        if count > limit:
            break
    return count


def _read(file: soundfile.SoundFile, frames: int, sample_rate: int, mono: bool, dtype: str) -> np.ndarray:
    """The first `frames` of `file` at `sample_rate`: (samples,) or (samples, channels)."""
    channels = 1 if mono else file.channels
    stream = None
    if sample_rate != file.samplerate:
        stream = soxr.ResampleStream(file.samplerate, sample_rate, channels, dtype=dtype)
    blocks: list[np.ndarray] = []
    for block in _blocks(file, frames, dtype):
        check_samples(block, "the file")
        block = block.mean(1, keepdims=True) if mono else block
        blocks.append(stream.resample_chunk(block) if stream else block)
    if stream and blocks:
        blocks.append(stream.resample_chunk(np.zeros((0, channels), dtype), last=True))
    samples = _concatenated(blocks)
    if not len(samples):
        raise ValueError("the file holds no samples")
    return samples[:, 0] if mono else samples


def _blocks(file: soundfile.SoundFile, frames: int, dtype: str) -> Iterator[np.ndarray]:
    """The first `frames` of `file` in blocks (n, channels); of a damaged file those before the damage."""
    count = 0
    while count < frames:
        try:
            size = min(frames - count, max(1, DECODED_VALUES // file.channels))
            block = file.read(size, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            if not count:
                raise
            place = f"{count / file.samplerate:g} s"
            logger.warning("%s is damaged after %s, the rest is lost: %s", file.name, place, error.error_string.strip())
            return
        if not len(block):
            if count and DECODED_VALUES < file.frames - count < UNKNOWN_LENGTH:
                place, promised = f"{count / file.samplerate:g} s", f"{file.frames / file.samplerate:g} s"
                logger.warning("%s ends after %s of %s, the rest is lost", file.name, place, promised)
            return
        count += len(block)
        yield block


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
