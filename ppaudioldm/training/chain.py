"""All stages of a model one after the other, resumed by the same call, and the checkpoint that they make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import shown
from ppaudioldm.training import loop, tiny
from ppaudioldm.training.assemble import assemble_checkpoint
from ppaudioldm.training.audiomae import AudioMAESettings, AudioMAEStage
from ppaudioldm.training.clap import ClapSettings, ClapStage
from ppaudioldm.training.dataset import Dataset
from ppaudioldm.training.distill import DistillSettings, DistillStage, completed
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.joint_settings import JointSettings, learnable
from ppaudioldm.training.parallel import Process, wait
from ppaudioldm.training.pretrained import check_trainable
from ppaudioldm.training.settings import RunConfig, as_values, with_overrides
from ppaudioldm.training.state import load_state, trained_seconds
from ppaudioldm.training.vae import VAESettings, VAEStage
from ppaudioldm.training.vocoder import VocoderSettings, VocoderStage
from ppaudioldm.weights.checkpoint import Checkpoint
from ppaudioldm.weights.convert import write_native

# name of a run -> the settings and the class of its stage, in the order in which they run. "short" is the joint stage
# on shorter clips, "text" that without the UNet; each joint run starts from the weights of the one before. "decoder"
# trains the VAE's decoder further; "distill" distills the checkpoint that the runs before it make, the folder TEACHER.
RUNS: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "vae": (VAESettings, VAEStage),
    "clap": (ClapSettings, ClapStage),
    "audiomae": (AudioMAESettings, AudioMAEStage),
    "short": (partial(JointSettings, duration=tiny.CLIP_SECONDS / 2), JointStage),
    "text": (JointSettings, JointStage),
    "joint": (JointSettings, JointStage),
    "decoder": (VAESettings, VAEStage),
    "vocoder": (VocoderSettings, VocoderStage),
    "distill": (DistillSettings, DistillStage),
}
JOINT_RUNS = ("short", "text", "joint")
NEEDED = ("vae", "clap", "joint")
TEACHER = "teacher"
MINUTES_LEFT = 0.02  # too few to start a run
Section = dict[str, Any]


@dataclass(frozen=True)
class ChainSettings:
    """Which of RUNS to do, what they share, and a section of each with settings of its stage that are not the defaults.

    synthesised: of all runs. kinds: of those without kinds of their own. model: the networks; CLAP's audio encoder and
    AudioMAE are in the sections of their runs.
    """

    runs: tuple[str, ...] = ("vae", "clap", "audiomae", "short", "joint")
    synthesised: str = "sounds"  # or "speech"
    kinds: tuple[str, ...] = ()
    model: ModelConfig = tiny.MODEL
    vae: Section = field(default_factory=dict)
    clap: Section = field(default_factory=dict)
    audiomae: Section = field(default_factory=dict)
    short: Section = field(default_factory=dict)
    text: Section = field(default_factory=dict)
    joint: Section = field(default_factory=dict)
    decoder: Section = field(default_factory=dict)
    vocoder: Section = field(default_factory=dict)
    distill: Section = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.runs) - set(RUNS)):
            raise ValueError(f"runs has {shown(unknown[0])}, allowed: {', '.join(RUNS)}")
        if missing := [name for name in NEEDED if name not in self.runs]:
            raise ValueError(f"runs lacks {missing[0]}, which every model needs: {', '.join(NEEDED)}")
        for name in RUNS:
            self.of_run(name, Path())  # which checks its section
        if "distill" in self.runs:
            check_trainable("runs has distill", self.model)

    def of_run(self, name: str, folder: Path) -> Any:
        """The settings of the run in `folder`/NAME.

        Raises ValueError for a bad value in its section, and for one that follows from what is shared.
        """
        section, shared = getattr(self, name), {"synthesised": self.synthesised, **self._shared(name, folder)}
        if twice := sorted(section.keys() & shared.keys()):
            raise ValueError(f"{name}.{twice[0]}: follows from the settings of the chain, allowed: to leave it out")
        try:
            return with_overrides(RUNS[name][0](), {**self._defaults(name), **section, **shared})
        except ValueError as error:
            raise ValueError(str(error).replace("settings", name, 1)) from error

    def _defaults(self, name: str) -> Section:
        """The values that the section of the run may change."""
        networks = learnable(self.model)
        learned = {"short": networks, "text": [n for n in networks if n != "unet"], "joint": networks}.get(name)
        return {"kinds": list(self.kinds)} | ({"learned": list(learned)} if learned else {})

    def _shared(self, name: str, folder: Path) -> Section:
        """The values of the run that are not its own: networks and folders."""
        model = as_values(self.model)
        if name == "vae":
            return {"vae": model["vae"]}
        if name == "decoder":
            return {"vae": model["vae"], "start": str(folder / "vae"), "train_encoder": False}
        if name == "clap":
            return {"text": model["clap_text"], "tokenizers": str(folder / "tokenizers")}
        if name == "distill":
            return {"checkpoint": str(folder / TEACHER), "encoded": str(folder / "encoded")}
        if name not in JOINT_RUNS:
            return {}
        paths = {part: str(folder / part) for part in ("vae", "clap", "tokenizers", "encoded")}
        audiomae = str(folder / "audiomae") if "audiomae" in self.runs else ""
        before = [run for run in JOINT_RUNS[: JOINT_RUNS.index(name)] if run in self.runs]
        start = str(folder / before[-1]) if before else ""
        return {"model": model, **paths, "audiomae": audiomae, "start": start}


def run_chain(
    settings: ChainSettings,
    folder: Path,
    process: Process,
    *,
    minutes: float = 0.0,
    viewers: tuple[str, ...] = (),
    clips: Callable[[float], Dataset] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str, int, dict[str, float]], None] | None = None,
) -> bool:
    """Train what is left of the runs, each in `folder`/NAME, and return whether nothing is left.

    minutes: stop after so many, 0: no limit. viewers: of every run, besides those in its own section. clips: a dataset
    of clips of so many seconds in place of synthesised ones.
    Each run ends by its steps, or by the `total_minutes` of its own section. Raises as `loop.train`.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    for name in ordered(settings):
        section = settings.of_run(name, folder)
        if is_complete(folder / name, section.run):
            continue
        left = (end - time.monotonic()) / 60
        if left < MINUTES_LEFT or should_stop():
            return False
        limits = [limit for limit in (left, section.run.minutes) if limit and limit != float("inf")]
        watched = tuple(dict.fromkeys((*viewers, *section.run.viewers)))
        section = replace(section, run=replace(section.run, minutes=min(limits, default=0.0), viewers=watched))
        if name == "distill":
            _write_teacher(settings, folder, process)
            section = completed(section)
        dataset = clips(section.duration) if clips else None
        loop.train(
            RUNS[name][1](section, process.device, dataset),
            section.run,
            folder / name,
            process,
            should_stop=should_stop,
            progress=partial(progress, name) if progress else None,
        )
        if not is_complete(folder / name, section.run):
            return False
    return True


