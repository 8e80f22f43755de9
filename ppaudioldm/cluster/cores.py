"""Cores for workers that share a machine: each computes on its own, whichever library starts the threads."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from ppaudioldm.storage.folders import cache_folder


def take_cores(count: int, folder: Path | None = None) -> list[FileLock]:
    """Bind this process and the threads that it starts to `count` cores which no other worker has; returns their locks.

    OpenVINO starts a thread for every core that the process may use, and Ray names no cores. Where too few are free, or
    the system has no affinity, nothing is bound. The locks end with the process. folder: of the locks.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    # The folder may be shared by machines.
    folder = folder or cache_folder() / "cores" / platform.node()
    folder.mkdir(parents=True, exist_ok=True)
    taken: dict[int, FileLock] = {}
    for core in sorted(os.sched_getaffinity(0)):
        if len(taken) == count:
            break
        lock = FileLock(folder / str(core), thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        taken[core] = lock
    if len(taken) < count:
        for lock in taken.values():
            lock.release()
        return []
    os.sched_setaffinity(0, taken)
    return list(taken.values())
