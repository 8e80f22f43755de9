"""Translation of a Paddle network to an OpenVINO model: it is traced, and each operation of the trace translated.

Nothing is approximated: an unknown operation, attribute or shape raises `UnsupportedOp`. Dimensions that are None in
the inputs stay dynamic. The format of Paddle's traced programs is not documented, which is why pyproject.toml pins its
minor version, and why a test compares every network with Paddle.
"""

from __future__ import annotations

import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType, MethodType
from typing import Any

import numpy as np
import openvino
import paddle
from openvino import opset15 as ov

from ppaudioldm.models.functions import Input, Inputs, flat_inputs
from ppaudioldm.openvino_engine.paddle_ops import OPS
from ppaudioldm.openvino_engine.states import fuse_attention, read_state, write_state
from ppaudioldm.openvino_engine.traced_op import TracedOp, UnsupportedOp, location

# Of the frames that Paddle records for an operation, the innermost: enough to reach the network's line of code.
MOST_FRAMES = 8
_tracing = threading.Lock()  # Paddle has the program that it traces in global variables


def translate(layer: paddle.nn.Layer, inputs: Inputs, method: str = "forward") -> openvino.Model:
    """A method of `layer` as a model whose inputs are `inputs` in this order, flattened.

    Its output is called "output" if the method returns one tensor, "output_0" and so on if it returns several. Inputs
    that are states become states of the model; the method returns a list of their new values after its output. The
    model's constants share the memory of the layer's parameters. No other thread may use Paddle meanwhile, which has
    the program that it traces in global variables.
    Raises UnsupportedOp, a ValueError, at the first operation that cannot be translated.
    """
    program = _traced(layer, inputs, method)
    arguments = [x for x in flat_inputs(inputs) if not x.is_state]
    states = [x for x in flat_inputs(inputs) if x.is_state]
    parameters = {x.name: _parameter(x) for x in arguments}
    state_values = {x.name: read_state(x, parameters[arguments[0].name]) for x in states}
    weights = {tensor.name: tensor for tensor in [*layer.parameters(), *layer.buffers()]}
    returned, updated = program.outputs if states else (program.outputs, [])
    if not states and len(returned) == 1:  # Paddle puts a single tensor into a list, and also a list of one tensor
        returned = returned[0]
    outputs = list(returned) if isinstance(returned, (list, tuple)) else [returned]
    translation = _Translation(parameters | state_values, weights)
    needed = _needed_ops([*outputs, *updated])
    for op in program.main_program.global_block().ops:
        if op.id() in needed:
            translation.add(op)
    names = ["output"] if returned is outputs[0] else [f"output_{i}" for i in range(len(outputs))]
    results = [_result(translation.values[value.id], name) for value, name in zip(outputs, names, strict=True)]
    sinks = [write_state(x, translation.values[value.id]) for x, value in zip(states, updated, strict=True)]
    nodes = [parameter.get_node() for parameter in parameters.values()]
    model = openvino.Model(results, sinks, nodes, f"{type(layer).__name__}.{method}")
    fuse_attention(model)
    return model


def _traced(layer: paddle.nn.Layer, inputs: Inputs, method: str) -> Any:
    """Paddle's program of a method of `layer`. Its Python code runs once, with -1 for dynamic sizes."""
    with tracing():
        return static_function(layer, inputs, method).concrete_program


@contextmanager
def tracing() -> Iterator[None]:
    """What Paddle should trace in: one thread at a time, with short stacks, and without warnings."""
    with _tracing, _short_stacks(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about constant tensors in a trace
        yield


@contextmanager
def _short_stacks() -> Iterator[None]:
    """In this thread, stacks have MOST_FRAMES frames at most, without lines of code, for as long as this lasts.

    For each operation Paddle records the Python stack, by `traceback.extract_stack`; with whole stacks that is two
    thirds of the time of a trace. `sys.tracebacklimit` would cut the tracebacks of other threads' errors too.
    """
    extract_stack, thread = traceback.extract_stack, threading.get_ident()

    def short(f: FrameType | None = None, limit: int | None = None) -> traceback.StackSummary:
        frame = sys._getframe(1) if f is None else f
        return _innermost(frame) if threading.get_ident() == thread else extract_stack(frame, limit)

    traceback.extract_stack = short
    try:
        yield
    finally:
        traceback.extract_stack = extract_stack


def _innermost(frame: FrameType | None) -> traceback.StackSummary:
    """`frame` and those that called it. `traceback` would ask the file system for the source of each."""
    frames: list[traceback.FrameSummary] = []
    while frame is not None and len(frames) < MOST_FRAMES:
        code = frame.f_code
        frames.append(traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_name, line=""))
        frame = frame.f_back
    return traceback.StackSummary(frames[::-1])


