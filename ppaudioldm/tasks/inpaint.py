"""Times and frequencies of a recording, regenerated; the rest is the recording itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ppaudioldm.audio.bands import CROSSOVER_HZ, Band, merged
from ppaudioldm.audio.joins import FADE_S, Span
from ppaudioldm.audio.recording import AudioSource, Recording, open_recording
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import MIN_DURATION, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.regenerate import regenerate
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.running import task_function
from ppaudioldm.tasks.task import Range

SLACK_S = 0.01  # seconds beyond the end that a range may name: durations are often given rounded


@task_function("inpaint")
def inpaint(
    pipeline: AudioLDM,
    audio: AudioSource,
    prompt: str | None = None,
    *,
    ranges: Sequence[Range] = (),
    frequencies: Sequence[Range] = (),
    **settings: Any,
) -> EditedClip:
    """`audio` with `ranges` of it, in seconds, and `frequencies` of it, in Hz, regenerated; one of them is needed.

    A range is (start, end), either of which may be None: from the very start, to the very end.
    With both, only these frequencies within these times. Other times are the recording's own samples, to the bit, but
    for FADE_S seconds before and behind each range over which they are cross-faded; other frequencies are the
    recording's own sound, separated at the bands' edges by linear-phase filters CROSSOVER_HZ Hz wide. audio: a file, or
    samples (n,) or (n, channels) and their rate, up to 10 minutes, of which only what is near the ranges is processed.
    The generated sound is mono: in each channel it is as loud as what it replaces, or as what surrounds a silence.
    prompt: what it should sound like there; without one, like the rest of the recording. settings: of
    `AudioLDM.generate`, but for the duration. The clip has the recording's rate, channels and depth. Raises ValueError
    for a range outside the recording, a band outside what recording and checkpoint both have, or as `AudioLDM.generate`
    does.
    """
    options = take_options(settings)
    TASKS["inpaint"].check_checkpoint(pipeline.checkpoint.name, pipeline.config, prompt, has_audio=True)
    TASKS["inpaint"].checked_parameters(prompt, True, {"ranges": ranges, "frequencies": frequencies})
    recording = open_recording(audio)
    spans = spans_of(ranges, recording) if len(ranges) else [(0, len(recording.samples))]
    highest = min(recording.sample_rate, pipeline.config.sample_rate) / 2
    bands = bands_of(frequencies, highest) if len(frequencies) else None
    return regenerate(pipeline, recording, spans, options, bands=bands, prompt=prompt, **settings)


def plan(
    recording: Recording,
    duration: float | None,
    config: ModelConfig | None,
    ranges: Sequence[Range] = (),
    frequencies: Sequence[Range] = (),
) -> float:
    """Seconds of the result: as long as the recording. Raises ValueError for ranges or bands that it does not have."""
    rate = config.sample_rate if config else max(info.config.sample_rate for info in CHECKPOINTS.values())
    spans_of(ranges, recording)
    bands_of(frequencies, min(recording.sample_rate, rate) / 2)
    return max(MIN_DURATION, recording.duration)


def spans_of(ranges: Sequence[Range], recording: Recording) -> list[Span]:
    """`ranges` in samples, in order; those nearer to each other than their fades are merged. Raises ValueError."""
    rate, duration = recording.sample_rate, recording.duration
    spans = []
    for pair in ranges:
        start, end = _numbers(pair, "range", duration)
        if not 0 <= start < end <= duration + SLACK_S or start >= duration:
            raise ValueError(
                f"range is {start:g}:{end:g}, allowed: from a start to a later end within 0 to {duration:g} seconds"
            )
        first = round(start * rate)
        spans.append((first, min(len(recording.samples), max(first + 1, round(end * rate)))))
    return merged(spans, gap=2 * FADE_S * rate)


def bands_of(frequencies: Sequence[Range], highest: float) -> list[Band]:
    """`frequencies` in order; those nearer than a crossover are merged. Raises ValueError above `highest`."""
    bands = []
    for pair in frequencies:
        low, high = _numbers(pair, "frequencies", highest)
        if not 0 <= low <= high - CROSSOVER_HZ or high > highest:
            raise ValueError(
                f"frequencies is {low:g}:{high:g}, allowed: {CROSSOVER_HZ:g} Hz or more within 0 to {highest:g} Hz, "
                "half of the lower rate of recording and checkpoint"
            )
        bands.append((float(low), float(high)))
    return merged(bands, gap=CROSSOVER_HZ)


def _numbers(pair: Range, name: str, most: float) -> tuple[float, float]:
    """`pair` with 0 and `most` for open ends. Raises ValueError for anything but a pair of numbers."""
    try:
        low, high = pair
        low, high = 0.0 if low is None else float(low), most if high is None else float(high)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} is {quoted(pair)}, allowed: two numbers")
    return low, high
