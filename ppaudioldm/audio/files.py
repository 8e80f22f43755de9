"""Sound files: read any that libsndfile knows, write WAV, FLAC, OGG and MP3 whole or not at all, and name them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import math
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ppaudioldm.storage.atomic import atomic_path, beside

logger = logging.getLogger(__name__)

FORMATS = {  # extension -> libsndfile's names of the container and of its encodings, by ours, the default first
    ".wav": (
        "WAV",
        {"pcm16": "PCM_16", "pcm24": "PCM_24", "pcm32": "PCM_32", "float": "FLOAT", "double": "DOUBLE"},
    ),
    ".flac": ("FLAC", {"pcm16": "PCM_16", "pcm24": "PCM_24"}),
    ".ogg": ("OGG", {"vorbis": "VORBIS"}),
    ".mp3": ("MP3", {"mp3": "MPEG_LAYER_III"}),
}
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
LOSSY = ("OGG", "MP3")
WIDE = ("PCM_32", "DOUBLE")  # encodings whose samples float32 cannot hold
MAX_CHANNELS = 8
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 1_000_000  # Hz; recorders of bats write 384,000
MAX_LOSSY_RATE = 192_000  # Hz: Vorbis crashes the process somewhat above
LOUDEST = 2.0**32  # sample values, full scale being 1: whole numbers that were kept as floats are below
MAX_VALUES = 2**28  # samples over all channels that are read, 1 GiB: 10 minutes of 8 channels at 48 kHz fit
MAX_SECONDS = 600.0  # of a file that is read, unless the caller says otherwise
BLOCK = 65536  # samples over all channels that are encoded at once
FRAMES = 4096  # samples over all channels that are decoded at once: as a block of FLAC, of which a damaged one is lost
UNKNOWN = 2**62  # samples a channel, or more: what libsndfile says of a stream whose header does not tell
JOINERS = "\u200c\u200d"  # invisible, within emoji and the letters of some scripts
EDGES = "._-~" + JOINERS  # no name begins or ends with these
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)

PathLike = str | os.PathLike[str]


class OutputError(OSError):
    """A result cannot be written. The message is one line that names the path; `errno` is the cause's."""

    @classmethod
    def from_cause(cls, path: Path, cause: OSError) -> OutputError:
        error = cls(f"cannot write {path}: {cause.strerror or cause}")
        error.errno = cause.errno
        return error


# ---- Writing


def write_audio(path: PathLike, waveform: np.ndarray, sample_rate: int, subtype: str | None = None) -> Path:
    """Write `waveform` in the format that the extension of `path` names; returns `path`.

    waveform: (samples,) or (samples, channels), floats in [-1, 1]; what lies beyond is clipped, with a warning in the
    log. sample_rate: Hz. subtype: "pcm16", the default, or "pcm24" for WAV and FLAC, "pcm32", "float" or "double" for
    WAV alone; the last two are never clipped. Samples that were read from a file of a subtype are written as they were.
    Missing folders are made. The file appears complete or not at all, and replaces one of that name.
    Raises ValueError for a waveform, rate or extension that cannot be written, OutputError for a full disk or the like.
    """
    path = Path(path)
    encoded = encode_audio(waveform, sample_rate, *_format(path, subtype), name=str(path))
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
) -> bytes:
    """`waveform`, as of `write_audio`, as the content of a file.

    container, encoding: libsndfile's names of them. compression: from 0 to below 1, of what has a choice; MP3 is of
    constant bitrate then. name: of the sound, in errors and the log. Raises ValueError as `write_audio` does.
    """
    samples = _checked(waveform, np.float64 if encoding in WIDE else np.float32)
    if encoding not in ("FLOAT", "DOUBLE"):
        samples = _clipped(samples, name)
    if encoding in BITS:
        samples = _integers(samples, BITS[encoding])
    return _encode(samples, sample_rate, container, encoding, name, compression)


