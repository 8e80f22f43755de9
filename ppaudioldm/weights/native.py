"""Our own layout: a folder with config.json, one safetensors file for each network, and the tokenizers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError, naming
from ppaudioldm.storage.documents import json_object
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.weights.known_sounds import KnownSounds
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.tensors import LazyTensor

FORMAT = "ppaudioldm"
VERSION = 1
CONFIG_LIMIT_BYTES = 1 << 20


def is_native(folder: Path) -> bool:
    """Whether `folder` looks like a checkpoint in our own layout."""
    return (folder / "config.json").is_file() and not (folder / "model_index.json").exists()


def is_replaceable(folder: Path) -> bool:
    """Whether a new checkpoint may replace `folder`: it is missing or empty, or is a checkpoint in our own layout."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return True
    try:
        return json_object(read_bounded(folder / "config.json", CONFIG_LIMIT_BYTES)).get("format") == FORMAT
    except (OSError, ValueError):
        return False


def read_native(folder: Path) -> tuple[str, ModelConfig, KnownSounds | None, str | None, dict[str, LazyTensor]]:
    """Name, configuration, known sounds, licence, and all tensors by `network/parameter`. Raises CheckpointError."""
    with naming(folder / "config.json"):
        values = _read_config(folder)
        config = ModelConfig.from_dict(values.get("config", {}))
        known_sounds = _known_sounds(values)
    tensors: dict[str, LazyTensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update({f"{file.stem}/{key}": tensor for key, tensor in read_safetensors(file).items()})
    name = values.get("name")
    if not isinstance(name, str) or not name.isprintable() or len(name) > 100:
        name = folder.name
    licence = values.get("licence")
    if not isinstance(licence, str) or not licence.isprintable() or len(licence) > 100:
        licence = None
    return name, config, known_sounds, licence, tensors


def read_known_sounds(path: Path) -> KnownSounds | None:
    """The sounds that the checkpoint at `path` lists, or None. Raises CheckpointError for a broken list."""
    if not path.is_dir() or not is_native(path):
        return None
    with naming(path / "config.json"):
        return _known_sounds(_read_config(path))


def write_network(folder: Path, network: str, parameters: Mapping[str, LazyTensor], dtype: str) -> None:
    """Write one network as safetensors; `dtype` is "float32" or "float16". Memory holds this network once.

    Raises CheckpointError for a value that float16 cannot represent.
    """
    arrays = {}
    for name, parameter in parameters.items():
        values = parameter.read()
        with np.errstate(over="ignore"):
            arrays[name] = values.astype(dtype)
        if not np.isfinite(arrays[name]).all() and np.isfinite(values).all():
            raise CheckpointError(f"{network}.{name}: too large for {dtype}, convert to float32 instead")
    save_safetensors(folder / f"{network}.safetensors", arrays, "np")


def save_safetensors(
    path: Path, arrays: dict[str, np.ndarray], kind: str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `arrays` to `path`; `kind`, "np" or "pt", and `metadata` go to its metadata.

    Raises OSError if the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path, metadata={"format": kind, **(metadata or {})})
    except SafetensorError as error:  # which is no OSError
        raise OSError(f"{path.name}: {error}") from error


def write_config(
    folder: Path,
    name: str,
    config: ModelConfig,
    known_sounds: KnownSounds | None = None,
    licence: str | None = None,
) -> None:
    """Write the config.json of a checkpoint called `name`. licence: of its weights, None where it is not known."""
    values = {"format": FORMAT, "version": VERSION, "name": name, "config": config.to_dict()}
    if known_sounds:
        values["knows"] = known_sounds.to_dict()
    if licence:
        values["licence"] = licence
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def _known_sounds(config_json: Mapping[str, Any]) -> KnownSounds | None:
    return KnownSounds.from_dict(config_json["knows"]) if "knows" in config_json else None


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    values = json_object(read_bounded(path, CONFIG_LIMIT_BYTES))
    if values.get("format") != FORMAT or values.get("version") != VERSION:
        raise ValueError(f"not a ppaudioldm checkpoint of version {VERSION}")
    return values
