"""Our own layout: a folder with config.json, one safetensors file a network, and the tokenizers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError, naming
from ppaudioldm.weights.knowledge import Knowledge
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.tensors import Stored

FORMAT = "ppaudioldm"
VERSION = 1
CONFIG_LIMIT = 1 << 20  # bytes


def is_native(folder: Path) -> bool:
    return (folder / "config.json").is_file() and not (folder / "model_index.json").exists()


def is_replaceable(folder: Path) -> bool:
    """Whether a new checkpoint may take the place of `folder`: it holds nothing, or a checkpoint that we wrote."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return True
    try:
        return _parsed((folder / "config.json").read_text("utf-8")).get("format") == FORMAT
    except (OSError, ValueError):
        return False


def read_native(folder: Path) -> tuple[str, ModelConfig, Knowledge | None, dict[str, Stored]]:
    """Name, configuration, what it knows, and all tensors, under `network/parameter`. Raises CheckpointError."""
    with naming(folder / "config.json"):
        values = _read_config(folder)
        config = ModelConfig.from_dict(values.get("config", {}))
        knows = Knowledge.from_dict(values["knows"]) if "knows" in values else None
    tensors: dict[str, Stored] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update({f"{file.stem}/{key}": tensor for key, tensor in read_safetensors(file).items()})
    name = values.get("name")
    if not isinstance(name, str) or not name.isprintable() or len(name) > 100:
        name = folder.name
    return name, config, knows, tensors


def read_knowledge(path: Path) -> Knowledge | None:
    """What the checkpoint at `path` knows, None where that is not listed. Raises CheckpointError for a broken list."""
    if not path.is_dir() or not is_native(path):
        return None
    with naming(path / "config.json"):
        values = _read_config(path)
        return Knowledge.from_dict(values["knows"]) if "knows" in values else None


def write_network(folder: Path, network: str, parameters: Mapping[str, Stored], dtype: str) -> None:
    """Write one network; `dtype` is "float32" or "float16". Memory holds this network once."""
    arrays = {}
    for name, parameter in parameters.items():
        values = parameter.read()
        with np.errstate(over="ignore"):
            arrays[name] = values.astype(dtype)
        if not np.isfinite(arrays[name]).all() and np.isfinite(values).all():
            raise CheckpointError(f"{network}.{name}: too large for {dtype}, convert to float32 instead")
    save_safetensors(folder / f"{network}.safetensors", arrays, "np")


def save_safetensors(path: Path, arrays: dict[str, np.ndarray], kind: str) -> None:
    """Write `arrays` to `path`; `kind` is "np" or "pt". Raises OSError if the disk is full."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path, metadata={"format": kind})
    except SafetensorError as error:  # which is no OSError
        raise OSError(f"{path.name}: {error}") from error


def write_config(folder: Path, name: str, config: ModelConfig, knows: Knowledge | None = None) -> None:
    values = {"format": FORMAT, "version": VERSION, "name": name, "config": config.to_dict()}
    if knows:
        values["knows"] = knows.to_dict()
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if path.stat().st_size > CONFIG_LIMIT:
        raise ValueError("too large for a configuration")
    values = _parsed(path.read_text("utf-8"))
    if values.get("format") != FORMAT or values.get("version") != VERSION:
        raise ValueError(f"not a ppaudioldm checkpoint of version {VERSION}")
    return values


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("expected a JSON object")
    return values
