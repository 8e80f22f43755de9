"""The training stages by name. A stage's module is imported when it is asked for, so that `--help` needs none."""

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
    "vocoder": ("ppaudioldm.training.vocoder", "VocoderSettings", "VocoderStage"),
}


def stage_classes(module: str, settings: str, stage: str) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """The settings class and the stage class of an entry of STAGES."""
    found = importlib.import_module(module)
    return getattr(found, settings), getattr(found, stage)