def _write_teacher(settings: ChainSettings, folder: Path, process: Process) -> None:
    """Write the checkpoint that is distilled, unless that has begun."""
    if process.is_first and load_state(folder / "distill") is None:
        checkpoint = assemble_chain(settings, folder)
        assert checkpoint is not None
        write_native(checkpoint, folder / TEACHER, "float32")
    wait(process)


def ordered(settings: ChainSettings) -> Iterator[str]:
    """The names of the runs of `settings`, in order."""
    return (name for name in RUNS if name in settings.runs)


def is_complete(folder: Path, run: RunConfig) -> bool:
    """Whether the run in `folder` has done all its steps, or had all its time."""
    state = load_state(folder)
    if state is None:
        return False
    return state.step >= run.steps or (bool(run.total_minutes) and trained_seconds(folder) >= 60 * run.total_minutes)


def assemble_chain(settings: ChainSettings, folder: Path, name: str = "") -> Checkpoint | None:
    """The checkpoint of the runs in `folder` as far as they are; None before the joint stage has saved a state."""
    joint = next((folder / run for run in reversed(JOINT_RUNS) if load_state(folder / run)), None)
    if joint is None:
        return None
    decoder, vocoder = (
        folder / run if run in settings.runs and load_state(folder / run) else None for run in ("decoder", "vocoder")
    )
    return assemble_checkpoint(joint, decoder, vocoder, name or folder.name)


def assemble_distilled(settings: ChainSettings, folder: Path) -> Checkpoint | None:
    """What the run `distill` in `folder` has distilled so far; None where there is none."""
    if "distill" not in settings.runs or load_state(folder / "distill") is None:
        return None
    return assemble_checkpoint(folder / "distill", name=f"{folder.name}-distilled")
