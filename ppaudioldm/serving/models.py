"""The opened checkpoints of a server, and the tasks that each of them can run."""

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
from ppaudioldm.generation.options import ProgressCallback, check_fit, no_ranking
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.request import Request
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.tasks.task import Task, Use
from ppaudioldm.text.language import may_be_english
from ppaudioldm.weights.known_sounds import OTHER_CHECKPOINTS


class ModelNotFound(LookupError):
    """No checkpoint of the server can run the requested task."""


@dataclass(frozen=True)
class Model:
    """An opened checkpoint."""

    name: str
    pipeline: AudioLDM

    @property
    def speaks(self) -> bool:
        return self.pipeline.config.phoneme_encoder is not None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that it can run."""
        return tuple(name for name, task in TASKS.items() if self._can_run(task))

    def _can_run(self, task: Task) -> bool:
        try:
            task.check_checkpoint(self.name, self.pipeline.config, "a prompt", has_audio=task.audio is Use.REQUIRED)
        except ValueError:
            return False
        return True

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.pipeline.config.sample_rate

    @property
    def default_duration(self) -> float:
        """Seconds."""
        return self.pipeline.default_duration

    @property
    def licence(self) -> str:
        """Of the weights."""
        info = CHECKPOINTS.get(self.name)
        known = info.licence if info else self.pipeline.checkpoint.licence
        return known or "that of the checkpoint from which it was converted"

    @property
    def is_random(self) -> bool:
        return self.pipeline.checkpoint.is_random

    @property
    def known_prompts(self) -> tuple[str, ...]:
        """Of the sounds that a small checkpoint was trained on; none for one that does not say."""
        known = self.pipeline.checkpoint.known_sounds
        return tuple(sound.prompt for sound in known.sounds) if known else ()

    def knows(self, prompt: str | None) -> bool:
        """Whether `prompt` names a sound that the checkpoint was trained on, as far as it says."""
        known = self.pipeline.checkpoint.known_sounds
        return not known or not prompt or known.named_in(prompt)

    @property
    def known_kinds(self) -> str:
        """How many, and of what."""
        kinds, _ = OTHER_CHECKPOINTS[self.speaks]
        return f"{len(self.known_prompts)} {kinds}"

    def cannot_pronounce(self, request: Request) -> bool:
        """Whether the text that is to be spoken is in another language than English."""
        parameters = request.parameters
        is_text = self.speaks and not parameters.get("phonemes")
        return is_text and not may_be_english(str(parameters.get("text", "")))

    @cached_property
    def _schedule(self) -> NoiseSchedule:
        return NoiseSchedule(self.pipeline.config.diffusion)

    def check(self, request: Request) -> None:
        """Raise ValueError for a request that this checkpoint cannot run, before it is queued."""
        config = self.pipeline.config
        self.pipeline.check_lora(request.options.lora)
        options = self.pipeline.with_defaults(request.options)
        check_fit(options, config)
        candidates = options.candidates
        if (candidates > 1 or request.with_scores) and request.prompt is not None and not config.ranks:
            raise no_ranking(candidates)
        assert options.sampler and options.num_inference_steps and options.guidance_scale is not None
        make_sampler(
            options.sampler,
            self._schedule,
            options.num_inference_steps,
            eta=options.eta,
            spacing=options.spacing,
            strength=request.parameters.get("strength", 1.0),
        )
        is_guided = config.unet.guidance_dim is None and needs_unconditional(options.guidance_scale)
        unet_functions(config, is_guided, options)
        TASKS[request.task].check_checkpoint(self.name, config, request.prompt, request.audio is not None)


class Models:
    """The opened checkpoints. The first that can run a task runs it, unless a request names another."""

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
        """The model that runs `task`: the one called `name`, "" for any. Raises ModelNotFound."""
        names = [model.name for model in self.all]
        if name and name not in names:
            raise ModelNotFound(f"unknown model {name[:100]!r}, choose from {', '.join(names)}")
        able = [model for model in self.all if task in model.tasks and name in ("", model.name)]
        if able:
            return able[0]
        subject = name or " and ".join(names)
        if task in TASKS and TASKS[task].speaks:
            one = speech_names()[0]
            raise ModelNotFound(
                f"{subject} does not speak: start the server with a checkpoint that does, such as "
                f"--speech-checkpoint {one}"
            )
        raise ModelNotFound(f"{subject} does not {task}: start the server with a checkpoint that does")

    def tasks(self) -> list[str]:
        """The names of the tasks that the server can run."""
        return list(dict.fromkeys(task for model in self.all for task in model.tasks))

    def adapters(self) -> list[str]:
        """The names of the LoRA adapters that a request may choose."""
        return list(dict.fromkeys(name for model in self.all for name in model.pipeline.adapters))

    def speaks(self) -> bool:
        """Whether any of them speaks."""
        return any(model.speaks for model in self.all)

    def resolved(self, request: Request) -> tuple[Request, Model]:
        """`request` with the name of its model, and that model.

        Raises ModelNotFound, or ValueError for a request that the model cannot run.
        """
        model = self.of(request.task, request.model)
        model.check(request)
        return replace(request, model=model.name), model

    def warm_up(self, longest: float, progress: ProgressCallback | None = None) -> None:
        """Run each once, for up to `longest` seconds of sound, so that no request waits for compilation.

        Raises Cancelled when `progress` returns False.
        """
        for model in self.all:
            known = model.pipeline.checkpoint.known_sounds
            model.pipeline.generate(
                known.sounds[0].prompt if known else "a sound",
                phonemes="a" if model.speaks else None,
                duration=min(model.default_duration, longest),
                num_inference_steps=1,
                seed=0,
                progress=progress,
            )
