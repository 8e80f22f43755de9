"""Files of `torch.save`, read and written without PyTorch.

Since PyTorch 1.6 such a file is a zip archive: `<root>/data.pkl` is a pickle that describes the tensors, and
`<root>/data/<key>` has the bytes of one storage, uncompressed. Earlier files are four pickles followed by the storages.
Tensors are views of storages: several may share one.
"""

from __future__ import annotations

import math
import os
import pickle  # for the names of its opcodes alone
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ppaudioldm.errors import CheckpointError, naming, shown
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.regular import open_regular
from ppaudioldm.weights import pickle_writer as write
from ppaudioldm.weights.file_kinds import check_kind, is_zip
from ppaudioldm.weights.pickled_arrays import NUMPY
from ppaudioldm.weights.safe_pickle import COMMON, Constructors, Placeholder, Symbol, checked_shape, read_pickle
from ppaudioldm.weights.state_dict import find_averaged, find_state_dict, with_averaged_unet, without_wrappers
from ppaudioldm.weights.tensors import DTYPES, FileTensor, LazyTensor, UnreadableTensor, c_strides

STORAGE_CLASSES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
# Bytes of a value in other storages, whose tensors are not supported.
OTHER_STORAGES = {
    "torch.ComplexFloatStorage": 8,
    "torch.ComplexDoubleStorage": 16,
    "torch.QInt8Storage": 1,
    "torch.QUInt8Storage": 1,
    "torch.QUInt4x2Storage": 1,
    "torch.QUInt2x4Storage": 1,
    "torch.QInt32Storage": 4,
}
QUANTIZED = ("torch._utils._rebuild_qtensor",)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_INDEX_LIMIT_BYTES = 8 << 20  # a model of 5,300 tensors needs half a megabyte
MOST_REPEATED = 1 << 24  # values of a tensor that repeats those of its storage (strides of 0)
ZIP64_BYTES = 1 << 30  # larger entries have a header with sizes of 64 bits, which takes 20 bytes more
ALIGNMENT_BYTES = 64  # of storages in the files we write, as in PyTorch's


@dataclass(frozen=True)
class Storage:
    """The `count` values of one or several tensors. dtype: a key of DTYPES, or the name of a class we cannot read."""

    key: str
    dtype: str
    count: int

    @property
    def nbytes(self) -> int:
        """Raises KeyError for a class of which nothing is known."""
        return self.count * (DTYPES[self.dtype].itemsize if self.dtype in DTYPES else OTHER_STORAGES[self.dtype])


