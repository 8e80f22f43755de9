"""Throughput, latency and memory of the server with concurrent clients, by batch size.

    python benchmarks/serve_load.py

Starts `ppaudioldm serve` for each batch size, sends it the same requests (a prompt and a seed each), compares every
clip with the one that its prompt and seed give alone, and prints a table. It also shows the speed of the pipeline alone
at these batch sizes, which bounds what batching can gain.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import soundfile

from ppaudioldm import AudioLDM
from ppaudioldm.serving.elevenlabs import guidance_scale

PROMPTS = ("a slow siren", "rain falls on a roof", "a bell", "an engine starts and idles in the distance")
EXACT = 2e-4  # of full scale: the rounding to 16 bits
INFLUENCE = 0.3
HEAD = (
    "batch",
    "in all",
    "clips a second",
    "gain",
    "the engine's own gain",
    "median and longest wait",
    "lost or mixed up",
    "memory, 50th to last",
)


@dataclass(frozen=True)
class Load:
    """`requests` requests from `clients` clients, for clips of `duration_s` seconds and `steps` steps each."""

    checkpoint: str
    precision: str
    requests: int
    clients: int
    duration_s: float
    steps: int


@dataclass(frozen=True)
class Result:
    """seconds: for all requests. memory: bytes after each request. wrong: requests that were lost or mixed up."""

    seconds: float
    latencies: list[float]
    memory: list[int]
    wrong: list[int]
    largest_error: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--checkpoint", default="tiny")
    parser.add_argument("--precision", default="f32", choices=("f32", "bf16"))
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--duration", dest="duration_s", type=float, default=2.5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8])
    options = vars(parser.parse_args())
    batches = options.pop("batches")
    load = Load(**options)
    pipeline = AudioLDM.from_pretrained(load.checkpoint, engine="openvino", precision=load.precision)
    expected = [alone(pipeline, load, number) for number in range(load.requests)]
    engine = {size: clips_a_second(pipeline, load, size) for size in batches}
    del pipeline
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---:|" * len(HEAD))
    first = None
    for size in batches:
        result = measured(load, size, expected)
        rate = load.requests / result.seconds
        first = first or rate
        early, late = result.memory[min(49, load.requests - 1)], result.memory[-1]
        waits = sorted(result.latencies)
        cells = [
            str(size),
            f"{result.seconds:.1f} s",
            f"{rate:.2f}",
            f"{rate / first:.2f}x",
            f"{engine[size] / engine[batches[0]]:.2f}x",
            f"{waits[len(waits) // 2]:.1f} s, {waits[-1]:.1f} s",
            f"{len(result.wrong)} (largest error {result.largest_error:.1e})",
            f"{early / 1e6:.0f} to {late / 1e6:.0f} MB, {100 * (late / early - 1):+.1f} %",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def prompt_of(number: int) -> str:
    return PROMPTS[number % len(PROMPTS)]


def alone(pipeline: AudioLDM, load: Load, number: int) -> np.ndarray:
    """The expected answer to request `number`, (samples,)."""
    clip = pipeline.generate(
        prompt_of(number),
        seed=number,
        duration=load.duration_s,
        num_inference_steps=load.steps,
        guidance_scale=guidance_scale(INFLUENCE),
    )
    return clip.waveforms[0]


def clips_a_second(pipeline: AudioLDM, load: Load, size: int, rounds: int = 3) -> float:
    """The speed of the pipeline in batches of `size`, without a server: the median of `rounds`, after a warm-up."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        pipeline.generate(
            [prompt_of(number) for number in range(size)],
            seed=list(range(size)),
            duration=load.duration_s,
            num_inference_steps=load.steps,
            batch_size=size,
        )
        seconds.append(time.perf_counter() - start)
    return size / sorted(seconds[1:])[rounds // 2]


def measured(load: Load, batch: int, expected: list[np.ndarray]) -> Result:
    with tempfile.TemporaryDirectory() as folder, serving(load, batch, Path(folder)) as (url, process):
        warm_up(url, load, batch)
        memory: list[int] = []
        lock = threading.Lock()

        def ask(number: int) -> tuple[float, float]:
            """Seconds until the answer, and the largest difference from the expected clip."""
            start = time.perf_counter()
            with httpx.Client(base_url=url, timeout=None) as client:
                answer = client.post("/v1/sound-generation", params={"output_format": "wav"}, json=body(load, number))
            took = time.perf_counter() - start
            with lock:
                memory.append(resident(process.pid))
            if answer.status_code != 200:
                return took, float("inf")
            samples = soundfile.read(io.BytesIO(answer.content), dtype="float32")[0]
            want = expected[number].clip(-1, 1)
            return took, float(np.abs(samples - want).max()) if samples.shape == want.shape else float("inf")

        start = time.perf_counter()
        with ThreadPoolExecutor(load.clients) as clients:
            answers = list(clients.map(ask, range(load.requests)))
        seconds = time.perf_counter() - start
    errors = [error for _, error in answers]
    wrong = [number for number, error in enumerate(errors) if error > EXACT]
    return Result(seconds, [took for took, _ in answers], memory, wrong, max(errors))


def warm_up(url: str, load: Load, batch: int) -> None:
    """Run batches of every size and every prompt before the measurement: their shapes are compiled then."""

    def ask(number: int) -> None:
        httpx.post(f"{url}/v1/sound-generation", json=body(load, number), timeout=None)

    for size in range(1, batch + 1):  # the first runs alone; the others wait for it, and run as one batch
        with ThreadPoolExecutor(size + 1) as clients:
            list(clients.map(ask, range(size + 1)))
    for number in range(len(PROMPTS)):
        ask(number)


def body(load: Load, number: int) -> dict[str, object]:
    return {
        "text": prompt_of(number),
        "duration_seconds": load.duration_s,
        "prompt_influence": INFLUENCE,
        "seed": number,
    }


@contextlib.contextmanager
def serving(load: Load, batch: int, folder: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    command = [sys.executable, "-m", "ppaudioldm.cli", "serve", "-c", load.checkpoint, "--port", "0"]
    command += ["--data", str(folder), "--batch", str(batch), "--steps", str(load.steps), "--queue", "64"]
    command += ["--engine", "openvino", "--precision", load.precision, "--time-limit", "2h"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    url = ""
    for line in process.stderr:
        if match := re.search(r"listening on (\S+)", line):
            url = match[1]
        if line.strip() == "ppaudioldm: ready":
            break
    drained = threading.Thread(target=process.stderr.read, daemon=True)
    drained.start()
    try:
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def resident(pid: int) -> int:
    """Bytes of the process in memory."""
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]


if __name__ == "__main__":
    main()
