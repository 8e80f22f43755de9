"""Helpers of the server's tests: a server in a process or thread of its own, a service, requests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from ppaudioldm.generation.options import Options
from ppaudioldm.serving.app import create_app
from ppaudioldm.serving.models import Model, Models
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.run import serve
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.settings import Settings
from ppaudioldm.weights.convert import write_native
from tests.imitation import PATIENCE, RATE, ImitationPipeline, noise_of
from tests.tasks.test_speak import checkpoint as speech_checkpoint

CHECKPOINT = "tiny"  # what comes with the package
DURATION = 0.5  # seconds


class Server:
    """A `ppaudioldm serve`, or another `subcommand`, of its own process, with the options `arguments`."""

    def __init__(self, data: Path, *arguments: str, checkpoint: str = CHECKPOINT, subcommand: str = "serve") -> None:
        command = [sys.executable, "-m", "ppaudioldm.cli", subcommand, "-c", checkpoint]
        command += ["--port", "0", "--data", str(data)]
        environment = os.environ | {"PPAUDIOLDM_ENGINE": "eager", "PYTHONUNBUFFERED": "1"}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*command, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(PATIENCE), self.lines
        assert self.process.poll() is None, self.lines

    @property
    def url(self) -> str:
        return next(match[1] for line in self.lines if (match := re.search(r"listening on (http\S+)", line)))

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def memory(self) -> int:
        """Bytes that it has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if line.strip() == "ppaudioldm: ready":
                self._ready.set()
        self._ready.set()


@contextlib.contextmanager
def serving(data: Path, *arguments: str, checkpoint: str = CHECKPOINT, subcommand: str = "serve") -> Iterator[Server]:
    server = Server(data, *arguments, checkpoint=checkpoint, subcommand=subcommand)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def write_speech_checkpoint(folder: Path) -> Path:
    """One of random weights that speaks."""
    write_native(speech_checkpoint(), folder / "tiny-speech")
    return folder / "tiny-speech"


def finished(client: httpx.Client, generation: dict[str, Any]) -> dict[str, Any]:
    """The generation once nothing more becomes of it, from its events."""
    with client.stream("GET", f"/v1/generations/{generation['id']}/events", timeout=PATIENCE) as events:
        for _ in events.iter_lines():
            pass
    return client.get(f"/v1/generations/{generation['id']}").json()


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition of which there is no notice."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def assert_same_sound(content: bytes, expected: bytes) -> None:
    """16-bit samples of one sound: batches of other sizes, and other threads, round otherwise in the last bits."""
    found, right = (np.frombuffer(samples, "<i2").astype(float) for samples in (content, expected))
    assert len(found) == len(right)
    assert np.linalg.norm(found - right) <= 1e-3 * np.linalg.norm(right)


# ---- Without HTTP


def sound_of(seed: int, duration: float = DURATION) -> np.ndarray:
    return noise_of(seed, round(duration * RATE))


def new_request(prompt: str = "a dog barks", seed: int = 1, **settings: Any) -> Request:
    """settings: fields of `Request`, or of its options."""
    fields = {name: settings.pop(name) for name in list(settings) if name in Request.__dataclass_fields__}
    return Request(prompt=prompt, seed=seed, options=Options(duration=DURATION, **settings), **fields)


@contextlib.contextmanager
def service_of(folder: Path, pipeline: ImitationPipeline | None = None, **settings: Any) -> Iterator[Service]:
    """A service that has started."""
    pipeline = pipeline or ImitationPipeline()
    service = Service(Models([Model(pipeline.checkpoint.name, pipeline)]), Settings(folder, **settings))
    service.start(warm_up=False)
    assert service.wait_until_ready(PATIENCE)
    try:
        yield service
    finally:
        service.stop_running()
        pipeline.release()
        service.stop()


# ---- HTTP in this process


@contextlib.contextmanager
def answering(
    folder: Path,
    pipeline: ImitationPipeline | None = None,
    *others: ImitationPipeline,
    app_of: Callable[[Service], Any] = create_app,
    **settings: Any,
) -> Iterator[Answering]:
    """A server in a thread, on a port of its own, with `pipeline` and `others`. app_of: makes its application."""
    pipeline = pipeline or ImitationPipeline()
    models = [Model(one.checkpoint.name, one) for one in (pipeline, *others)]
    service = Service(Models(models), Settings(folder, **settings))
    service.models.warm_up = lambda longest, progress: None  # type: ignore[method-assign]
    lines: list[str] = []
    ready = threading.Event()

    def notify(line: str) -> None:
        lines.append(line)
        if line == "ready":
            ready.set()

    thread = threading.Thread(target=serve, args=(service, app_of(service), "127.0.0.1", 0, notify))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        with httpx.Client(base_url=lines[0].removeprefix("listening on "), timeout=PATIENCE) as client:
            yield Answering(service, pipeline, client, thread)
    finally:
        service.stop_running()
        pipeline.release()
        service.hooks.failure()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@dataclass(frozen=True)
class Answering:
    service: Service
    pipeline: ImitationPipeline
    client: httpx.Client
    thread: threading.Thread

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.client.base_url.port or 80

    def ask(self, content: bytes) -> tuple[int, dict[str, Any]]:
        """The status and JSON of what answers to `content`, sent as it is."""
        with socket.create_connection(self.address, timeout=PATIENCE) as connection:
            connection.sendall(content)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status and JSON that come, and whatever follows."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(65536)
        assert piece, content
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)
