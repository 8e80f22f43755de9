"""Mutated files, read one after the other in a process of its own: what crashes, hangs, or says more than one line.

Run by hand, for it takes minutes: `python -m tests.fuzz.checkpoints`, `python -m tests.fuzz.lists`. A case depends on
its number and the seed alone, so that `--first N --count 1` repeats one.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import logging
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_SECONDS = 5.0  # of processor time for a case
MOST_WAIT_S = 60.0  # until a case that has not answered is a hang: the machine may be busy
MEMORY_BYTES = 1 << 30  # of address space beyond what the process has at the start
EVERY = 1000  # cases, a line
LONGEST_MESSAGE = 2000  # characters

# Called with the number of a case: mutates a file, reads it, and undoes the mutation. Returns the kind of the case, and
# all messages of warnings and errors; any exception but ValueError and OSError of the reader is a fault.
Case = Callable[[int], tuple[str, list[str]]]


class Messages(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        logging.getLogger("ppaudioldm").addHandler(self)
        logging.getLogger("ppaudioldm").propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def fault_of(message: str) -> str:
    """What is wrong with a message, "" if it is one printable line."""
    if not message or len(message.splitlines()) != 1:
        return "not one line"
    if len(message) > LONGEST_MESSAGE:
        return f"{len(message)} characters"
    return "" if message.isprintable() else "not printable"


def main(module: str, default_count: int, make_case: Callable[[Path, int], Case]) -> int:
    """Fuzz from the command line. make_case(folder, seed): prepares files in `folder`, and gives the case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=default_count)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=Path)  # of ours: the folder in which this process reads the cases
    options = parser.parse_args()
    cases = range(options.first, options.first + options.count)
    if options.worker:
        _work(make_case(options.worker, options.seed), cases)
        return 0
    report = _Report()
    start = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        while cases:
            with tempfile.TemporaryDirectory() as folder:
                done = _supervise(module, Path(folder), cases, options.seed, report)
            cases = cases[done:]
    report.show(time.monotonic() - start)
    return 1 if report.faults else 0


def _work(case: Case, cases: range) -> None:
    """Run `cases` in this process, and print a line before and after each."""
    used = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    before = _peak()
    for number in cases:
        print(json.dumps({"starts": number}), flush=True)
        started = time.process_time()
        faults, kind, answer = [], "", ""
        try:
            kind, messages = case(number)
            answer = "error" if messages and messages[-1] else "read"
            faults = [f"{fault}: {message[:300]!r}" for message in messages if message and (fault := fault_of(message))]
        except (Exception, SystemExit) as error:
            import traceback

            frames = traceback.extract_tb(error.__traceback__)[-3:]
            where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
            faults = [f"{type(error).__name__}: {str(error)[:200]} ({where})"]
        seconds = time.process_time() - started
        if seconds > MOST_SECONDS:
            faults.append(f"took {seconds:.1f} s")
        facts = {"kind": kind, "answer": answer, "seconds": seconds, "faults": faults, "peak": _peak() - before}
        print(json.dumps({"ends": number, **facts}), flush=True)


def _supervise(module: str, folder: Path, cases: range, seed: int, report: _Report) -> int:
    """Run `cases` in a process. Returns how many are done, of which the last may have ended the process."""
    command = [sys.executable, "-m", module, "--worker", str(folder), "--seed", str(seed)]
    command += ["--first", str(cases[0]), "--count", str(len(cases))]
    done = 0
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile())
        worker = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors))
        assert worker.stdout
        is_prepared, number = False, cases[0]
        stack.callback(worker.kill)
        while done < len(cases):
            ready, _, _ = select.select([worker.stdout], [], [], MOST_WAIT_S if is_prepared else 600)
            line = worker.stdout.readline() if ready else b""
            if not line:
                break
            record = json.loads(line)
            is_prepared, number = True, record.get("starts", number)
            if "ends" in record:
                report.add(record)
                done += 1
        if done < len(cases):
            worker.kill()
            errors.seek(0)
            last = (errors.read().decode("utf-8", "replace").strip().splitlines() or [""])[-1]
            if not is_prepared:
                raise SystemExit(f"the files could not be prepared: {last}")
            report.add({"ends": number, "kind": "", "answer": "", "faults": [f"hangs or ends the process: {last}"]})
            done += 1
    return done


class _Report:
    def __init__(self) -> None:
        self.kinds: collections.Counter[tuple[str, str]] = collections.Counter()
        self.faults: list[tuple[int, str, str]] = []
        self.seconds, self.peak = 0.0, 0

    def add(self, record: dict[str, Any]) -> None:
        self.kinds[record["kind"], record["answer"]] += 1
        self.seconds = max(self.seconds, record.get("seconds", 0))
        self.peak = max(self.peak, record.get("peak", 0))
        if not self.kinds.total() % EVERY:
            print(f"{self.kinds.total()} cases, {len(self.faults)} faults", flush=True)
        for fault in record["faults"]:
            self.faults.append((record["ends"], record["kind"], fault))
            print(f"case {record['ends']} ({record['kind']}): {fault}", flush=True)

    def show(self, seconds: float) -> None:
        for (kind, answer), count in sorted(self.kinds.items()):
            print(f"{kind:40} {answer:6} {count:6}")
        print(
            f"{self.kinds.total()} cases in {seconds:.0f} s, {len(self.faults)} faults; the slowest took"
            f" {self.seconds:.2f} s of processor time; peak memory grew by {self.peak / 2**20:.0f} MB"
        )


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak() -> int:
    """The most memory that this process has held, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
