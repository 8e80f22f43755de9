"""Opening a checkpoint of any layout, by name or path."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.checkpoints import CHECKPOINTS, licence_of
from ppaudioldm.choices import OPTIONAL_NETWORKS
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.models.build import linear_weights, network_names, parameter_shapes
from ppaudioldm.storage.regular import open_regular
from ppaudioldm.weights import (
    consistencytta,
    diffusers,
    diffusers_config,
    native,
    original,
    original_config,
    paddlemix,
)
from ppaudioldm.weights.components import PADDLEMIX_FILE
from ppaudioldm.weights.config_check import check_config
from ppaudioldm.weights.consistencytta_files import UNET_FILE, VAE_FILE, is_consistencytta, is_part
from ppaudioldm.weights.file_kinds import HEAD_BYTES, is_safetensors, is_zip
from ppaudioldm.weights.locate import Description, Located, locate
from ppaudioldm.weights.mapping import Layout, Placement, check_all_used, read_parameters
from ppaudioldm.weights.paddle_files import read_paddle
from ppaudioldm.weights.random import random_weight
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor, UnreadableTensor
from ppaudioldm.weights.tokenizer_files import byte_tokenizer_json, tokenizer_json
from ppaudioldm.weights.torch_files import read_torch
from ppaudioldm.weights.weight_norm import without_weight_norm


@dataclass(frozen=True)
class Checkpoint(Description):
    """An opened checkpoint: all its tensors fit its configuration, and their values are still in the file.

    networks: network -> our parameter name -> lazy tensor.
    """

    networks: Mapping[str, Mapping[str, LazyTensor]]

    def weights(self, network: str) -> Iterator[tuple[str, np.ndarray]]:
        """Name and value of every parameter of `network`, read one at a time."""
        for name, tensor in self.networks[network].items():
            yield name, tensor.read()


def without_networks(checkpoint: Checkpoint, names: Sequence[str]) -> Checkpoint:
    """`checkpoint` without the networks `names`, of OPTIONAL_NETWORKS; those that it lacks already do not matter.

    Without CLAP's audio encoder it ranks nothing, without AudioMAE no recording is encoded as LOA tokens. Raises
    ValueError for any other network.
    """
    if others := [name for name in names if name not in OPTIONAL_NETWORKS]:
        raise ValueError(f"network is {shown(others[0])}, allowed to leave out: {', '.join(OPTIONAL_NETWORKS)}")
    networks = {name: parameters for name, parameters in checkpoint.networks.items() if name not in names}
    absent: dict[str, Any] = dict.fromkeys(names)
    return replace(checkpoint, config=replace(checkpoint.config, **absent), networks=networks)


def open_checkpoint(name_or_path: str | Path | Located, *, ema: bool | None = None) -> Checkpoint:
    """Open a published checkpoint by name (downloading it if necessary), or any file or folder by path.

    The layout is recognised by the content: a published file (of torch.save, or its tensors as safetensors), a
    diffusers folder, our own folder, the folder of ConsistencyTTA's published files, PaddleMIX's `model_state.pdparams`
    or its folder. ema: whether to use the
    exponential moving average of the UNet's weights, which only the published files have; None: as the published
    program does, which uses it for AudioLDM 1 and not for AudioLDM 2.
    Raises ValueError for an unknown name, CheckpointError (a ValueError) for anything wrong with the file.
    """
    located = name_or_path if isinstance(name_or_path, Located) else locate(name_or_path)
    checkpoint = _open(located, ema)
    licence = checkpoint.licence or licence_of(checkpoint.name, checkpoint.layout)
    checkpoint = replace(checkpoint, licence=licence)
    if ema and checkpoint.layout != "original":
        where = located.path or located.name
        raise CheckpointError(f"{where}: no averaged weights in a checkpoint of layout {checkpoint.layout}")
    return checkpoint


def _open(located: Located, ema: bool | None) -> Checkpoint:
    if located.path is None:
        return random_checkpoint(located.name, CHECKPOINTS[located.name].config, seed=0)
    if located.path.is_dir():
        return _open_folder(located.name, located.path)
    return _open_file(located.name, located.path, ema)


def random_checkpoint(name: str, config: ModelConfig, seed: int) -> Checkpoint:
    """A checkpoint of `config` with random weights from `seed`, which are drawn when they are read."""
    networks = {
        network: {
            key: ComputedTensor(shape, lambda n=network, k=key, s=shape: random_weight(n, k, s, seed))  # type: ignore[misc]
            for key, shape in parameter_shapes(network, config).items()
        }
        for network in network_names(config)
    }
    return Checkpoint(name, "random", config, byte_tokenizer_json, networks)


def _open_folder(name: str, folder: Path) -> Checkpoint:
    if (folder / "model_index.json").is_file():
        config = diffusers_config.read_config(folder)
        tensors = diffusers.read_folder(folder)
        return _checked(name, "diffusers", config, tensors, diffusers.layout, diffusers.IGNORED, folder)
    if is_consistencytta(folder):
        parts = consistencytta.read_folder(folder)
        config = consistencytta.read_config(parts, folder)
        layout, ignored = consistencytta.layout, consistencytta.IGNORED
        return _checked(name, "consistencytta", config, parts, layout, ignored, folder)
    if (folder / PADDLEMIX_FILE).is_file():
        return _open_file(name, folder / PADDLEMIX_FILE, ema=None)
    if native.is_native(folder):
        name, config, known_sounds, licence, tensors = native.read_native(folder)
        found = _checked(name, "native", config, tensors, lambda _: _native_placement, re.compile("(?!)"), folder)
        return replace(found, known_sounds=known_sounds, licence=licence)
    raise CheckpointError(
        f"{folder}: not a checkpoint folder: it has neither model_index.json (diffusers) nor config.json (ppaudioldm)"
        f" nor {PADDLEMIX_FILE} (PaddleMIX) nor {UNET_FILE} and {VAE_FILE}"
        " (ConsistencyTTA)"
    )


def _open_file(name: str, path: Path, ema: bool | None) -> Checkpoint:
    if is_part(path):
        raise CheckpointError(f"{path}: one of the files of ConsistencyTTA: give the folder that holds them")
    with naming(path), open_regular(path) as file:
        head = file.read(HEAD_BYTES)
    if is_safetensors(head):
        tensors: Mapping[str, LazyTensor] = read_safetensors(path)
    elif path.suffix == ".pdparams" and not is_zip(head):  # a pickle, which nothing else marks as Paddle's
        return _open_paddlemix(name, path)
    else:
        tensors = read_torch(path)
    tensors = without_weight_norm(tensors)
    config = original_config.read_config(original_config.Shapes(tensors), _scale_factor(tensors, path), str(path))
    if ema is None:
        ema = config.unet.is_audioldm1 and original.has_averages(tensors)
    ignored = original.IGNORED_WITH_EMA if ema else original.IGNORED
    return _checked(name, "original", config, tensors, partial(original.layout, ema=ema), ignored, path)


def _open_paddlemix(name: str, path: Path) -> Checkpoint:
    tensors = without_weight_norm(read_paddle(path))
    scale_factor = _scale_factor(tensors, path)
    config = original_config.read_config(paddlemix.published_shapes(tensors), scale_factor, str(path))
    return _checked(name, "paddlemix", config, tensors, _paddlemix_layout, paddlemix.IGNORED, path)


def _scale_factor(tensors: Mapping[str, LazyTensor], path: Path) -> float:
    stored = tensors.get("scale_factor")
    with naming(path):
        return float(stored.read().reshape(-1)[0]) if stored is not None and stored.shape in ((), (1,)) else 1.0


def _native_placement(network: str, name: str) -> list[Placement]:
    return [Placement((f"{network}/{name}",))]


def _paddlemix_layout(config: ModelConfig) -> Layout:
    linear = frozenset((n, key) for n in network_names(config) for key in linear_weights(n, config))
    return paddlemix.layout(config, linear)


def _checked(
    name: str,
    layout_name: str,
    config: ModelConfig,
    tensors: Mapping[str, LazyTensor],
    layout_of: Callable[[ModelConfig], Layout],
    ignored: re.Pattern[str],
    path: Path,
) -> Checkpoint:
    """The checkpoint of `config` with `tensors` in the layout `layout_of(config)`.

    ignored: keys that generation does not use. Raises CheckpointError unless tensors and configuration fit.
    """
    with naming(path):
        check_config(config)  # before any network is built: sizes come from the file
        all_shapes = {network: parameter_shapes(network, config) for network in network_names(config)}
    layout = layout_of(config)
    networks = {}
    used: set[str] = set()
    for network, shapes in all_shapes.items():
        networks[network], keys = read_parameters(network, shapes, layout, tensors, str(path))
        used |= keys
    readable = [key for key, tensor in tensors.items() if not isinstance(tensor, UnreadableTensor)]
    check_all_used(readable, used, ignored, str(path))
    _check_size(networks, path)
    return Checkpoint(name, layout_name, config, lambda kind: tokenizer_json(kind, path), networks)


def _check_size(networks: Mapping[str, Mapping[str, LazyTensor]], path: Path) -> None:
    """Raise CheckpointError if there are more values than bytes: tensors of a small file that view the same few values
    must not fill the memory."""
    values = sum(math.prod(tensor.shape) for network in networks.values() for tensor in network.values())
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if values > size:
        raise CheckpointError(f"{path}: {values} values in {size} bytes")
