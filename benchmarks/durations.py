"""Time and memory of a clip against its length: audioldm2-full's size, random weights, from the prepared cache.

    python benchmarks/durations.py --plot benchmarks/durations.svg

Each length in a process of its own, whose second clip is timed (everything is compiled by then) and whose peak memory
is told. A few steps are made, and what 25 would take is summed up.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ppaudioldm.evaluation.speed import Settings, in_new_process
from ppaudioldm.storage.folders import cache_folder

STEPS = 25
FORMAT = "| {:>5} s | {:>9} | {:>8} | {:>9} | {:>12} | {:>11} |"
HEAD = ("clip", "a step", "decode", "vocoder", f"{STEPS} steps", "peak memory")
WIDTH, HEIGHT, MARGIN = 640, 360, 60  # of the plot, in pixels


@dataclass(frozen=True)
class Row:
    """Seconds, for a clip of `duration` seconds, and GB."""

    duration: float
    step: float
    decode: float
    vocoder: float
    clip: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory against the length of a clip")
    parser.add_argument("--durations", type=float, nargs="+", default=[1, 5, 10, 30, 60], metavar="S")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--plot", type=Path, metavar="FILE", help=".svg")
    options = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---:|" * len(HEAD))
    rows = []
    for duration in options.durations:
        row = measured(duration, options.steps)
        cells = [f"{x:.2f} s" for x in (row.step, row.decode, row.vocoder, row.clip)]
        print(FORMAT.format(f"{duration:g}", *cells, f"{row.memory:.2f} GB"), flush=True)
        rows.append(row)
    if options.plot:
        options.plot.write_text(plot(rows), "utf-8")


def measured(duration: float, steps: int) -> Row:
    settings = Settings("audioldm2-full", random_weights=True, duration=duration, num_inference_steps=steps)
    _, warm = in_new_process(settings, 2, str(cache_folder()))
    seconds = warm["seconds"]
    step = sum(warm["steps"]) / steps
    rest = seconds["total"] - sum(warm["steps"])
    return Row(
        duration,
        step,
        seconds["decode"],
        seconds["vocoder"],
        rest + STEPS * step,
        warm["peak_memory_gb"] or float("nan"),
    )


def plot(rows: list[Row]) -> str:
    """Two curves over the length of the clip, as SVG: seconds a clip takes (left axis) and GB (right axis)."""
    longest = max(row.duration for row in rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    right, bottom = WIDTH - MARGIN, HEIGHT - MARGIN
    curves = (
        ("#1f5fbf", f"seconds for {STEPS} steps", [row.clip for row in rows], MARGIN, "end", -6),
        ("#bf4f1f", "peak memory, GB", [row.memory for row in rows], right, "start", 6),
    )
    for number, (colour, label, values, axis, anchor, offset) in enumerate(curves):
        top = 1.1 * max(values)
        parts.append(f'<path d="M{axis} {MARGIN} V{bottom}" stroke="{colour}"/>')
        for tick in range(5):
            y = bottom - tick / 4 * (bottom - MARGIN)
            text = f"{tick / 4 * top:.3g}"
            parts.append(
                f'<text x="{axis + offset}" y="{y + 4:.0f}" text-anchor="{anchor}" font-size="11">{text}</text>'
            )
        x_of = [MARGIN + row.duration / longest * (right - MARGIN) for row in rows]
        points = [(x, bottom - value / top * (bottom - MARGIN)) for x, value in zip(x_of, values, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{MARGIN + 20 + 260 * number}" y="30" fill="{colour}" font-size="14">{label}</text>')
    parts.append(f'<path d="M{MARGIN} {bottom} H{right}" stroke="black"/>')
    for row in rows:
        x = MARGIN + row.duration / longest * (right - MARGIN)
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle" font-size="11">{row.duration:g}</text>')
    parts.append(
        f'<text x="{(MARGIN + right) / 2}" y="{bottom + 40}" text-anchor="middle">length of the clip, s</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
