"""Writing WAV, FLAC, OGG and MP3 files: each appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ppaudioldm.audio.formats import (
    LOSSY_CONTAINERS,
    MAX_CHANNELS,
    MAX_LOSSY_RATE,
    MAX_SAMPLE_RATE,
    PCM_BITS,
    WIDE_ENCODINGS,
    PathLike,
    check_rate,
    check_samples,
    format_of,
)
from ppaudioldm.audio.tagging.content_credentials import Sign
from ppaudioldm.audio.tagging.files import with_tags
from ppaudioldm.storage.atomic import atomic_path, beside

logger = logging.getLogger(__name__)

ENCODED_FRAMES = 8192  # samples of each channel that are encoded at once


class OutputError(OSError):
    """A result cannot be written. The message is one line that names the path; `errno` is the cause's."""

    @classmethod
    def from_cause(cls, path: Path, cause: OSError) -> OutputError:
        error = cls(f"cannot write {path}: {cause.strerror or cause}")
        error.errno = cause.errno
        return error


def write_audio(
    path: PathLike,
    waveform: np.ndarray,
    sample_rate: int,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
    sign: Sign | None = None,
) -> Path:
    """Write `waveform` in the format that the extension of `path` names; returns `path`.

    waveform: (samples,) or (samples, channels), floats in [-1, 1]; samples beyond are clipped, with a warning in the
    log. sample_rate: Hz. subtype: "pcm16", the default, or "pcm24" for WAV and FLAC, "pcm32", "float" or "double" for
    WAV alone; the last two are never clipped. Samples that were read from a file of a subtype are written unchanged
    with that subtype. tags: names in upper case and texts, see `tagging.files`. sign: takes the content of
    the file and its container, and returns what is written. Missing folders are created. The file appears complete or
    not at all, and replaces one of that name.
    Raises ValueError for a waveform, rate or extension that cannot be written, OutputError for a full disk or the like.
    """
    path = Path(path)
    container, encoding = format_of(path, subtype)
    encoded = encode_audio(waveform, sample_rate, container, encoding, name=str(path), tags=tags)
    if sign is not None:
        encoded = sign(encoded, container)
    try:
        with atomic_path(_target(path)) as temporary, temporary.open("xb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError.from_cause(path, error) from error
    return path


def encode_audio(
    waveform: np.ndarray,
    sample_rate: int,
    container: str,
    encoding: str,
    *,
    compression: float | None = None,
    name: str = "the sound",
    tags: Mapping[str, str] | None = None,
) -> bytes:
    """`waveform`, as for `write_audio`, as the content of a file.

    container, encoding: libsndfile's names. compression: from 0 to below 1, for encodings that have a choice; MP3 is
    then of constant bitrate. name: of the sound, in errors and the log. Equal arguments give equal bytes. Raises
    ValueError as `write_audio` does.
    """
    samples = _checked(waveform, np.float64 if encoding in WIDE_ENCODINGS else np.float32)
    if encoding not in ("FLOAT", "DOUBLE"):
        samples = _clipped(samples, name)
    if encoding in PCM_BITS:
        samples = _as_integers(samples, PCM_BITS[encoding])
    return with_tags(_encode(samples, sample_rate, container, encoding, name, compression), container, tags)


def check_writable(path: PathLike, channels: int = 1, sample_rate: int = 16000) -> None:
    """Find out, before minutes of work, whether `write_audio` could write such a sound to `path`; creates its folder.

    Raises ValueError for an unknown extension or a format that cannot hold so many channels or that rate, OutputError
    where the file could not be written.
    """
    path = Path(path)
    _encode(np.zeros((1, channels), np.float32), sample_rate, *format_of(path), str(path))
    try:
        # Only trying shows it: permission bits mean nothing to root or on /proc.
        probe = beside(_target(path))
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OutputError.from_cause(path, error) from error


def _checked(waveform: np.ndarray, dtype: type) -> np.ndarray:
    """`waveform` as (samples, channels) of `dtype`."""
    waveform = np.asarray(waveform)
    if not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"the waveform is {waveform.dtype}, expected floats in [-1, 1]")
    if waveform.ndim not in (1, 2) or waveform.size == 0 or waveform[:1].size > MAX_CHANNELS:
        shapes = f"(samples,) or (samples, at most {MAX_CHANNELS} channels)"
        raise ValueError(f"the waveform has shape {waveform.shape}, expected {shapes} and at least one sample")
    check_samples(waveform, "the waveform")
    return waveform.reshape(len(waveform), -1).astype(dtype, copy=False)


def _clipped(samples: np.ndarray, name: str) -> np.ndarray:
    amplitudes = np.abs(samples)
    count = np.count_nonzero(amplitudes > 1)
    if count:
        logger.warning("%s: clipped %d of %d samples, peak %.2f", name, count, samples.size, amplitudes.max())
    return samples.clip(-1, 1)


def _as_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """`samples` rounded to so many bits here, because libsndfile scales WAV and FLAC differently."""
    full_scale = 1 << (bits - 1)
    if bits == 16:
        return np.rint(samples * 32768).clip(-32768, 32767).astype(np.int16)
    integers = np.rint(samples.astype(np.float64) * full_scale).clip(-full_scale, full_scale - 1)
    return (integers * 2 ** (32 - bits)).astype(np.int32)  # libsndfile takes the uppermost bits


def _encode(
    samples: np.ndarray,
    sample_rate: int,
    container: str,
    encoding: str,
    name: str,
    compression: float | None = None,
) -> bytes:
    """The content of the file `name`. Raises ValueError for a format that cannot hold `samples` at their rate."""
    check_rate(sample_rate, MAX_LOSSY_RATE if container in LOSSY_CONTAINERS else MAX_SAMPLE_RATE)
    channels = samples.shape[1]
    settings: dict[str, Any] = {}
    if compression is not None:
        settings["compression_level"] = compression
        if container == "MP3":
            settings["bitrate_mode"] = "CONSTANT"
    # In memory: libsndfile hides why a write to a disk failed.
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, channels, encoding, format=container, **settings) as file:
            # In blocks: the Vorbis encoder keeps a whole block on the stack and crashes the process on a long one.
            for start in range(0, len(samples), ENCODED_FRAMES):
                file.write(samples[start : start + ENCODED_FRAMES])
    except soundfile.LibsndfileError as error:
        reason = f"{channels} channels at {sample_rate} Hz: {error.error_string.strip()}"
        raise ValueError(f"cannot write {name}: {reason}") from error
    return buffer.getvalue()


def _target(path: Path) -> Path:
    """The file to replace, in a folder that is created if needed. Raises OSError for a folder, device or pipe."""
    target = Path(os.path.realpath(path))  # a symbolic link is kept, the file behind it is replaced
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, f"{target.parent} is not a folder") from error
    with contextlib.suppress(FileNotFoundError):
        mode = target.stat().st_mode  # also raises for a name that is too long
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a device or pipe")
    return target
