"""Writing checkpoints: conversion to our own layout, and random weights in any published layout."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.checkpoints import CHECKPOINTS, derivatives_warning
from ppaudioldm.errors import CheckpointError
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.weights import consistencytta, diffusers, diffusers_config_files, native, original
from ppaudioldm.weights.checkpoint import Checkpoint, random_checkpoint
from ppaudioldm.weights.consistencytta_files import T5_FILE, T5_FOLDER, UNET_FILE, VAE_FILE, is_consistencytta
from ppaudioldm.weights.mapping import write_parameters
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor
from ppaudioldm.weights.tokenizer_files import TOKENIZERS, folder_of, write_tokenizer
from ppaudioldm.weights.torch_files import write_torch

logger = logging.getLogger(__name__)

LAYOUTS = ("original", "diffusers", "native", "consistencytta")
DTYPES = ("float32", "float16")
FILE_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".pdparams")
MANIFESTS = Path(__file__).parent / "manifests"
SAME_MANIFEST = {
    "audioldm2-music-665k": "audioldm2-full",
    "audioldm2-speech-ljspeech": "audioldm2-speech-gigaspeech",
    "audioldm-s-full-v2": "audioldm-s-full",
    "audioldm-s-text-ft": "audioldm-s-full",
    "audioldm-m-text-ft": "audioldm-m-full",
}
VAE_OF = "audioldm-s-full"  # whose VAE and vocoder ConsistencyTTA has

Notify = Callable[[str], None]


def write_native(checkpoint: Checkpoint, folder: Path, dtype: str = "float32", notify: Notify = logger.info) -> None:
    """Write `checkpoint` as a folder of our own layout. Memory holds one network at a time.

    A tokenizer that cannot be downloaded is left out, with a warning: it is looked for again when the folder is used.
    A checkpoint of our own layout in `folder` is replaced. notify: called with a line for each network.
    Raises CheckpointError for values that float16 cannot represent, or if `folder` contains anything else; OSError if
    the disk is full; ValueError for a name with the suffix of a file. What stood in `folder` before then stays.
    """
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}, choose from {', '.join(DTYPES)}")
    check_names_folder(folder)
    _check_replaceable(folder, native.is_replaceable(folder))
    if warning := derivatives_warning(checkpoint.licence, str(folder)):
        logger.warning("%s", warning)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        for network, parameters in checkpoint.networks.items():
            notify(f"writing {network}")
            native.write_network(temporary, network, parameters, dtype)
        _write_tokenizers(checkpoint, temporary)
        native.write_config(temporary, checkpoint.name, checkpoint.config, checkpoint.known_sounds, checkpoint.licence)


def write_random(name: str, destination: Path, layout: str, seed: int, notify: Notify = logger.info) -> None:
    """Write random weights of the configuration of `name`, at full size, in one of LAYOUTS.

    The same name and seed give the same networks in every layout, except that "diffusers" has no AudioMAE, and of
    AudioLDM 1 no audio branch of CLAP; the averaged UNet of "original" is another one. "original"
    writes the file `destination`, and the tokenizers to a folder of the same name without its suffix; the others write
    the folder `destination`. ConsistencyTTA's published files are a layout of its own, "consistencytta".
    Raises ValueError for an unknown name or layout, for a file without a suffix or a folder with the suffix of a file.
    """
    if name not in CHECKPOINTS:
        raise ValueError(f"unknown checkpoint {name!r}, choose from {', '.join(CHECKPOINTS)}")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}, choose from {', '.join(LAYOUTS)}")
    config = CHECKPOINTS[name].config
    checkpoint = random_checkpoint(name, config, seed)
    if layout == "native":
        write_native(checkpoint, destination, notify=notify)
    elif (layout == "consistencytta") != (CHECKPOINTS[name].layout == "consistencytta"):
        own = "original" if layout == "consistencytta" else "consistencytta"
        raise ValueError(f"{name} has no {layout} layout: choose {own} or native")
    elif layout == "diffusers":
        _write_diffusers(checkpoint, destination, notify)
    elif layout == "consistencytta":
        _write_consistencytta(checkpoint, destination, notify)
    else:
        notify(f"writing {destination}")
        _write_original(checkpoint, destination, seed)


def check_names_folder(folder: Path) -> None:
    """Raise ValueError if `folder` has the suffix of a file."""
    if folder.suffix.lower() in FILE_SUFFIXES:
        raise ValueError(f"{folder}: a folder is written, and {folder.suffix} is the suffix of a file: leave it out")


def _write_original(checkpoint: Checkpoint, path: Path, seed: int) -> None:
    if not path.suffix:
        raise ValueError(f"{path}: a published file needs a suffix, such as .pth")
    config = checkpoint.config
    layout = original.layout(config)
    tensors: dict[str, LazyTensor] = {}
    for network, parameters in checkpoint.networks.items():
        tensors.update(write_parameters(network, parameters, layout))
    ema_unet = random_checkpoint(checkpoint.name, config, seed + 1).networks["unet"]
    tensors.update(write_parameters("unet", ema_unet, original.layout(config, ema=True)))
    tensors["scale_factor"] = _constant(np.float32(config.vae.scale_factor))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_torch(path, _in_manifest_order(read_manifest(checkpoint.name), tensors))
    _write_tokenizers(checkpoint, folder_of(path))


def _write_consistencytta(checkpoint: Checkpoint, folder: Path, notify: Notify) -> None:
    """A folder with the two published files, and one with FLAN-T5's encoder."""
    check_names_folder(folder)
    _check_replaceable(folder, not folder.exists() or is_consistencytta(folder))
    layout = consistencytta.layout(checkpoint.config)
    parts: dict[str, dict[str, LazyTensor]] = {}
    for network, parameters in checkpoint.networks.items():
        # FLAN-T5's table is stored once, as in its safetensors file.
        first = write_parameters(network, parameters, lambda network, key: layout(network, key)[:1])
        for key, stored in first.items():
            part, _, rest = key.partition("/")
            parts.setdefault(part, {})[rest] = stored
    scale_factor = {consistencytta.SCALE_FACTOR: checkpoint.config.vae.scale_factor}
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        notify(f"writing {UNET_FILE}")
        write_torch(
            temporary / UNET_FILE, _in_manifest_order(read_manifest("consistencytta-unet"), parts["unet"]), None
        )
        notify(f"writing {VAE_FILE}")
        whole = read_manifest(VAE_OF)
        vae = {key.removeprefix(original.VAE): whole[key] for key in whole if key.startswith(original.VAE)}
        write_torch(temporary / VAE_FILE, _in_manifest_order(vae, parts["vae"]), numbers=scale_factor)
        notify(f"writing {T5_FOLDER}")
        (temporary / T5_FOLDER).mkdir()
        arrays = {key: stored.read() for key, stored in parts["flan_t5"].items()}
        native.save_safetensors(temporary / T5_FOLDER / T5_FILE, arrays, "pt")
        _write_tokenizers(checkpoint, temporary)


