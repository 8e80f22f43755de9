"""Convolutions to a higher rate, against the plain way to compute them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openvino
import pytest
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.subpixel import transposed_convolution, upsampled_convolution
from tests.support import noise, relative_error


def output_of(x: np.ndarray, make: Callable[[openvino.Output], openvino.Node]) -> np.ndarray:
    parameter = ov.parameter([-1, x.shape[1], *[-1] * (x.ndim - 2)], np.float32).output(0)
    model = openvino.Model([make(parameter)], [parameter.get_node()])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([x])[0]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (5, 3), (32, 8)])
def test_upsampled_convolution(height, width):
    x, weight = noise(2, 4, height, width), noise(6, 4, 3, 3, seed=1)
    doubled = x.repeat(2, 2).repeat(2, 3)
    expected = output_of(doubled, lambda y: ov.convolution(y, ov.constant(weight), [1, 1], [1, 1], [1, 1], [1, 1]))
    assert relative_error(output_of(x, lambda y: upsampled_convolution(y, weight)), expected) < 1e-6


@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize(
    ("taps", "stride", "padding"),
    [(16, 5, 5), (16, 4, 6), (8, 4, 2), (4, 2, 1), (12, 6, 3), (10, 5, 2), (3, 2, 0), (5, 1, 2), (4, 4, 0)],
)
def test_transposed_convolution(taps, stride, padding, length):
    x, weight = noise(2, 4, length), noise(4, 6, taps, seed=1)
    sizes = [stride], None, [padding], [padding], [1]
    expected = output_of(x, lambda y: ov.convolution_backprop_data(y, ov.constant(weight), *sizes))
    assert expected.shape[2] == stride * (length - 1) + taps - 2 * padding
    assert relative_error(output_of(x, lambda y: transposed_convolution(y, weight, stride, padding)), expected) < 1e-6
