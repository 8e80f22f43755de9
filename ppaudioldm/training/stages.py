"""The training stages by name. Their modules are imported when a stage runs, so that `--help` stays light."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

# name -> (module, settings class, stage class), in the order in which a model is trained.
STAGES = {
    "vae": ("ppaudioldm.training.vae", "VAESettings", "VAEStage"),
    "clap": ("ppaudioldm.training.clap", "ClapSettings", "ClapStage"),
    "audiomae": ("ppaudioldm.training.audiomae", "AudioMAESettings", "AudioMAEStage"),
    "joint": ("ppaudioldm.training.joint", "JointSettings", "JointStage"),
    "distill": ("ppaudioldm.training.distill", "DistillSettings", "DistillStage"),
    "vocoder": ("ppaudioldm.training.vocoder", "VocoderSettings", "VocoderStage"),
}


def stage_classes(module: str, settings: str, stage: str) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """The settings class and the stage class of an entry of STAGES."""
    imported = importlib.import_module(module)
    return getattr(imported, settings), getattr(imported, stage)
