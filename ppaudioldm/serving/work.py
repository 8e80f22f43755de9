"""What a job is to make, and the making of one or of several alike at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.loudness import at_loudness, check_loudness
from ppaudioldm.audio.stretch import stretched
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.options import Options, ProgressCallback, check_texts
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.settings import Limits
from ppaudioldm.tasks.edited import EditedClip
from ppaudioldm.tasks.task import Range

TASKS = ("generate", "speak", "vary", "restyle", "inpaint", "extend", "loop", "upscale")
NEED_AUDIO = ("vary", "restyle", "inpaint", "extend", "upscale")
TAKE_AUDIO = (*NEED_AUDIO, "loop")
NEED_PROMPT = ("generate", "speak", "restyle")
MAX_SPEED = 4.0


@dataclass(frozen=True)
class Work:
    """What a job is to make: what the task of that name takes.

    prompt: what it should sound like; of "speak" the speaker. options: its duration counts for "generate" and "speak";
    None is the checkpoint's default. duration: of the other tasks; None is the task's own default. text, phonemes,
    speed: of "speak", see `speech.speak`; a speed of 2 takes half the time. keep_candidates: all of them are wanted.
    loudness: LUFS to bring every sound to. audio: the recording's file. model: the name of a checkpoint that the server
    has opened; "" is the one for the task.
    """

    model: str = ""
    task: str = "generate"
    prompt: str | None = None
    options: Options = field(default_factory=Options)
    seed: int = 0
    duration: float | None = None
    text: str | None = None
    phonemes: bool = False
    speed: float = 1.0
    strength: float = 0.5
    ranges: tuple[Range, ...] = ()
    frequencies: tuple[Range, ...] = ()
    cutoff: float | None = None
    loudness: float | None = None
    keep_candidates: bool = False
    with_scores: bool = False
    audio: Path | None = None

    def check(self, limits: Limits) -> None:
        """Raise ValueError for what cannot be made of any recording, or is more than `limits` allow."""
        if self.task not in TASKS:
            raise ValueError(f"unknown task {self.task!r}, choose from {', '.join(TASKS)}")
        if self.prompt is not None:
            check_texts([self.prompt])
        elif self.task in NEED_PROMPT:
            raise ValueError(f"prompt is missing, which {self.task} needs")
        if self.task == "loop" and self.prompt is None and self.audio is None:
            raise ValueError("no prompt and no audio: a loop needs one of them")
        if (self.audio is None) if self.task in NEED_AUDIO else (self.audio is not None and self.task != "loop"):
            raise ValueError(f"audio is {'missing, which' if self.audio is None else 'not what'} {self.task} needs")
        if self.task == "speak" and not (self.text or "").strip():
            raise ValueError("text is missing, which speak needs")
        self._check_limits(limits)
        item_seeds(self.seed, self.options.num_waveforms_per_prompt)
        if self.loudness is not None:
            check_loudness(self.loudness)

    def _check_limits(self, limits: Limits) -> None:
        options = self.options
        for name, value, most in (
            ("duration", max(options.duration or 0.0, self.duration or 0.0), limits.duration),
            ("num_inference_steps", options.num_inference_steps, limits.steps),
            ("num_waveforms_per_prompt", options.num_waveforms_per_prompt, limits.candidates),
        ):
            if value > most:
                raise ValueError(f"{name} is {value:g}, allowed on this server: up to {most:g}")
        for name, text in (("prompt", self.prompt), ("text", self.text), ("negative_prompt", options.negative_prompt)):
            if text is not None and len(text) > limits.text:
                raise ValueError(f"{name} has {len(text)} characters, allowed on this server: up to {limits.text}")
        if not 1 / MAX_SPEED <= self.speed <= MAX_SPEED:
            raise ValueError(f"speed is {self.speed:g}, allowed: {1 / MAX_SPEED:g} to {MAX_SPEED:g}")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength is {self.strength:g}, allowed: above 0, at most 1")

    def batch_key(self) -> Hashable:
        """Equal for works that can be made at once; None for one that is made alone."""
        if self.task != "generate":
            return None
        return self.model, self.options, self.keep_candidates, self.with_scores

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the recording's file is only told to be there."""
        values = dataclasses.asdict(self)
        return values | {"audio": self.audio is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Work:
        """What `to_dict` gave, but for the recording. Raises ValueError, TypeError or KeyError for another."""
        options = dict(values["options"])
        options["guidance_interval"] = tuple(options["guidance_interval"])
        pairs = {name: tuple(map(tuple, values[name])) for name in ("ranges", "frequencies")}
        return cls(**{**values, **pairs, "options": Options(**options), "audio": None})


@dataclass(frozen=True)
class Sound:
    """One sound: (samples,) or (samples, channels), full scale being 1, at `sample_rate` Hz.

    subtype: as which `write_audio` loses nothing. score: CLAP's similarity with the prompt, where it was asked.
    """

    waveform: np.ndarray
    sample_rate: int
    seed: int
    score: float | None = None
    subtype: str = "float"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.waveform) / self.sample_rate


