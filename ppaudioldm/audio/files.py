"""Sound files: read any that libsndfile knows, write WAV, FLAC, OGG and MP3 whole or not at all, and name them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import re
import secrets
import stat
import unicodedata
from pathlib import Path

import numpy as np
import soundfile
import soxr

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
WIDE = ("PCM_32", "DOUBLE")  # encodings whose samples float32 cannot hold
MAX_CHANNELS = 8
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 192_000  # Hz; Vorbis crashes the process somewhat above
MAX_SECONDS = 600.0  # of a file that is read, unless the caller says otherwise
BLOCK = 65536  # samples over all channels that are encoded, decoded or resampled at once
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
    container, encoding = _format(path, subtype)
    samples = _checked(waveform, sample_rate, np.float64 if encoding in WIDE else np.float32)
    if encoding not in ("FLOAT", "DOUBLE"):
        samples = _clipped(samples, path)
    if encoding in BITS:
        samples = _integers(samples, BITS[encoding])
    try:
        encoded = _encode(samples, sample_rate, container, encoding)
    except soundfile.LibsndfileError as error:
        layout = f"{samples.shape[1]} channels at {sample_rate} Hz"
        raise ValueError(f"cannot write {path}: {layout}: {error.error_string.strip()}") from error
    try:
        _replace(_target(path), encoded)
    except OSError as error:
        raise OutputError.from_cause(path, error) from error
    return path


def check_writable(path: PathLike) -> None:
    """Find out before minutes of work whether `write_audio` could write `path`; makes its folder.

    Raises ValueError for an unknown extension, OutputError where the file could not be written.
    """
    path = Path(path)
    _format(path, None)
    try:
        probe = _temporary(_target(path))
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


def _checked(waveform: np.ndarray, sample_rate: int, dtype: type) -> np.ndarray:
    """`waveform` as (samples, channels) of `dtype`."""
    waveform = np.asarray(waveform)
    if not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"the waveform is {waveform.dtype}, expected floats in [-1, 1]")
    if waveform.ndim not in (1, 2) or waveform.size == 0 or waveform[:1].size > MAX_CHANNELS:
        shapes = f"(samples,) or (samples, at most {MAX_CHANNELS} channels)"
        raise ValueError(f"the waveform has shape {waveform.shape}, expected {shapes} and at least one sample")
    check_finite(waveform, "the waveform")
    check_rate(sample_rate)
    return waveform.reshape(len(waveform), -1).astype(dtype, copy=False)


def check_finite(samples: np.ndarray, what: str) -> None:
    if not np.isfinite(samples).all():
        raise ValueError(f"{what} holds NaN or infinite samples")


def check_rate(sample_rate: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ValueError(f"sample rate {sample_rate} Hz is outside {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}")


def _clipped(samples: np.ndarray, path: Path) -> np.ndarray:
    loudness = np.abs(samples)
    count = np.count_nonzero(loudness > 1)
    if count:
        logger.warning("%s: clipped %d of %d samples, peak %.2f", path, count, samples.size, loudness.max())
    return samples.clip(-1, 1)


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """`samples` rounded to so many bits: libsndfile scales WAV and FLAC differently, so that they would differ."""
    full = 1 << (bits - 1)
    if bits == 16:
        return np.rint(samples * 32768).clip(-32768, 32767).astype(np.int16)
    whole = np.rint(samples.astype(np.float64) * full).clip(-full, full - 1)
    return (whole * 2 ** (32 - bits)).astype(np.int32)  # libsndfile takes the uppermost bits


def _encode(samples: np.ndarray, sample_rate: int, container: str, encoding: str) -> bytes:
    # In memory: libsndfile hides why a write to a disk failed.
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sample_rate, samples.shape[1], encoding, format=container) as file:
        # In blocks: Vorbis keeps a whole block on the stack and crashes the process on a long one.
        for start in range(0, len(samples), BLOCK // MAX_CHANNELS):
            file.write(samples[start : start + BLOCK // MAX_CHANNELS])
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


def _replace(target: Path, content: bytes) -> None:
    """Give `target` this content; a crash, interrupt or full disk leaves the old file or none, never half of one."""
    temporary = _temporary(target)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _temporary(target: Path) -> Path:
    # Not derived from the target's name, which may be as long as a name can be.
    return target.with_name(f".{secrets.token_hex(8)}.part")


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


def unique_path(folder: PathLike, name: str, extension: str) -> Path:
    """`folder`/`name`.`extension`, or the first of `name`-2, `name`-3, ... that does not exist yet.

    extension: with or without its dot. Ask when the sound is there, not before: the name is not reserved.
    Raises ValueError for an unknown extension.
    """
    extension = "." + extension.lower().lstrip(".")
    path = Path(folder, name + extension)
    _format(path, None)
    number = 2
    while os.path.lexists(path):
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
    None reads everything. exact: float64 for a file whose samples float32 cannot hold. Memory holds what is returned,
    not what the file holds.
    Raises ValueError for a file that is not audio, is empty or holds NaN, OSError for one that cannot be opened.
    """
    if sample_rate is not None:
        check_rate(sample_rate)
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}, expected more than 0")
    with open(path, "rb"):
        pass  # libsndfile calls every trouble "System error": let Python say what it is
    try:
        with soundfile.SoundFile(path) as file:
            check_rate(file.samplerate)
            dtype = "float64" if exact and file.subtype in WIDE else "float32"
            samples = _read(file, sample_rate or file.samplerate, mono, max_seconds, dtype)
            if max_seconds is not None and len(file.read(1)):
                logger.warning("%s: only the first %g seconds are used", path, max_seconds)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless formats by their extension
        reason = getattr(error, "error_string", "it has no header").strip()
        raise ValueError(f"{path} is not a sound file that can be read: {reason}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return samples, sample_rate or file.samplerate


def _read(
    file: soundfile.SoundFile, sample_rate: int, mono: bool, max_seconds: float | None, dtype: str
) -> np.ndarray:
    channels = 1 if mono else file.channels
    stream = None
    if sample_rate != file.samplerate:
        stream = soxr.ResampleStream(file.samplerate, sample_rate, channels, dtype=dtype)
    left = file.frames
    if max_seconds is not None:
        left = round(min(left, max(1.0, max_seconds * file.samplerate)))
    blocks: list[np.ndarray] = []
    while left > 0:
        block = file.read(min(left, max(1, BLOCK // file.channels)), dtype=dtype, always_2d=True)
        if not len(block):
            break  # the header promised more than there is
        left -= len(block)
        check_finite(block, "the file")
        block = block.mean(1, keepdims=True) if mono else block
        blocks.append(stream.resample_chunk(block) if stream else block)
    if stream and blocks:
        blocks.append(stream.resample_chunk(np.zeros((0, channels), dtype), last=True))
    samples = np.concatenate(blocks) if blocks else np.zeros((0, channels), dtype)
    if not len(samples):
        raise ValueError("the file holds no samples")
    return samples[:, 0] if mono else samples