@dataclass(frozen=True)
class TorchTensor:
    """A view of `storage`; offset and strides are in values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(path: str | os.PathLike) -> dict[str, FileTensor | UnreadableTensor]:
    """The tensors of a file of `torch.save`: of the file's own dict, or of the state dict inside it.

    Keys are without the names of wrapper modules (see `state_dict`); averaged weights of the UNet beside the state dict
    have the keys of the published layout. Entries that are not tensors are left out; those that are objects of an
    unknown class, or of numbers that are not supported, are `UnreadableTensor`s. Values are read on request: the file
    must not change until then. Raises CheckpointError if the file is something else or is damaged.
    """
    path = Path(path)
    with naming(path), open_regular(path) as file:
        root, offsets = _read_root(path, file)
        state_dict = _tensors(find_state_dict(root, _is_tensor))
        if averaged := find_averaged(root, _is_tensor):
            state_dict = with_averaged_unet(state_dict, _tensors(averaged))
        return {
            name: _located(path, name, value, offsets)
            if isinstance(value, TorchTensor)
            else UnreadableTensor(f"{path}: {shown(name)} is {_described(value)}")
            for name, value in state_dict.items()
        }


def read_torch_number(path: str | os.PathLike, key: str) -> float | None:
    """The number, or the only value of a tensor, that a file of `torch.save` holds under `key` of its own dict.

    None if it holds nothing there. Raises CheckpointError for anything else.
    """
    path = Path(path)
    with naming(path), open_regular(path) as file:
        root, offsets = _read_root(path, file)
        value = root.get(key) if isinstance(root, dict) else None
        if isinstance(value, TorchTensor) and math.prod(value.shape) == 1:
            return float(_located(path, key, value, offsets).read().reshape(-1)[0])
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"{key} is {shown(value)}, expected a number")
        return None if value is None else float(value)


def _read_root(path: Path, file: BinaryIO) -> tuple[object, dict[str, tuple[int, int]]]:
    """What was saved, and where its storages are. Raises ValueError if the file is something else."""
    head = check_kind(file)
    return (_read_zip if is_zip(head) else _read_legacy)(path, file)


def _is_tensor(value: object) -> bool:
    return isinstance(value, TorchTensor)


def _tensors(state_dict: dict) -> dict[str, TorchTensor | Placeholder]:
    """The tensors of `state_dict`, and what stands in the place of one, by keys without the names of wrappers."""
    tensors = {
        name: value
        for name, value in state_dict.items()
        if isinstance(name, str) and isinstance(value, (TorchTensor, Placeholder))
    }
    return without_wrappers(tensors)


def _described(value: Placeholder) -> str:
    if value.name in QUANTIZED:
        return "quantized, which is not supported"
    return f"an object of {shown(value.name)}, not a tensor"


# Functions that a pickle of PyTorch may call


def _storage(pid: object) -> Storage | Symbol:
    """The storage that a persistent id describes: ("storage", class, key, device, count[, None]).

    The legacy format also refers to classes of layers that way, as ("module", class, file, source): the name is kept.
    """
    if not isinstance(pid, tuple) or len(pid) < 4:
        raise ValueError("a persistent id that is not a storage's")
    if pid[0] == "module" and isinstance(pid[1], Symbol):
        return pid[1]
    if pid[0] != "storage" or len(pid) not in (5, 6):
        raise ValueError("a persistent id that is not a storage's")
    if len(pid) == 6 and pid[5] is not None:
        raise ValueError("a storage that is a view of another, as PyTorch 0.3 wrote it")
    _, storage_class, key, _device, count = pid[:5]
    if not isinstance(storage_class, Symbol) or not isinstance(key, str):
        raise ValueError("a storage with a strange description")
    if type(count) is not int or not 0 <= count < 2**48:
        raise ValueError("a storage with a strange number of values")
    return Storage(key, STORAGE_CLASSES.get(storage_class.name, storage_class.name), count)


def _tensor(storage: object, offset: object, shape: object, strides: object, *_more: object) -> TorchTensor:
    """A view of `storage`; `_more` is whether it takes gradients, and hooks."""
    if not isinstance(storage, Storage):
        raise ValueError(f"a tensor whose storage is {shown(storage)}")
    shape, strides = checked_shape(shape), _checked_strides(strides)
    if type(offset) is not int or offset < 0 or len(shape) != len(strides):
        raise ValueError("a tensor with a strange layout")
    return TorchTensor(storage, offset, shape, strides)


def _checked_strides(value: object) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > 32 or any(type(n) is not int or n < 0 for n in value):
        raise ValueError("strides that are not a short tuple of whole numbers")
    return tuple(value)


def _parameter(tensor: object, *_more: object) -> TorchTensor:
    if not isinstance(tensor, TorchTensor):
        raise ValueError(f"a parameter that is {shown(tensor)}, not a tensor")
    return tensor


def _nothing(*_arguments: object) -> None:
    """For objects that weights do not need, such as a device."""


TORCH: Constructors = {
    **COMMON,
    **NUMPY,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": checked_shape,
    "torch.device": _nothing,
}


def _located(
    path: Path, name: str, tensor: TorchTensor, offsets: dict[str, tuple[int, int]]
) -> FileTensor | UnreadableTensor:
    """`tensor` with its place in the file. offsets: key of a storage -> its first byte and number of bytes."""
    storage = tensor.storage
    if storage.dtype not in DTYPES:
        return UnreadableTensor(f"{path}: {shown(name)} is stored as {shown(storage.dtype)}, which is not supported")
    start, nbytes = offsets.get(storage.key, (0, -1))
    if storage.nbytes > nbytes:
        raise ValueError(f"the values of {shown(name)} are missing from the file")
    count = math.prod(tensor.shape)
    # The stride of an axis of size 1 has no meaning, and PyTorch writes arbitrary numbers there.
    strides = tuple(stride if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True))
    if count and last >= storage.count:
        raise ValueError(f"{shown(name)} reaches past the end of its storage")
    if count > max(storage.count, MOST_REPEATED):
        raise ValueError(f"{shown(name)} has {count} values, which repeat {storage.count} stored ones")
    dense = all(
        size <= 1 or stride == dense_stride
        for size, stride, dense_stride in zip(tensor.shape, strides, c_strides(tensor.shape), strict=True)
    )
    offset = start + tensor.offset * DTYPES[storage.dtype].itemsize
    return FileTensor(path, offset, tensor.shape, storage.dtype, None if dense else strides)


# The zip format


class _Bounded:
    """A file that refuses long reads: Python's zipfile would read an index of any claimed size into memory."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        data = self.file.read(ZIP_INDEX_LIMIT_BYTES + 1 if count < 0 else min(count, ZIP_INDEX_LIMIT_BYTES + 1))
        if len(data) > ZIP_INDEX_LIMIT_BYTES:
            raise ValueError("a zip archive with a huge index")
        return data


