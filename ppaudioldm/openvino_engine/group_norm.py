"""Group normalization as operations that keep the memory layout of OpenVINO's convolutions.

OpenVINO's convolutions store channels last, its own group normalization needs them first: between two convolutions a
feature map would be transposed twice. Computing only the statistics, then applying a shift and a factor, avoids that.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.unit_axes import integers

NARROW = 2  # bands; such small maps are faster with OpenVINO's own operation
# The attribute by which OpenVINO keeps an operation in float32 while the rest is bf16. Cached models have it
PRECISE = "precise_0"


def group_norm(
    x: openvino.Output, weight: openvino.Output, bias: openvino.Output, groups: int, epsilon: float
) -> openvino.Node:
    """Group normalization of `x` (B, C, ...), with a scale `weight` (C,) and a shift `bias` (C,)."""
    shape = list(x.get_partial_shape())
    if len(shape) < 4 or any(size.is_dynamic for size in shape[3:]):
        return ov.group_normalization(x, weight, bias, groups, epsilon)
    if len(shape) == 4 and shape[3].get_length() > NARROW:
        return _by_statistics(x, weight, bias, groups, epsilon)
    # With one row for each channel: OpenVINO vectorizes along the last axis, and a few bands would not fill a vector.
    rows = ov.reshape(x, integers([0, 0, -1]), special_zero=True)
    normal = ov.group_normalization(rows, weight, bias, groups, epsilon)
    return ov.reshape(normal, integers([0, 0, -1, *[size.get_length() for size in shape[3:]]]), special_zero=True)


def swish(x: openvino.Output) -> openvino.Node:
    """x * sigmoid(x). After `group_norm` it is applied before the final reshape, so that OpenVINO can fuse the two."""
    node = x.get_node()
    if node.get_type_name() == "Reshape":
        normal = node.input_value(0)
        if normal.get_node().get_type_name() == "GroupNormalization":
            return ov.reshape(ov.swish(normal), node.input_value(1), special_zero=True)
    return ov.swish(x)


def _by_statistics(
    x: openvino.Output, weight: openvino.Output, bias: openvino.Output, groups: int, epsilon: float
) -> openvino.Node:
    """x: (B, C, H, W), where B and H may be dynamic. With bf16, `x` and the result are bf16, all between is float32."""
    channels = x.get_partial_shape()[1].get_length()
    pixels = integers([2, 3])
    sizes = ov.gather(ov.shape_of(x), pixels, ov.constant(np.int64(0)))
    count = ov.convert(ov.reduce_prod(sizes, ov.constant(np.int64(0)), True), "f32")
    each = ov.constant(np.ones((1, groups, channels // groups), np.float32))

    def average(of_channels: openvino.Node) -> openvino.Node:
        of_groups = _precise(ov.reshape(of_channels, integers([0, groups, -1]), special_zero=True))
        return _precise(ov.reduce_mean(of_groups, integers([2]), True))  # (B, groups, 1)

    def of_channels(of_groups: openvino.Node) -> openvino.Node:
        repeated = _precise(ov.multiply(of_groups, each))
        return _precise(ov.reshape(repeated, integers([0, channels, 1, 1]), special_zero=True))

    norm = ov.reduce_l2(x, pixels, True)
    square = average(_precise(ov.divide(_precise(ov.multiply(norm, norm)), count)))
    mean = average(ov.reduce_mean(x, pixels, True))
    # Without `subtract`: OpenVINO replaces it by other operations, which would be computed in bf16.
    shift = _precise(ov.multiply(mean, _number(-1)))
    variance = _precise(ov.maximum(_precise(ov.add(square, _precise(ov.multiply(mean, shift)))), _number(0)))
    deviation = _precise(ov.sqrt(_precise(ov.add(variance, _number(epsilon)))))
    # The shift is the sum of two bf16 numbers. As one it would be off by 1/512 of the mean, which may be several
    # standard deviations.
    rough = _precise(ov.convert(_precise(ov.convert(shift, "bf16")), "f32"))
    rest = _precise(ov.add(shift, _precise(ov.multiply(rough, _number(-1)))))
    shifted = ov.add(ov.add(x, of_channels(rough)), of_channels(rest))
    normal = ov.multiply(shifted, of_channels(_precise(ov.divide(_number(1), deviation))))
    weight, bias = (ov.reshape(values, integers([1, channels, 1, 1]), special_zero=False) for values in (weight, bias))
    return ov.add(ov.multiply(normal, weight), bias)


def _number(value: float) -> openvino.Node:
    return ov.constant(np.float32(value))


def _precise(node: openvino.Node) -> openvino.Node:
    node.get_rt_info()[PRECISE] = ""
    return node
