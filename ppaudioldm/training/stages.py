"""The stages by name, each imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

# name -> (module, settings, stage), in the order in which a model is trained.
STAGES = {
    "vae": ("vae", "VAESettings", "VAEStage"),
    "clap": ("clap", "ClapSettings", "ClapStage"),
    "audiomae": ("audiomae", "AudioMAESettings", "AudioMAEStage"),
    "joint": ("joint", "JointSettings", "JointStage"),
    "vocoder": ("vocoder", "VocoderSettings", "VocoderStage"),
    "classifier": ("classifier", "ClassifierSettings", "ClassifierStage"),  # the judge of `evaluate`
}


def stage_of(name: str) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """The settings and the stage called `name`: two classes."""
    module_name, settings, stage = STAGES[name]
    module = importlib.import_module(f"ppaudioldm.training.{module_name}")
    return getattr(module, settings), getattr(module, stage)
