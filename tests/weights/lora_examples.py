"""LoRA adapters to test with: random ones for a UNet, in any naming, and the change that each makes by definition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ppaudioldm.config import ModelConfig
from ppaudioldm.models.build import parameter_shapes
from ppaudioldm.weights.lora import CONFIG_FILE, WEIGHTS_FILE
from ppaudioldm.weights.lora_merge import Target, module_targets
from tests.network_examples import CONFIGS
from tests.support import noise

ENDINGS = {"peft": ("lora_A", "lora_B"), "diffusers": ("lora.down", "lora.up"), "kohya": ("lora_down", "lora_up")}
SMALL = CONFIGS["two contexts"]
QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
Arrays = dict[str, np.ndarray]


def targets_of(config: ModelConfig = SMALL) -> dict[str, list[Target]]:
    return module_targets(config.unet, parameter_shapes("unet", config))


def matrices(modules: tuple[str, ...] = (), rank: int = 2, config: ModelConfig = SMALL) -> dict[str, Arrays]:
    """Module -> its matrices "down" and "up"; by default of every linear layer and convolution."""
    found = {}
    for number, (module, targets) in enumerate(targets_of(config).items()):
        if not modules or module.endswith(modules):
            outputs, *inputs = targets[0].stored_shape
            up = noise(outputs, rank, *[1] * (len(inputs) - 1), seed=2 * number)
            found[module] = {"down": 0.1 * noise(rank, *inputs, seed=2 * number + 1), "up": 0.1 * up}
    assert found
    return found


def keys_of(pairs: Mapping[str, Arrays], naming: str = "diffusers", prefix: str = "unet.") -> Arrays:
    """The tensors of a file, in a naming of ENDINGS."""
    down, up = ENDINGS[naming]
    tensors = {}
    for module, pair in pairs.items():
        stem = f"lora_unet_{module.replace('.', '_')}" if naming == "kohya" else f"{prefix}{module}"
        tensors |= {f"{stem}.{down}.weight": pair["down"], f"{stem}.{up}.weight": pair["up"]}
    return {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}


def write_file(path: Path, tensors: Arrays, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    return path


def write_peft(folder: Path, pairs: Mapping[str, Arrays], **config: Any) -> Path:
    """A folder in PEFT's layout; by default alpha is the rank, so that the factor is 1."""
    rank = len(next(iter(pairs.values()))["down"])
    values = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": sorted(pairs)}
    write_file(folder / WEIGHTS_FILE, keys_of(pairs, "peft", "base_model.model."))
    (folder / CONFIG_FILE).write_text(json.dumps(values | config))
    return folder


def change_of(pair: Arrays) -> np.ndarray:
    """up @ down, in the shape of the module's weight."""
    down, up = pair["down"], pair["up"]
    return np.tensordot(up.reshape(len(up), -1), down, 1)
