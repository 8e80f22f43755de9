"""LoRA adapters (arXiv:2106.09685): reading the file or folder of one, and all checks that need no checkpoint.

An adapter has for each module that it changes two matrices, `down` (rank, inputs) and `up` (outputs, rank), whose
product is added to the module's weight, times a factor. It is a folder in PEFT's layout, or one safetensors file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.storage.documents import json_object
from ppaudioldm.storage.regular import open_regular, read_bounded
from ppaudioldm.weights.lora_choice import LoraChoice, parse_choices
from ppaudioldm.weights.lora_config import LoraConfig, checked_rank
from ppaudioldm.weights.lora_keys import ALPHA, DOWN, UP, other_method, parse_key
from ppaudioldm.weights.lora_sampling import Sampling
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.tensors import LazyTensor

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONFIG_LIMIT_BYTES = 1 << 20
HEADER_LIMIT_BYTES = 1 << 22  # of a safetensors file: an adapter of every weight of the UNet needs a tenth
MOST_TENSORS = 8192
METADATA = "lora_adapter_metadata"  # under which diffusers keeps the configuration in the file itself


@dataclass(frozen=True)
class LoraPair:
    """The change of one module: factor * up @ down. down: (rank, ...). up: (outputs, rank, ...)."""

    down: LazyTensor
    up: LazyTensor
    factor: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def change(self) -> np.ndarray:
        """(outputs, inputs) float32, the inputs of a convolution in one axis with its kernel."""
        down, up = self.down.read(), self.up.read()
        return np.float32(self.factor) * (up.reshape(len(up), -1) @ down.reshape(len(down), -1))


@dataclass(frozen=True)
class Adapter:
    """An adapter that was read. name: for messages, its path or what the owner of a server calls it. pairs: by module,
    as diffusers' UNet names it. digest: a hash of its files' content. sampling: of one that distills its checkpoint."""

    name: str
    pairs: Mapping[str, LoraPair]
    digest: str
    sampling: Sampling | None = None


def read_adapter(path: str | Path, name: str = "") -> Adapter:
    """The adapter at `path`. Raises CheckpointError, in one line, for anything wrong with it.

    name: for messages in place of the path, which clients of a server need not know. Nothing in it is run. The matrices
    stay in the file until a weight is merged, but each was looked at once: they are finite.
    """
    path = Path(path)
    try:
        return _read(path, name or str(path))
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), name) if name else str(error)) from error


def read_adapters(texts: Sequence[str]) -> list[tuple[Adapter, float]]:
    """The adapters that `texts`, each PATH[:SCALE], name, with their scales. Raises ValueError as `read_adapter`."""
    choices = map(LoraChoice.parse, parse_choices("lora", texts))
    return [(read_adapter(choice.adapter), choice.scale) for choice in choices]


def read_sampling(path: str | Path) -> Sampling | None:
    """What the adapter at `path` is to be sampled with, if it says so; of the file nothing else is read.

    Raises CheckpointError.
    """
    weights, _ = _files(Path(path))
    with naming(weights):
        _check_header(weights)
        return _sampling(weights)


def _read(path: Path, name: str) -> Adapter:
    weights, config = _files(path)
    content = hashlib.sha256()
    with naming(config or weights):
        values = json_object(read_bounded(config, CONFIG_LIMIT_BYTES)) if config else None
        content.update(json.dumps(values, sort_keys=True).encode())
    with naming(weights):
        _check_header(weights)
        tensors = read_safetensors(weights)
        if len(tensors) > MOST_TENSORS:
            raise ValueError(f"{len(tensors)} tensors, allowed in an adapter: up to {MOST_TENSORS}")
        with open_regular(weights) as file:
            while block := file.read(1 << 20):
                content.update(block)
        values = _metadata(weights) if values is None else values
        lora_config = None if values is None else _config(values, config or weights)
        return Adapter(name, dict(_pairs(tensors, lora_config)), content.hexdigest(), _sampling(weights))


def _files(path: Path) -> tuple[Path, Path | None]:
    """The file with the weights, and that with the configuration, if there is one. Raises CheckpointError."""
    if not path.exists():
        raise CheckpointError(f"{shown(str(path))}: no such LoRA adapter")
    if not path.is_dir():
        if path.suffix.lower() in PICKLES:
            raise CheckpointError(f"{path}: an adapter as a pickle, allowed: safetensors")
        config = path.with_name(CONFIG_FILE)
        return path, config if path.name == WEIGHTS_FILE and config.exists() else None
    found = sorted(path.glob("*.safetensors"))
    weights, config = path / WEIGHTS_FILE, path / CONFIG_FILE
    if weights.exists():
        if not config.exists():
            raise CheckpointError(f"{path}: {WEIGHTS_FILE} without {CONFIG_FILE}")
        return weights, config
    if len(found) == 1 and not config.exists():
        return found[0], None
    pickles = sorted(file.name for file in path.iterdir() if file.suffix.lower() in PICKLES)
    if pickles and not found:
        raise CheckpointError(f"{path}: an adapter as a pickle, {shown(pickles[0])}, allowed: safetensors")
    raise CheckpointError(f"{path}: not an adapter: neither {WEIGHTS_FILE} nor a single safetensors file")


def _check_header(path: Path) -> None:
    """Raise ValueError for a header that is larger than any adapter needs, before anything parses it."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_LIMIT_BYTES and file.read(1) == b"{":
            raise ValueError(f"a header of {length} bytes, allowed in an adapter: up to {HEADER_LIMIT_BYTES}")


def _metadata(path: Path) -> dict[str, Any] | None:
    """The configuration that diffusers keeps in the file itself, None where it has none."""
    text = _metadata_of(path).get(METADATA)
    if text is None:
        return None
    values = {
        name.removeprefix("unet."): value for name, value in json_object(text).items() if name.startswith("unet.")
    }
    return values or None


def _sampling(path: Path) -> Sampling | None:
    return Sampling.from_metadata(_metadata_of(path))


def _metadata_of(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"damaged: {error}") from error


def _config(values: Mapping[str, Any], path: Path) -> LoraConfig:
    with naming(path):
        return LoraConfig.from_values(values)


def _pairs(tensors: Mapping[str, LazyTensor], config: LoraConfig | None) -> Iterator[tuple[str, LoraPair]]:
    """Module and pair of all `tensors`. Raises ValueError."""
    for module, parts in _modules(tensors).items():
        if not {DOWN, UP} <= set(parts):
            raise ValueError(f"{shown(module)} has {' and '.join(sorted(parts))}, allowed: down and up, and an alpha")
        down, up = (tensors[parts[part]] for part in (DOWN, UP))
        if len(down.shape) < 2 or len(up.shape) < 2 or down.shape[0] != up.shape[1]:
            shapes = f"{list(down.shape)} and {list(up.shape)}"
            raise ValueError(f"{shown(module)} has matrices of {shapes}, allowed: [rank, inputs] and [outputs, rank]")
        rank = checked_rank(down.shape[0])
        # Without an alpha it is the rank, as in diffusers.
        factor = 1.0 if config is None else config.factor(module, rank)
        if ALPHA in parts:
            factor = _alpha(parts[ALPHA], tensors[parts[ALPHA]]) / rank
        for part in (DOWN, UP):
            values = tensors[parts[part]].read()
            if values.dtype != np.float32 or not np.isfinite(values).all():
                raise ValueError(f"{shown(parts[part])} holds values that are no finite numbers")
        yield module, LoraPair(down, up, factor)


def _modules(tensors: Mapping[str, LazyTensor]) -> dict[str, dict[str, str]]:
    """Module -> part -> key. Raises ValueError for keys that are no part of a LoRA."""
    modules: dict[str, dict[str, str]] = {}
    foreign = []
    for key in tensors:
        if method := other_method(key):
            raise ValueError(f"{shown(key)}: weights of {method}, allowed: plain LoRA")
        parsed = parse_key(key)
        if parsed is None:
            foreign.append(key)
            continue
        module, part = parsed
        if part in modules.setdefault(module, {}):
            raise ValueError(f"{shown(module)} has two matrices {part}")
        modules[module][part] = key
    if foreign:
        raise ValueError(
            f"{len(foreign)} keys that are no part of a LoRA, the first: {', '.join(map(shown, foreign[:3]))}"
        )
    if not modules:
        raise ValueError("holds no LoRA weights")
    return modules


def _alpha(key: str, tensor: LazyTensor) -> float:
    values = tensor.read().reshape(-1) if tensor.shape in ((), (1,)) else np.zeros(0)
    if len(values) != 1 or not abs(float(values[0])) <= 1e6:  # so that NaN fails
        raise ValueError(f"{shown(key)} is no number up to a million")
    return float(values[0])
