"""Connecting to a Ray cluster, or starting one on this machine, with nothing sent elsewhere."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ppaudioldm.errors import one_line, quoted
from ppaudioldm.installed import is_installed

logger = logging.getLogger(__name__)

INSTALL = "pip install 'ppaudioldm[ray]'"
LOCAL = "local"  # the address that stands for a cluster of this machine alone, which ends with the run
OBJECT_STORE_BYTES = 256 << 20  # of that cluster: prompts and records pass through it, never sounds
LOG_LEVEL = "RAY_BACKEND_LOG_LEVEL"  # of its C++ part, in every process
STARTS = 3  # Ray gives its own processes 30 seconds to begin, which a busy machine may need more often


@dataclass(frozen=True)
class Slots:
    """What a worker takes of a node: CPU cores, GPUs, which may be a fraction; and how many workers there may be.

    cpus: also the threads of a worker. gpus: None for one where the cluster has any, and none elsewhere.
    """

    workers: int | None = None
    cpus: int = 1
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--ray-workers is {self.workers}, allowed: 1 or more")
        if self.cpus < 1:
            raise ValueError(f"--ray-cpus is {self.cpus}, allowed: 1 or more")
        if self.gpus is not None and not 0 <= self.gpus <= 64:
            raise ValueError(f"--ray-gpus is {self.gpus:g}, allowed: 0 to 64")


def checked_address(address: str) -> str:
    """`address`, if it is of a kind that works here: "local", "auto" or HOST:PORT. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if address in (LOCAL, "auto") or (colon and host and "/" not in host and port.isdecimal()):
        return address
    raise ValueError(f"--ray is {quoted(address)}, allowed: local, auto, or HOST:PORT of the head node, such as a:6379")


def check_installed() -> None:
    """Raise ValueError where Ray is not installed, without importing it, which takes seconds."""
    if not is_installed("ray"):
        raise ValueError(f"--ray needs ray: {INSTALL}")


def import_ray() -> Any:
    """Ray with its statistics of use switched off. Raises ValueError where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray starts its processes, which inherit it
    os.environ.setdefault(LOG_LEVEL, "fatal")  # it writes notes about actors to stderr as errors
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # it would copy the working directory to every node
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ValueError(f"--ray needs {error.name}: {INSTALL}") from error
    return ray


@contextmanager
def connected(address: str, slots: Slots) -> Iterator[Any]:
    """Ray, connected to the cluster at `address` inside the block. Raises ValueError if there is none."""
    address = checked_address(address)
    if address == LOCAL:
        _protect()
    ray = import_ray()
    if ray.is_initialized():  # by the program that calls us
        yield ray
        return
    with tempfile.TemporaryDirectory(prefix="ppaudioldm-ray-", ignore_cleanup_errors=True) as folder:
        try:
            if address == LOCAL:
                _start(ray, slots, folder)
            else:
                with without_note_of_level():
                    ray.init(address, **_QUIET)
        except Exception as error:  # of many kinds
            ray.shutdown()
            raise ValueError(f"no Ray cluster at {address}: {one_line(error)[:300]}") from error
        try:
            yield ray
        finally:
            ray.shutdown()


_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}


@contextmanager
def without_note_of_level() -> Iterator[None]:
    """In the block stderr is kept back, and written after it without Ray's note that it has read `LOG_LEVEL`.

    Its C++ part writes that note before the level applies.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept_back:
        os.dup2(kept_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            kept_back.seek(0)
            for line in kept_back:
                if LOG_LEVEL.encode() not in line:
                    os.write(2, line)


def _protect() -> None:
    """Of a cluster of this machine: whoever connects to its processes must know a token that only they have.

    They listen on every network interface, and run what they are sent. Without this, Ray would write a token to the
    user's home folder.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.pop("RAY_AUTH_TOKEN_PATH", None)


def _start(ray: Any, slots: Slots, folder: str) -> None:
    for attempt in range(STARTS):
        try:
            with without_note_of_level():
                ray.init(
                    address=LOCAL,
                    num_cpus=None if slots.workers is None else slots.workers * slots.cpus,
                    include_dashboard=False,
                    dashboard_host="127.0.0.1",
                    object_store_memory=OBJECT_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                    **_QUIET,
                )
            return
        except Exception as error:
            ray.shutdown()
            if attempt == STARTS - 1 or "timed out" not in str(error):
                raise
            logger.warning("Ray did not start in time, and is started again")
