"""LoRA (arXiv:2106.09685): an adapter of the UNet, the only part that is trained, and its folder in PEFT's layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.framework import Linear, Tensor, nn, xp
from ppaudioldm.models.build import parameter_shapes
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.settings import check_range
from ppaudioldm.weights.lora import CONFIG_FILE, WEIGHTS_FILE, Adapter
from ppaudioldm.weights.lora import LoraPair as Matrices
from ppaudioldm.weights.lora_config import MOST_RANK
from ppaudioldm.weights.lora_merge import Target, module_targets
from ppaudioldm.weights.lora_sampling import Sampling
from ppaudioldm.weights.native import save_safetensors
from ppaudioldm.weights.tensors import ComputedTensor

NETWORK = "lora"  # the name of the adapter among the networks of a stage
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class LoraSettings:
    """An adapter to train in place of networks. rank: 0 for none. alpha: 0 for the rank, so that the factor is 1.

    targets: modules of diffusers' UNet, or ends of their names.
    """

    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ATTENTION

    def __post_init__(self) -> None:
        check_range(self, 0, MOST_RANK, "rank")
        check_range(self, 0, 1e6, "alpha")
        if not self.targets:
            raise ValueError("targets is empty, allowed: names of modules, such as to_q")

    @property
    def factor(self) -> float:
        """What the product of the two matrices is multiplied with."""
        return self.alpha / self.rank if self.alpha else 1.0


def chosen_targets(settings: LoraSettings, unet: Any, config: UNetConfig) -> dict[str, list[Target]]:
    """Module of diffusers' UNet -> the layers of our `unet` that it is, for the modules that the settings choose.

    Raises ValueError for a target that is no linear layer.
    """
    linear = {f"{path}.weight" for path, module in framework.named_modules(unet) if isinstance(module, Linear)}
    found = module_targets(config, framework.parameter_shapes(unet)).items()
    modules = {module: targets for module, targets in found if targets[0].name in linear}
    chosen: dict[str, list[Target]] = {}
    for end in settings.targets:
        named = {module: targets for module, targets in modules.items() if f".{module}".endswith(f".{end}")}
        if not named:
            endings = sorted({_ending(module) for module in modules})
            raise ValueError(f"lora.targets has {shown(end)}, allowed: linear layers, {', '.join(endings)}")
        chosen |= named
    return {module: chosen[module] for module in modules if module in chosen}


def _ending(module: str) -> str:
    """The end of a module's name that says which kind of layer it is."""
    _, _, inside = module.rpartition("transformer_blocks.")
    names = inside.split(".")
    is_number = names[0].isdigit()
    kept = names[2:] if is_number and names[1].startswith("attn") else names[1:] if is_number else names[-1:]
    return ".".join(kept)


