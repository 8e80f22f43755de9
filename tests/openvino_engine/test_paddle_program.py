"""Every operation of the table against Paddle, with its dimensions dynamic, and the errors for what is not in it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino
import pytest

from ppaudioldm import framework
from ppaudioldm.models.functions import Input, flat_inputs

if framework.NAME != "paddle":
    pytest.skip("only Paddle's programs are translated", allow_module_level=True)

import paddle
import paddle.nn.functional as F

from ppaudioldm.openvino_engine.paddle_ops import OPS
from ppaudioldm.openvino_engine.paddle_program import translate
from ppaudioldm.openvino_engine.traced_op import UnsupportedOp
from tests.support import relative_error

SIZES = [(2, 5), (3, 9)]  # what the dynamic dimensions of an input are, in turn
BLC = (None, None, 8)
BCL = (None, 8, None)
IMAGE = (None, 8, None, 6)
TABLE = np.random.default_rng(5).standard_normal((7, 4)).astype(np.float32)


def weight(*shape: int, seed: int = 3) -> paddle.Tensor:
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


class Function(paddle.nn.Layer):
    """`function` of the inputs and of some weights, as a network."""

    def __init__(self, function: Callable[..., Any], *weights: paddle.Tensor) -> None:
        super().__init__()
        self.function = function
        self.weights = paddle.nn.ParameterList([paddle.create_parameter(w.shape, w.dtype) for w in weights])
        for parameter, value in zip(self.weights, weights, strict=True):
            parameter.set_value(value)

    def forward(self, x, y=None):
        inputs = [x] if y is None else [x, y]
        return self.function(*inputs, *self.weights)


@dataclass
class Case:
    """`op` is among the operations of `function` of the inputs and weights. inputs: shapes, or Input for a dtype."""

    op: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...] = (BLC,)
    weights: tuple[paddle.Tensor, ...] = ()
    scale: float = 1.0  # of the inputs

    def specs(self) -> list[Input]:
        return [x if isinstance(x, Input) else Input(f"x{i}", x) for i, x in enumerate(self.inputs)]


def ids(*shape: int | None) -> Input:
    return Input("ids", shape, "int64")


CASES = [
    Case("pd_op.full", lambda x: x + paddle.full([1, 8], 0.3)),
    Case("pd_op.full", lambda x: x + paddle.full([8], 3, "int64"), (ids(None, 8),)),
    Case("pd_op.full_int_array", lambda x: x.reshape([0, 0, 2, 4])),
    Case("pd_op.assign_value_", lambda x: x + framework.constant(TABLE[0], x), ((None, 4),)),
    Case("pd_op.assign_value_", lambda x: x + framework.constant(np.arange(8).reshape(2, 1, 4), x), (ids(None, 4),)),
    Case("pd_op.full_like", lambda x: paddle.ones_like(x[:, :1])),
    Case("pd_op.full_like", lambda x: paddle.zeros_like(x, dtype="int64")),
    Case("pd_op.reshape", lambda x: x.reshape([0, -1, 4])),
    Case("pd_op.reshape", lambda x: x.reshape([-1, 2, 2, 2])),
    Case("pd_op.flatten", lambda x: x.flatten(0, 1)),
    Case("pd_op.flatten", lambda x: x.flatten(1)),
    Case("pd_op.flatten", lambda x: x.flatten(-2, -1), (IMAGE,)),
    Case("pd_op.flatten", lambda x: x.flatten()),
    Case("pd_op.squeeze", lambda x: x.squeeze(1), ((None, 1, None, 8),)),
    Case("pd_op.squeeze", lambda x: x.squeeze([1, -1]), ((None, 1, None, 1),)),
    Case("pd_op.squeeze", lambda x: x.unsqueeze(2).squeeze(2)),
    Case("pd_op.squeeze", lambda x: x.unsqueeze(2).squeeze(1), ((None, 1, None),)),
    Case("pd_op.unsqueeze", lambda x: x.unsqueeze(1).unsqueeze(-1)),
    Case("pd_op.unsqueeze", lambda x: x.unsqueeze([0, -2])),
    Case("pd_op.transpose", lambda x: x.transpose([0, 2, 1])),
    Case("pd_op.transpose", lambda x: x.transpose([3, 1, 0, 2]), (IMAGE,)),
    Case("pd_op.slice", lambda x: x[:, 0]),
    Case("pd_op.slice", lambda x: x[:, :1, 2:-1]),
    Case("pd_op.slice", lambda x: x[..., -1]),
    Case("pd_op.slice", lambda x: x[0, :, 3]),
    Case("pd_op.slice", lambda x: x[:, -100:100]),
    Case("pd_op.concat", lambda x, y: paddle.concat([x, y, x], 1), (BLC, BLC)),
    Case("pd_op.concat", lambda x, y: paddle.concat([x, y], -1), (BLC, (None, None, 3))),
    Case("pd_op.stack", lambda x, y: paddle.stack([x, y], 0), (BLC, BLC)),
    Case("pd_op.stack", lambda x, y: paddle.stack([x, y], -1), (BLC, BLC)),
    Case("pd_op.split_with_num", lambda x: paddle.chunk(x, 4, -1)),
    Case("builtin.split", lambda x: paddle.chunk(x, 2, 1)[1], (IMAGE,)),
    Case("pd_op.split", lambda x: paddle.split(x, [2, 6], -1)),
    Case("pd_op.split", lambda x: paddle.split(x, [1, -1, 3], 1), (IMAGE,)),
    Case("builtin.combine", lambda x, y: paddle.concat([y, x], 1), (BLC, (None, 3, 8))),
    Case("pd_op.roll", lambda x: paddle.roll(x, (-3, 2), (1, 2)), (IMAGE,)),
    Case("pd_op.roll", lambda x: paddle.roll(x, 4, 1)),
    Case("pd_op.pad3d", lambda x: F.pad(x, [0, 1, 2, 3]), (IMAGE,)),
    Case("pd_op.pad3d", lambda x: F.pad(x, [1, 0, 0, 2], value=0.5), (IMAGE,)),
    Case("pd_op.pad3d", lambda x: F.pad(x, [1, 2, 3, 4, 5, 6], data_format="NCDHW"), ((None, 3, None, 4, 5),)),
    Case("pd_op.assign", lambda x: paddle.assign(x)),
    Case("pd_op.cast", lambda x: (x * 3).astype("int64")),
    Case("pd_op.cast", lambda x: (x <= 0.5).astype("float32")),
    Case("pd_op.cast", lambda x: x.astype("float32"), (ids(None, None),)),
    Case("pd_op.add", lambda x, y: x + y, (BLC, (None, 1, 8))),
    Case("pd_op.add", lambda x, y: x + y, (BLC, (8,))),
    Case("pd_op.add", lambda x, y: x.unsqueeze(1) + y, (BLC, (None, 4, None, 8))),
    Case("pd_op.add", lambda x, y: x.unsqueeze(1) + y, (BLC, (None, 1, 1, 8))),
    Case("pd_op.add", lambda x, y: x.unsqueeze(1) + y, (BLC, (None, None, 8))),
    Case("pd_op.add", lambda x, y: x.unsqueeze(1) + y, (BLC, (1, None, 1, 1, 8))),
    Case("pd_op.subtract", lambda x, y: x.unsqueeze(0) - y.unsqueeze(1), ((None,), (None,))),
    Case("pd_op.subtract", lambda x: x.unsqueeze(0) - x.unsqueeze(1), (ids(None),)),
    Case("pd_op.multiply", lambda x, y: x * y, (BLC, (None, None, 1))),
    Case("pd_op.divide", lambda x, y: x / y, (BLC, (None, 1, 8))),
    Case("pd_op.maximum", lambda x, y: paddle.maximum(x, y), (BLC, (8,))),
    Case("pd_op.less_equal", lambda x: x.unsqueeze(0) <= x.unsqueeze(1), (ids(None),)),
    Case("pd_op.scale", lambda x: 1.0 - x * 0.3),
    Case("pd_op.scale", lambda x: paddle.scale(x, -1e4, 2.5)),
    Case("pd_op.scale", lambda x: x * 3 - 1, (ids(None, None),)),
    Case("pd_op.clip", lambda x: paddle.clip(x, -0.5, 0.7)),
    Case("pd_op.clip", lambda x: paddle.clip(x, -2, 3), (ids(None, None),)),
    Case("pd_op.rsqrt", lambda x: paddle.rsqrt(x * x + 1e-6)),
    Case("pd_op.matmul", lambda x, y: paddle.matmul(x, y), (BLC, BCL)),
    Case("pd_op.matmul", lambda x, y: paddle.matmul(x, y, False, True), (BLC, BLC)),
    Case("pd_op.matmul", lambda x, y: paddle.matmul(x, y, True, False), (BLC, BLC)),
    Case(
        "pd_op.matmul",
        lambda x, w, b: framework.xp.compat.nn.functional.linear(x, w, b),
        (BLC,),
        (weight(5, 8), weight(5)),
    ),
    Case("pd_op.sum", lambda x: x.sum()),
    Case("pd_op.sum", lambda x: x.sum(-1, keepdim=True), (ids(None, None),)),
    Case("pd_op.sum", lambda x: x.sum([0, 2])),
    Case("pd_op.mean", lambda x: x.mean(-1, keepdim=True)),
    Case("pd_op.mean", lambda x: x.mean(1)),
    Case("pd_op.amax", lambda x: paddle.amax(x, 1)),
    Case("pd_op.amax", lambda x: paddle.amax(x, [1, -1], keepdim=True), (IMAGE,)),
    Case("pd_op.amax", lambda x: paddle.amax(x)),
    Case("pd_op.p_norm", lambda x: F.normalize(x, axis=1)),
    Case("pd_op.p_norm", lambda x: F.normalize(x, axis=-1), scale=1e-13),
    Case("pd_op.abs", lambda x: paddle.abs(x)),
    Case("pd_op.softplus", lambda x: F.softplus(x), scale=40),
    Case("pd_op.cumsum", lambda x: paddle.cumsum(x, 1)),
    Case("pd_op.cumsum", lambda x: paddle.cumsum(x, 0), (ids(None, None),)),
    Case("pd_op.relu", lambda x: F.relu(x)),
    Case("pd_op.leaky_relu", lambda x: F.leaky_relu(x, 0.1)),
    Case("pd_op.leaky_relu", lambda x: F.leaky_relu(x)),
    Case("pd_op.leaky_relu", lambda x: F.leaky_relu(x, 0.0), (IMAGE,)),
    Case("pd_op.silu", lambda x: F.silu(x), scale=4),
    Case("pd_op.gelu", lambda x: F.gelu(x), scale=2),
    Case("pd_op.gelu", lambda x: F.gelu(x, approximate=True), scale=2),
    Case("pd_op.sin", lambda x: paddle.sin(x), scale=3),
    Case("pd_op.cos", lambda x: paddle.cos(x), scale=3),
    Case("pd_op.tanh", lambda x: paddle.tanh(x), scale=3),
    Case("pd_op.softmax", lambda x: F.softmax(x, -1), scale=5),
    Case("pd_op.softmax", lambda x: F.softmax(x, 1), scale=5),
    Case("pd_op.gather", lambda x, w: paddle.gather(w, x.flatten() + 2, 0), (ids(None, None),), (weight(9, 5),)),
    Case("pd_op.gather", lambda x: paddle.gather(x, paddle.cumsum(paddle.ones_like(x[:, 0, 0], "int64"), 0) - 1, 1)),
    Case("pd_op.embedding", lambda x, w: F.embedding(x + 2, w), (ids(None, None),), (weight(9, 5),)),
    Case("pd_op.layer_norm", lambda x, w, b: F.layer_norm(x, 8, w, b, 1e-5), (BLC,), (weight(8), weight(8)), 1e-3),
    Case("pd_op.layer_norm", lambda x, w, b: F.layer_norm(x, 8, w, b, 1e-3), (BLC,), (weight(8), weight(8))),
    Case("pd_op.layer_norm", lambda x: F.layer_norm(x, [8]), (BLC,)),
    Case("pd_op.group_norm", lambda x, w, b: F.group_norm(x, 4, 1e-5, w, b), (IMAGE,), (weight(8), weight(8)), 1e-3),
    Case("pd_op.group_norm", lambda x, w, b: F.group_norm(x, 2, 1e-6, w, b), (IMAGE,), (weight(8), weight(8)), 1e-3),
    Case("pd_op.group_norm", lambda x, w, b: F.group_norm(x, 8, 1e-1, w, b), (BCL,), (weight(8), weight(8))),
    Case("pd_op.pool2d", lambda x: F.max_pool2d(x, 2), (IMAGE,)),
    Case("pd_op.pool2d", lambda x: F.avg_pool2d(x, [3, 2], [2, 1]), (IMAGE,)),
    Case("pd_op.conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1), (IMAGE,), (weight(5, 8, 3, 3), weight(5))),
    Case("pd_op.conv2d", lambda x, w: F.conv2d(x, w, None, 2, [0, 1, 2, 3]), (IMAGE,), (weight(5, 8, 3, 2),)),
    Case("pd_op.conv2d", lambda x, w: F.conv2d(x, w, None, [1, 2], [2, 1], [2, 1]), (IMAGE,), (weight(5, 8, 3, 2),)),
    Case("pd_op.conv2d", lambda x, w, b: F.conv1d(x, w, b, 1, 4, 2), (BCL,), (weight(5, 8, 5), weight(5))),
    Case("pd_op.conv2d", lambda x, w: F.conv1d(x, w, None, 2, 1), (BCL,), (weight(5, 8, 4),)),
    # An axis that is not what Paddle adds for a 1-D convolution, though it looks like it.
    Case("pd_op.conv2d", lambda x, w: F.conv2d(x.unsqueeze(1), w), (BLC,), (weight(5, 1, 3, 3),)),
    Case("pd_op.conv2d", lambda x, w: F.conv2d(x.unsqueeze(2), w, None, 1, 1), (BCL,), (weight(5, 8, 3, 3),)),
    Case("pd_op.conv2d", lambda x, w: F.conv2d(x.unsqueeze(2), w, None, 1, 1), (BCL,), (weight(5, 8, 1, 3),)),
    Case(
        "pd_op.conv2d_transpose",
        lambda x, w, b: F.conv1d_transpose(x, w, b, 5, 5),
        (BCL,),
        (weight(8, 4, 16), weight(4)),
    ),
    Case("pd_op.conv2d_transpose", lambda x, w: F.conv1d_transpose(x, w, None, 2, 1), (BCL,), (weight(8, 4, 4),)),
    Case("pd_op.conv2d_transpose", lambda x, w: F.conv2d_transpose(x, w, None, 2, 1), (IMAGE,), (weight(8, 4, 4, 3),)),
    Case("pd_op.nearest_interp", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), (IMAGE,)),
    Case("pd_op.nearest_interp", lambda x: F.interpolate(x, scale_factor=[3, 7], mode="nearest"), (IMAGE,)),
]


def values(spec: Input, sizes: tuple[int, ...], scale: float) -> np.ndarray:
    """Random values of `spec` with `sizes` for its dynamic dimensions."""
    remaining = iter(sizes)
    shape = [next(remaining) if size is None else size for size in spec.shape]
    rng = np.random.default_rng(sum(shape))
    if spec.dtype == "int64":
        return rng.integers(-2, 6, shape)
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def compiled(model: openvino.Model) -> openvino.CompiledModel:
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def eager(network: paddle.nn.Layer, *inputs: np.ndarray) -> list[np.ndarray]:
    with paddle.no_grad():
        outputs = network(*[paddle.to_tensor(x) for x in inputs])
    return [x.numpy() for x in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.op.split(".")[1])
def test_op(case, monkeypatch):
    translator, uses = OPS[case.op], []
    monkeypatch.setitem(OPS, case.op, lambda op: uses.append(op) or translator(op))
    network = Function(case.function, *case.weights)
    model = compiled(translate(network, case.specs()))
    assert uses
    for sizes in SIZES:
        inputs = [values(spec, sizes, case.scale) for spec in case.specs()]
        for actual, expected in zip(model(inputs).values(), eager(network, *inputs), strict=True):
            assert actual.dtype == expected.dtype
            if expected.dtype == np.float32:
                assert relative_error(actual, expected) < 1e-6
            else:
                np.testing.assert_array_equal(actual, expected)


def test_every_op_of_the_table_has_a_case():
    assert {case.op for case in CASES} == set(OPS)


def unsupported(message: str, function: Callable[..., Any], shape: Any = BLC, *weights: paddle.Tensor) -> Any:
    return pytest.param(message, Case("", function, (shape,), weights), id=message)


UNSUPPORTED = [
    unsupported("pd_op.tan.* unknown operation", lambda x: paddle.tan(x)),
    unsupported("pd_op.shape64.* unknown operation", lambda x: x.reshape([paddle.shape(x)[1], 8, -1])),
    unsupported("p_norm.* porder is 1.0, only 2.0", lambda x: F.normalize(x, p=1)),
    unsupported("conv2d.* groups is 2", lambda x, w: F.conv2d(x, w, groups=2), IMAGE, weight(4, 4, 3, 3)),
    unsupported("conv2d.* 'SAME'", lambda x, w: F.conv2d(x, w, padding="SAME"), IMAGE, weight(4, 8, 3, 3)),
    unsupported(
        "transpose.* output_padding", lambda x, w: F.conv1d_transpose(x, w, None, 2, 1, 1), BCL, weight(8, 4, 4)
    ),
    unsupported(
        "transpose.* output size",
        lambda x, w: F.conv1d_transpose(x, w, None, 2, output_size=[12]),
        (None, 8, 5),
        weight(8, 4, 4),
    ),
    unsupported("only whole factors", lambda x: F.interpolate(x, scale_factor=1.5, mode="nearest"), IMAGE),
    unsupported("nearest_interp.* out_h is 4", lambda x: F.interpolate(x, size=[4, 4], mode="nearest"), IMAGE),
    unsupported("pool2d.* paddings is", lambda x: F.avg_pool2d(x, 2, padding=1), IMAGE),
    unsupported("pool2d.* ceil_mode is True", lambda x: F.max_pool2d(x, 2, ceil_mode=True), IMAGE),
    unsupported("layer_norm.* begin_norm_axis is 1, only 2", lambda x: F.layer_norm(x, [5, 8]), (None, 5, 8)),
    unsupported("embedding.* padding_idx is 0", lambda x, w: F.embedding(x, w, 0), ids(None, None), weight(9, 5)),
    unsupported("roll.* along specified axes", lambda x: paddle.roll(x, 1), (4, 4)),
    unsupported("pad3d.* mode is 'reflect'", lambda x: F.pad(x, [1, 1, 1, 1], "reflect"), IMAGE),
    unsupported("flatten.* dynamic dimension after", lambda x: x.flatten(0, 1), (None, 2, None)),
    unsupported("cumsum.* flatten is True", lambda x: paddle.cumsum(x)),
    unsupported("scale.* bias before", lambda x: paddle.scale(x, 2.0, 1.0, bias_after_scale=False)),
    unsupported("scale.* integers times 0.5", lambda x: paddle.scale(x, 0.5), ids(None)),
    unsupported("scale.* operand 1 comes from pd_op.sum", lambda x: paddle.scale(x, x.sum())),
    unsupported("group_norm.* weight and bias", lambda x: F.group_norm(x, 4), IMAGE),
]


@pytest.mark.parametrize(("message", "case"), UNSUPPORTED)
def test_what_is_not_supported_is_an_error_that_names_op_and_place(message, case):
    with pytest.raises(UnsupportedOp, match=message) as caught:
        translate(Function(case.function, *case.weights), case.specs())
    assert str(caught.value).startswith("cannot translate pd_op.")
    assert "test_paddle_program.py:" in str(caught.value)
    assert "\n" not in str(caught.value)


class Inner(paddle.nn.Layer):
    def forward(self, x):
        return paddle.tan(x)


class Outer(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(x)


def test_error_names_the_layer():
    with pytest.raises(UnsupportedOp, match="/Inner/"):
        translate(Outer(), [Input("x", BLC)])


def test_stacks_are_short_in_a_trace_and_whole_elsewhere():
    """Paddle records one for every operation, which takes time."""
    whole, lengths = traceback.extract_stack, []

    def function(x: paddle.Tensor) -> paddle.Tensor:
        with ThreadPoolExecutor(1) as pool:
            lengths.extend((len(traceback.extract_stack()), pool.submit(deep, 20).result()))
        return paddle.tanh(x)

    def deep(calls: int) -> int:
        return deep(calls - 1) if calls else len(traceback.extract_stack())

    translate(Function(function), [Input("x", BLC)])
    in_trace, elsewhere = lengths
    assert in_trace <= 8 and elsewhere > 20
    assert traceback.extract_stack is whole
    with pytest.raises(UnsupportedOp):
        translate(Function(lambda x: paddle.tan(x).argsort()), [Input("x", BLC)])
    assert traceback.extract_stack is whole


def test_attribute_that_a_translation_does_not_know_is_an_error(monkeypatch):
    monkeypatch.setitem(OPS, "pd_op.leaky_relu", OPS["pd_op.relu"])
    with pytest.raises(UnsupportedOp, match=r"attributes \['negative_slope'\] are not supported"):
        translate(Function(lambda x: F.leaky_relu(x)), [Input("x", BLC)])


def test_output_that_differs_from_what_paddle_says_is_an_error(monkeypatch):
    monkeypatch.setitem(OPS, "pd_op.tanh", lambda op: OPS["pd_op.relu"](op).output(0).get_node().input_value(0))
    monkeypatch.setitem(OPS, "pd_op.relu", OPS["pd_op.silu"])
    translate(Function(lambda x: paddle.tanh(x)), [Input("x", BLC)])  # the same shape and type: nothing to see
    monkeypatch.setitem(OPS, "pd_op.mean", OPS["pd_op.assign"])
    monkeypatch.setattr("ppaudioldm.openvino_engine.traced_op.TracedOp.unread", lambda self: set())
    with pytest.raises(UnsupportedOp, match="mean.* the output's shape is"):
        translate(Function(lambda x: x.mean(1)), [Input("x", BLC)])
    monkeypatch.setitem(OPS, "pd_op.cast", OPS["pd_op.assign"])
    with pytest.raises(UnsupportedOp, match="cast.* the output is .*expected int64"):
        translate(Function(lambda x: x.astype("int64")), [Input("x", BLC)])


def test_what_nobody_uses_is_not_translated():
    def function(x):
        paddle.tan(x)
        return x * 2

    model = translate(Function(function), [Input("x", BLC)])
    assert {op.get_type_name() for op in model.get_ops()} == {"Parameter", "Constant", "Multiply", "Result"}


def test_constants_are_the_memory_of_the_parameters():
    network = Function(lambda x, w: paddle.add(x, w), weight(8))
    model = translate(network, [Input("x", BLC)])
    (constant,) = [op for op in model.get_ops() if op.get_type_name() == "Constant"]
    assert np.shares_memory(constant.data, np.from_dlpack(network.weights[0].detach()))


def test_network_itself_is_left_as_it_was():
    network = Function(lambda x: x * 2)
    translate(network, [Input("x", BLC)])
    assert "forward" not in vars(network)
    assert not vars(Function.forward)


def test_inputs_keep_their_order_names_and_dynamic_dimensions():
    inputs = [Input("first", BLC), [Input("second", (None, 3)), Input("third", (None,), "int64")], Input("last", (2,))]

    class Nested(paddle.nn.Layer):
        def forward(self, first, middle, last):
            return first + 1.0, middle[1] * 2

    model = translate(Nested(), inputs)
    assert [port.get_any_name() for port in model.inputs] == [x.name for x in flat_inputs(inputs)]
    shapes = [[-1 if dim.is_dynamic else dim.get_length() for dim in port.get_partial_shape()] for port in model.inputs]
    assert shapes == [[-1, -1, 8], [-1, 3], [-1], [2]]
    assert [port.get_any_name() for port in model.outputs] == ["output_0", "output_1"]


class Several(paddle.nn.Layer):
    def one(self, x):
        return x + 1.0

    def list_of_one(self, x):
        return [x + 1.0]

    def tuple_of_two(self, x):
        return x + 1.0, x * 2


def test_methods_and_what_they_return():
    for method, names in {
        "one": ["output"],
        "list_of_one": ["output_0"],
        "tuple_of_two": ["output_0", "output_1"],
    }.items():
        model = translate(Several(), [Input("x", BLC)], method)
        assert [port.get_any_name() for port in model.outputs] == names
