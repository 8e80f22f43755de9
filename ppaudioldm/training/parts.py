"""Networks out of finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.models.build import build_empty
from ppaudioldm.training.initialise import freeze
from ppaudioldm.training.state import STATE_FILE, State, load_state


def run_of(folder: Path, stage: str) -> State:
    """The run of `stage` in `folder`. Raises CheckpointError if there is none, or one of another stage."""
    state = load_state(folder)
    if state is None:
        raise CheckpointError(f"{folder}: no training run, it has no {STATE_FILE}; expected one of the stage {stage}")
    if state.facts.get("stage") != stage:
        raise CheckpointError(f"{folder}: a run of the stage {state.facts.get('stage')}, expected {stage}")
    return state


def trained(folder: Path, stage: str) -> dict[str, dict[str, np.ndarray]]:
    """The averaged weights of `run_of(folder, stage)`: network -> parameter -> value."""
    state = run_of(folder, stage)
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in {**state.part("weights"), **state.part("average")}.items():
        network, _, name = key.partition(".")
        found.setdefault(network, {})[name] = array
    return found


def finished(name: str, model: ModelConfig, weights: Mapping[str, np.ndarray], device: str) -> Any:
    """The network called `name` of `model` with `weights`, to be used and not trained."""
    network = build_empty(name, model)
    framework.assign_weights(network, weights.items(), device)
    freeze(network)
    return network
