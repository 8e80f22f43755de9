"""Regenerates spans of a recording, or bands of them, and joins the result with the recording's own samples.

The latents of what is to be kept constrain the denoising (inpainting); in the result those samples are the recording's
own. The generated sound is mono, at the checkpoint's rate and at the level of its training data: here it is brought to
the recording's rate, and in every channel to the loudness of what it replaces, with its peaks limited.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ppaudioldm.audio.bands import Band, band_filter, filtered, merged
from ppaudioldm.audio.joins import COMPARED_S, FADE_S, Span, complement, level, with_fades
from ppaudioldm.audio.levels import peak_limit
from ppaudioldm.audio.recording import Recording
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.decoding import OnChunk
from ppaudioldm.generation.monitor import Monitor
from ppaudioldm.generation.options import Options, ProgressCallback, as_share
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.segment import Segment

logger = logging.getLogger(__name__)
AnyClip = TypeVar("AnyClip", bound=Clip)
Result = TypeVar("Result", bound="Clip | None")

CONTEXT = 0.25  # of a training clip's length: what the network sees before and behind a span, at least
INAUDIBLE = 0.01  # of the recording's level, -40 dB: lost frequencies below this need no warning


def regenerate(
    pipeline: AudioLDM,
    recording: Recording,
    spans: Sequence[Span],
    options: Options,
    *,
    bands: Sequence[Band] | None = None,
    prompt: str | None = None,
    resemble: bool = True,
    absent: bool = False,
    limit: float | None = None,
    seed: int | None = None,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> EditedClip:
    """`recording` with `spans` of it regenerated, or these `bands` of the spans.

    spans: samples, in order, apart by more than two fades. bands: Hz, in order and apart; None is everything. options:
    their duration is not used. prompt: what it should sound like there; without one, its features are those of the
    recording if the result is to `resemble` it, else those of no condition. absent: the recording has nothing in these
    bands yet. limit: the largest amplitude of the result; None is `peak_limit` of the recording. settings: of
    `AudioLDM.generate`.
    Raises ValueError as `AudioLDM.generate` does.
    """
    seed = first_seed(seed)
    rate, fade = recording.sample_rate, round(FADE_S * recording.sample_rate)
    most = peak_limit(recording.samples) if limit is None else limit
    if bands is None:
        _warn_of_lost_frequencies(recording, spans, pipeline.config.sample_rate / 2)
    samples = recording.samples.copy()
    clips: list[Clip] = []
    window = round(pipeline.config.diffusion.clip_seconds * rate)
    pieces = _pieces(spans, len(samples), round(CONTEXT * window), window)

    def insert(start: int, segment: Segment, clip: Clip) -> EditedClip | None:
        """Join what was generated for `segment`; the result, once that was the last one."""
        clips.append(clip)
        segment.join(clip.waveforms[0], samples[start : start + len(segment.samples)], fade, most)
        return _edited(clips, samples, recording, spans, prompt, seed) if len(clips) == len(pieces) else None

    result = None
    for index, (start, end, inside) in enumerate(pieces):
        segment = Segment(recording.samples[start:end], rate, inside, bands, pipeline.config, absent)
        shared = {**settings, "seed": seed, "progress": as_share(progress, index, len(pieces))}
        generate = partial(_generate, pipeline, segment, prompt, resemble, options, shared)
        result = with_partial_result(generate, partial(insert, start, segment))
    assert result is not None  # there is a span
    return result


def _generate(
    pipeline: AudioLDM,
    segment: Segment,
    prompt: str | None,
    resemble: bool,
    options: Options,
    settings: dict[str, Any],
) -> Clip:
    """The whole `segment` as the network generates it from what is kept."""

    def encode(on_chunk: OnChunk) -> AudioCondition:
        condition = AudioCondition()
        if prompt is None:
            condition = pipeline.condition_like(segment.repeated) if resemble else pipeline.no_condition()
        latents = pipeline.encode_audio(segment.waveform, on_chunk=on_chunk)
        return replace(condition, init_latents=latents, keep_mask=segment.keep_mask)

    return generate_from(pipeline, encode, prompt, replace(options, duration=segment.duration), **settings)


def generate_from(
    pipeline: AudioLDM,
    encode: Callable[[OnChunk], AudioCondition],
    prompt: str | None,
    options: Options,
    *,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Clip:
    """`AudioLDM.generate` from a recording, which `encode` turns into a condition in a stage of its own, "encode".

    encode: takes a function to call with how many chunks of the recording are encoded, and of how many.
    """
    monitor = Monitor(progress)
    with monitor.stage("encode"):
        condition = encode(partial(monitor.report, "encode"))
    clip = pipeline.generate(prompt, options, audio_condition=condition, progress=progress, **settings)
    return replace(clip, seconds={**monitor.seconds, **clip.seconds})


def with_partial_result(generate: Callable[[], AnyClip], finish: Callable[[AnyClip], Result]) -> Result:
    """`finish` of the clip of `generate`; if that is stopped, of the partial clip that the exception carries."""
    try:
        clip = generate()
    except (Cancelled, Interrupted) as stopped:
        stopped.clip = finish(stopped.clip) if stopped.clip else None  # type: ignore
        raise
    return finish(clip)


def first_seed(seed: int | None) -> int:
    """`seed`, a new one for None. Raises ValueError for what is not a seed."""
    return item_seeds(secrets.randbelow(2**32) if seed is None else seed, 1)[0]


def _pieces(spans: Sequence[Span], count: int, context: int, window: int) -> list[tuple[int, int, list[Span]]]:
    """What is generated in one go: start and end among `count` samples, and the `spans` inside, relative to that start.

    A piece is as long as the checkpoint's training clips if there are so many samples, and longer for a span that needs
    it.
    """
    needed = []
    for start, end in spans:
        length = min(count, max(window, end - start + 2 * context))
        first = min(max(0, (start + end - length) // 2), count - length)
        needed.append((first, first + length))
    return [
        (first, last, [(a - first, b - first) for a, b in spans if first <= a < last]) for first, last in merged(needed)
    ]


def _warn_of_lost_frequencies(recording: Recording, spans: Sequence[Span], highest: float) -> None:
    """What is generated has no frequencies above `highest` Hz: warn where the recording has audible ones."""
    if recording.sample_rate <= 2 * highest:
        return
    start = spans[0][0]
    reach = round(COMPARED_S * recording.sample_rate)
    samples = recording.samples[max(0, start - reach) : start + reach]  # around the first join
    above = filtered(samples, band_filter([(highest, recording.sample_rate / 2)], recording.sample_rate))
    if level(above).max() > INAUDIBLE * level(samples).max():
        logger.warning("what is regenerated has no frequencies above %g Hz, but the recording has", highest)


def _edited(
    clips: Sequence[Clip],
    samples: np.ndarray,
    recording: Recording,
    spans: Sequence[Span],
    prompt: str | None,
    seed: int,
) -> EditedClip:
    """The result; clips: what was generated for each piece."""
    fade = round(FADE_S * recording.sample_rate)
    scores = [clip.scores[0] for clip in clips if clip.scores]
    return EditedClip(
        waveforms=(samples[:, 0] if samples.shape[1] == 1 else samples)[None],
        sample_rate=recording.sample_rate,
        prompts=(prompt or "",),
        # A chosen candidate's seed generates it again alone; several pieces share that of the first candidate only.
        seeds=clips[0].seeds if len(clips) == 1 else (seed,),
        scores=(float(np.mean(scores)),) if scores else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in clips[0].seconds},
        kept=tuple(complement([with_fades(span, fade, len(samples)) for span in spans], len(samples))),
        subtype=recording.subtype,
    )
