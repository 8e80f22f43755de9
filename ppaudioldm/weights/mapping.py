"""Key mapping: under which keys, and how, a file of another layout stores the parameters of our networks.

A layout is a function from one of our parameters to its possible `Placement`s. Reading, writing, checks of shapes and
the search for unused keys all follow from that one function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor


@dataclass(frozen=True)
class Placement:
    """One way in which a file may store a parameter of ours.

    keys: the tensor's key, or several whose tensors are concatenated along the first axis. chunk, num_chunks: it is
    number `chunk` of `num_chunks` equal chunks of a tensor along its first axis (Q, K and V in one matrix). row: the
    chunks are the rows of a table. transposed: a matrix stored with its axes swapped. trailing: axes of size 1 at the
    end of the stored shape (a linear layer stored as a 1x1 convolution has 2).
    """

    keys: tuple[str, ...]
    chunk: int = 0
    num_chunks: int = 1
    row: bool = False
    transposed: bool = False
    trailing: int = 0

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of each tensor in the file, for our parameter's `shape`."""
        if self.row:
            return (self.num_chunks, *shape)
        if self.transposed:
            shape = shape[::-1]
        axis = self._axis(shape)
        sizes = list(shape)
        sizes[axis] = sizes[axis] * self.num_chunks // len(self.keys)
        return (*sizes, *[1] * self.trailing)

    def extract(self, stored: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Our parameter, which has `shape`, from the values of the tensors under `keys`."""
        if self.row:
            return stored[0][self.chunk].copy()
        arrays = [array.reshape(array.shape[: array.ndim - self.trailing]) for array in stored]
        if self.transposed:
            arrays = [array.T for array in arrays]
        array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        if self.num_chunks > 1:
            size = len(array) // self.num_chunks
            # A copy: a view would keep all chunks in memory.
            array = array[self.chunk * size : (self.chunk + 1) * size].copy()
        return np.ascontiguousarray(array).reshape(shape)

    def _axis(self, shape: tuple[int, ...]) -> int:
        return len(shape) - 1 if self.transposed else 0


# (network, our parameter's name) -> the placements to look for, the preferred first.
Layout = Callable[[str, str], Sequence[Placement]]


@dataclass(frozen=True)
class Rule:
    """The placement of all parameters that match `pattern`; in `keys`, \\1 stands for its first group."""

    pattern: str
    keys: str | tuple[str, ...]
    chunk: int = 0
    num_chunks: int = 1
    row: bool = False
    transposed: bool = False
    trailing: int = 0


def apply_rules(rules: Iterable[Rule], name: str, prefix: str = "") -> Placement:
    """The placement of parameter `name` by the first rule that matches it.

    A pattern may match the module alone: the last `.weight` or `.bias` is then kept as it is.
    """
    module, _, leaf = name.rpartition(".")
    for rule in rules:
        for candidate, suffix in ((name, ""), (module, f".{leaf}")):
            if match := re.fullmatch(rule.pattern, candidate):
                keys = (rule.keys,) if isinstance(rule.keys, str) else rule.keys
                keys = tuple(prefix + match.expand(key) + suffix for key in keys)
                is_bias = leaf == "bias"
                return Placement(
                    keys,
                    rule.chunk,
                    rule.num_chunks,
                    rule.row,
                    rule.transposed and not is_bias,
                    0 if is_bias else rule.trailing,
                )
    raise AssertionError(f"no rule for {name}")  # a parameter was added to a network but not to the layouts


def read_parameters(
    network: str, shapes: Mapping[str, tuple[int, ...]], layout: Layout, stored: Mapping[str, LazyTensor], where: str
) -> tuple[dict[str, LazyTensor], set[str]]:
    """The parameters of `network` as lazy tensors, and all keys that the layout knows for them.

    shapes: of our parameters, by name. stored: the tensors of the file, by key. Raises CheckpointError that names the
    first missing keys or wrong shapes; `where` names the file in it.
    """
    found: dict[str, LazyTensor] = {}
    used: set[str] = set()
    missing: list[str] = []
    wrong: list[str] = []
    for name, shape in shapes.items():
        placements = layout(network, name)
        placement = next((p for p in placements if all(key in stored for key in p.keys)), None)
        used.update(key for p in placements for key in p.keys)
        if placement is None:
            missing.append(placements[0].keys[0])
            continue
        tensors = [stored[key] for key in placement.keys]
        expected = placement.stored_shape(shape)
        wrong += [
            f"{key} {list(tensor.shape)}, expected {list(expected)}"
            for key, tensor in zip(placement.keys, tensors, strict=True)
            if tensor.shape != expected
        ]
        found[name] = _extracted(placement, tensors, shape)
    if missing:
        raise CheckpointError(f"{where}: {len(missing)} tensors of {network} are missing, the first: {_some(missing)}")
    if wrong:
        raise CheckpointError(f"{where}: {len(wrong)} wrong shapes in {network}, the first: {_some(wrong)}")
    return found, used


def check_all_used(stored: Iterable[str], used: set[str], ignored: re.Pattern[str], where: str) -> None:
    """Raise CheckpointError if a key of `stored` is neither in `used` nor matched by `ignored`."""
    foreign = [key for key in stored if key not in used and not ignored.fullmatch(key)]
    if foreign:
        raise CheckpointError(f"{where}: {len(foreign)} unexpected tensors, the first: {_some(foreign)}")


def write_parameters(network: str, parameters: Mapping[str, LazyTensor], layout: Layout) -> dict[str, LazyTensor]:
    """The tensors of a file that stores the `parameters` of `network` under every key that `layout` knows for them.

    The inverse of `read_parameters`. A chunk that is none of our parameters (an unused row of a table) is zero.
    """
    chunks: dict[str, list[tuple[Placement, LazyTensor]]] = {}
    for name, parameter in parameters.items():
        for placement in layout(network, name):
            for i, key in enumerate(placement.keys):
                piece = _piece(parameter, i, len(placement.keys))
                chunks.setdefault(key, []).append((replace(placement, keys=(key,)), piece))
    return {key: _assembled(found) for key, found in chunks.items()}


def _extracted(placement: Placement, tensors: Sequence[LazyTensor], shape: tuple[int, ...]) -> LazyTensor:
    return ComputedTensor(shape, lambda: placement.extract([tensor.read() for tensor in tensors], shape))


def _piece(parameter: LazyTensor, index: int, count: int) -> LazyTensor:
    """Number `index` of `count` equal pieces of `parameter` along its first axis."""
    if count == 1:
        return parameter
    size = parameter.shape[0] // count
    return ComputedTensor((size, *parameter.shape[1:]), lambda: parameter.read()[index * size : (index + 1) * size])


def _assembled(chunks: list[tuple[Placement, LazyTensor]]) -> LazyTensor:
    """The stored tensor that consists of `chunks`."""
    first, parameter = chunks[0]
    stored_shape = first.stored_shape(parameter.shape)

    def compute() -> np.ndarray:
        flat = stored_shape[: len(stored_shape) - first.trailing]
        array = np.zeros(flat[::-1] if first.transposed else flat, np.float32)
        size = array.shape[0] // first.num_chunks
        for placement, values in chunks:
            start = placement.chunk * size
            array[start : start + size] = values.read().reshape(size, *array.shape[1:])
        return np.ascontiguousarray(array.T if first.transposed else array).reshape(stored_shape)

    return ComputedTensor(stored_shape, compute)


def _some(items: Sequence[str]) -> str:
    # Names of unexpected tensors come from the file, and may be of any length.
    return ", ".join(item if item.isprintable() and len(item) <= 200 else shown(item) for item in items[:3])
