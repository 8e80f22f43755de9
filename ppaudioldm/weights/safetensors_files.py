"""Safetensors files, and folders with the weights of a network in one or several files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.storage.documents import json_object
from ppaudioldm.storage.regular import open_regular, read_bounded
from ppaudioldm.weights.file_kinds import check_kind
from ppaudioldm.weights.hub import INDEX_LIMIT_BYTES
from ppaudioldm.weights.safe_pickle import checked_shape
from ppaudioldm.weights.state_dict import without_wrappers
from ppaudioldm.weights.tensors import DTYPES, FileTensor, UnreadableTensor
from ppaudioldm.weights.torch_files import read_torch

DTYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
Tensors = Mapping[str, FileTensor | UnreadableTensor]
SUFFIXES = (".safetensors", ".bin")
_SHARD = re.compile(r"-\d+-of-\d+")


def read_safetensors(path: str | os.PathLike) -> dict[str, FileTensor]:
    """The tensors of a safetensors file. Values are read on request: the file must not change until then.

    Raises CheckpointError if the file is something else or is damaged.
    """
    path = Path(path)
    with naming(path):
        with open_regular(path) as file:
            check_kind(file)
        try:
            # For its checks only: pages of values that it reads would stay in memory.
            safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise ValueError(error) from error
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            header = json_object(file.read(min(length, size)))
        header.pop("__metadata__", None)
        tensors = {name: _tensor(path, name, entry, 8 + length, size) for name, entry in header.items()}
        return without_wrappers(tensors)


def _tensor(path: Path, name: str, entry: dict, start: int, size: int) -> FileTensor:
    """start: offset of the values in the file, in bytes. size: of the file, in bytes."""
    dtype = DTYPE_NAMES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"{shown(name)} is stored as {shown(entry['dtype'])}, which is not supported")
    shape = checked_shape(entry["shape"])
    begin, end = entry["data_offsets"]
    if end - begin != math.prod(shape) * DTYPES[dtype].itemsize or not 0 <= begin <= end <= size - start:
        raise ValueError(f"{shown(name)} does not lie within the file")
    return FileTensor(path, start + begin, shape, dtype)


def read_weights_folder(folder: str | os.PathLike, stem_candidates: Sequence[str]) -> Tensors:
    """The tensors of `<stem>.safetensors`, or else of `<stem>.bin` (from torch.save), in `folder`.

    Instead of one file there may be several with an index, `<stem>.safetensors.index.json`. Where there is none of
    these, the only variant is read, such as `<stem>.fp16.safetensors` or `<stem>.safetensors.index.fp16.json`.
    stem_candidates: such as ("diffusion_pytorch_model", "model", "pytorch_model"), the preferred first.
    Raises CheckpointError if none of these files exists, if there are several variants, or if a file is damaged.
    """
    folder = Path(folder)
    names = [f"{stem}{suffix}" for suffix in SUFFIXES for stem in stem_candidates]
    for name in names:
        for path in (folder / name, folder / f"{name}.index.json"):
            if path.exists() or path.is_symlink():
                return _read_any(path)
    variants = _variants(folder, stem_candidates)
    if len(variants) > 1:
        raise CheckpointError(f"{folder}: holds several variants, {', '.join(map(shown, variants))}: keep one of them")
    for files in variants.values():
        return _read_any(files[0])
    raise CheckpointError(f"{folder}: holds none of {', '.join(names)}, nor an index or a variant of one")


def _variants(folder: Path, stems: Sequence[str]) -> dict[str, list[Path]]:
    """Name of a variant, such as fp16 -> its files or indices, the preferred first."""
    found: dict[str, list[Path]] = {}
    names = sorted(path.name for path in folder.glob("*"))
    for suffix in SUFFIXES:
        for stem in stems:
            file = rf"{re.escape(stem)}\.([\w-]+){re.escape(suffix)}"
            index = rf"{re.escape(stem + suffix)}\.index\.([\w-]+)\.json"
            for name in names:
                match = re.fullmatch(file, name) or re.fullmatch(index, name)
                if match and not _SHARD.search(match[1]):
                    found.setdefault(match[1], []).append(folder / name)
    return found


def _read_any(path: Path) -> Tensors:
    return _read_sharded(path) if path.suffix == ".json" else _read(path)


def _read(path: Path) -> Tensors:
    if path.is_symlink() and not path.exists():  # as a download that stopped leaves it in a cache
        raise CheckpointError(f"{path}: a link to a file that does not exist")
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)


def _read_sharded(index: Path) -> Tensors:
    """The tensors that an index lists, each from the file that the index names."""
    with naming(index):
        weight_map = json_object(read_bounded(index, INDEX_LIMIT_BYTES)).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ValueError("an index without a weight_map")
        weight_map = without_wrappers(weight_map)
        files = {}
        for name, file in weight_map.items():
            # The name alone is checked: in a download cache, valid files are links out of the folder.
            if not isinstance(file, str) or not file.strip(".") or {"/", "\\", "\0", ":"} & set(file):
                raise ValueError(f"{shown(name)} is said to be in {shown(file)}, which is not a file of this folder")
            if file not in files:
                files[file] = _read(index.parent / file)
            if name not in files[file]:
                raise ValueError(f"{shown(name)} is not in {shown(file)}, where the index puts it")
        return {name: files[file][name] for name, file in weight_map.items()}
