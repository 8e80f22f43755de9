"""Merging LoRA adapters into the weights of a checkpoint's UNet, lazily: a weight is computed when it is read.

An adapter names modules as diffusers' UNet does. Which parameter of ours a module is follows from that layout's table,
`diffusers.unet_placement`, so the checkpoint itself may have any layout.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppaudioldm.checkpoints import derivatives_warning
from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.models.build import parameter_shapes
from ppaudioldm.weights.checkpoint import Checkpoint
from ppaudioldm.weights.diffusers import unet_placement
from ppaudioldm.weights.lora import Adapter, LoraPair, read_adapters
from ppaudioldm.weights.lora_keys import UNDERSCORED
from ppaudioldm.weights.mapping import Placement
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor

Shape = tuple[int, ...]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """A parameter of our UNet that holds the weight of a module of diffusers' UNet, or a chunk of it."""

    name: str
    shape: Shape
    placement: Placement

    @property
    def stored_shape(self) -> Shape:
        """Of the whole weight in diffusers' UNet."""
        return self.placement.stored_shape(self.shape)


def module_targets(config: UNetConfig, shapes: Mapping[str, Shape]) -> dict[str, list[Target]]:
    """Module of diffusers' UNet -> our parameters that hold its weight, for all linear layers and convolutions.

    shapes: of all parameters of our UNet of `config`.
    """
    targets: dict[str, list[Target]] = {}
    for name, shape in shapes.items():
        if name.endswith(".weight") and len(shape) > 1:
            placement = unet_placement(config, name)
            module = placement.keys[0].removeprefix("unet/").removesuffix(".weight")
            targets.setdefault(module, []).append(Target(name, shape, placement))
    return targets


def with_adapters(checkpoint: Checkpoint, adapters: Sequence[tuple[Adapter, float]]) -> Checkpoint:
    """`checkpoint` with `adapters`, each with its scale, merged into its UNet; says so where that must not be shared.

    The first of them that says what it is sampled with decides that of the result. Memory holds a weight and its change
    while it is read. Raises CheckpointError for an adapter that does not fit.
    """
    if not adapters:
        return checkpoint
    if warning := derivatives_warning(checkpoint.licence, f"its UNet with {adapters[0][0].name}"):
        logger.warning("%s", warning)
    return _with_merged(checkpoint, adapters)


def _with_merged(checkpoint: Checkpoint, adapters: Sequence[tuple[Adapter, float]]) -> Checkpoint:
    unet = checkpoint.networks["unet"]
    targets = module_targets(checkpoint.config.unet, {name: tensor.shape for name, tensor in unet.items()})
    changes: dict[str, list[tuple[Target, LoraPair, float]]] = {}
    names = ", ".join(adapter.name for adapter, _ in adapters)
    for adapter, scale in adapters:
        for module, pair in _checked(adapter, targets, checkpoint.name).items():
            for target in targets[module]:
                changes.setdefault(target.name, []).append((target, pair, scale))
    merged = {name: _merged(name, tensor, changes.get(name, []), names) for name, tensor in unet.items()}
    config = checkpoint.config
    if sampling := next((adapter.sampling for adapter, scale in adapters if adapter.sampling and scale), None):
        config = replace(config, diffusion=sampling.applied(config.diffusion))
    return replace(checkpoint, config=config, networks={**checkpoint.networks, "unet": merged})


def with_lora(checkpoint: Checkpoint, texts: Sequence[str]) -> Checkpoint:
    """`checkpoint` with the adapters that `texts`, each PATH[:SCALE], name. Raises ValueError."""
    adapters = read_adapters(texts)
    # What is written of it says itself that it must not be shared.
    return _with_merged(checkpoint, adapters) if adapters else checkpoint


def check_fits(adapter: Adapter, config: ModelConfig, name: str) -> None:
    """Raise CheckpointError for an adapter that does not fit the checkpoint `name`, which has `config`."""
    _checked(adapter, module_targets(config.unet, parameter_shapes("unet", config)), name)


def _checked(adapter: Adapter, targets: Mapping[str, Sequence[Target]], name: str) -> dict[str, LoraPair]:
    """The adapter's pairs by module with dots. Raises CheckpointError for modules and shapes of another model."""
    dotted = {f"{UNDERSCORED}{module.replace('.', '_')}": module for module in targets}
    foreign = [module for module in adapter.pairs if module not in targets and module not in dotted]
    if foreign:
        first = ", ".join(map(shown, foreign[:3]))
        raise CheckpointError(
            f"{adapter.name}: {len(foreign)} of its {len(adapter.pairs)} modules fit nothing in the UNet of {name}, the"
            f" first: {first}"
        )
    pairs: dict[str, LoraPair] = {}
    for stored, pair in adapter.pairs.items():
        module = dotted.get(stored, stored)
        expected = targets[module][0].stored_shape
        outputs, inputs = pair.up.shape[0], pair.down.shape[1:]
        if outputs != expected[0] or _plain(inputs) != _plain(expected[1:]) or math.prod(pair.up.shape[2:]) != 1:
            raise CheckpointError(
                f"{adapter.name}: {shown(module)} is for a weight of {[outputs, *inputs]}, but {name} has"
                f" {list(expected)}: an adapter of another model"
            )
        if module in pairs:
            raise CheckpointError(f"{adapter.name}: {shown(module)} appears twice, with dots and with underscores")
        pairs[module] = pair
    return pairs


def _plain(shape: Shape) -> Shape:
    """`shape` without axes of size 1 at the end: a linear layer may be stored as a convolution of size 1."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _merged(
    name: str, weight: LazyTensor, changes: Sequence[tuple[Target, LoraPair, float]], adapters: str
) -> LazyTensor:
    if not changes:
        return weight

    def compute() -> np.ndarray:
        values = weight.read().astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            for target, pair, scale in changes:
                whole = pair.change().reshape(target.stored_shape)
                values += np.float32(scale) * target.placement.extract([whole], target.shape)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{adapters}: too large, the weight {name} would not be finite")
        return values

    return ComputedTensor(weight.shape, compute)
