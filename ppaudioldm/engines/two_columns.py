"""A 3x3 convolution of a map that is two columns wide as a matrix product, exactly.

At its coarsest level the UNet sees two bands. There a third of the taps always meet the padding, and a convolution
kernel that works along a row has two pixels to work on. A row's pixels side by side, with the rows before and after it,
are one long vector instead, and all rows are multiplied at once: 2 to 4 times as fast on a CPU.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.engines.unit_axes import integers

WIDTH = 2


def two_column_convolution(x: openvino.Output, weight: np.ndarray) -> openvino.Node:
    """A 3x3 convolution, padded by 1, of `x` (B, C, H, 2), where H may be dynamic.

    weight: (out, C, 3, 3). Returns (B, out, H, 2).
    """
    out, channels = weight.shape[:2]
    rows = _reshaped(ov.transpose(x, integers([0, 2, 3, 1])), 0, 0, WIDTH * channels)
    above, below = _moved(rows, 1), _moved(rows, -1)
    product = ov.matmul(ov.concat([above, rows, below], 2), ov.constant(_matrix(weight)), False, True)
    return ov.transpose(_reshaped(product, 0, 0, WIDTH, out), integers([0, 3, 1, 2]))


def _moved(rows: openvino.Node, by: int) -> openvino.Node:
    """`rows` (B, H, K) that many rows down, one lost at one end, zeros at the other."""
    return ov.pad(rows, integers([0, by, 0]), integers([0, -by, 0]), "constant", ov.constant(np.float32(0)))


def _matrix(weight: np.ndarray) -> np.ndarray:
    """(2 * out, 3 * 2 * C): from three rows of two pixels to two pixels."""
    out, channels = weight.shape[:2]
    matrix = np.empty((WIDTH, out, 3, WIDTH, channels), weight.dtype)
    for column in range(WIDTH):
        for source in range(WIDTH):
            matrix[column, :, :, source] = weight[..., source - column + 1].swapaxes(1, 2)
    return matrix.reshape(WIDTH * out, 3 * WIDTH * channels)


def _reshaped(x: openvino.Node, *shape: int) -> openvino.Node:
    return ov.reshape(x, integers(list(shape)), special_zero=True)  # 0: as it was
