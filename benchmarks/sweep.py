"""Which settings make the sounds that were asked for: guidance, number of steps, samplers and presets on `tiny`.

    python benchmarks/sweep.py sweep.jsonl              # all settings; goes on where it was stopped
    python benchmarks/sweep.py sweep.jsonl --table      # what is there, as Markdown

For each setting the clips of `ppaudioldm evaluate --kinds a`: the same captions in held-out words and the same seeds,
classified by the package's own sound classifier; of slow settings fewer clips, as the table says. Recognised clips,
and tones that are as high or rise as they should, are percentages; seconds are of a clip, alone, all stages, here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Settings = dict[str, Any]

GUIDANCE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.5, 6.0, 8.0)  # and the default, 3.5
STEPS = (5, 8, 15, 25, 50, 100, 200)  # and the default, 10
SAMPLERS = ("ddim", "plms", "ddpm")
FEWER_RUNS: tuple[Settings, ...] = (
    {"reuse": 2},
    {"reuse": 3},
    {"num_inference_steps": 25, "reuse": 2},
    {"guidance_interval": (0.0, 0.8)},
    {"guidance_interval": (0.2, 1.0)},
)
LARGE = 50  # steps for the samplers that need them; of settings with more, fewer clips are made
FEWEST = 2  # clips of a kind


def main() -> None:
    parser = argparse.ArgumentParser(description="Which settings make the sounds that were asked for")
    parser.add_argument("results", type=Path, help="a .jsonl that is written, and read again")
    parser.add_argument("-c", "--checkpoint", default="tiny")
    parser.add_argument("--per-kind", type=int, default=20)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    done = read(options.results)
    if not options.table:
        for settings in all_settings():
            if key(settings) not in done:
                row = measured(options.checkpoint, settings, clips_of(settings, options.per_kind))
                with open(options.results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), file=sys.stderr, flush=True)
        done = read(options.results)
    print(table(list(done.values())))


def all_settings() -> Iterator[Settings]:
    """One thing at a time differs from the default preset; the samplers of many steps with 25 and 50 of them."""
    yield {}
    for guidance in GUIDANCE:
        yield {"guidance_scale": guidance}
    for steps in STEPS:
        yield {"num_inference_steps": steps}
    for sampler in SAMPLERS:
        yield {"sampler": sampler}
        yield {"sampler": sampler, "num_inference_steps": LARGE}
    yield from FEWER_RUNS
    yield {"preset": "original"}


def clips_of(settings: Settings, per_kind: int) -> int:
    """How many of each kind: `per_kind`, or as many as take the time of so many with LARGE steps."""
    from ppaudioldm.config import DiffusionConfig
    from ppaudioldm.generation.options import Options, with_defaults

    given = {"preset": "fast", **settings}
    options = with_defaults(Options.from_preset(given.pop("preset"), **given), DiffusionConfig())
    steps = options.num_inference_steps * options.candidates
    return max(FEWEST, round(per_kind * min(1, LARGE / steps)))


def measured(checkpoint: str, settings: Settings, per_kind: int) -> dict[str, Any]:
    from ppaudioldm import AudioLDM
    from ppaudioldm.evaluation.classifier import default_classifier
    from ppaudioldm.evaluation.kinds import Judge, recognise_clips
    from ppaudioldm.evaluation.pipeline_stages import GENERATED, stage_functions
    from ppaudioldm.evaluation.sound_sets import known_sound_set
    from ppaudioldm.evaluation.summary import accuracy_by, accuracy_by_check

    pipeline = AudioLDM.from_pretrained(checkpoint)
    make = stage_functions(pipeline, pipeline.default_duration, **settings)[GENERATED]
    seconds: list[float] = []

    def timed(wanted: Any, seed: int) -> Any:
        start = time.perf_counter()
        waveform = make(wanted, seed)
        seconds.append(time.perf_counter() - start)
        return waveform

    sounds = known_sound_set(pipeline)
    judge = Judge(default_classifier(sounds.name), sounds, pipeline.default_duration)
    clips = recognise_clips(timed, judge, sounds.single_kinds, per_kind)
    by_kind = accuracy_by(lambda clip: clip.kind, clips)
    return {
        "settings": settings,
        "clips": len(clips),
        "recognised": statistics.mean(by_kind.values()),
        "worst": min(by_kind, key=lambda kind: by_kind[kind]),
        "worst_recognised": min(by_kind.values()),
        "right": accuracy_by_check(clips),
        "seconds": statistics.median(seconds),
    }


def read(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {key(row["settings"]): row for row in map(json.loads, lines)}


def key(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True)


def table(rows: list[dict[str, Any]]) -> str:
    checks = list(dict.fromkeys(name for row in rows for name in row["right"]))
    lines = [
        f"| settings | clips | recognised | worst kind | {' | '.join(checks)} | a clip |",
        "|---|---:|---:|---|" + "---:|" * (len(checks) + 1),
    ]
    for row in rows:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row["settings"].items()) or "default"
        worst = f"{row['worst']}, {100 * row['worst_recognised']:.0f} %"
        right = " | ".join(f"{100 * row['right'][name]:.0f} %" for name in checks)
        recognised = f"{row['clips']} | {100 * row['recognised']:.1f} %"
        lines.append(f"| {told} | {recognised} | {worst} | {right} | {row['seconds']:.2f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