@dataclass(frozen=True)
class Made:
    """What became of a work: the best sound, and all candidates if they were wanted. seconds: of each stage."""

    sound: Sound
    candidates: tuple[Sound, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def make(
    pipeline: AudioLDM, works: Sequence[Work], progress: ProgressCallback | None = None, batch: int = 1
) -> list[Made]:
    """What becomes of `works`, which are one, or several of an equal `batch_key`; `batch` clips are made at once.

    Raises ValueError for what cannot be made, `Cancelled` when `progress` returns False.
    """
    first = works[0]
    if first.batch_key() is None:
        assert len(works) == 1
        return [made_of(first, _alone(pipeline, first, progress, batch))]
    settings = dataclasses.asdict(first.options) | {"batch_size": batch}
    clip = pipeline.generate(
        [str(work.prompt) for work in works],
        seed=[work.seed for work in works],
        keep_candidates=first.keep_candidates,
        with_scores=first.with_scores,
        progress=progress,
        **settings,
    )
    return [made_of(work, clip, index) for index, work in enumerate(works)]


def _alone(pipeline: AudioLDM, work: Work, progress: ProgressCallback | None, batch: int) -> Clip:
    from ppaudioldm.tasks import speak as speech
    from ppaudioldm.tasks.extend import extend
    from ppaudioldm.tasks.inpaint import inpaint
    from ppaudioldm.tasks.loop import loop
    from ppaudioldm.tasks.restyle import restyle
    from ppaudioldm.tasks.upscale import upscale
    from ppaudioldm.tasks.vary import vary

    common = dataclasses.asdict(work.options) | {"batch_size": batch, "seed": work.seed, "progress": progress}
    common["with_scores"] = work.with_scores
    duration = common.pop("duration")
    audio, prompt = work.audio, work.prompt
    if work.task == "speak":
        settings = common if duration is None else common | {"duration": duration}
        return speech.speak(pipeline, str(work.text), speaker=str(prompt), phonemes=work.phonemes, **settings)
    if work.task == "loop":
        return loop(pipeline, prompt, audio, duration=work.duration, **common)
    assert audio is not None
    if work.task == "vary":
        return vary(pipeline, audio, prompt, duration=work.duration, keep_candidates=work.keep_candidates, **common)
    if work.task == "extend":
        return extend(pipeline, audio, prompt, duration=20.0 if work.duration is None else work.duration, **common)
    if work.task == "restyle":
        return restyle(pipeline, audio, str(prompt), strength=work.strength, **common)
    if work.task == "inpaint":
        return inpaint(pipeline, audio, prompt, ranges=work.ranges, frequencies=work.frequencies, **common)
    return upscale(pipeline, audio, prompt, cutoff=work.cutoff, **common)


def made_of(work: Work, clip: Clip, index: int = 0) -> Made:
    """What became of `work`, number `index` of `clip`."""
    subtype = clip.subtype if isinstance(clip, EditedClip) else "float"

    def sound(waveform: np.ndarray, seed: int, score: float | None) -> Sound:
        if not np.isfinite(waveform).all():
            raise FloatingPointError("the networks made a sound that is not finite")
        if work.speed != 1:
            waveform = stretched(waveform, clip.sample_rate, 1 / work.speed)
        if work.loudness is not None:
            waveform = at_loudness(waveform, clip.sample_rate, work.loudness)
        # A copy: the clips of a batch are views of one array, which would live as long as any of them.
        return Sound(waveform.copy(), clip.sample_rate, seed, score, subtype)

    best = sound(clip.waveforms[index], clip.seeds[index], clip.scores[index] if clip.scores else None)
    candidates: list[Sound] = []
    if work.keep_candidates and clip.candidates is not None:
        scores = None if clip.candidate_scores is None else clip.candidate_scores[index]
        seeds = item_seeds(work.seed, len(clip.candidates[index]))
        for i, seed in enumerate(seeds):
            candidates.append(sound(clip.candidates[index, i], seed, None if scores is None else float(scores[i])))
    return Made(best, tuple(candidates), clip.seconds)
