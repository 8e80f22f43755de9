"""Sub-pixel convolution: upsampling convolutions computed at the lower rate, with the same result.

Output samples fall into phases by their position between two input samples. Each phase is a convolution of the input
with some of the taps, and the phases are interleaved at the end (pixel shuffle). For nearest-neighbour upsampling
followed by a 3x3 convolution, taps that meet the same input pixel are added beforehand: 4/9 of the arithmetic remains.
A transposed convolution becomes a plain one, which is two to three times as fast on a CPU.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.unit_axes import integers


def upsampled_convolution(x: openvino.Output, weight: np.ndarray) -> openvino.Node:
    """A 3x3 convolution, padded by 1, of `x` (B, C, H, W) after every pixel is repeated twice in both directions.

    weight: (out, C, 3, 3). Returns (B, out, 2 H, 2 W).
    """
    phases = []
    for row in (0, 1):
        for column in (0, 1):
            taps = _repeated_taps(_repeated_taps(weight, row, 2), column, 3)
            begin, end = [1 - row, 1 - column], [row, column]
            phases.append(ov.convolution(x, ov.constant(taps), [1, 1], begin, end, [1, 1]))
    return ov.depth_to_space(ov.concat(phases, 1), "blocks_first", 2)


def _repeated_taps(weight: np.ndarray, phase: int, axis: int) -> np.ndarray:
    """The 3 taps along `axis` summed to the 2 that the input pixels around output phase `phase` meet."""
    first, second, third = np.split(weight, 3, axis)
    return np.concatenate([first, second + third] if phase == 0 else [first + second, third], axis)


def transposed_convolution(x: openvino.Output, weight: np.ndarray, stride: int, padding: int) -> openvino.Node:
    """A transposed convolution of `x` (B, C, L); weight: (C, out, taps), at least `stride` of them.

    Returns (B, out, stride * (L - 1) + taps - 2 * padding).
    """
    channels, out, taps = weight.shape
    count = -(-taps // stride)  # input samples that contribute to an output sample
    padded = np.zeros((channels, out, count * stride), weight.dtype)
    padded[:, :, :taps] = weight
    # Before the padding is cut off, output q * stride + phase is the sum over i of x[q - i] weight[i * stride + phase].
    by_phase = padded.reshape(channels, out, count, stride)[:, :, ::-1].transpose(3, 1, 0, 2)
    kernel = np.ascontiguousarray(by_phase.reshape(stride * out, channels, count))
    phases = ov.convolution(x, ov.constant(kernel), [1], [count - 1], [count - 1], [1])
    interleaved = ov.depth_to_space(phases, "blocks_first", stride)  # (B, out, stride * (L + count - 1))
    cut = count * stride - taps + padding
    if not cut:  # nor padding
        return interleaved
    return ov.slice(interleaved, *[integers([value]) for value in (padding, -cut, 1, 2)])
