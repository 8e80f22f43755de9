"""What a Ray cluster costs: a list in one process, and with one and two workers on the same machine.

    python benchmarks/ray_overhead.py --clips 2000
    python benchmarks/ray_overhead.py --clips 50

A worker has one core, and so has the one process. Each run is of the command, into a folder of its own; all clips are
compared byte for byte with those of one process. Prints a table. The start of Ray and of the workers is in the seconds
of the command; seconds a clip are from the first clip to the last.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SETTINGS = ("-c", "tiny", "--preset", "draft", "-d", "2.56", "--seed", "1")
SUBJECTS = ("a dog barks", "a big bell rings", "rain on a roof", "an engine idles", "a bird sings")


@dataclass(frozen=True)
class Measured:
    """all_s: of the command. clips_s: from the first clip to the last."""

    name: str
    all_s: float
    clips_s: float
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ray-overhead-") as folder:
        path = Path(folder, "prompts.txt")
        path.write_text("\n".join(f"{SUBJECTS[i % len(SUBJECTS)]}|{i}" for i in range(options.clips)))
        measured = [
            run(Path(folder), path, "one process", ()),
            run(Path(folder), path, "Ray, 1 worker", ("--ray", "--ray-workers", "1")),
            run(Path(folder), path, "Ray, 2 workers", ("--ray", "--ray-workers", "2")),
        ]
        print(table(measured, options.clips))


def run(folder: Path, path: Path, name: str, flags: tuple[str, ...]) -> Measured:
    out = folder / name.replace(" ", "-")
    command = [sys.executable, "-m", "ppaudioldm", "generate", "--list", str(path), "--output-dir", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, *SETTINGS, *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=None if flags else on_one_core,
    )
    assert process.stdout is not None
    times = [time.perf_counter() for line in process.stdout if line.strip()]
    if process.wait() != 0:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    print(f"{name}: {len(times)} clips, {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return Measured(name, time.perf_counter() - start, times[-1] - times[0], out)


def on_one_core() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])


def table(measured: list[Measured], clips: int) -> str:
    one = measured[0]
    lines = [
        f"{clips} clips, {' '.join(SETTINGS)}; {len(os.sched_getaffinity(0))} cores, {platform.processor()}",
        "",
        "| | the command | from first to last clip | ms a clip | of one process | equal to one process |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for each in measured:
        equal = sum(
            (one.folder / f"{i}.wav").read_bytes() == (each.folder / f"{i}.wav").read_bytes() for i in range(clips)
        )
        rate = 1000 * each.clips_s / max(1, clips - 1)
        share = f"{each.clips_s / one.clips_s:.3f}x"
        lines.append(
            f"| {each.name} | {each.all_s:.1f} s | {each.clips_s:.1f} s | {rate:.1f} | {share} | {equal} of {clips} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
