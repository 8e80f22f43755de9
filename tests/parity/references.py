"""What the live comparisons share: our random weights under the names that the references know them by."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import torch

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.build import build_empty, parameter_shapes
from ppaudioldm.weights.mapping import Layout, write_parameters
from ppaudioldm.weights.random import random_weights
from ppaudioldm.weights.tensors import ComputedTensor
from tests.support import SEED

Weights = dict[str, dict[str, np.ndarray]]  # network -> parameter -> value


def make_weights(config: ModelConfig, *networks: str) -> Weights:
    return {name: dict(random_weights(name, parameter_shapes(name, config), SEED)) for name in networks}


def build(config: ModelConfig, weights: Weights) -> Iterator:
    """Our networks with `weights`."""
    for name, values in weights.items():
        network = build_empty(name, config)
        framework.assign_weights(network, values.items())
        yield network


def give_weights(
    reference: torch.nn.Module, weights: Weights, layout: Layout, unused: Collection[str] = ()
) -> torch.nn.Module:
    """`reference`, made on PyTorch's meta device, with `weights` through a key table of the product.

    Every key of the reference must be covered but those of `unused`.
    """
    state = {}
    for network, values in weights.items():
        # `array=array`: the loop goes on before the tensor is read
        stored = {name: ComputedTensor(array.shape, lambda array=array: array) for name, array in values.items()}
        written = write_parameters(network, stored, lambda network, name: layout(network, name)[:1])
        state.update({key.partition("/")[2]: torch.from_numpy(tensor.read()) for key, tensor in written.items()})
    missing, unexpected = reference.load_state_dict(state, strict=False, assign=True)
    assert not unexpected and set(missing) == set(unused), (missing, unexpected)
    return reference.eval()
