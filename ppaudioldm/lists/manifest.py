"""A folder of results and its `manifest.jsonl`: a line for each, so that a run that was killed can resume.

The files of a result are written in a hidden folder, then its line is appended and synced, then the files are moved to
their place. Whatever stops this in the middle, the next run either finishes the last step or drops the whole result:
none is there twice, half, or without its line.

Workers of other processes write to folders of their own in the hidden one, and beside the files of a result its record.
Whether or not the run that they work for lives to append its line, the next run finds it there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppaudioldm.audio.write import OutputError
from ppaudioldm.storage.lock import FolderLock

logger = logging.getLogger(__name__)

NAME = "manifest.jsonl"
STAGING = ".parts"  # the hidden folder; no result has a name that begins with a dot
REPORT = ".json"  # of what a worker of another process has written: its record, beside its files
MAX_MANIFEST = 1 << 31  # bytes: a million lines have half of it


def staging_path(path: Path) -> Path:
    """Where the file `path` is written before its line is in the manifest."""
    return path.parent / STAGING / path.name


def encoded(record: dict[str, Any]) -> bytes:
    """A record as its line, without the line break."""
    return json.dumps(record, ensure_ascii=False).encode()


class Manifest:
    """The results in `folder`. Open it with `opened`.

    records: its lines, in order. In each, "file" and "files" are names of files in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.folder = folder
        self.records: list[dict[str, Any]] = []
        self._recover()

    def add(self, record: dict[str, Any], staging: Path | None = None) -> None:
        """Append the line of a result whose files are in `staging`, and move them into the folder.

        staging: by default where `staging_path` has them.
        """
        staging = staging or self.folder / STAGING
        line = encoded(record) + b"\n"
        try:
            with open(self.path, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            for name in record["files"]:
                os.replace(staging / name, self.folder / name)
        except OSError as error:
            raise OutputError.from_cause(self.path, error) from error
        self.records.append(record)

    def _recover(self) -> None:
        """Read the lines; complete or drop what a killed run left."""
        reported = self._reported()
        content = b""
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size > MAX_MANIFEST:
                raise ValueError(f"{self.path} is too long to be a manifest")
            content = self.path.read_bytes()
        # The last line has no line break: the run was killed while writing it, or an editor removed the break.
        kept = [line for line in content.split(b"\n") if self._is_complete(line)]
        keys = {record.get("key") for record in self.records}
        for key, line in reported.items():
            if key not in keys and self._is_complete(line):
                kept.append(line)
        self._rewrite(content, b"".join(line + b"\n" for line in kept))
        shutil.rmtree(self.folder / STAGING)
        (self.folder / STAGING).mkdir()

    def _reported(self) -> dict[str, bytes]:
        """Key -> line of what workers had reported to a run that was killed; their files are put where ours would be.

        Each of such a run's folders in the hidden one has files of workers, and the records of those that are whole.
        """
        lines = {}
        for path in sorted((self.folder / STAGING).glob(f"*/[!.]*{REPORT}")):
            try:
                line = path.read_bytes()
                record = json.loads(line)
                key, names = str(record["key"]), [self._inside(name).name for name in record["files"]]
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                continue  # half written
            lines[key] = line
            for name in names:
                with contextlib.suppress(OSError, ValueError):  # it is in its place already
                    os.replace(path.parent / name, staging_path(self.folder / name))
        return lines

    def _is_complete(self, line: bytes) -> bool:
        """Whether the files of `line` exist, or can be moved to their place; then its record is kept."""
        if not line.strip():
            return False
        try:
            record = json.loads(line)
            paths = [self._inside(name) for name in record["files"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            logger.warning("%s: a line that is incomplete or not a record is dropped: %.60r", self.path, line)
            return False
        for path in paths:
            if not path.is_file():
                with contextlib.suppress(OSError, ValueError):
                    os.replace(staging_path(path), path)
        missing = [path.name for path in paths if not path.is_file()]
        if missing or not paths:
            logger.warning("%s: %s does not exist, so its line is dropped", self.path, missing[:1] or "its file")
            return False
        self.records.append(record)
        return True

    def _inside(self, name: str) -> Path:
        if Path(name).name != name:
            raise ValueError(f"{name!r} is not the name of a file")
        return self.folder / name

    def _rewrite(self, before: bytes, content: bytes) -> None:
        if content == before:
            return
        temporary = staging_path(self.path)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Manifest]:
    """The manifest in `folder`, which is created if it does not exist, for one process at a time.

    Raises ValueError if another process has it, OutputError for a folder that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder, f"{folder}: another run writes to it")
    except OSError as error:
        raise OutputError.from_cause(folder, error) from error
    with lock:
        try:
            (folder / STAGING).mkdir(exist_ok=True)
            staging_path(folder / NAME).touch()  # only an attempt shows whether the folder is writable
            manifest = Manifest(folder)
        except OSError as error:
            raise OutputError.from_cause(folder, error) from error
        try:
            yield manifest
        finally:
            with contextlib.suppress(OSError):  # it is not empty: the next run completes what is inside
                (folder / STAGING).rmdir()
