"""Parts of a recording made anew, in time or frequency, and joined with the recording's own samples.

What the network is to keep stands in its latents; what the listener hears of it is the recording itself. The generated
sound is mono, at the checkpoint's rate and at the level that it was trained on: here it takes on the recording's rate,
and in every channel the level that the recording has beside the join.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from ppaudioldm.audio.bands import Band, band_filter, filtered, latent_bands, merged, neighbours
from ppaudioldm.audio.fbank import HOP_LENGTH, SAMPLE_RATE
from ppaudioldm.audio.joins import FADE, NEAR, Span, between, gain, gains_at_joins, join, level, touched
from ppaudioldm.audio.recording import PEAK, Recording, downmixed, resampled, scale_for_networks
from ppaudioldm.chunks import mel_config
from ppaudioldm.clip import Cancelled, Clip, Interrupted
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.given import Given
from ppaudioldm.options import MIN_DURATION, Options, Progress
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.edited import EditedClip

logger = logging.getLogger(__name__)
AnyClip = TypeVar("AnyClip", bound=Clip)
Finished = TypeVar("Finished", bound="Clip | None")

CONTEXT = 2.56  # seconds of the recording, at least, that the network sees before and behind a part, if there are
FLOOR = 2e-4  # of the recording's peak: what is never louder has no level (74 dB below)
LOST = 0.01  # of the recording's level: less is not missed (40 dB below)
FAMILIAR = 1.0  # seconds of the recording, at least, to repeat for AudioMAE: less would become a tone


def regenerate(
    pipeline: AudioLDM,
    recording: Recording,
    spans: Sequence[Span],
    *,
    bands: Sequence[Band] | None = None,
    prompt: str | None = None,
    seed: int | None = None,
    **settings: Any,
) -> EditedClip:
    """`recording` with `spans` of it made anew, or these `bands` of the spans.

    spans: samples, in order, apart by more than two fades. bands: Hz, in order and apart; None is everything. prompt:
    what it should sound like there; without one, like the recording, as AudioMAE hears it. settings: of
    `AudioLDM.generate`, but for the duration.
    Raises ValueError as `AudioLDM.generate` does, and without a prompt for a checkpoint that has no AudioMAE.
    """
    seed = check(pipeline, prompt, seed, settings)
    rate, fade = recording.sample_rate, round(FADE * recording.sample_rate)
    if bands is None:
        _warn_of_lost_heights(recording, spans, pipeline.config.sample_rate / 2)
    samples = recording.samples.copy()
    clips: list[Clip] = []
    todo = _parts(spans, len(samples), round(CONTEXT * rate), round(pipeline.config.diffusion.clip_seconds * rate))

    def put(start: int, part: _Part, clip: Clip) -> EditedClip | None:
        """Add what was generated of `part`; the result, once that was the last one."""
        clips.append(clip)
        part.join(clip, samples[start : start + len(part.samples)], fade)
        return _edited(clips, samples, recording, spans, prompt, seed) if len(clips) == len(todo) else None

    result = None
    for done, (start, end, inside) in enumerate(todo):
        part = _Part(recording.samples[start:end], rate, inside, bands)
        one = {**settings, "seed": seed, "progress": _shared(settings.get("progress"), done, len(todo))}
        result = finished(partial(part.generate, pipeline, prompt, one), partial(put, start, part))
    assert result is not None  # there is a span
    return result


def _shared(progress: Callable[[Progress], bool | None] | None, done: int, count: int) -> Any:
    """`progress` of one generation as that of `count`, of which `done` are."""
    if progress is None:
        return None
    return lambda at: progress(Progress(at.stage, done * at.total + at.done, count * at.total))


def finished(generate: Callable[[], AnyClip], finish: Callable[[AnyClip], Finished]) -> Finished:
    """`finish` of what `generate` makes, and of what was complete when it was stopped: the exception carries that."""
    try:
        clip = generate()
    except (Cancelled, Interrupted) as stopped:
        stopped.clip = finish(stopped.clip) if stopped.clip else None  # type: ignore
        raise
    return finish(clip)


def check(pipeline: AudioLDM, prompt: str | None, seed: int | None, settings: dict[str, Any]) -> int:
    """The seed, a new one for None. Raises ValueError for what would be one only after the recording was encoded."""
    names = Options.__dataclass_fields__
    given = {name: value for name, value in settings.items() if name in names}
    options = Options.from_preset(settings.get("preset", "fast"), **given)
    if prompt is not None:
        options.check_prompts([prompt])
    elif pipeline.config.audiomae is None:
        raise ValueError(
            f"prompt is missing: {pipeline.checkpoint.name} has no AudioMAE, which would hear the recording instead"
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


@dataclass(frozen=True)
class _Part:
    """A stretch of a recording that is generated at once.

    samples: (n, channels) at `rate`. spans: what of them is made anew. bands: of the spans, in Hz; None is all.
    """

    samples: np.ndarray
    rate: int
    spans: Sequence[Span]
    bands: Sequence[Band] | None

    def kept(self, samples: np.ndarray) -> np.ndarray:
        """What of `samples`, as many as ours, stays at all frequencies; all of them where nothing does."""
        spans = between(self.spans, len(samples))
        return np.concatenate([samples[a:b] for a, b in spans]) if spans else samples

    @cached_property
    def centred(self) -> np.ndarray:
        """The samples without their mean, float32."""
        return (self.samples - self.kept(self.samples).mean(0)).astype(np.float32)

    @cached_property
    def scale(self) -> float:
        """What the networks' level is above the recording's; what is made anew has no say in it."""
        return scale_for_networks(self.kept(downmixed(self.centred)))

    def length(self, config: ModelConfig) -> int:
        """Samples at the checkpoint's rate."""
        shortest = int(np.ceil(MIN_DURATION * config.sample_rate))
        return max(shortest, round(len(self.samples) * config.sample_rate / self.rate))

    def duration(self, config: ModelConfig) -> float:
        return self.length(config) / config.sample_rate

    def generate(self, pipeline: AudioLDM, prompt: str | None, settings: dict[str, Any]) -> Clip:
        """The whole part as the network has it, mono, at its rate and level."""
        return pipeline.generate(
            prompt, given=self.given(pipeline, prompt), duration=self.duration(pipeline.config), **settings
        )

    def given(self, pipeline: AudioLDM, prompt: str | None) -> Given:
        """What the network starts from: the latents of the part, and of which of them it may change nothing."""
        config = pipeline.config
        mono = np.clip(self.scale * downmixed(self.centred), -1, 1)
        waveform = resampled(mono, self.rate, config.sample_rate, self.length(config)).astype(np.float32)
        latents = pipeline.encode_audio(waveform)
        loa = pipeline.recorded_loa(self._familiar(mono, config)) if prompt is None else None
        return Given(latents, self._keep(config, latents.shape[1]), loa=loa)

    def _familiar(self, mono: np.ndarray, config: ModelConfig) -> np.ndarray:
        """What is kept, again and again until AudioMAE's ear is full: it would take the rest for silence."""
        sound = self.kept(mono)
        if len(sound) < FAMILIAR * self.rate:
            sound = mono
        assert config.audiomae
        heard = config.audiomae.frames * HOP_LENGTH / SAMPLE_RATE + 1
        if len(sound) >= FAMILIAR * self.rate:
            sound = np.tile(sound, int(np.ceil(heard * self.rate / len(sound))))[: round(heard * self.rate)]
        rate = config.sample_rate
        return resampled(sound, self.rate, rate, round(len(sound) * rate / self.rate)).astype(np.float32)

    def _keep(self, config: ModelConfig, frames: int) -> np.ndarray:
        """(T, bands) float32, 1 = keep; every latent that has a share in what is made anew is 0."""
        per_frame = config.samples_per_latent * self.rate / config.sample_rate
        held = np.ones(config.latent_bands, bool)
        if self.bands is not None:
            held = latent_bands(self.bands, mel_config(config), config.vae.downsampling)
        keep = np.ones((frames, config.latent_bands), np.float32)
        for start, end in self.spans:
            # Behind the end of the recording the network may go on as it likes, if it may up to there.
            last = frames if end >= len(self.samples) else int(np.ceil(end / per_frame))
            keep[int(start / per_frame) : last, held] = 0
        return keep

    def join(self, clip: Clip, samples: np.ndarray, fade: int) -> None:
        """Put `clip` into the spans of `samples`, which are ours so far."""
        old = self.centred
        mono = resampled(clip.waveforms[0], clip.sample_rate, self.rate, len(old)) / self.scale
        new = np.repeat(mono[:, None], old.shape[1], 1)
        floor = FLOOR * PEAK / self.scale
        gains = self._gains_beside(old, new, floor)
        if self.bands is not None:
            taps = band_filter(self.bands, self.rate)
            old, new = filtered(old, taps), filtered(new, taps)
        if gains is None:
            # What the checkpoint's rate cannot hold has no part in the comparison.
            shared = filtered(old, band_filter([(0, clip.sample_rate / 2)], self.rate))
            gains = gains_at_joins(shared, new, self.spans, round(NEAR * self.rate), floor)
        for span, pair in zip(self.spans, gains, strict=True):
            join(samples, old, new, span, fade, pair)

    def _gains_beside(
        self, old: np.ndarray, new: np.ndarray, floor: float
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Where all of the time is made anew, levels are compared in the bands beside; None where it is not."""
        if self.bands is None or between(self.spans, len(old)):
            return None
        beside = neighbours(self.bands, self.rate / 2)
        if not beside:
            return None
        taps = band_filter(beside, self.rate)
        found = gain(filtered(old, taps), filtered(new, taps), floor)
        even = np.ones(old.shape[1]) if found is None else found
        return [(even, even)] * len(self.spans)


def _warn_of_lost_heights(recording: Recording, spans: Sequence[Span], highest: float) -> None:
    """A generated part has nothing above `highest` Hz; where the recording has, that is heard."""
    if recording.sample_rate <= 2 * highest:
        return
    start = spans[0][0]
    reach = round(CONTEXT * recording.sample_rate)
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
    fade = round(FADE * recording.sample_rate)
    scores = [clip.scores[0] for clip in clips if clip.scores]
    return EditedClip(
        waveforms=(samples[:, 0] if samples.shape[1] == 1 else samples)[None],
        sample_rate=recording.sample_rate,
        prompts=(prompt or "",),
        # The seed of a chosen candidate makes it again alone; for several parts that is the first candidate's for all.
        seeds=clips[0].seeds if len(clips) == 1 else (seed,),
        scores=(float(np.mean(scores)),) if scores else None,
        seconds={stage: sum(clip.seconds.get(stage, 0.0) for clip in clips) for stage in clips[0].seconds},
        kept=tuple(between([touched(span, fade, len(samples)) for span in spans], len(samples))),
        subtype=recording.subtype,
    )