def _read_zip(path: Path, file: BinaryIO) -> tuple[object, dict[str, tuple[int, int]]]:
    entries = _zip_entries(file)
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("a zip archive with several data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    start, size = entries.get(root + "byteorder", (0, 0))
    file.seek(start)
    if size and file.read(min(size, 10)) != b"little":
        raise ValueError("written on a big-endian machine; only little-endian files are read")
    start, size = entries[pickles[0]]
    file.seek(start)
    value = read_pickle(path, file, start + size, TORCH, _storage)
    folder = root + "data/"
    return value, {name.removeprefix(folder): place for name, place in entries.items() if name.startswith(folder)}


def _zip_entries(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Name -> first byte and number of bytes of every entry, all of which are uncompressed and within the file."""
    end = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(_Bounded(file)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, EOFError, OverflowError) as error:
        raise ValueError(f"a damaged zip archive: {error}") from error
    _check_archive([info.orig_filename for info in infos])
    entries: dict[str, tuple[int, int]] = {}
    for info in infos:
        name = info.orig_filename
        if name in entries or "\\" in name or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise ValueError(f"a zip archive with a repeated or unsafe name: {shown(name)}")
        encrypted = info.flag_bits & 1
        if info.compress_type != zipfile.ZIP_STORED or encrypted or info.compress_size != info.file_size:
            raise ValueError(f"entry {shown(name)} is compressed or encrypted, which torch.save never does")
        start = _entry_start(file, info)
        if not 0 <= info.file_size <= end - start:
            raise ValueError(f"entry {shown(name)} reaches past the end of the file")
        entries[name] = start, info.file_size
    return entries


def _check_archive(names: list[str]) -> None:
    """Raise ValueError, saying what an archive with these entries is, unless `torch.save` could have written it."""
    if any(name.endswith("/data.pkl") for name in names):
        return
    if any(name.endswith("/constants.pkl") for name in names):
        raise ValueError("a TorchScript program, not a checkpoint")
    inside = "an empty zip archive" if not names else f"a zip archive that holds {shown(names[0])}"
    if any(name.rpartition("/")[2] == "model_index.json" for name in names):
        raise ValueError(f"{inside} and a diffusers folder: unpack it, and give the folder")
    if any(name.endswith((".pth", ".ckpt", ".safetensors", ".pdparams")) for name in names):
        raise ValueError(f"{inside}: unpack it, and give the checkpoint in it")
    raise ValueError(f"{inside}, not one of torch.save: it has no data.pkl")


def _entry_start(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry begin: behind its own header, whose length is not in the index."""
    if info.header_offset < 0:
        raise ValueError("a damaged zip archive: an entry before the start of the file")
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"a damaged zip archive: entry {shown(info.orig_filename)} has no header")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    return info.header_offset + 30 + name_length + extra_length


# The format before PyTorch 1.6


def _read_legacy(path: Path, file: BinaryIO) -> tuple[object, dict[str, tuple[int, int]]]:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    storages: dict[str, Storage] = {}

    def remember(pid: object) -> Storage | Symbol:
        storage = _storage(pid)
        if isinstance(storage, Storage) and storages.setdefault(storage.key, storage) != storage:
            raise ValueError(f"two descriptions of storage {shown(storage.key)}")
        return storage

    magic, _version, system = (read_pickle(path, file, end, COMMON) for _ in range(3))
    if type(magic) is not int or magic != LEGACY_MAGIC:
        raise ValueError("a pickle, but not one of torch.save")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("written on a big-endian machine; only little-endian files are read")
    value = read_pickle(path, file, end, TORCH, remember)
    keys = read_pickle(path, file, end, COMMON)
    if not isinstance(keys, list):
        raise ValueError("no list of storages")
    return value, _legacy_storages(file, end, keys, storages)


def _legacy_storages(file: BinaryIO, end: int, keys: list, storages: dict[str, Storage]) -> dict[str, tuple[int, int]]:
    """Key -> first byte and number of bytes of each storage; before each stands its number of values as an int64."""
    offsets: dict[str, tuple[int, int]] = {}
    position = file.tell()
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or key in offsets:
            raise ValueError(f"a storage that no tensor describes: {shown(key)}")
        if storage.dtype not in DTYPES and storage.dtype not in OTHER_STORAGES:
            raise ValueError(f"a storage of {shown(storage.dtype)}, which is not supported")
        file.seek(position)
        count = file.read(8)
        position += 8 + storage.nbytes
        if position > end or count != struct.pack("<q", storage.count):
            raise ValueError("ends before its last storage, or is damaged")
        offsets[key] = position - storage.nbytes, storage.nbytes
    return offsets


# Writing


def write_torch(
    path: str | os.PathLike,
    tensors: Iterable[tuple[str, LazyTensor]],
    wrap: str | None = "state_dict",
    numbers: Mapping[str, float] | None = None,
) -> None:
    """Write `tensors` as `torch.save({wrap: {name: tensor, ...}})` would; memory holds one tensor at a time.

    wrap: None writes the dict of tensors itself. numbers: beside that dict, by key. The data type in the file is that
    of the array which `read()` returns. `path` appears when it is complete. Raises CheckpointError for data types that
    PyTorch has no storage for.
    """
    written: list[tuple[str, Storage, tuple[int, ...]]] = []
    with atomic_path(path) as temporary, temporary.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for key, (name, stored) in enumerate(tensors):
            values = np.asarray(stored.read(), order="C")
            storage = Storage(str(key), _storable(path, name, stored, values), values.size)
            _write_entry(archive, file, f"archive/data/{key}", values)
            written.append((name, storage, values.shape))
        _write_entry(
            archive, file, "archive/data.pkl", np.frombuffer(_description(written, wrap, numbers or {}), np.uint8)
        )
        for name, content in {"byteorder": b"little", "version": b"3\n"}.items():
            _write_entry(archive, file, f"archive/{name}", np.frombuffer(content, np.uint8))


def _storable(path: str | os.PathLike, name: str, stored: LazyTensor, values: np.ndarray) -> str:
    """The key of DTYPES for `values`. Raises CheckpointError for a data type or shape that cannot be written."""
    if values.shape != tuple(stored.shape):
        raise CheckpointError(f"{path}: {shown(name)} has shape {values.shape}, expected {stored.shape}")
    # DTYPES reads bfloat16 as uint16, but an array of uint16 is not bfloat16.
    if values.dtype.name not in STORAGE_CLASSES.values():
        raise CheckpointError(f"{path}: {shown(name)} has data type {values.dtype}, which PyTorch files do not hold")
    return values.dtype.name


def _write_entry(archive: zipfile.ZipFile, file: BinaryIO, name: str, values: np.ndarray) -> None:
    """One uncompressed entry, whose bytes begin at a multiple of ALIGNMENT_BYTES."""
    info = zipfile.ZipInfo(name)
    zip64 = values.nbytes >= ZIP64_BYTES
    start = file.tell() + 30 + len(name) + 4 + (20 if zip64 else 0)
    padding = -start % ALIGNMENT_BYTES
    info.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    with archive.open(info, "w", force_zip64=zip64) as entry:
        entry.write(little.reshape(-1).view(np.uint8).data)


def _description(
    tensors: list[tuple[str, Storage, tuple[int, ...]]], wrap: str | None, numbers: Mapping[str, float]
) -> bytes:
    """The pickle in `data.pkl`: a dict of tensors, each a call of PyTorch's `_rebuild_tensor_v2` on a storage."""
    classes = {dtype: name for name, dtype in STORAGE_CLASSES.items()}
    rebuild = write.global_name("torch._utils", "_rebuild_tensor_v2")
    hooks = write.call(write.global_name("collections", "OrderedDict"))
    items: list[bytes] = []
    for name, storage, shape in tensors:
        kind = write.global_name(*classes[storage.dtype].split("."))
        persistent = write.tuple_of(
            write.text("storage"), kind, write.text(storage.key), write.text("cpu"), write.number(storage.count)
        )
        layout = write.number(0), write.numbers(shape), write.numbers(c_strides(shape))
        items += write.text(name), write.call(rebuild, persistent + pickle.BINPERSID, *layout, pickle.NEWFALSE, hooks)
    body = write.dict_of(*items)
    if wrap is not None:
        beside = [piece for key, value in numbers.items() for piece in (write.text(key), write.real(value))]
        body = write.dict_of(write.text(wrap), body, *beside)
    return pickle.PROTO + b"\x02" + body + pickle.STOP