def check_writable(path: PathLike, channels: int = 1, sample_rate: int = 16000) -> None:
    """Find out before minutes of work whether `write_audio` could write such a sound to `path`; makes its folder.

    Raises ValueError for an unknown extension or a format that cannot hold so many channels or that rate, OutputError
    where the file could not be written.
    """
    path = Path(path)
    _encode(np.zeros((1, channels), np.float32), sample_rate, *_format(path, None), str(path))
    try:
        probe = beside(_target(path))
        probe.touch(exist_ok=False)  # only the attempt tells: permission bits say nothing to root or on /proc
        probe.unlink()
    except OSError as error:
        raise OutputError.from_cause(path, error) from error


def _format(path: Path, subtype: str | None) -> tuple[str, str]:
    extension = path.suffix.lower()
    if extension not in FORMATS:
        raise ValueError(f"cannot write {path}: unknown extension {extension!r}, choose from {list(FORMATS)}")
    container, encodings = FORMATS[extension]
    if subtype is None:
        return container, next(iter(encodings.values()))
    if subtype not in encodings:
        raise ValueError(f"cannot write {path}: unknown subtype {subtype!r}, choose from {', '.join(encodings)}")
    return container, encodings[subtype]


def _checked(waveform: np.ndarray, dtype: type) -> np.ndarray:
    """`waveform` as (samples, channels) of `dtype`."""
    waveform = np.asarray(waveform)
    if not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"the waveform is {waveform.dtype}, expected floats in [-1, 1]")
    if waveform.ndim not in (1, 2) or waveform.size == 0 or waveform[:1].size > MAX_CHANNELS:
        shapes = f"(samples,) or (samples, at most {MAX_CHANNELS} channels)"
        raise ValueError(f"the waveform has shape {waveform.shape}, expected {shapes} and at least one sample")
    check_finite(waveform, "the waveform")
    return waveform.reshape(len(waveform), -1).astype(dtype, copy=False)


def check_finite(samples: np.ndarray, what: str) -> None:
    if not np.isfinite(samples).all():
        raise ValueError(f"{what} holds NaN or infinite samples")
    largest = float(np.abs(samples).max(initial=0))
    if largest > LOUDEST:
        raise ValueError(f"{what} holds samples of {largest:.1e}, allowed: up to {LOUDEST:.1e}, full scale being 1")


def check_rate(sample_rate: int, most: int = MAX_SAMPLE_RATE) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= most:
        raise ValueError(f"sample rate {sample_rate} Hz is outside {MIN_SAMPLE_RATE} to {most}")


def _clipped(samples: np.ndarray, name: str) -> np.ndarray:
    loudness = np.abs(samples)
    count = np.count_nonzero(loudness > 1)
    if count:
        logger.warning("%s: clipped %d of %d samples, peak %.2f", name, count, samples.size, loudness.max())
    return samples.clip(-1, 1)


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """`samples` rounded to so many bits: libsndfile scales WAV and FLAC differently, so that they would differ."""
    full = 1 << (bits - 1)
    if bits == 16:
        return np.rint(samples * 32768).clip(-32768, 32767).astype(np.int16)
    whole = np.rint(samples.astype(np.float64) * full).clip(-full, full - 1)
    return (whole * 2 ** (32 - bits)).astype(np.int32)  # libsndfile takes the uppermost bits


