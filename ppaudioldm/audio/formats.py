"""The sound file formats that can be written, and the limits on what is read and written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

FORMATS = {  # extension -> libsndfile's container, and our subtype -> libsndfile's encoding, the default first
    ".wav": (
        "WAV",
        {"pcm16": "PCM_16", "pcm24": "PCM_24", "pcm32": "PCM_32", "float": "FLOAT", "double": "DOUBLE"},
    ),
    ".flac": ("FLAC", {"pcm16": "PCM_16", "pcm24": "PCM_24"}),
    ".ogg": ("OGG", {"vorbis": "VORBIS"}),
    ".mp3": ("MP3", {"mp3": "MPEG_LAYER_III"}),
}
MEDIA_EXTENSIONS = (".m4a", ".aac", ".wma", ".mp4", ".mov", ".webm", ".mkv", ".avi", ".flv", ".3gp", ".amr")  # by PyAV
PCM_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
LOSSY_CONTAINERS = ("OGG", "MP3")
WIDE_ENCODINGS = ("PCM_32", "DOUBLE")  # their samples do not fit into float32
MAX_CHANNELS = 8
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 1_000_000  # Hz; bat recorders write 384,000
MAX_LOSSY_RATE = 192_000  # Hz; somewhat above, libsndfile's Vorbis encoder crashes the process
MAX_AMPLITUDE = 2.0**32  # full scale being 1: integer samples that were stored as floats stay below

PathLike = str | os.PathLike[str]


def format_of(path: PathLike, subtype: str | None = None) -> tuple[str, str]:
    """libsndfile's container and encoding for the extension of `path` and `subtype`, None being the default.

    Raises ValueError for an unknown extension, or a subtype that its format lacks.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise ValueError(f"cannot write {path}: unknown extension {extension!r}, choose from {list(FORMATS)}")
    container, encodings = FORMATS[extension]
    if subtype is None:
        return container, next(iter(encodings.values()))
    if subtype not in encodings:
        raise ValueError(f"cannot write {path}: unknown subtype {subtype!r}, choose from {', '.join(encodings)}")
    return container, encodings[subtype]


def check_rate(sample_rate: int, maximum: int = MAX_SAMPLE_RATE) -> None:
    """Raise ValueError for a rate in Hz outside MIN_SAMPLE_RATE to `maximum`."""
    if not MIN_SAMPLE_RATE <= sample_rate <= maximum:
        raise ValueError(f"sample rate {sample_rate} Hz is outside {MIN_SAMPLE_RATE} to {maximum}")


def check_samples(samples: np.ndarray, name: str) -> None:
    """Raise ValueError, which begins with `name`, for samples that are not finite or beyond MAX_AMPLITUDE."""
    if not np.isfinite(samples).all():
        raise ValueError(f"{name} holds NaN or infinite samples")
    largest = float(np.abs(samples).max(initial=0))
    if largest > MAX_AMPLITUDE:
        raise ValueError(
            f"{name} holds samples of {largest:.1e}, allowed: up to {MAX_AMPLITUDE:.1e}, full scale being 1"
        )
