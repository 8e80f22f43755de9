"""`generate --like`: the settings in the tags of a sound file in place of those that the command line leaves open."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppaudioldm.commands.arguments import settings_of
from ppaudioldm.commands.console import notify

if TYPE_CHECKING:
    from ppaudioldm.generation.options import Options
    from ppaudioldm.tasks.task import Task


def take_settings(options: argparse.Namespace) -> tuple[Task, Options]:
    """The task and settings of the file `options.like`; everything else that it says is set in `options`.

    Raises ValueError for a file that says too little, or names what this machine cannot have.
    """
    from ppaudioldm.tasks.stored_settings import read_settings

    if options.preset is not None:
        raise ValueError("--preset and --like are both given, allowed: one of them")
    stored = read_settings(options.like)
    if stored.has_recording and options.audio is None:
        raise ValueError(f"{options.like} was made from a recording, which is not in it: name it with --audio")
    if options.checkpoint is None and not stored.is_published:
        raise ValueError(
            f"{options.like} was made with {stored.checkpoint}, which is no published checkpoint: name it with "
            "--checkpoint"
        )
    if stored.options.lora and not options.lora:
        raise ValueError(
            f"{options.like} was made with the LoRA adapters {', '.join(stored.options.lora)}, which it only names: "
            "name their files with --lora"
        )
    options.checkpoint = options.checkpoint or stored.checkpoint
    options.prompt = stored.prompt if options.prompt is None else options.prompt
    options.seed = stored.seed if options.seed is None else options.seed
    options.loudness = stored.loudness if options.loudness is None else options.loudness
    for name in ("ema", "vocoder"):
        if getattr(options, name) is None:
            setattr(options, name, stored.opened_with.get(name))
    _take_engine(options, stored.opened_with)
    for name, value in stored.parameters.items():
        setattr(options, name, value)
    return stored.task, stored.options.changed(**settings_of(options))


def _take_engine(options: argparse.Namespace, opened_with: Mapping[str, Any]) -> None:
    """Set engine and precision of the file where the user has chosen none, and this machine has them."""
    if options.engine or options.device or options.precision != "auto" or os.environ.get("PPAUDIOLDM_ENGINE"):
        return
    engine, precision = opened_with.get("engine"), opened_with.get("precision", "auto")
    from ppaudioldm.engines.choice import chosen_engine

    try:
        chosen_engine(engine, None, precision, options.compile)
    except ValueError as error:
        notify(f"note: {options.like} was generated otherwise, so the sound may differ: {error}")
    else:
        options.engine, options.precision = engine, precision
