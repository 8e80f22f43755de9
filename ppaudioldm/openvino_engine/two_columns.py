"""A 3x3 convolution of a feature map that is two columns wide, as matrix products with the same result.

At its coarsest level the UNet's maps have two frequency bands. A third of the taps always meet the padding there, and a
convolution kernel that works along a row has two pixels to work on. As products of all pixels at once, with the taps of
their own column and with those of the other one, it is 2 to 4 times as fast on a CPU.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.unit_axes import integers

WIDTH = 2


def two_column_convolution(x: openvino.Output, weight: np.ndarray) -> openvino.Node:
    """A 3x3 convolution, padded by 1, of `x` (B, C, H, 2), where H may be dynamic.

    weight: (out, C, 3, 3). Returns (B, out, H, 2).
    """
    pixels = ov.transpose(x, integers([0, 2, 3, 1]))
    column = ov.concat([_moved(pixels, 1), pixels, _moved(pixels, -1)], 3)  # (B, H, 2, 3 * C): above, itself, below
    left, right = ov.split(column, ov.constant(np.int64(2)), WIDTH).outputs()
    other = ov.concat([_product(right, weight[..., 2]), _product(left, weight[..., 0])], 2)
    return ov.transpose(ov.add(_product(column, weight[..., 1]), other), integers([0, 3, 1, 2]))


def _moved(pixels: openvino.Node, by: int) -> openvino.Node:
    """`pixels` (B, H, 2, C) shifted by that many rows, with zeros for the rows that enter."""
    zero = ov.constant(np.float32(0))
    return ov.pad(pixels, integers([0, by, 0, 0]), integers([0, -by, 0, 0]), "constant", zero)


def _product(column: openvino.Output | openvino.Node, taps: np.ndarray) -> openvino.Node:
    """column: (B, H, pixels, 3 * C), taps: (out, C, 3). Returns (B, H, pixels, out)."""
    matrix = np.ascontiguousarray(taps.swapaxes(1, 2)).reshape(len(taps), -1)
    return ov.matmul(column, ov.constant(matrix), False, True)
