"""Reading finished training runs: their averaged weights, and frozen networks with them."""

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


def open_run(folder: Path, stage: str) -> State:
    """The state of the run in `folder`. Raises CheckpointError if the folder has none, or one of another stage."""
    state = load_state(folder)
    if state is None:
        raise CheckpointError(f"{folder}: no training run, it has no {STATE_FILE}; expected one of the stage {stage}")
    if state.facts.get("stage") != stage:
        raise CheckpointError(f"{folder}: a run of the stage {state.facts.get('stage')}, expected {stage}")
    return state


def averaged_weights(folder: Path, stage: str) -> dict[str, dict[str, np.ndarray]]:
    """The averaged weights of the run in `folder`: network -> parameter -> value. Raises as `open_run`.

    Parameters that are not averaged, such as measured statistics, are included as they are.
    """
    state = open_run(folder, stage)
    weights: dict[str, dict[str, np.ndarray]] = {}
    for key, array in {**state.section("weights"), **state.section("average")}.items():
        network, _, name = key.partition(".")
        weights.setdefault(network, {})[name] = array
    return weights


def frozen_network(name: str, model: ModelConfig, weights: Mapping[str, np.ndarray], device: str) -> Any:
    """The network `name` of `model` with `weights`, without gradients and in evaluation mode."""
    network = build_empty(name, model)
    framework.assign_weights(network, weights.items(), device)
    freeze(network)
    return network
