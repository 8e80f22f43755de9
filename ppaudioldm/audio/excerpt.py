"""Reading an excerpt of a sound file, of which little more is decoded than the excerpt."""

from __future__ import annotations

import functools
import math
import os

import numpy as np
import soxr

from ppaudioldm.audio.formats import PathLike, check_rate, check_samples
from ppaudioldm.audio.read import MAX_VALUES, SoundSource, count_frames, read_audio, sound_file

FILTER_S = 0.05  # seconds at both sides of an excerpt that take part in its resampling
MISSING_S = 0.1  # seconds by which an excerpt may be shorter than a header promises: less than a few packets
MOST_LENGTHS = 1 << 20  # of files that are remembered


def count_samples(path: PathLike, sample_rate: int, max_seconds: float) -> int:
    """The number of samples of each channel of the sound file `path` at `sample_rate` Hz, at most `max_seconds` of it.

    A file that does not state it is decoded once in this process. Raises as `read_audio`.
    """
    stat = os.stat(path)
    seconds = _seconds(str(path), stat.st_size, stat.st_mtime_ns, max_seconds)
    return math.ceil(min(seconds, max_seconds) * sample_rate)


@functools.lru_cache(MOST_LENGTHS)
def _seconds(path: str, _size: int, _time: int, max_seconds: float) -> float:
    with sound_file(path) as source:
        check_rate(source.samplerate)
        stated = source.stated_frames
        frames = stated if stated is not None else count_frames(source, max_seconds * source.samplerate)
        if not frames:
            raise ValueError("the file holds no samples")
        return frames / source.samplerate


def read_excerpt(path: PathLike, sample_rate: int, start: int, count: int) -> np.ndarray:
    """`count` samples (n,) float32 of the sound file `path`, resampled to `sample_rate` Hz and mixed to mono.

    start: their position, in samples at `sample_rate`. They are those of `read_audio`, but for rounding in compressed
    files. Of a damaged file that ends before, as many from another position, which depends on `start` alone. Raises as
    `read_audio`; of the samples only those that are decoded are checked.
    """
    for seeks in (True, False):
        with sound_file(path) as source:
            source.warns = not seeks
            excerpt = _excerpt(source, sample_rate, start, count, seeks)
        if excerpt is not None and len(excerpt) >= count - MISSING_S * sample_rate:
            return excerpt
    waveform, _ = read_audio(path, sample_rate, max_seconds=None)
    start %= max(0, len(waveform) - count) + 1
    return waveform[start : start + count].astype(np.float32)


def _excerpt(source: SoundSource, sample_rate: int, start: int, count: int, seeks: bool) -> np.ndarray | None:
    """The excerpt, as much of it as there is. seeks: whether to seek; None where that is not possible."""
    rate = source.samplerate
    # Both rates have a sample where a whole number of these steps ends: from there the resampled ones coincide.
    step_in, step_out = rate // math.gcd(rate, sample_rate), sample_rate // math.gcd(rate, sample_rate)
    margin = 0 if rate == sample_rate else round(FILTER_S * sample_rate)
    steps = max(0, start - margin) // step_out
    first, last = steps * step_in, math.ceil((start + count + margin) * rate / sample_rate)
    if last - first > MAX_VALUES:
        raise ValueError(f"{count} samples at {sample_rate} Hz are more than can be read at once")
    position = source.seek(first) if seeks else 0
    if position is None:
        return None
    blocks = []
    for block in source.blocks("float32"):
        kept = block[max(0, first - position) : max(0, last - position)]
        position += len(block)
        if len(kept):
            check_samples(kept, "the file")
            blocks.append(kept.mean(1))
        if position >= last:
            break
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if rate != sample_rate and len(samples):
        samples = soxr.resample(samples, rate, sample_rate)
    start -= steps * step_out
    return samples[start : start + count]
