"""Speed and peak memory of a generation, stage by stage: the measurements of `ppaudioldm bench`.

Three generations are timed: `first`, in a new process with an empty cache, so that the networks are translated and
compiled; `second`, in another process that finds that cache; `warm`, in the same process once more.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROMPT = "a dog barks, rain"  # one token a byte with random weights' tokenizer: as many as a usual sentence has
PHONEMES = "wˈɪʃ juː hæv ɐ ɡˈʊd dˈeɪ"  # for checkpoints that generate speech
STEP_FUNCTIONS = ("unet_guided_step", "unet_step")


@dataclass(frozen=True)
class Settings:
    """What to measure. checkpoint: a name or a path. random_weights: of that configuration, without a download.

    lora: adapters, each `PATH[:SCALE]`.
    """

    checkpoint: str
    random_weights: bool = False
    duration: float = 10.0  # seconds
    num_inference_steps: int | None = None  # as the checkpoint has it
    engine: str | None = None
    device: str | None = None
    precision: str = "auto"
    low_memory: bool = False
    lora: Sequence[str] = ()


def bench(settings: Settings) -> dict[str, Any]:
    """The measurements of `settings`, ready for JSON; seconds, and GB of peak memory.

    Raises ValueError for settings that cannot be measured, OSError if a process fails.
    """
    from ppaudioldm.storage.folders import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # Inside the cache folder, which has room for it; hidden, so that it is not taken for an entry.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".bench-") as cache:
        (first,) = in_new_process(settings, 1, cache)
        second, warm = in_new_process(settings, 2, cache)
    return {"settings": dataclasses.asdict(settings), "first": first, "second": second, "warm": warm}


def in_new_process(settings: Settings, generations: int, cache: str) -> list[dict[str, Any]]:
    """The results of `measure` for so many generations, in a new process that uses `cache` as its cache folder.

    Raises ValueError for settings that cannot be measured, OSError if the process fails.
    """
    request = {"settings": dataclasses.asdict(settings), "generations": generations, "started": time.time()}
    process = subprocess.run(
        [sys.executable, "-m", "ppaudioldm.evaluation.speed"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={**os.environ, "PPAUDIOLDM_CACHE": cache},
    )
    lines = process.stdout.splitlines()
    response = json.loads(lines[-1]) if lines else {}
    if "error" in response:
        raise ValueError(response["error"])
    if process.returncode:
        last = (process.stderr.splitlines() or ["no message"])[-1]
        raise OSError(f"the measured process ended with code {process.returncode}: {last}")
    return response["generations"]


def measure(settings: Settings, generations: int, started: float) -> list[dict[str, Any]]:
    """Measurements of each of so many generations in this process, which began at `started` (`time.time()`)."""
    from ppaudioldm.engines.choice import create_engine
    from ppaudioldm.engines.timed import TimedEngine
    from ppaudioldm.pipeline import AudioLDM
    from ppaudioldm.weights.locate import locate
    from ppaudioldm.weights.lora import read_adapters

    imported = time.time()
    located = locate(settings.checkpoint, random_weights=settings.random_weights)
    description, inner = create_engine(
        located,
        settings.engine,
        settings.device,
        settings.precision,
        low_memory=settings.low_memory,
        adapters=read_adapters(settings.lora),
    )
    engine = TimedEngine(inner)
    pipeline = AudioLDM(description, engine)
    opened = time.time()
    results = []
    for index in range(generations):
        engine.calls.clear()
        start = time.time()
        steps_done: list[float] = []
        clip = pipeline.generate(
            PROMPT,
            phonemes=PHONEMES if description.config.phoneme_encoder else None,
            duration=settings.duration,
            num_inference_steps=settings.num_inference_steps,
            num_waveforms_per_prompt=1,
            seed=0,
            progress=lambda p: steps_done.append(time.time()) if p.stage == "denoise" and p.done else None,  # noqa: B023
        )
        stages = {"import": imported - started, "open": opened - imported} if index == 0 else {}
        stages |= _seconds_by_stage(engine.calls)
        if description.config.vocoder.method != "network":  # which would be among the engine's calls
            stages["vocoder"] = clip.seconds["vocoder"]
        stages |= {"total": time.time() - (started if index == 0 else start)}
        results.append(
            {
                "seconds": {name: round(seconds, 4) for name, seconds in stages.items()},
                "to_first_step": round(steps_done[0] - (started if index == 0 else start), 3),
                "steps": [round(seconds, 4) for name, seconds in engine.calls if name in STEP_FUNCTIONS],
                "peak_memory_gb": peak_memory_gb(),
            }
        )
    return results


def _seconds_by_stage(calls: list[tuple[str, float]]) -> dict[str, float]:
    """Seconds by stage: sums, except the median of the steps without the first, which compiles or warms up."""

    def total(*names: str) -> float:
        return sum(seconds for name, seconds in calls if name in names)

    steps = [seconds for name, seconds in calls if name in STEP_FUNCTIONS]
    return {
        "prepare": total("prepare"),
        "text": total("clap_text", "flan_t5"),
        "loa": total("loa", "gpt2"),
        "contexts": total("unet_contexts", "unet_time_embedding"),  # what all steps share
        "first step": steps[0],
        "step": statistics.median(steps[1:] or steps),
        "decode": total("vae_decoder"),
        "vocoder": total("vocoder"),
    }


def peak_memory_gb() -> float | None:
    """The peak resident memory of this process in GB, None where the system does not report it (only Linux does)."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return round(int(line.split()[1]) * 1024 / 1e9, 3)


def table(result: dict[str, Any]) -> str:
    """The result of `bench` as a table of text."""
    columns = ("first", "second", "warm")
    rows = [f"{'seconds':14}" + "".join(f"{name:>10}" for name in columns)]
    for stage in result["first"]["seconds"]:
        values = [result[column]["seconds"].get(stage) for column in columns]
        rows.append(f"{stage:14}" + "".join(f"{'' if value is None else format(value, '.3f'):>10}" for value in values))
    rows.append(f"{'to first step':14}" + "".join(f"{result[column]['to_first_step']:10.3f}" for column in columns))
    if result["first"]["peak_memory_gb"] is not None:
        rows.append(f"{'peak, GB':14}" + "".join(f"{result[column]['peak_memory_gb']:10.2f}" for column in columns))
    return "\n".join(rows)


def _main() -> int:
    request = json.load(sys.stdin)
    try:
        response: dict[str, Any] = {
            "generations": measure(Settings(**request["settings"]), request["generations"], request["started"])
        }
    except (ValueError, OSError) as error:
        response = {"error": " ".join(str(error).split())}
    print(json.dumps(response))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
