"""Parts of a recording made anew, in time or frequency, and joined with the recording's own samples.

What the network is to keep stands in its latents; what the listener hears of it is the recording itself. The generated
sound is mono, at the checkpoint's rate and at the level that it was trained on: here it takes on the recording's rate,
and in every channel the level that the recording has beside the join.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ppaudioldm.audio.bands import Band, band_filter, filtered, merged
from ppaudioldm.audio.joins import COMPARED_S, FADE_S, Span, complement, level, with_fades
from ppaudioldm.audio.recording import Recording
from ppaudioldm.checkpoints import audiomae_names
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.options import Options, Progress, ProgressCallback, as_part
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.part import Part

logger = logging.getLogger(__name__)
AnyClip = TypeVar("AnyClip", bound=Clip)
Finished = TypeVar("Finished", bound="Clip | None")

CONTEXT = 0.25  # of a clip that the checkpoint was trained on: what it sees before and behind a span, at least
LOST = 0.01  # of the recording's level: less is not missed (40 dB below)


def regenerate(
    pipeline: AudioLDM,
    recording: Recording,
    spans: Sequence[Span],
    *,
    bands: Sequence[Band] | None = None,
    prompt: str | None = None,
    resemble: bool = True,
    seed: int | None = None,
    **settings: Any,
) -> EditedClip:
    """`recording` with `spans` of it made anew, or these `bands` of the spans.

    spans: samples, in order, apart by more than two fades. bands: Hz, in order and apart; None is everything. prompt:
    what it should sound like there; without one, like the recording as AudioMAE hears it if it is to `resemble` that,
    else like anything that fits what is kept. settings: of `AudioLDM.generate`, but for the duration.
    Raises ValueError as `AudioLDM.generate` does, and without a prompt for a checkpoint that needs one.
    """
    seed = check(pipeline, prompt, seed, settings, resemble)
    rate, fade = recording.sample_rate, round(FADE_S * recording.sample_rate)
    if bands is None:
        _warn_of_lost_heights(recording, spans, pipeline.config.sample_rate / 2)
    samples = recording.samples.copy()
    clips: list[Clip] = []
    window = round(pipeline.config.diffusion.clip_seconds * rate)
    todo = _parts(spans, len(samples), round(CONTEXT * window), window)

    def put(start: int, part: Part, clip: Clip) -> EditedClip | None:
        """Add what was generated of `part`; the result, once that was the last one."""
        clips.append(clip)
        part.join(clip.waveforms[0], samples[start : start + len(part.samples)], fade)
        return _edited(clips, samples, recording, spans, prompt, seed) if len(clips) == len(todo) else None

    result = None
    for done, (start, end, inside) in enumerate(todo):
        part = Part(recording.samples[start:end], rate, inside, bands, pipeline.config)
        one = {**settings, "seed": seed, "progress": as_part(settings.get("progress"), done, len(todo))}
        result = finished(partial(_generate, pipeline, part, prompt, resemble, one), partial(put, start, part))
    assert result is not None  # there is a span
    return result


def _generate(pipeline: AudioLDM, part: Part, prompt: str | None, resemble: bool, settings: dict[str, Any]) -> Clip:
    """All of `part` as the network has it, where it may make anew what is not to be kept."""

    def hear() -> Given:
        loa = None
        if prompt is None:
            loa = pipeline.recorded_loa(part.familiar) if resemble else _no_loa(pipeline)
        return Given(pipeline.encode_audio(part.waveform), part.keep, loa=loa)

    return generate_from(pipeline, hear, prompt, duration=part.duration, **settings)


def _no_loa(pipeline: AudioLDM) -> np.ndarray:
    """The LOA tokens (N, 768) of no condition, as in training."""
    assert pipeline.config.loa
    return np.zeros((pipeline.config.loa.num_tokens, pipeline.config.loa.hidden_size), np.float32)


def generate_from(
    pipeline: AudioLDM,
    hear: Callable[[], Given],
    prompt: str | None,
    *,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Clip:
    """`AudioLDM.generate` from what `hear` makes of a recording: a stage of its own, "encode"."""
    start = time.perf_counter()
    if progress is not None and progress(Progress("encode", 0, 1)) is False:
        raise Cancelled("stopped during encode")
    given = hear()
    seconds = time.perf_counter() - start
    clip = pipeline.generate(prompt, given=given, progress=progress, **settings)
    return replace(clip, seconds={"encode": seconds, **clip.seconds})


def finished(generate: Callable[[], AnyClip], finish: Callable[[AnyClip], Finished]) -> Finished:
    """`finish` of what `generate` makes, and of what was complete when it was stopped: the exception carries that."""
    try:
        clip = generate()
    except (Cancelled, Interrupted) as stopped:
        stopped.clip = finish(stopped.clip) if stopped.clip else None  # type: ignore
        raise
    return finish(clip)


def check(
    pipeline: AudioLDM, prompt: str | None, seed: int | None, settings: dict[str, Any], resemble: bool = True
) -> int:
    """The seed, a new one for None. Raises ValueError for what would be one only after the recording was encoded."""
    names = Options.__dataclass_fields__
    given = {name: value for name, value in settings.items() if name in names}
    options = Options.from_preset(settings.get("preset", "fast"), **given)
    if prompt is not None:
        options.check_prompts([prompt])
    elif pipeline.config.loa is None:
        raise ValueError(f"prompt is missing, which {pipeline.checkpoint.name} needs")
    elif resemble and pipeline.config.audiomae is None:
        raise ValueError(
            f"prompt is missing: {pipeline.checkpoint.name} has no AudioMAE, which would hear the recording instead;"
            f" these have it: {', '.join(audiomae_names())}"
        )
    return item_seeds(secrets.randbelow(2**32) if seed is None else seed, 1)[0]


def _parts(spans: Sequence[Span], count: int, context: int, window: int) -> list[tuple[int, int, list[Span]]]:
    """What is generated at once: from where to where in `count` samples, and the `spans` in it, counted from there.

    A part is as long as the clips that the checkpoint was trained on if there are so many samples, and longer for a
    span that needs it.
    """
    wanted = []
    for start, end in spans:
        length = min(count, max(window, end - start + 2 * context))
        first = min(max(0, (start + end - length) // 2), count - length)
        wanted.append((first, first + length))
    return [
        (first, last, [(a - first, b - first) for a, b in spans if first <= a < last]) for first, last in merged(wanted)
    ]


def _warn_of_lost_heights(recording: Recording, spans: Sequence[Span], highest: float) -> None:
    """A generated part has nothing above `highest` Hz; where the recording has, that is heard."""
    if recording.sample_rate <= 2 * highest:
        return
    start = spans[0][0]
    reach = round(COMPARED_S * recording.sample_rate)
    samples = recording.samples[max(0, start - reach) : start + reach]  # around the first join: that tells
    above = filtered(samples, band_filter([(highest, recording.sample_rate / 2)], recording.sample_rate))
    if level(above).max() > LOST * level(samples).max():
        logger.warning("what is made anew has nothing above %g Hz; the recording has", highest)


def _edited(
    clips: Sequence[Clip],
    samples: np.ndarray,
    recording: Recording,
    spans: Sequence[Span],
    prompt: str | None,
    seed: int,
) -> EditedClip:
    """The result, of what was generated for each part."""
    fade = round(FADE_S * recording.sample_rate)
    scores = [clip.scores[0] for clip in clips if clip.scores]
    return EditedClip(
        waveforms=(samples[:, 0] if samples.shape[1] == 1 else samples)[None],
        sample_rate=recording.sample_rate,
        prompts=(prompt or "",),
        # The seed of a chosen candidate makes it again alone; for several parts that is the first candidate's for all.
        seeds=clips[0].seeds if len(clips) == 1 else (seed,),
        scores=(float(np.mean(scores)),) if scores else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in clips[0].seconds},
        kept=tuple(complement([with_fades(span, fade, len(samples)) for span in spans], len(samples))),
        subtype=recording.subtype,
    )