def _encode(
    samples: np.ndarray,
    sample_rate: int,
    container: str,
    encoding: str,
    name: str,
    compression: float | None = None,
) -> bytes:
    """The content of the file `name`. Raises ValueError for a format that cannot hold `samples` at their rate."""
    check_rate(sample_rate, MAX_LOSSY_RATE if container in LOSSY else MAX_SAMPLE_RATE)
    channels = samples.shape[1]
    options: dict[str, Any] = {}
    if compression is not None:
        options["compression_level"] = compression
        if container == "MP3":
            options["bitrate_mode"] = "CONSTANT"
    # In memory: libsndfile hides why a write to a disk failed.
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, channels, encoding, format=container, **options) as file:
            # In blocks: Vorbis keeps a whole block on the stack and crashes the process on a long one.
            for start in range(0, len(samples), BLOCK // MAX_CHANNELS):
                file.write(samples[start : start + BLOCK // MAX_CHANNELS])
    except soundfile.LibsndfileError as error:
        reason = f"{channels} channels at {sample_rate} Hz: {error.error_string.strip()}"
        raise ValueError(f"cannot write {name}: {reason}") from error
    return buffer.getvalue()


def _target(path: Path) -> Path:
    """The file to replace, in a folder that exists now; a folder, device or pipe of that name is refused."""
    target = Path(os.path.realpath(path))  # a symbolic link stays one
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, f"{target.parent} is not a folder") from error
    with contextlib.suppress(FileNotFoundError):
        mode = target.stat().st_mode  # raises for a name that is too long, too
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a device or pipe")
    return target


# ---- Naming


def safe_name(prompt: str, max_bytes: int = 120) -> str:
    """A file name, without extension, that shows `prompt` and is allowed on every system.

    Letters of all scripts and emoji stay; slashes, control characters and other trouble become "_" or go. A name
    beyond `max_bytes` of UTF-8 is cut and ends in a hash of the whole prompt, so that long prompts that begin alike
    differ. Nothing left gives "clip". Raises ValueError for max_bytes < 16.
    """
    if max_bytes < 16:
        raise ValueError(f"max_bytes is {max_bytes}, expected at least 16")
    name = "".join(c for c in unicodedata.normalize("NFC", prompt) if c.isspace() or _shows(c))
    name = re.sub(r'[\s<>:"/\\|?*_]+', "_", name)
    # A leading dot hides a file, a leading dash is an option; Windows drops trailing dots.
    name = name.strip(EDGES) or "clip"
    if WINDOWS_DEVICES.fullmatch(name):
        name = f"clip_{name}"
    encoded = name.encode()
    if len(encoded) <= max_bytes:
        return name
    digest = hashlib.sha256(prompt.encode(errors="surrogatepass")).hexdigest()[:8]
    shortened = encoded[: max_bytes - 1 - len(digest)].decode(errors="ignore")
    return f"{shortened.rstrip(EDGES)}-{digest}"


def _shows(character: str) -> bool:
    """Not a control, direction, surrogate or unassigned character. Joiners stay: emoji and scripts need them."""
    return character in JOINERS or not unicodedata.category(character).startswith("C")


def unique_path(
    folder: PathLike, name: str, extension: str, files: Callable[[Path], list[Path]] = lambda path: [path]
) -> Path:
    """`folder`/`name`.`extension`, or the first of `name`-2, `name`-3, ... that does not exist yet.

    extension: with or without its dot. files: all that is to be written for a path; none of them exists. Ask when the
    sound is there, not before: the name is not reserved.
    Raises ValueError for an unknown extension.
    """
    extension = "." + extension.lower().lstrip(".")
    path = Path(folder, name + extension)
    _format(path, None)
    number = 2
    while any(map(os.path.lexists, files(path))):
        path = Path(folder, f"{name}-{number}{extension}")
        number += 1
    return path


# ---- Reading


def read_audio(
    path: PathLike,
    sample_rate: int | None = None,
    mono: bool = True,
    max_seconds: float | None = MAX_SECONDS,
    exact: bool = False,
) -> tuple[np.ndarray, int]:
    """Read a sound file: samples (samples,) float32, or (samples, channels) if not `mono`, and their rate in Hz.

    sample_rate: resample to this many Hz; None keeps the file's. max_seconds: stop there, with a warning in the log;
    None reads everything, up to MAX_VALUES. exact: float64 for a file whose samples float32 cannot hold. Memory holds
    what is returned, not what the file holds. A damaged file is read up to the damage, with a warning in the log.
    Raises ValueError for a file that is not audio, is empty, holds NaN, has more than MAX_CHANNELS that are wanted, or
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
        dtype = "float64" if exact and file.subtype in WIDE else "float32"
        seconds = MAX_VALUES / (rate * (1 if mono else file.channels))
        seconds = min(seconds, math.inf if max_seconds is None else max_seconds)
        wanted = round(min(file.frames, max(1.0, seconds * file.samplerate)))
        samples = _read(file, wanted, rate, mono, dtype)
        if wanted < file.frames and len(file.read(1)):
            logger.warning("%s: only the first %g seconds are used", path, seconds)
    return samples, rate


class _Forward(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end."""

    def seekable(self) -> bool:
        # Or soundfile would seek behind every read to where the file is already, which makes the MP3 decoder start
        # afresh: a click at every block.
        return False


@contextlib.contextmanager
def sound_file(path: PathLike) -> Iterator[soundfile.SoundFile]:
    """The sound file `path`, open for reading in the block.

    Raises ValueError, in one line that names the file, for one that is no sound, no plain file or that cannot be
    decoded, and for a ValueError of the block; OSError for one that cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a device or pipe, expected a sound file")  # and would never end, or never begin
    with open(path, "rb"):
        pass  # libsndfile calls every trouble "System error": let Python say what it is
    try:
        with _Forward(path) as file:
            yield file
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless formats by their extension
        reason = getattr(error, "error_string", "it has no header").strip()
        raise ValueError(f"{path} is not a sound file that can be read: {reason}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(file: soundfile.SoundFile, wanted: int, sample_rate: int, mono: bool, dtype: str) -> np.ndarray:
    """The first `wanted` frames at `sample_rate`: (samples,) or (samples, channels)."""
    channels = 1 if mono else file.channels
    stream = None
    if sample_rate != file.samplerate:
        stream = soxr.ResampleStream(file.samplerate, sample_rate, channels, dtype=dtype)
    blocks: list[np.ndarray] = []
    for block in _blocks(file, wanted, dtype):
        check_finite(block, "the file")
        block = block.mean(1, keepdims=True) if mono else block
        blocks.append(stream.resample_chunk(block) if stream else block)
    if stream and blocks:
        blocks.append(stream.resample_chunk(np.zeros((0, channels), dtype), last=True))
    samples = _joined(blocks)
    if not len(samples):
        raise ValueError("the file holds no samples")
    return samples[:, 0] if mono else samples


def _blocks(file: soundfile.SoundFile, wanted: int, dtype: str) -> Iterator[np.ndarray]:
    """The first `wanted` frames, (frames, channels) at a time; of a damaged file what is before the damage."""
    done = 0
    while done < wanted:
        try:
            block = file.read(min(wanted - done, max(1, FRAMES // file.channels)), dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            if not done:
                raise
            place = f"{done / file.samplerate:g} s"
            logger.warning("%s is damaged after %s, the rest is lost: %s", file.name, place, error.error_string.strip())
            return
        if not len(block):
            if done and FRAMES < file.frames - done < UNKNOWN:
                place, promised = f"{done / file.samplerate:g} s", f"{file.frames / file.samplerate:g} s"
                logger.warning("%s ends after %s of %s, the rest is lost", file.name, place, promised)
            return
        done += len(block)
        yield block


def count_frames(file: soundfile.SoundFile, most: float) -> int:
    """How many samples a channel `file` has; where its header does not tell, by reading it, up to `most` or a few more.

    Raises ValueError as `read_audio` does.
    """
    if file.frames < UNKNOWN:
        return file.frames
    count = 0
    for block in _blocks(file, file.frames, "float32"):
        count += len(block)
        if count > most:
            break
    return count


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    """`blocks` in a row; empties the list on the way, so that no sample is held twice."""
    if not blocks:
        return np.zeros((0, 1))
    samples = np.empty((sum(map(len, blocks)), blocks[0].shape[1]), blocks[0].dtype)
    end = len(samples)
    while blocks:
        block = blocks.pop()
        samples[end - len(block) : end] = block
        end -= len(block)
    return samples
