"""Paddle's operations as OpenVINO's: a table with a small function for each.

A function takes a `TracedOp` and returns its output: a node; a list for a Paddle vector; a tuple for several outputs.
An operation or attribute that is not in the table is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.group_norm import group_norm, swish
from ppaudioldm.openvino_engine.subpixel import transposed_convolution, upsampled_convolution
from ppaudioldm.openvino_engine.traced_op import TracedOp
from ppaudioldm.openvino_engine.two_columns import WIDTH, two_column_convolution
from ppaudioldm.openvino_engine.unit_axes import added_axis, convolution, integers, with_axis, without_axis

Translated = Any  # openvino.Node, openvino.Output, or a list or tuple of them
OPS: dict[str, Callable[[TracedOp], Translated]] = {}


def translates(*names: str) -> Callable[[Callable[[TracedOp], Translated]], Callable[[TracedOp], Translated]]:
    """Add the function to the table under `names`."""

    def register(function: Callable[[TracedOp], Translated]) -> Callable[[TracedOp], Translated]:
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


# Constants


@translates("pd_op.full")
def full(op: TracedOp) -> Translated:
    return ov.constant(np.full(op.attribute("shape"), op.attribute("value"), op.output_type()))


@translates("pd_op.full_int_array")
def full_int_array(op: TracedOp) -> Translated:
    return ov.constant(np.array(op.attribute("value"), op.output_type()))


@translates("pd_op.assign_value_")
def assign_value(op: TracedOp) -> Translated:
    return ov.constant(np.array(op.attribute("values"), op.output_type()).reshape(op.attribute("shape")))


@translates("pd_op.full_like")
def full_like(op: TracedOp) -> Translated:
    value = ov.constant(np.array(op.number(1), op.output_type()))
    return ov.broadcast(value, ov.shape_of(op.inputs[0]))


# Shapes


@translates("pd_op.reshape")
def reshape(op: TracedOp) -> Translated:
    return ov.reshape(op.inputs[0], integers(op.integers(1)), special_zero=True)  # 0 keeps a dimension in both


@translates("pd_op.flatten")
def flatten(op: TracedOp) -> Translated:
    x, start, stop = op.inputs[0], op.attribute("start_axis"), op.attribute("stop_axis")
    rank = x.get_partial_shape().rank.get_length()
    start, stop = start % rank, stop % rank
    after = list(x.get_partial_shape())[stop + 1 :]
    if any(dim.is_dynamic for dim in after):
        raise op.unsupported("a dynamic dimension after those to flatten is not supported")
    return ov.reshape(x, integers([0] * start + [-1] + [dim.get_length() for dim in after]), special_zero=True)


@translates("pd_op.squeeze")
def squeeze(op: TracedOp) -> Translated:
    axes = op.integers(1)
    return without_axis(op.inputs[0], axes[0]) if len(axes) == 1 else ov.squeeze(op.inputs[0], integers(axes))


@translates("pd_op.unsqueeze")
def unsqueeze(op: TracedOp) -> Translated:
    axes, rank = op.integers(1), len(op.output_shape())
    return ov.unsqueeze(op.inputs[0], integers([axis % rank for axis in axes]))


@translates("pd_op.transpose")
def transpose(op: TracedOp) -> Translated:
    return ov.transpose(op.inputs[0], integers(op.attribute("perm")))


@translates("pd_op.slice")
def slice_(op: TracedOp) -> Translated:
    op.ignore("infer_flags")
    axes, dropped = op.attribute("axes"), op.attribute("decrease_axis")
    steps = integers([1] * len(axes))
    sliced = ov.slice(op.inputs[0], integers(op.integers(1)), integers(op.integers(2)), steps, integers(axes))
    return ov.squeeze(sliced, integers(dropped)) if dropped else sliced


@translates("pd_op.concat")
def concat(op: TracedOp) -> Translated:
    return ov.concat(op.inputs[0], int(op.number(1)))


@translates("pd_op.stack")
def stack(op: TracedOp) -> Translated:
    axis = op.attribute("axis") % len(op.output_shape())
    return ov.concat([ov.unsqueeze(x, integers([axis])) for x in op.inputs[0]], axis)


@translates("pd_op.split_with_num")
def split_with_num(op: TracedOp) -> Translated:
    return ov.split(op.inputs[0], ov.constant(np.int64(op.number(1))), op.attribute("num")).outputs()


@translates("pd_op.split")
def split_by_sizes(op: TracedOp) -> Translated:
    axis, sizes = np.int64(op.number(2)), integers(op.integers(1))
    return ov.variadic_split(op.inputs[0], ov.constant(axis), sizes).outputs()


@translates("builtin.combine")
def combine(op: TracedOp) -> Translated:
    return list(op.inputs)


@translates("builtin.split")
def split(op: TracedOp) -> Translated:
    return tuple(op.inputs[0])


@translates("pd_op.roll")
def roll(op: TracedOp) -> Translated:
    axes = op.attribute("axis")
    if not axes:
        raise op.unsupported("only a roll along specified axes is supported")
    return ov.roll(op.inputs[0], integers(op.integers(1)), integers(axes))


@translates("pd_op.pad3d")
def pad3d(op: TracedOp) -> Translated:
    op.expect(mode="constant", data_format="NCDHW")
    pads = op.integers(1)  # before and after, the last axis first
    before, after = integers([0, 0, *pads[-2::-2]]), integers([0, 0, *pads[::-2]])
    return ov.pad(op.inputs[0], before, after, "constant", ov.constant(np.float32(op.attribute("pad_value"))))


# Arithmetic


@translates("pd_op.assign")
def assign(op: TracedOp) -> Translated:
    return op.inputs[0]


@translates("pd_op.cast")
def cast(op: TracedOp) -> Translated:
    x, dtype = op.inputs[0], openvino.Type(op.output_type())
    return x if x.get_element_type() == dtype else ov.convert(x, dtype)


@translates("pd_op.add")
def add(op: TracedOp) -> Translated:
    x, y = op.inputs
    axis = added_axis(x)
    shape = y.get_partial_shape()
    if axis is None or len(shape) != len(op.output_shape()) or shape[axis] != 1:
        return ov.add(x, y)
    # The bias of a 1-D convolution: added before the axis is, so that OpenVINO fuses it with the convolution.
    return with_axis(ov.add(without_axis(x, axis), without_axis(y, axis)), axis)


@translates("pd_op.subtract")
def subtract(op: TracedOp) -> Translated:
    return ov.subtract(*op.inputs)


@translates("pd_op.multiply")
def multiply(op: TracedOp) -> Translated:
    return ov.multiply(*op.inputs)


@translates("pd_op.divide")
def divide(op: TracedOp) -> Translated:
    return ov.divide(*op.inputs)


@translates("pd_op.maximum")
def maximum(op: TracedOp) -> Translated:
    return ov.maximum(*op.inputs)


@translates("pd_op.less_equal")
def less_equal(op: TracedOp) -> Translated:
    return ov.less_equal(*op.inputs)


@translates("pd_op.scale")
def scale(op: TracedOp) -> Translated:
    x, factor, bias, dtype = op.inputs[0], op.number(1), op.attribute("bias"), op.output_type()
    if dtype.startswith("int") and not (float(factor).is_integer() and float(bias).is_integer()):
        raise op.unsupported(f"integers times {factor} plus {bias}")
    if bias and not op.attribute("bias_after_scale"):
        raise op.unsupported("a bias before the scale is not supported")
    op.ignore("bias_after_scale")
    x = x if factor == 1 else ov.multiply(x, ov.constant(np.array(factor, dtype)))
    return x if bias == 0 else ov.add(x, ov.constant(np.array(bias, dtype)))


@translates("pd_op.clip")
def clip(op: TracedOp) -> Translated:
    low, high = (ov.constant(np.array(op.number(i), op.output_type())) for i in (1, 2))
    return ov.minimum(ov.maximum(op.inputs[0], low), high)


@translates("pd_op.cos")
def cos(op: TracedOp) -> Translated:
    return ov.cos(op.inputs[0])


@translates("pd_op.sin")
def sin(op: TracedOp) -> Translated:
    return ov.sin(op.inputs[0])


@translates("pd_op.rsqrt")
def rsqrt(op: TracedOp) -> Translated:
    return ov.divide(ov.constant(np.float32(1)), ov.sqrt(op.inputs[0]))


@translates("pd_op.matmul")
def matmul(op: TracedOp) -> Translated:
    return ov.matmul(*op.inputs, op.attribute("transpose_x"), op.attribute("transpose_y"))


@translates("pd_op.sum")
def sum_(op: TracedOp) -> Translated:
    return ov.reduce_sum(op.inputs[0], reduced_axes(op), op.attribute("keepdim"))


@translates("pd_op.mean")
def mean(op: TracedOp) -> Translated:
    return ov.reduce_mean(op.inputs[0], reduced_axes(op), op.attribute("keepdim"))


@translates("pd_op.amax")
def amax(op: TracedOp) -> Translated:
    axes = op.attribute("axis") or list(range(len(op.inputs[0].get_partial_shape())))
    return ov.reduce_max(op.inputs[0], integers(axes), op.attribute("keepdim"))


@translates("pd_op.p_norm")
def p_norm(op: TracedOp) -> Translated:
    op.expect(porder=2.0, asvector=False)
    op.ignore("epsilon")  # only the gradient uses it
    return ov.reduce_l2(op.inputs[0], integers([op.attribute("axis")]), op.attribute("keepdim"))


@translates("pd_op.abs")
def absolute(op: TracedOp) -> Translated:
    return ov.abs(op.inputs[0])


@translates("pd_op.cumsum")
def cumsum(op: TracedOp) -> Translated:
    op.expect(flatten=False)
    axis = ov.constant(np.int64(op.number(1)))
    return ov.cum_sum(op.inputs[0], axis, op.attribute("exclusive"), op.attribute("reverse"))


# Activations


@translates("pd_op.relu")
def relu(op: TracedOp) -> Translated:
    return ov.relu(op.inputs[0])


@translates("pd_op.leaky_relu")
def leaky_relu(op: TracedOp) -> Translated:
    return ov.prelu(op.inputs[0], ov.constant(np.array([op.attribute("negative_slope")], np.float32)))


@translates("pd_op.silu")
def silu(op: TracedOp) -> Translated:
    return swish(op.inputs[0])


@translates("pd_op.softplus")
def softplus(op: TracedOp) -> Translated:
    op.expect(beta=1.0, threshold=20.0)  # beyond the threshold, where the difference is below float32, Paddle has x
    return ov.softplus(op.inputs[0])


@translates("pd_op.gelu")
def gelu(op: TracedOp) -> Translated:
    return ov.gelu(op.inputs[0], "tanh" if op.attribute("approximate") else "erf")


@translates("pd_op.tanh")
def tanh(op: TracedOp) -> Translated:
    return ov.tanh(op.inputs[0])


@translates("pd_op.softmax")
def softmax(op: TracedOp) -> Translated:
    return ov.softmax(op.inputs[0], op.attribute("axis"))


# Layers


@translates("pd_op.embedding")
def embedding(op: TracedOp) -> Translated:
    op.expect(padding_idx=-1)
    op.ignore("sparse")
    ids, table = op.inputs
    return ov.gather(table, ids, ov.constant(np.int64(0)))


@translates("pd_op.gather")
def gather(op: TracedOp) -> Translated:
    x, indices, _ = op.inputs
    return ov.gather(x, indices, ov.constant(np.int64(op.number(2))))


@translates("pd_op.layer_norm")
def layer_norm(op: TracedOp) -> Translated:
    x, weight, bias = op.inputs
    op.expect(begin_norm_axis=len(op.output_shape()) - 1)
    x = ov.mvn(x, integers([-1]), True, op.attribute("epsilon"), "inside_sqrt")
    x = x if weight is None else ov.multiply(x, weight)
    return x if bias is None else ov.add(x, bias)


@translates("pd_op.group_norm")
def group_norm_(op: TracedOp) -> Translated:
    x, weight, bias = op.inputs
    op.expect(data_format="NCHW")
    if weight is None or bias is None:
        raise op.unsupported("only a norm with weight and bias is supported")
    return group_norm(x, weight, bias, op.attribute("groups"), op.attribute("epsilon"))


@translates("pd_op.conv2d")
def conv2d(op: TracedOp) -> Translated:
    op.expect(data_format="NCHW", padding_algorithm="EXPLICIT", groups=1)
    x, weight = op.inputs
    sizes = [op.attribute(name) for name in ("strides", "paddings", "dilations")]
    if is_constant(weight) and list(weight.get_shape())[2:] == [3, 3] and all(set(values) == {1} for values in sizes):
        if doubles(x.get_node()):
            return upsampled_convolution(x.get_node().input_value(0), weight.get_node().data)
        if x.get_partial_shape()[3] == WIDTH:
            return two_column_convolution(x, weight.get_node().data)
    return convolution(op, ov.convolution)


@translates("pd_op.conv2d_transpose")
def conv2d_transpose(op: TracedOp) -> Translated:
    op.expect(data_format="NCHW", padding_algorithm="EXPLICIT", groups=1, output_padding=[])
    if op.integers(2):
        raise op.unsupported("an explicit output size is not supported")

    def convolve(
        x: openvino.Output,
        weight: openvino.Output,
        strides: list[int],
        begin: list[int],
        end: list[int],
        dilations: list[int],
    ) -> openvino.Node:
        if len(strides) == 1 and begin == end and dilations == [1] and is_constant(weight):
            taps = weight.get_node().data
            if taps.shape[2] >= strides[0]:
                return transposed_convolution(x, taps, strides[0], begin[0])
        return ov.convolution_backprop_data(x, weight, strides, None, begin, end, dilations)

    return convolution(op, convolve)


@translates("pd_op.pool2d")
def pool2d(op: TracedOp) -> Translated:
    op.expect(data_format="NCHW", padding_algorithm="EXPLICIT", paddings=[0, 0], ceil_mode=False)
    op.expect(global_pooling=False, adaptive=False)
    op.ignore("exclusive")  # of padding, which there is none of
    x, kernel, strides, kind = op.inputs[0], op.integers(1), op.attribute("strides"), op.attribute("pooling_type")
    if kind == "avg":
        return ov.avg_pool(x, strides, [0, 0], [0, 0], kernel, exclude_pad=True)
    if kind == "max":
        return ov.max_pool(x, strides, [1, 1], [0, 0], [0, 0], kernel).output(0)
    raise op.unsupported(f"pooling_type is {kind!r}")


@translates("pd_op.nearest_interp")
def nearest_interp(op: TracedOp) -> Translated:
    op.expect(data_format="NCHW", interp_method="nearest", align_corners=False, out_d=-1, out_h=-1, out_w=-1)
    op.ignore("align_mode")  # of the linear methods
    x, *sizes = op.inputs
    scales = op.attribute("scale")
    if any(size is not None for size in sizes) or not all(float(scale).is_integer() for scale in scales):
        raise op.unsupported(f"only whole factors are supported, not {scales}")
    # With whole factors nothing is rounded: output i is input i // factor.
    return ov.interpolate(
        x,
        ov.constant(np.array(scales, np.float32)),
        "nearest",
        "scales",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        axes=integers([2, 3]),
    )


# Shared by the functions above


def is_constant(x: openvino.Output) -> bool:
    return x.get_node().get_type_name() == "Constant"


def doubles(node: openvino.Node) -> bool:
    """Whether `node` repeats every pixel twice in both directions: see `nearest_interp`."""
    return node.get_type_name() == "Interpolate" and list(node.input_value(1).get_node().data) == [2, 2]


def reduced_axes(op: TracedOp) -> openvino.Node:
    """Operand 1, the axes to reduce; an empty vector means all axes."""
    return integers(op.integers(1) or list(range(len(op.inputs[0].get_partial_shape()))))
