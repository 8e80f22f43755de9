"""The saved state of a training run: one safetensors file to resume from, and a log of JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.errors import CheckpointError, naming
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.lock import FolderLock

FORMAT = "ppaudioldm training"
STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"


@dataclass(frozen=True)
class State:
    """The state of a run between two steps.

    arrays: `weights/NETWORK.PARAMETER`, `average/NETWORK.PARAMETER`, `optimizer/UPDATE/PARAMETER:VALUE`, and the
    averages of a stage that has some of its own under their names. facts: stage, framework, model, settings and number
    of processes, which the run that resumes it is compared with; and the number of batches.
    """

    step: int  # the number of steps done
    facts: dict[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def batches(self) -> int:
        """The number of batches of all processes so far, which is the index of the next one."""
        # Version 0.1.0 did not write it, and only went on with as many processes as before.
        return int(self.facts.get("batches", self.step * self.facts.get("processes", 1)))

    def section(self, name: str) -> dict[str, np.ndarray]:
        """The arrays under `name/`."""
        return {key[len(name) + 1 :]: array for key, array in self.arrays.items() if key.startswith(f"{name}/")}


def save_state(folder: Path, state: State) -> None:
    """Replace the state in `folder`, all or nothing. Raises OSError if the disk is full; the former one then stays."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    facts = {"format": FORMAT, "step": str(state.step), "facts": json.dumps(state.facts)}
    path = folder / STATE_FILE
    with atomic_path(path) as temporary:
        try:
            save_file({key: np.ascontiguousarray(array) for key, array in state.arrays.items()}, temporary, facts)
        except SafetensorError as error:  # not a subclass of OSError
            raise OSError(f"{path}: {error}") from error
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())


def load_state(folder: Path) -> State | None:
    """The state in `folder`, None if it has none. Raises CheckpointError for a file that is damaged or not one."""
    from safetensors import SafetensorError, safe_open

    path = folder / STATE_FILE
    if not path.exists():
        return None
    with naming(path):
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError("not the state of a training run")
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"damaged: {error}") from error
        try:
            return State(int(metadata["step"]), json.loads(metadata["facts"]), arrays)
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: damaged metadata") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A context in which no other run writes to `folder`. Raises ValueError if another process trains there."""
    with FolderLock(folder, f"{folder}: another process is training in this folder"):
        yield


class Log:
    """The log of a run: a JSON object a line."""

    def __init__(self, folder: Path, step: int) -> None:
        """Continue the log after `step`: lines that a killed run wrote beyond its saved state are dropped."""
        self._path = folder / LOG_FILE
        if self._path.exists():
            with atomic_path(self._path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                for line in read_log(folder):
                    if line["step"] <= step:
                        file.write(json.dumps(line) + "\n")

    def write(self, step: int, **values: Any) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def trained_seconds(folder: Path) -> float:
    """How long the run in `folder` has been trained, by the lines of its log, each of which covers the steps before."""
    seconds, before = 0.0, 0
    for line in read_log(folder):
        if "seconds" in line:
            seconds += line["seconds"] * (line["step"] - before)
            before = line["step"]
    return seconds


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log in `folder`, without one that was written incompletely."""
    path = folder / LOG_FILE
    lines = []
    if path.exists():
        for text in path.read_text("utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
    return lines
