"""The results of a run on a cluster, of which the run itself, the driver, keeps the manifest."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ppaudioldm.cluster.destination import Destination, SharedFolder, is_address
from ppaudioldm.lists.manifest import opened


class Results(Protocol):
    """The manifest, and where workers write. records: its lines. existing: names of all files in the folder."""

    destination: Destination

    @property
    def records(self) -> list[dict[str, Any]]: ...

    @property
    def existing(self) -> list[str]: ...

    def add(self, record: dict[str, Any]) -> None:
        """Append the line of a result that a worker has published."""


class FolderResults:
    """In a folder that all nodes share, with the manifest of every list (`lists.manifest`)."""

    def __init__(self, manifest: Any) -> None:
        self._manifest = manifest
        self._folder = SharedFolder(
            manifest.folder.absolute(), f"{time.strftime('%Y%m%d%H%M%S')}-{secrets.token_hex(4)}"
        )
        self._folder.create()
        self.destination: Destination = self._folder

    @property
    def records(self) -> list[dict[str, Any]]:
        return list(self._manifest.records)

    @property
    def existing(self) -> list[str]:
        return os.listdir(self._manifest.folder)

    def add(self, record: dict[str, Any]) -> None:
        self._manifest.add(record, self._folder.staging_folder)
        self._folder.adopted(record["key"])

    def close(self) -> None:
        """Append what workers have published and the run did not learn before it stopped; remove the hidden folder."""
        done = {record.get("key") for record in self._manifest.records}
        for key in self._folder.published():
            record = self._folder.finished(key)
            if record is not None and key not in done:
                self.add(record)
        self._folder.remove()


@contextlib.contextmanager
def opened_results(destination: str) -> Iterator[Results]:
    """The results in a folder, or at an address such as s3://bucket/folder, for one run at a time.

    Raises ValueError if another run has it, OutputError for a folder that cannot be written.
    """
    if is_address(destination):
        from ppaudioldm.cluster.store_results import opened_store

        with opened_store(destination) as store:
            yield store
        return
    with opened(Path(destination)) as manifest:
        results = FolderResults(manifest)
        try:
            yield results
        finally:
            results.close()