def _in_manifest_order(
    manifest: Mapping[str, tuple[int, ...]], tensors: dict[str, LazyTensor]
) -> Iterator[tuple[str, LazyTensor]]:
    """`tensors` in the order of the published file with this `manifest`, all other tensors of that file as zeros."""
    for key, shape in manifest.items():
        stored = tensors.pop(key, None)
        if stored is None:
            integers = ("position_ids", "relative_position_index", "num_batches_tracked", "num_updates")
            stored = _constant(np.zeros(shape, np.int64 if key.endswith(integers) else np.float32))
        yield key, stored
    yield from tensors.items()


def read_manifest(name: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape of every tensor in the published file `name`, in its order; empty for a checkpoint without one."""
    path = MANIFESTS / f"{SAME_MANIFEST.get(name, name)}.json.gz"
    if not path.is_file():
        return {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {key: tuple(shape) for key, shape in json.load(file).items()}


def _write_diffusers(checkpoint: Checkpoint, folder: Path, notify: Notify) -> None:
    config = checkpoint.config
    if config.loa is None and not config.unet.is_audioldm1:
        raise CheckpointError(f"{checkpoint.name} has no diffusers layout: choose original or native")
    if config.unet.loa_frames or (config.loa and config.loa.duration_dim):
        what = "LOA tokens" if config.unet.loa_frames else "phonemes"
        raise CheckpointError(f"{checkpoint.name} has no diffusers layout, for its {what} have times: choose native")
    check_names_folder(folder)
    _check_replaceable(folder, not folder.exists() or (folder / "model_index.json").is_file())
    layout = diffusers.layout(config)
    components: dict[str, dict[str, LazyTensor]] = {}
    # AudioLDM 1's folders have the text branch of CLAP alone.
    left_out = ("clap_audio",) if config.unet.is_audioldm1 else ()
    for network, parameters in checkpoint.networks.items():
        if network in left_out:
            continue
        # Only the first key of each parameter: diffusers does not expect the others.
        first = write_parameters(network, parameters, lambda network, key: layout(network, key)[:1])
        for key, stored in first.items():
            component, _, rest = key.partition("/")
            components.setdefault(component, {})[rest] = stored
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        for component, values in diffusers_config_files.config_files(config).items():
            _write_json(temporary / component, values)
        for component, tensors in components.items():
            notify(f"writing {component}")
            stem = "diffusion_pytorch_model" if component in ("unet", "vae", "projection_model") else "model"
            arrays = {key: stored.read() for key, stored in tensors.items()}
            native.save_safetensors(temporary / component / f"{stem}.safetensors", arrays, "pt")
        _write_tokenizers(checkpoint, temporary)


def _write_tokenizers(checkpoint: Checkpoint, folder: Path) -> None:
    for kind in TOKENIZERS:
        network = {"flan_t5": checkpoint.config.flan_t5, "clap": checkpoint.config.clap_text}[kind]
        if network is None:
            continue
        try:
            write_tokenizer(kind, folder, checkpoint.tokenizer_json(kind))
        except CheckpointError as error:
            logger.warning("left out the %s tokenizer: %s", kind, error)


def _check_replaceable(folder: Path, replaceable: bool) -> None:
    """Raise CheckpointError for a folder that must not be replaced: it may contain files of the user's."""
    if not replaceable:
        raise CheckpointError(f"{folder}: exists, and is not a checkpoint of this layout: choose another folder")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def _constant(values: np.ndarray | np.generic) -> LazyTensor:
    array = np.asarray(values)
    return ComputedTensor(array.shape, lambda: array)
