"""Paddle's 1-D convolutions, translated without the axis of size 1 that Paddle adds around each.

Paddle computes a 1-D convolution as a 2-D one: it adds an axis of size 1 before and removes it after. Here the axes
cancel out, so that OpenVINO finds convolution, bias and activation in a row and fuses them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.traced_op import TracedOp


def integers(values: list[int]) -> openvino.Node:
    """An int64 vector."""
    return ov.constant(np.array(values, np.int64))


def convolution(op: TracedOp, convolve: Callable[..., openvino.Node]) -> openvino.Node:
    """`op` as `convolve(x, weight, strides, pads_begin, pads_end, dilations)`, with two spatial axes or one."""
    x, weight = op.inputs[:2]
    strides, dilations = op.attribute("strides"), op.attribute("dilations")
    paddings = op.attribute("paddings")
    begin, end = (paddings, paddings) if len(paddings) == 2 else (paddings[::2], paddings[1::2])
    axis = added_axis(x)
    if axis is None or axis < 2 or weight.get_partial_shape()[axis] != 1 or begin[axis - 2] or end[axis - 2]:
        return convolve(x, weight, strides, begin, end, dilations)
    sizes = [[values[3 - axis]] for values in (strides, begin, end, dilations)]
    return with_axis(convolve(without_axis(x, axis), without_axis(weight, axis), *sizes), axis)


def with_axis(x: openvino.Node, axis: int) -> openvino.Node:
    """`x` with a new `axis` of size 1."""
    return ov.unsqueeze(x, integers([axis]))


def without_axis(x: openvino.Output, axis: int) -> openvino.Output:
    """`x` without `axis`, which has size 1. If the last operation added that axis, its input is returned."""
    axis %= len(x.get_partial_shape())
    if added_axis(x) == axis:
        return x.get_node().input_value(0)
    return ov.squeeze(x, integers([axis])).output(0)


def added_axis(x: openvino.Output) -> int | None:
    """The axis that the node which computes `x` adds, if that is all it does; None otherwise."""
    node = x.get_node()
    if node.get_type_name() != "Unsqueeze":
        return None
    axes = node.input_value(1).get_node().data
    return int(axes[0]) if len(axes) == 1 else None
