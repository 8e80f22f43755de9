"""Where workers write: a folder that all nodes share, or an object store. Each result has its record beside its files.

A record that is there with all of its files is a result that is complete, whatever becomes of its worker, its node and
the run: a worker that is started in another's place does not generate it again, and the next run finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ppaudioldm.lists.manifest import REPORT, STAGING, encoded
from ppaudioldm.storage.atomic import atomic_path

MARKER = "run"  # the file that a run puts into its hidden folder
INSTALL = {"s3": "pip install 'ppaudioldm[s3]'"}


def is_address(destination: str) -> bool:
    """Whether it is an address such as s3://bucket/folder, and not a path."""
    return "://" in destination


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of fsspec for `url`, and the path there. Raises ValueError for one that does not work."""
    protocol = url.partition("://")[0]
    if protocol == "memory":
        raise ValueError(f"{url} is the memory of one process, and a cluster has several: name a folder or a store")
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ValueError(f"{url} needs fsspec: pip install 'ppaudioldm[ray]'") from error
    try:
        store, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        install = INSTALL.get(protocol)
        raise ValueError(f"{url}: {install or error}") from error
    return store, str(path).rstrip("/")


def is_whole(store: Any, path: str, record: dict[str, Any]) -> bool:
    """Whether all files of a record that a worker has written are there, with the sizes that it names."""
    sizes = record["bytes"]
    try:
        return bool(sizes) and all(store.size(f"{path}/{name}") == sizes[name] for name in record["files"])
    except (FileNotFoundError, KeyError):
        return False


class Destination(Protocol):
    """What a worker needs of it. It is sent to the workers."""

    def check(self) -> None:
        """Raise ValueError on a node from which it cannot be reached."""

    def finished(self, key: str) -> dict[str, Any] | None:
        """The record of the result with this key, if this run has written all of it."""

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        """A folder for the files of results until they are `publish`ed."""

    def publish(self, record: dict[str, Any], staging: Path) -> None:
        """Put the result whose files are in `staging` where it is complete, with its record."""


@dataclass(frozen=True)
class SharedFolder:
    """The hidden folder of one run in the folder of the results. path: of that one. run: its name."""

    path: Path
    run: str

    @property
    def staging_folder(self) -> Path:
        return self.path / STAGING / self.run

    def create(self) -> None:
        self.staging_folder.mkdir(parents=True)
        (self.staging_folder / MARKER).write_text(self.run)

    def check(self) -> None:
        if not (self.staging_folder / MARKER).is_file():
            raise ValueError(
                f"{self.path} on {platform.node()} is not the folder of the run, which all nodes must share"
            )

    def finished(self, key: str) -> dict[str, Any] | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            record: dict[str, Any] = json.loads((self.staging_folder / f"{key}{REPORT}").read_bytes())
            if all(os.path.lexists(self.staging_folder / name) for name in record["files"]):
                return record
        return None

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        yield self.staging_folder

    def publish(self, record: dict[str, Any], staging: Path) -> None:
        self.check()
        with atomic_path(staging / f"{record['key']}{REPORT}") as temporary:
            temporary.write_bytes(encoded(record))

    def adopted(self, key: str) -> None:
        """Note that the manifest has the result."""
        (self.staging_folder / f"{key}{REPORT}").unlink(missing_ok=True)

    def published(self) -> list[str]:
        """The keys of the results that are published and not `adopted`."""
        return sorted(path.stem for path in self.staging_folder.glob(f"[!.]*{REPORT}"))

    def remove(self) -> None:
        shutil.rmtree(self.staging_folder, ignore_errors=True)


@dataclass(frozen=True)
class ObjectStore:
    """A folder of any file system of fsspec, such as s3://bucket/folder.

    Its objects appear complete or not at all, under their own names; a record comes before its files, with their sizes,
    since nothing can be renamed there. url: without a slash at the end.
    """

    url: str

    def check(self) -> None:
        try:
            store, path = filesystem(self.url)
            store.ls(path, detail=False)
        except FileNotFoundError:
            pass  # empty so far
        except Exception as error:
            raise ValueError(f"{self.url} cannot be reached from {platform.node()}: {error}") from error

    def finished(self, key: str) -> dict[str, Any] | None:
        store, path = filesystem(self.url)
        try:
            record: dict[str, Any] = json.loads(store.cat_file(f"{path}/{STAGING}/{key}{REPORT}"))
            return record if is_whole(store, path, record) else None
        except (FileNotFoundError, ValueError):
            return None

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="ppaudioldm-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, record: dict[str, Any], staging: Path) -> None:
        store, path = filesystem(self.url)
        contents = {name: (staging / name).read_bytes() for name in record["files"]}
        report = record | {"bytes": {name: len(content) for name, content in contents.items()}}
        store.pipe_file(f"{path}/{STAGING}/{record['key']}{REPORT}", encoded(report))
        for name, content in contents.items():
            store.pipe_file(f"{path}/{name}", content)
            (staging / name).unlink()
