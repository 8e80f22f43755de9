"""Where the parameters of our networks are found in a file with other key names.

A layout gives, for a parameter of ours, one or more `Source`s: the keys it is stored under and how it is laid out
there. Reading and writing both follow from that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.weights.tensors import ComputedTensor, Stored


@dataclass(frozen=True)
class Source:
    """One way a parameter of ours is stored.

    keys: stored under one key, or in parts along the first axis under several. part, of: or it is part `part` of `of`
    equal parts of one tensor, along its first axis. row: the parts are the rows of a table. transposed: a matrix with
    its axes swapped. trailing: axes of size 1 at the end (a 1x1 convolution).
    """

    keys: tuple[str, ...]
    part: int = 0
    of: int = 1
    row: bool = False
    transposed: bool = False
    trailing: int = 0

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of each tensor in the file, for our parameter's `shape`."""
        if self.row:
            return (self.of, *shape)
        if self.transposed:
            shape = shape[::-1]
        axis = self._axis(shape)
        sizes = list(shape)
        sizes[axis] = sizes[axis] * self.of // len(self.keys)
        return (*sizes, *[1] * self.trailing)

    def extract(self, stored: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Our parameter of `shape` from the tensors under `keys`."""
        if self.row:
            return stored[0][self.part].copy()
        arrays = [array.reshape(array.shape[: array.ndim - self.trailing]) for array in stored]
        if self.transposed:
            arrays = [array.T for array in arrays]
        array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        if self.of > 1:
            size = len(array) // self.of
            # A copy: a view would keep all parts in memory.
            array = array[self.part * size : (self.part + 1) * size].copy()
        return np.ascontiguousarray(array).reshape(shape)

    def _axis(self, shape: tuple[int, ...]) -> int:
        return len(shape) - 1 if self.transposed else 0


# What a layout is to the code below: (network, our parameter's name) -> the sources to look for, best first.
Layout = Callable[[str, str], Sequence[Source]]


@dataclass(frozen=True)
class Rule:
    """Names that match `pattern` are stored under `keys`, in which \\1 stands for its first group."""

    pattern: str
    keys: str | tuple[str, ...]
    part: int = 0
    of: int = 1
    row: bool = False
    transposed: bool = False
    trailing: int = 0


def apply_rules(rules: Iterable[Rule], name: str, prefix: str = "") -> Source:
    """The source of parameter `name`. Rules are written for modules: a last `.weight` or `.bias` is kept as it is."""
    module, _, leaf = name.rpartition(".")
    for rule in rules:
        for candidate, suffix in ((name, ""), (module, f".{leaf}")):
            if match := re.fullmatch(rule.pattern, candidate):
                keys = (rule.keys,) if isinstance(rule.keys, str) else rule.keys
                keys = tuple(prefix + match.expand(key) + suffix for key in keys)
                is_bias = leaf == "bias"
                return Source(
                    keys, rule.part, rule.of, rule.row, rule.transposed and not is_bias, 0 if is_bias else rule.trailing
                )
    raise AssertionError(f"no rule for {name}")  # a parameter was added to a network but not to the layouts


def read_parameters(
    network: str, shapes: Mapping[str, tuple[int, ...]], layout: Layout, stored: Mapping[str, Stored], where: str
) -> tuple[dict[str, Stored], set[str]]:
    """Our parameters of `network` from the tensors of a file, to be read later, and the keys they use.

    Raises CheckpointError that names the first missing keys or wrong shapes; `where` names the file in it.
    """
    found: dict[str, Stored] = {}
    used: set[str] = set()
    missing: list[str] = []
    wrong: list[str] = []
    for name, shape in shapes.items():
        sources = layout(network, name)
        source = next((s for s in sources if all(key in stored for key in s.keys)), None)
        used.update(key for s in sources for key in s.keys)
        if source is None:
            missing.append(sources[0].keys[0])
            continue
        tensors = [stored[key] for key in source.keys]
        expected = source.stored_shape(shape)
        wrong += [
            f"{key} {list(tensor.shape)}, expected {list(expected)}"
            for key, tensor in zip(source.keys, tensors, strict=True)
            if tensor.shape != expected
        ]
        found[name] = _later(source, tensors, shape)
    if missing:
        raise CheckpointError(f"{where}: {len(missing)} tensors of {network} are missing, the first: {_some(missing)}")
    if wrong:
        raise CheckpointError(f"{where}: {len(wrong)} wrong shapes in {network}, the first: {_some(wrong)}")
    return found, used


def check_all_used(stored: Iterable[str], used: set[str], ignored: re.Pattern[str], where: str) -> None:
    """Raise CheckpointError if a key is neither used nor known to be unused."""
    foreign = [key for key in stored if key not in used and not ignored.fullmatch(key)]
    if foreign:
        raise CheckpointError(f"{where}: {len(foreign)} unexpected tensors, the first: {_some(foreign)}")


def write_parameters(network: str, parameters: Mapping[str, Stored], layout: Layout) -> dict[str, Stored]:
    """The tensors of a file that hold our `parameters` of `network`, under every key that `layout` knows for them.

    The inverse of `read_parameters`. A part that is none of our parameters (an unused row of a table) is zero.
    """
    parts: dict[str, list[tuple[Source, Stored]]] = {}
    for name, parameter in parameters.items():
        for source in layout(network, name):
            for i, key in enumerate(source.keys):
                piece = _piece(parameter, i, len(source.keys))
                parts.setdefault(key, []).append((replace(source, keys=(key,)), piece))
    return {key: _assembled(found) for key, found in parts.items()}


def _later(source: Source, tensors: Sequence[Stored], shape: tuple[int, ...]) -> Stored:
    return ComputedTensor(shape, lambda: source.extract([tensor.read() for tensor in tensors], shape))


def _piece(parameter: Stored, index: int, count: int) -> Stored:
    """Part `index` of `count` equal parts of `parameter` along its first axis."""
    if count == 1:
        return parameter
    size = parameter.shape[0] // count
    return ComputedTensor((size, *parameter.shape[1:]), lambda: parameter.read()[index * size : (index + 1) * size])


def _assembled(parts: list[tuple[Source, Stored]]) -> Stored:
    first, parameter = parts[0]
    stored_shape = first.stored_shape(parameter.shape)

    def compute() -> np.ndarray:
        flat = stored_shape[: len(stored_shape) - first.trailing]
        array = np.zeros(flat[::-1] if first.transposed else flat, np.float32)
        size = array.shape[0] // first.of
        for source, part in parts:
            array[source.part * size : (source.part + 1) * size] = part.read().reshape(size, *array.shape[1:])
        return np.ascontiguousarray(array.T if first.transposed else array).reshape(stored_shape)

    return ComputedTensor(stored_shape, compute)


def _some(items: Sequence[str]) -> str:
    # The names of unexpected tensors are a stranger's.
    return ", ".join(item if item.isprintable() and len(item) <= 200 else shown(item) for item in items[:3])
