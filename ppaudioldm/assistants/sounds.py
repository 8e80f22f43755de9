"""The folder of the sounds that assistants generate and edit. Nothing outside it is read or written."""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from ppaudioldm.audio.formats import FORMATS, MEDIA_EXTENSIONS
from ppaudioldm.audio.names import safe_name, unique_path
from ppaudioldm.errors import quoted
from ppaudioldm.storage.atomic import atomic_path

SCHEME = "sound:///"  # begins the address of a sound. Three: some clients change a name that follows two, as a host's
MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg"}
MAX_NAMED_IN_ERROR = 10


class FolderFull(ValueError):
    """A sound does not fit into the folder."""


@dataclass(frozen=True)
class SoundFile:
    """A file of the folder. size_bytes, modified: of the file, the latter in seconds since 1970."""

    name: str
    size_bytes: int
    modified: float

    @property
    def address(self) -> str:
        """What the protocol calls it by."""
        return SCHEME + quote(self.name)

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(Path(self.name).suffix.lower(), "application/octet-stream")


class SoundFolder:
    """The sounds in `path`, which is created: files right in it, not below; no hidden ones, no links.

    budget_bytes: of all of them; beyond it no further one is written. Any thread may call it.
    """

    def __init__(self, path: Path, budget_bytes: int) -> None:
        self.path, self._budget_bytes = path, budget_bytes
        path.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def files(self) -> list[SoundFile]:
        """All sounds and videos, the newest first."""
        return sorted(self._files(), key=lambda file: (-file.modified, file.name))

    def file(self, name: str) -> Path:
        """The path of the sound called `name`, or with that address. Raises ValueError for anything else."""
        name = unquote(name.removeprefix(SCHEME)) if name.startswith(SCHEME) else name
        known = {file.name for file in self._files()}
        if name not in known:
            some = sorted(known)[:MAX_NAMED_IN_ERROR]
            more = f" and {len(known) - len(some)} more" if len(known) > len(some) else ""
            choice = f"choose from {', '.join(some)}{more}" if some else "there is none yet"
            raise ValueError(f"audio is {quoted(name)}, which is no sound of the output folder: {choice}")
        return self.path / name

    def content(self, name: str, max_bytes: int) -> bytes:
        """The bytes of the sound called `name`. Raises ValueError for a larger one, OSError."""
        path = self.file(name)
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ValueError(
                f"{path.name} has {path.stat().st_size} bytes, allowed to be sent: up to {max_bytes}; it is in the"
                " output folder"
            )
        return content

    def check_room(self) -> None:
        """Raise FolderFull if no further sound is written."""
        taken = self._taken_bytes()
        if taken >= self._budget_bytes:
            raise FolderFull(self._full(taken))

    def write(self, content: bytes, title: str, extension: str) -> SoundFile:
        """Write a new file that is named after `title`; one of that name stays. Raises FolderFull, OSError."""
        with self._lock:
            taken = self._taken_bytes()
            if taken + len(content) > self._budget_bytes:
                raise FolderFull(self._full(taken))
            path = unique_path(self.path, safe_name(title), extension)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        status = path.stat()
        return SoundFile(path.name, status.st_size, status.st_mtime)

    def _files(self) -> Iterator[SoundFile]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                is_hidden = entry.name.startswith(".")
                is_sound = Path(entry.name).suffix.lower() in (*FORMATS, *MEDIA_EXTENSIONS)
                if is_sound and not is_hidden and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield SoundFile(entry.name, status.st_size, status.st_mtime)

    def _taken_bytes(self) -> int:
        return sum(file.size_bytes for file in self._files())

    def _full(self, taken: int) -> str:
        return (
            f"the output folder holds {taken} of {self._budget_bytes} bytes: remove sounds from it, or start with a"
            " larger --disk"
        )


def decoded(text: str, max_bytes: int) -> bytes:
    """The bytes that the argument audio_base64 holds, base64 of up to `max_bytes`. Raises ValueError."""
    if len(text) > -(-max_bytes // 3) * 4:
        raise ValueError(f"audio_base64 has {len(text)} characters, allowed: base64 of up to {max_bytes} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"audio_base64 is {quoted(text[:60])}, allowed: the base64 of a sound file") from None
