"""What a server allows, and how it works."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Of one request; what is beyond is refused before any work."""

    duration_s: float = 60.0  # seconds, of a clip, and of a recording
    steps: int = 200
    candidates: int = 8
    text_characters: int = 5000  # characters
    body_bytes: int = 64 * MIB  # bytes, of a request with a recording
    json_body_bytes: int = MIB  # bytes, of one without
    body_grace_s: float = 10.0  # seconds that a body may take to arrive, and one more for every 50 kB
    timeout_s: float = 600.0  # from its arrival to its end


@dataclass(frozen=True)
class Settings:
    """How a server works. folder: of what is kept of finished jobs; one server a folder."""

    folder: Path
    limits: Limits = Limits()
    default_steps: int | None = None  # of a request that says neither steps nor preset; None: as the preset "fast"
    queue_size: int = 32  # jobs that wait
    batch_size: int = 4  # clips that are made at once
    keep_s: float = 7 * 86400.0  # seconds that finished jobs are kept
    disk_bytes: int = 1024 * MIB  # bytes that all jobs may take
    grace_s: float = 30.0  # seconds that a shutdown waits for what is running
    api_keys: tuple[str, ...] = ()  # none: everybody may

    def __post_init__(self) -> None:
        for owner in (self, self.limits):
            for field in fields(owner):
                value = getattr(owner, field.name)
                if isinstance(value, (int, float)) and not value > 0 and field.name != "grace_s":
                    raise ValueError(f"{field.name} is {value!r}, allowed: more than 0")


def read_api_keys(path: Path | None) -> tuple[str, ...]:
    """The keys in the file `path`, one a line, "#" begins a comment; besides those in $PPAUDIOLDM_API_KEYS.

    The environment's are parted by commas. Raises ValueError for a file without a key, OSError for one that cannot be
    read.
    """
    keys = [key.strip() for key in os.environ.get("PPAUDIOLDM_API_KEYS", "").split(",")]
    if path is not None:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise ValueError(f"{path} holds no key: one a line is expected")
        keys += found
    return tuple(dict.fromkeys(key for key in keys if key))
