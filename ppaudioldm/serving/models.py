"""The checkpoints that a server has opened, and which of them does what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ppaudioldm.checkpoints import CHECKPOINTS, speech_names
from ppaudioldm.diffusion.guidance import needs_unconditional
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.generation.noise_predictor import unet_functions
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.work import Work
from ppaudioldm.tasks.registry import TASKS


class NotHere(LookupError):
    """No checkpoint of the server does what was asked for."""


@dataclass(frozen=True)
class Model:
    """A checkpoint that is open."""

    name: str
    pipeline: AudioLDM

    @property
    def speaks(self) -> bool:
        return self.pipeline.config.phoneme_encoder is not None

    @property
    def hears(self) -> bool:
        """Whether it can resemble a recording without a prompt."""
        return self.pipeline.config.audiomae is not None and not self.speaks

    @property
    def tasks(self) -> tuple[str, ...]:
        if self.speaks:
            return ("speak",)
        return ("generate", *(("vary",) if self.hears else ()), "restyle", "inpaint", "extend", "loop", "upscale")

    @property
    def sample_rate(self) -> int:
        return self.pipeline.config.sample_rate

    @property
    def default_duration(self) -> float:
        return self.pipeline.default_duration

    @property
    def licence(self) -> str:
        """Of the weights."""
        info = CHECKPOINTS.get(self.name)
        return info.licence if info else "that of the checkpoint it was made from"

    @property
    def is_random(self) -> bool:
        return self.pipeline.checkpoint.is_random

    @cached_property
    def _schedule(self) -> NoiseSchedule:
        return NoiseSchedule(self.pipeline.config.diffusion)

    def check(self, work: Work) -> None:
        """Raise ValueError for what would only be found to be impossible when it is made."""
        options, config = work.options, self.pipeline.config
        make_sampler(
            options.sampler,
            self._schedule,
            options.num_inference_steps,
            eta=options.eta,
            spacing=options.spacing,
            strength=work.strength if work.task == "restyle" else 1.0,
        )
        unet_functions(config, needs_unconditional(options.guidance_scale), options)
        TASKS[work.task].check_checkpoint(self.name, config, work.prompt, work.audio is not None)


class Models:
    """The first model that does a task is the one for it, unless a work names another."""

    def __init__(self, models: Sequence[Model]) -> None:
        names = [model.name for model in models]
        if len(set(names)) < len(names):
            raise ValueError(f"two checkpoints are called {names[0]!r}: rename one of their files or folders")
        self.all = tuple(models)

    @classmethod
    def open(cls, names: Sequence[str], **settings: Any) -> Models:
        """The checkpoints `names`, names or paths, with the `settings` of `AudioLDM.from_pretrained`."""
        pipelines = [AudioLDM.from_pretrained(name, **settings) for name in names]
        return cls([Model(pipeline.checkpoint.name, pipeline) for pipeline in pipelines])

    def of(self, task: str, name: str = "") -> Model:
        """The model for `task`. Raises NotHere where there is none, or for a name of none."""
        known = [model.name for model in self.all]
        if name and name not in known:
            raise NotHere(f"unknown model {name[:100]!r}, choose from {', '.join(known)}")
        able = [model for model in self.all if task in model.tasks and name in ("", model.name)]
        if able:
            return able[0]
        who = name or " and ".join(known)
        if task == "speak":
            one = speech_names()[0]
            raise NotHere(
                f"{who} does not speak: start the server with a checkpoint that does, such as --speech-checkpoint {one}"
            )
        raise NotHere(f"{who} does not {task}: start the server with a checkpoint that does")

    def tasks(self) -> list[str]:
        """What can be asked for."""
        return list(dict.fromkeys(task for model in self.all for task in model.tasks))

    def speaks(self) -> bool:
        return any(model.speaks for model in self.all)

    def resolved(self, work: Work) -> Work:
        """`work` with the name of its model. Raises NotHere, or ValueError for what that model cannot do."""
        model = self.of(work.task, work.model)
        model.check(work)
        return replace(work, model=model.name)

    def warm_up(self, longest: float) -> None:
        """Run each once, for up to `longest` seconds, so that no request waits for the networks to be prepared."""
        for model in self.all:
            known = model.pipeline.checkpoint.known_sounds
            model.pipeline.generate(
                known.sounds[0].prompt if known else "a sound",
                phonemes="a" if model.speaks else None,
                duration=min(model.default_duration, longest),
                num_inference_steps=1,
                seed=0,
            )