class LoraPair(nn.Module):
    """The two matrices of a module, named as PEFT does. No forward pass: the layers that they change run them."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.lora_A = Linear(inputs, rank, bias=False)
        self.lora_B = Linear(rank, outputs, bias=False)


class LoraLayers(nn.Module):
    """The pairs of all modules, under their names in diffusers' UNet, dots and all: parameters are PEFT's keys."""

    def __init__(self, targets: Mapping[str, list[Target]], rank: int) -> None:
        super().__init__()
        for module, (target, *_) in targets.items():
            outputs, inputs, *_ = target.stored_shape
            *parents, leaf = module.split(".")
            owner: Any = self
            for name in parents:
                if not hasattr(owner, name):
                    setattr(owner, name, nn.Module())
                owner = getattr(owner, name)
            setattr(owner, leaf, LoraPair(inputs, outputs, rank))

    def pair(self, module: str) -> LoraPair:
        """That of a module."""
        found: Any = self
        for name in module.split("."):
            found = getattr(found, name)
        return found


def attach_adapter(
    unet: Any,
    config: UNetConfig,
    settings: LoraSettings,
    seed: int,
    device: str,
    is_active: Callable[[], bool] = lambda: True,
) -> Any:
    """A new adapter, in training mode, which changes what `unet` computes. At first it has no effect.

    is_active: whether it does, asked at each call, for one of several adapters. Raises ValueError for a target that is
    no linear layer of the UNet.
    """
    targets = chosen_targets(settings, unet, config)
    adapter = build_trainable(NETWORK, lambda rank: LoraLayers(targets, rank), settings.rank, seed, device)
    layers = dict(framework.named_modules(unet))
    for module, of_module in targets.items():
        for target in of_module:
            layer = layers[target.name.removesuffix(".weight")]
            framework.after_forward(layer, _change(adapter.pair(module), target, settings.factor, is_active))
    return adapter


def _change(pair: LoraPair, target: Target, factor: float, is_active: Callable[[], bool]) -> Any:
    """A hook that adds the adapter's part to the output of a layer, which may be a chunk of diffusers' module."""
    rows = target.shape[0]
    first = target.placement.chunk * rows

    def add(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not is_active():
            return output
        up = pair.lora_B.weight[first : first + rows]
        return output + factor * xp.matmul(pair.lora_A(inputs[0]), up.transpose(0, 1))

    return add


def write_adapter(
    folder: Path,
    weights: Mapping[str, np.ndarray],
    settings: LoraSettings,
    model: ModelConfig,
    base: str,
    sampling: Sampling | None = None,
) -> None:
    """Write the adapter `weights`, by name, as a folder in PEFT's layout. base: the name of the checkpoint.

    sampling: what it is to be sampled with, where that is not the checkpoint's. What stood in `folder` is replaced, if
    it is an adapter; else ValueError.
    """
    if folder.exists() and not (folder / CONFIG_FILE).exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} exists and is no adapter: choose another name")
    targets = module_targets(model.unet, parameter_shapes("unet", model))
    shapes = {module: of_module[0].stored_shape for module, of_module in targets.items()}
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        arrays = {f"base_model.model.{name}": _stored(name, array, shapes) for name, array in weights.items()}
        save_safetensors(temporary / WEIGHTS_FILE, arrays, "pt", sampling.metadata() if sampling else None)
        values = {
            "peft_type": "LORA",
            "r": settings.rank,
            "lora_alpha": settings.alpha or settings.rank,
            "target_modules": sorted(settings.targets),
            "base_model_name_or_path": base,
            "bias": "none",
            "inference_mode": True,
        }
        (temporary / CONFIG_FILE).write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def adapter_of(weights: Mapping[str, np.ndarray], settings: LoraSettings, name: str) -> Adapter:
    """The adapter `weights`, by name, as one that was read. name: for messages."""
    pairs = {}
    for key in weights:
        module, is_down, _ = key.partition(".lora_A.")
        if is_down:
            down, up = (weights[f"{module}.{part}.weight"] for part in ("lora_A", "lora_B"))
            pairs[module] = Matrices(_tensor(down), _tensor(up), settings.factor)
    return Adapter(name, pairs, "")


def _tensor(array: np.ndarray) -> ComputedTensor:
    return ComputedTensor(array.shape, lambda: array)


def write_run_adapter(
    run: Path,
    folder: Path,
    lora: LoraSettings,
    model: ModelConfig,
    base: str,
    stage: str = "joint",
    sampling: Sampling | None = None,
) -> None:
    """Write the averaged adapter of the run in the folder `run`, of that stage; the others as in `write_adapter`."""
    weights = averaged_weights(run, stage).get(NETWORK)
    if weights is None:
        raise CheckpointError(f"{run}: a run that trained no adapter")
    write_adapter(folder, weights, lora, model, base, sampling)


def _stored(name: str, array: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """A matrix as PEFT stores it: with axes of size 1 for a linear layer that diffusers has as a convolution."""
    module = name.removesuffix(".weight").rpartition(".")[0]
    return array.reshape(*array.shape, *[1] * (len(shapes[module]) - 2))