def static_function(layer: paddle.nn.Layer, inputs: Inputs, method: str) -> Any:
    """A method of `layer` as Paddle's static function, which is traced when it is first needed: see `tracing`."""

    def spec(x: Any) -> Any:
        return [spec(y) for y in x] if isinstance(x, list) else paddle.static.InputSpec(list(x.shape), x.dtype, x.name)

    # `not_to_static`: without rewriting for branches that depend on data, which takes four times as long and leaves
    # operations for every size that the code reads. It marks the function for good, hence the copy.
    code = getattr(type(layer), method)
    copy = FunctionType(code.__code__, code.__globals__, method, code.__defaults__, code.__closure__)
    bound = MethodType(paddle.jit.not_to_static(copy), layer)
    return paddle.jit.to_static(bound, input_spec=spec(inputs), full_graph=True)


def _parameter(x: Input) -> openvino.Output:
    shape = [-1 if size is None else size for size in x.shape]
    output = ov.parameter(shape, openvino.Type(x.dtype), x.name).output(0)
    output.get_tensor().set_names({x.name})
    return output


def _result(value: openvino.Output, name: str) -> openvino.Node:
    node = ov.result(value)
    node.output(0).get_tensor().set_names({name})
    return node


def _needed_ops(outputs: Iterable[Any]) -> set[int]:
    """Ids of the operations that contribute to `outputs`; a trace also has unused ones, such as shapes."""
    needed: set[int] = set()
    pending = [value.get_defining_op() for value in outputs]
    while pending:
        op = pending.pop()
        if op.id() not in needed:
            needed.add(op.id())
            pending += [value.get_defining_op() for value in op.operands_source() if value.initialized()]
    return needed


class _Translation:
    """The operations of a program translated so far. values: of OpenVINO, by the id of Paddle's value."""

    def __init__(self, parameters: dict[str, openvino.Output], weights: dict[str, paddle.Tensor]) -> None:
        self.parameters = parameters
        self.weights = weights
        self.values: dict[str, Any] = {}

    def add(self, op: Any) -> None:
        """Translate `op`, whose operands have been translated."""
        if op.name() == "pd_op.data":
            self.values[op.result(0).id] = self.parameters[op.attrs()["name"]]
        elif op.name() == "builtin.parameter":
            # Shares the memory, so that the weights are in memory once; OpenVINO keeps the array alive.
            array = np.from_dlpack(self.weights[op.attrs()["parameter_name"]].detach())
            self.values[op.result(0).id] = ov.constant(array, shared_memory=True).output(0)
        else:
            self._add_from_table(op)

    def _add_from_table(self, op: Any) -> None:
        if op.name() not in OPS:
            raise UnsupportedOp(op.name(), "unknown operation", location(op))
        traced = TracedOp(op, [self._operand(op, value) for value in op.operands_source()])
        try:
            translated = OPS[op.name()](traced)
        except RuntimeError as error:  # OpenVINO refuses the arguments
            raise traced.unsupported(" ".join(str(error).split())) from error
        if traced.unread():
            raise traced.unsupported(f"attributes {sorted(traced.unread())} are not supported")
        results = translated if isinstance(translated, tuple) else (translated,)
        for index, result in enumerate(results):
            self.values[op.result(index).id] = _checked(traced, index, result)

    def _operand(self, op: Any, value: Any) -> Any:
        if not value.initialized():
            return None  # an absent optional operand
        if value.id not in self.values:
            source = value.get_defining_op()
            raise UnsupportedOp(source.name(), "only the first output is supported", location(op))
        return self.values[value.id]


def _checked(traced: TracedOp, index: int, result: Any) -> Any:
    """`result` as an output or list of outputs. Raises UnsupportedOp unless shape and type are those of Paddle."""
    if isinstance(result, list):
        return result
    output = result.output(0) if isinstance(result, openvino.Node) else result
    traced.check_output(output, index)
    return output
