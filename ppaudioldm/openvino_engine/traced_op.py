"""One operation of a traced Paddle program, with a check that no attribute of it is overlooked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import openvino

# Attributes about the origin of an operation, and those that only training or another device needs. `dtype` repeats the
# output's type, which is compared with OpenVINO's.
IGNORED = frozenset({"struct_name", "op_callstack", "op_role", "stop_gradient", "persistable", "place", "dtype"})


class UnsupportedOp(ValueError):
    """An operation that cannot be translated: names the operation, the reason, and where the network uses it."""

    def __init__(self, name: str, reason: str, where: str) -> None:
        super().__init__(f"cannot translate {name} to OpenVINO: {reason}; in {where}")


class TracedOp:
    """An operation whose operands have been translated.

    inputs: for each operand an OpenVINO output, a list of them (a Paddle vector), or None (an absent optional one).
    Every attribute must be read, by `attribute`, `expect` or `ignore`: `unread` names those that were not.
    """

    def __init__(self, op: Any, inputs: Sequence[Any]) -> None:
        self._op = op
        self.name = op.name()
        self.inputs = inputs
        self._attributes = op.attrs()
        self._read: set[str] = set(IGNORED)

    def attribute(self, name: str) -> Any:
        self._read.add(name)
        return self._attributes[name]

    def expect(self, **values: Any) -> None:
        """Raise UnsupportedOp unless the attributes have these values."""
        for name, value in values.items():
            if self.attribute(name) != value:
                raise self.unsupported(f"{name} is {self._attributes[name]!r}, only {value!r} is supported")

    def ignore(self, *names: str) -> None:
        """Mark attributes as read that do not change the output."""
        self._read.update(names)

    def unread(self) -> set[str]:
        return set(self._attributes) - self._read

    def integers(self, operand: int) -> list[int]:
        """The value of an operand that is a constant vector in the trace, such as axes."""
        return [int(value) for value in self._constant(operand)]

    def number(self, operand: int) -> float:
        """The value of an operand that is a constant scalar in the trace."""
        (value,) = self._constant(operand)
        return value

    def _constant(self, operand: int) -> list[Any]:
        source = self._op.operand_source(operand).get_defining_op()
        if source.name() == "pd_op.full_int_array":
            return list(source.attrs()["value"])
        if source.name() == "pd_op.full" and source.attrs()["shape"] in ([], [1]):
            return [source.attrs()["value"]]
        raise self.unsupported(f"operand {operand} comes from {source.name()}, only a constant is supported")

    def output_shape(self, index: int = 0) -> list[int]:
        """The shape of an output in the trace; -1 for a dynamic size."""
        return list(self._op.result(index).shape)

    def output_type(self, index: int = 0) -> str:
        return dtype_name(self._op.result(index).dtype)

    def check_output(self, output: openvino.Output, index: int) -> None:
        """Raise UnsupportedOp if OpenVINO infers another shape or type for `output` than Paddle."""
        expected, found = self.output_shape(index), output.get_partial_shape()
        if not found.compatible(openvino.PartialShape(expected)):
            raise self.unsupported(f"the output's shape is {found}, expected {expected}")
        if output.get_element_type() != openvino.Type(self.output_type(index)):
            raise self.unsupported(f"the output is {output.get_element_type()}, expected {self.output_type(index)}")

    def unsupported(self, reason: str) -> UnsupportedOp:
        return UnsupportedOp(self.name, reason, location(self._op))


def dtype_name(dtype: Any) -> str:
    """NumPy's name of Paddle's `dtype`."""
    return str(dtype).removeprefix("paddle.")


def location(op: Any) -> str:
    """Where a network uses `op`: the path of its layers, and the line of code outside of Paddle."""
    layers = op.attrs().get("struct_name", "/")
    frames = [re.match(r'\s*File "(.+)", line (\d+)', line) for line in op.callstack or ()]
    lines = [f"{frame[1]}:{frame[2]}" for frame in frames if frame and "/paddle/" not in frame[1]]
    return f"{layers} ({lines[-1]})" if lines else layers
