"""A folder with the files that the documentation names, where its commands run in this process, and small stand-ins for
the published checkpoints.

The stand-ins have random weights and the build of the published ones, so a command that names one does all that it does
otherwise but the download.
"""

from __future__ import annotations

import contextlib
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm import cli
from ppaudioldm.assistants import standard_streams
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.serving import run
from ppaudioldm.serving.service import Service
from ppaudioldm.weights import convert, locate
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from tests.audio.test_content_credentials import write_certificates
from tests.documentation.pages import ROOT
from tests.imitation import PATIENCE
from tests.test_every_checkpoint import SMALL
from tests.weights.lora_examples import keys_of, matrices, write_file

RECORDINGS = ("dog", "park", "rain", "old", "a", "b", "recording", "kettle", "bell")
RATE = 16000
TASKS = ("generate", "vary", "restyle", "inpaint", "extend", "loop", "upscale", "speak")
# What makes a command short: flags behind it.
SHORTER = {
    **{command: ["--steps", "1"] for command in (*TASKS, "serve", "ui", "mcp")},
    "train": ["--print-config"],  # a stage takes hours: tests/commands/test_train.py trains
}
CURL_S = 600  # of patience with a server on a machine that is busy
LONG_S = 12.0  # a longer sound is made
SHORT_S = "5"  # long instead
CONTENTS = {
    "prompts.csv": "prompt,name\na dog barks,dog\nrain,drops\n",
    "effects.csv": "prompt,trim\na knock,yes\n",
    "prompts.txt": "rain\na dog barks|dog\n",
    "keys.txt": "a-key-of-some-length\n",
    "again.toml": 'start = "runs/joint"\n',
}
CLIPS = ("dog", "drops", "knock", "bell")  # of the folders that `evaluate` compares
CONTENTS_OF = {  # a page -> files of other contents there
    "docs/evaluation.md": {"prompts.csv": "prompt,name\n" + "".join(f"a {name},{name}\n" for name in CLIPS)},
}
FIRST = {  # a page -> commands that its reader has given before: the sound of one that generates has its settings
    "docs/server.md": ['ppaudioldm generate "a dog barks" -c cvssp/audioldm2 --duration 0.5 -o dog.wav'],
}


def shortened(arguments: list[str]) -> list[str]:
    """The arguments of `ppaudioldm` so that they take seconds, and on the framework that this process has."""
    found = [*arguments, *SHORTER.get(arguments[0], [])]
    for at in range(len(found) - 1, 0, -1):
        if found[at - 1] == "--framework":
            del found[at - 1 : at + 1]
        elif found[at - 1] == "--duration" and float(found[at]) > LONG_S:
            found[at] = SHORT_S
    return found


def write_published_file(path: Path) -> None:
    """The small audioldm2-full as the file in which it is published."""
    info = CHECKPOINTS["audioldm2-full"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, "audioldm2-full", replace(info, config=SMALL["audioldm2-full"]))
        patch.setattr(convert, "read_manifest", lambda name: {})  # it has the sizes of the published file
        convert.write_random("audioldm2-full", path, "original", seed=0)
    shutil.rmtree(path.with_suffix(""))  # its tokenizers: a download keeps them elsewhere


class RunningServer:
    """The server that the last `serve`, `ui` or `mcp --http` started: on a port of its own, in a thread."""

    url: str | None = None
    _service: Service | None = None
    _thread: threading.Thread | None = None

    def __init__(self) -> None:
        self._serve = run.serve

    def start(self, service: Service, app: Any, host: str, port: int, notify: Callable[[str], None]) -> None:
        """Takes the place of `serving.run.serve`, and returns once the server is ready."""
        self.stop()
        service.models.warm_up = lambda longest, progress: None  # type: ignore[method-assign]
        messages: list[str] = []
        ready = threading.Event()

        def on_message(message: str) -> None:
            messages.append(message)
            if message == "ready":
                ready.set()

        thread = threading.Thread(target=self._serve, args=(service, app, "127.0.0.1", 0, on_message))
        thread.start()
        self._service, self._thread = service, thread
        assert ready.wait(PATIENCE), messages
        self.url = messages[0].removeprefix("listening on ")

    def stop(self) -> None:
        if self._service is not None and self._thread is not None:
            self._service.stop_running()
            self._service.hooks.failure()
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        self.url = self._service = self._thread = None


