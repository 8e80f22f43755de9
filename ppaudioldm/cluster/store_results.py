"""The results of a run in an object store, where nothing can be appended to, renamed or locked.

Workers leave a record for each result. The driver writes the manifest as a whole from time to time, and then removes
the records that it holds; the next run reads both.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from ppaudioldm.cluster.destination import Destination, ObjectStore, filesystem, is_whole
from ppaudioldm.lists.manifest import MAX_MANIFEST, NAME, REPORT, STAGING, encoded

LEASE = f"{STAGING}/lease"  # renewed by the run that writes here
RENEWED_EVERY_S = 20.0
LEASE_S = 120.0  # after so long without renewal, a run has ended
WRITTEN_EVERY_S = 30.0  # the manifest, at most; and so that no more than one part in 50 of the time goes into it
SHARE_OF_TIME = 50


class StoreResults:
    """At `url`; see `opened_store`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.destination: Destination = ObjectStore(self.url)
        self.records: list[dict[str, Any]] = []
        self._store, self._path = filesystem(self.url)
        self._pending: list[str] = []  # keys whose records the stored manifest does not have
        self._written_at, self._pause_s = time.monotonic(), WRITTEN_EVERY_S
        self._recover()

    @property
    def existing(self) -> list[str]:
        return self._names("")

    def add(self, record: dict[str, Any]) -> None:
        self.records.append({name: value for name, value in record.items() if name != "bytes"})
        self._pending.append(record["key"])
        if time.monotonic() - self._written_at > self._pause_s:
            self.write()

    def write(self) -> None:
        """Write the manifest, and remove the workers' records that it has now."""
        start = time.monotonic()
        content = b"".join(encoded(record) + b"\n" for record in self.records)
        self._store.pipe_file(f"{self._path}/{NAME}", content)
        self._remove([f"{key}{REPORT}" for key in self._pending])
        self._pending = []
        self._written_at = time.monotonic()
        self._pause_s = max(WRITTEN_EVERY_S, SHARE_OF_TIME * (self._written_at - start))

    def adopt_published(self) -> None:
        """Take what workers have published that no call of `add` was for, and remove what is incomplete."""
        done = {record.get("key") for record in self.records}
        reports = [name for name in self._names(STAGING) if name.endswith(REPORT)]
        if not reports:
            return
        contents = self._store.cat([f"{self._path}/{STAGING}/{name}" for name in reports], on_error="omit")
        dropped = []
        for path, content in contents.items():
            name = str(path).rpartition("/")[2]
            try:
                record = json.loads(content)
                files = [checked_name(file) for file in record["files"]]
                key = str(record["key"])
            except (ValueError, KeyError, TypeError, RecursionError):
                dropped.append(name)
                continue
            if key in done:
                self._pending.append(key)
            elif is_whole(self._store, self._path, record):
                self.add(record)
                done.add(key)
            else:  # its files carry names that nothing else has
                for file in files:
                    with contextlib.suppress(FileNotFoundError):
                        self._store.rm_file(f"{self._path}/{file}")
                dropped.append(name)
        self._remove(dropped)

    def _recover(self) -> None:
        try:
            if self._store.size(f"{self._path}/{NAME}") > MAX_MANIFEST:
                raise ValueError(f"{self.url}/{NAME} is too long to be a manifest")
            content = self._store.cat_file(f"{self._path}/{NAME}")
        except FileNotFoundError:
            content = b""
        existing = set(self.existing)
        for line in content.split(b"\n"):
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                record = json.loads(line)
                if record["files"] and existing.issuperset(checked_name(file) for file in record["files"]):
                    self.records.append(record)
        self.adopt_published()

    def _names(self, folder: str) -> list[str]:
        path = f"{self._path}/{folder}".rstrip("/")
        try:
            found = self._store.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [str(name).rstrip("/").rpartition("/")[2] for name in found if str(name).rstrip("/") != path]

    def _remove(self, reports: list[str]) -> None:
        if reports:
            with contextlib.suppress(FileNotFoundError):
                self._store.rm([f"{self._path}/{STAGING}/{name}" for name in reports])


def checked_name(name: Any) -> str:
    """`name`, if it is one of a file in the folder itself. Raises ValueError."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} is not the name of a file")
    return name


@contextlib.contextmanager
def opened_store(url: str) -> Iterator[StoreResults]:
    """The results at `url`, for one run at a time. Raises ValueError if another has it, OSError as its file system."""
    store, path = filesystem(url)
    with _lease(store, f"{path}/{LEASE}", url):
        results = StoreResults(url)
        try:
            yield results
        finally:
            results.adopt_published()
            results.write()


@contextlib.contextmanager
def _lease(store: Any, path: str, url: str) -> Iterator[None]:
    """Hold the object `path`, which other runs respect."""
    left_s = 0.0
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        left_s = LEASE_S + float(json.loads(store.cat_file(path))["time"]) - time.time()
    if left_s > 0:
        raise ValueError(f"{url}: another run writes to it, or one was killed: in {left_s:.0f} seconds that is known")
    run, ended = secrets.token_hex(8), threading.Event()

    def renew() -> None:
        store.pipe_file(path, json.dumps({"run": run, "time": time.time()}).encode())

    def keep_renewing() -> None:
        while not ended.wait(RENEWED_EVERY_S):
            with contextlib.suppress(OSError):
                renew()

    renew()
    thread = threading.Thread(target=keep_renewing, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            store.rm_file(path)
