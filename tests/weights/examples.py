"""Checkpoints to test with: the tiny configuration in every layout, and what must hold for an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.build import linear_weights, network_names
from ppaudioldm.weights import original, paddlemix
from ppaudioldm.weights.checkpoint import Checkpoint, random_checkpoint
from ppaudioldm.weights.convert import write_random
from ppaudioldm.weights.mapping import Layout, Placement, write_parameters
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor
from ppaudioldm.weights.torch_files import write_torch
from tests.weights.paddle_writer import write_paddle

LAYOUTS = ("original", "diffusers", "native", "paddlemix", "paddlemix-published")
IN_DIFFUSERS = replace(UNTRAINED, audiomae=None)  # what that layout has of the tiny configuration


@dataclass(frozen=True)
class OnlyShape:
    """A tensor of which a test needs no values."""

    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        raise AssertionError("values were read")


def stored(values: np.ndarray) -> ComputedTensor:
    return ComputedTensor(values.shape, lambda: values)


def only_shapes(shapes: Mapping[str, Sequence[int]]) -> dict[str, OnlyShape]:
    return {key: OnlyShape(tuple(shape)) for key, shape in shapes.items()}


def write_layout(layout: str, folder: Path, seed: int = 0) -> Path:
    """Write the tiny checkpoint with the values of `seed` in one of LAYOUTS. Returns its path."""
    if layout == "original":
        path = folder / "original.pth"
        write_random("untrained", path, layout, seed)
    elif layout.startswith("paddlemix"):
        path = folder / f"{layout}.pdparams"
        write_paddle(path, paddlemix_tensors(random_checkpoint("untrained", UNTRAINED, seed), layout).items())
    else:
        path = folder / layout
        write_random("untrained", path, layout, seed)
    return path


def tiny_in(layout: str, seed: int = 0) -> Checkpoint:
    """What `write_layout` wrote, as it is read back."""
    return random_checkpoint("untrained", IN_DIFFUSERS if layout == "diffusers" else UNTRAINED, seed)


def paddlemix_tensors(checkpoint: Checkpoint, layout: str) -> dict[str, LazyTensor]:
    """As PaddleMIX's merged port names them ("paddlemix"), or its first version ("paddlemix-published")."""
    tensors: dict[str, LazyTensor] = {}
    placements = one_naming(paddlemix_layout(checkpoint.config), published=layout == "paddlemix-published")
    for network, parameters in checkpoint.networks.items():
        tensors.update(write_parameters(network, parameters, placements))
    return {**tensors, "scale_factor": stored(np.asarray([checkpoint.config.vae.scale_factor], np.float32))}


def paddlemix_layout(config: ModelConfig) -> Layout:
    return paddlemix.layout(config, frozenset((n, k) for n in network_names(config) for k in linear_weights(n, config)))


def one_naming(layout: Layout, published: bool) -> Layout:
    """PaddleMIX's layout knows two names where PaddleNLP took over a network: keep one of them."""

    def placements(network: str, name: str) -> Sequence[Placement]:
        found = layout(network, name)
        if network == "gpt2" or (network == "clap_text" and not name.startswith("projection_")):
            half = len(found) // 2
            return found[:half] if published else found[half:]
        return found

    return placements


def tiny_tensors() -> dict[str, LazyTensor]:
    """The tensors of a published file of the tiny configuration, all zeros."""
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    tensors: dict[str, LazyTensor] = {}
    for network, parameters in checkpoint.networks.items():
        tensors.update(write_parameters(network, parameters, original.layout(UNTRAINED)))
    zeros = {key: zeros_of(tensor.shape) for key, tensor in tensors.items()}
    return {**zeros, "scale_factor": stored(np.asarray(UNTRAINED.vae.scale_factor, np.float32))}


def zeros_of(shape: tuple[int, ...]) -> ComputedTensor:
    return ComputedTensor(shape, lambda: np.zeros(shape, np.float32))


def write_published(path: Path, tensors: Mapping[str, LazyTensor]) -> Path:
    write_torch(path, tensors.items())
    return path


def all_values(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    return {f"{network}.{key}": value for network in checkpoint.networks for key, value in checkpoint.weights(network)}


def assert_same_values(checkpoint: Checkpoint, expected: Checkpoint) -> None:
    """Every network and parameter, to the bit."""
    actual, wanted = all_values(checkpoint), all_values(expected)
    assert actual.keys() == wanted.keys()
    for key, values in wanted.items():
        assert actual[key].dtype == np.float32
        np.testing.assert_array_equal(actual[key], values, err_msg=key)


def error_of(call: Callable[..., object], *arguments: object, **more: object) -> str:
    """What `call` says when it fails, as it has to: a ValueError of one short line without control characters."""
    with pytest.raises(ValueError) as caught:
        call(*arguments, **more)
    message = str(caught.value)
    assert message and message.isprintable() and len(message) < 800, message
    return message
