"""A run of a list that is killed at every point where it touches the disk, each time started again: see test_run.py.

A program of its own, so that it may fork: `python -m tests.lists.killed_runs LIST FOLDER` prints what it finds as JSON.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import soundfile

from ppaudioldm.lists import run as list_run
from ppaudioldm.lists import write
from ppaudioldm.lists.write import OutputOptions
from ppaudioldm.storage.atomic import atomic_path
from tests.imitation import ImitationPipeline

SAMPLES = 3000  # of a clip


def pipeline(**settings: Any) -> ImitationPipeline:
    return ImitationPipeline(samples=SAMPLES, score=0.5, **settings)


def run(list_path: Path, folder: Path, **settings: Any) -> list_run.ListReport:
    return list_run.generate_list(list_path, folder, pipeline, checkpoint="fake", **settings)


def kill_at(moment: int) -> None:
    """Make this process die at its `moment`-th step on the disk; when it writes, with half of it written."""
    left = [moment]

    def dies() -> bool:
        left[0] -= 1
        return left[0] < 0

    def before(function: Any) -> Any:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            if dies():
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return wrapped

    class Torn:
        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, content: bytes) -> int:
            if dies():
                self._file.write(content[: len(content) // 2])
                self._file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return self._file.write(content)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def __enter__(self) -> Torn:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    def torn_open(opening: Any) -> Any:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            file = opening(*arguments, **keywords)
            return Torn(file) if file.writable() else file

        return wrapped

    os.replace, os.fsync, os.unlink = before(os.replace), before(os.fsync), before(os.unlink)
    builtins.open, Path.open = torn_open(builtins.open), torn_open(Path.open)


def write_small_picture(path: Path, *_: object) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"x" * 1000)


def run_killed(moment: int, list_path: Path, folder: Path) -> bool:
    """Whether it was killed before it was done."""
    child = os.fork()
    if not child:
        kill_at(moment)
        run(list_path, folder, seed=1, output=OutputOptions(spectrogram=True))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def main(list_path: Path, folder: Path) -> None:
    write.write_spectrogram = write_small_picture  # the real one takes its time
    moment = 0
    while run_killed(moment, list_path, folder / str(moment)):
        run_killed(moment // 2, list_path, folder / str(moment))
        run_killed(1_000_000, list_path, folder / str(moment))
        moment += 1
    for place in sorted(folder.iterdir()):
        files = {}
        for path in place.iterdir():
            files[path.name] = len(soundfile.read(path)[0]) if path.suffix == ".wav" else path.stat().st_size
        lines = [json.loads(line) for line in (place / "manifest.jsonl").read_text().splitlines()]
        print(json.dumps({"files": files, "lines": [[line["line"], line["file"]] for line in lines]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