class Sandbox:
    """A page's folder. Its commands find each other's files there, and the server that they started."""

    def __init__(self, page: str, shared: Path, server: RunningServer) -> None:
        self.folder = shared / page.replace("/", "-")
        self._shared, self._server = shared, server
        self._job: str | None = None  # the last one that the server was asked for
        self.folder.mkdir()
        self._write_sounds()
        for name, text in {**CONTENTS, **CONTENTS_OF.get(page, {})}.items():
            (self.folder / name).write_text(text)
        shutil.copytree(ROOT / "recipes", self.folder / "recipes")
        if page == "docs/publishing.md":
            write_certificates(self.folder)
        if page in ("README.md", "docs/lora.md"):
            self._write_adapters()
        if page == "docs/training.md":
            (self.folder / "my-model").symlink_to(locate.BUILT_IN / "tiny")  # for what the runs of the page would make
        if page == "docs/checkpoints.md":
            write_published_file(self.folder / "audioldm2-full.pth")
        if page == "examples/README.md":
            shutil.copytree(ROOT / "examples", self.folder / "examples")

    def _write_sounds(self) -> None:
        long = np.random.default_rng(0).standard_normal(7 * RATE) / 10
        samples = long[: 4 * RATE] * np.hanning(4 * RATE)
        for name in RECORDINGS:
            soundfile.write(self.folder / f"{name}.wav", samples, RATE)
        soundfile.write(self.folder / "park.wav", long, RATE)  # of which a range from 6 s on is replaced
        soundfile.write(self.folder / "melody.flac", samples, RATE)
        for name in ("recordings", "clips", "real"):
            (self.folder / name).mkdir()
            for number, clip in enumerate(CLIPS):
                soundfile.write(self.folder / name / f"{clip}.wav", samples[number * 4000 :][: 2 * RATE], RATE)

    def _write_adapters(self) -> None:
        adapter = keys_of(matrices(("to_q",), config=SMALL["audioldm2-full"]))
        for path in ("bells.safetensors", "adapters/bells.safetensors", "adapters/rain.safetensors"):
            write_file(self.folder / path, adapter)
        for name in ("bells", "rain", "adapters/rain"):  # folders with one file
            write_file(self.folder / name / "adapter.safetensors", adapter)

    def run(self, line: str) -> None:
        """Run one line of a shell block. Raises RuntimeError, with its output, if it fails."""
        if line.startswith("ppaudioldm ") and not any(sign in line for sign in (" | ", " && ", "$(")):
            self._run_here(shlex.split(line, comments=True)[1:])
        elif line.startswith("python examples/"):
            self._run_example(shlex.split(line, comments=True)[1:])
        else:
            self._run_in_bash(line)

    def run_python(self, text: str) -> None:
        if self._server.url:
            text = text.replace("http://127.0.0.1:8000", self._server.url)
        exec(compile(text, str(self.folder), "exec"), {"__name__": "documented"})

    def _run_here(self, arguments: list[str]) -> None:
        arguments = shortened(arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PPAUDIOLDM_DATA", tempfile.mkdtemp(dir=self._shared))
            status = cli.main(arguments)
        if status != 0:
            raise RuntimeError(f"ppaudioldm {shlex.join(arguments)}")

    def _run_example(self, arguments: list[str]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [*arguments, "--ddim_steps", "2", "--n_candidate_gen_per_text", "1"])
            runpy.run_path(arguments[0], run_name="__main__")

    def _run_in_bash(self, line: str) -> None:
        if "localhost:8000" in line:
            assert self._server.url is not None, "no command of the page has started a server"
            line = re.sub(r"\bcurl ", f"curl --fail-with-body --silent --show-error --max-time {CURL_S} ", line)
            line = line.replace("localhost:8000", self._server.url.removeprefix("http://"))
            line = line.replace("generations/ID", f"generations/{self._job}")
        command = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=CURL_S + 60)
        if done.returncode != 0:
            raise RuntimeError(f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        if "/v1/generations --json" in line:
            self._job = json.loads(done.stdout)["id"]


@contextlib.contextmanager
def documented_world(shared: Path) -> Iterator[RunningServer]:
    """In the block published names stand for small checkpoints, and home is in `shared`."""
    server = RunningServer()
    original = locate._published

    @cache
    def published(name: str) -> locate.Located:
        if name not in SMALL:
            return original(name)
        path = shared / "checkpoints" / name.replace("/", "--")
        write_native(random_checkpoint(name, SMALL[name], 0), path)
        return locate.Located(name, path)

    def end_at_once(*_: Any) -> None:
        """As where stdin has ended."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "_published", published)
        patch.setattr(run, "serve", server.start)
        patch.setattr(standard_streams, "serve_standard_streams", end_at_once)
        patch.setenv("HOME", str(shared))
        patch.setenv("PPAUDIOLDM_DATA", str(shared / "data"))
        try:
            yield server
        finally:
            server.stop()
