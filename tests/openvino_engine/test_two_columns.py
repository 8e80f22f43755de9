"""A convolution of two columns as a product, against OpenVINO's convolution."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.two_columns import two_column_convolution
from tests.openvino_engine.test_subpixel import output_of
from tests.support import noise, relative_error


@pytest.mark.parametrize("height", [1, 2, 3, 32])
@pytest.mark.parametrize("batch", [1, 2])
def test_two_column_convolution(batch, height):
    x, weight = noise(batch, 4, height, 2), noise(6, 4, 3, 3, seed=1)
    expected = output_of(x, lambda y: ov.convolution(y, ov.constant(weight), [1, 1], [1, 1], [1, 1], [1, 1]))
    assert expected.shape == (batch, 6, height, 2)
    assert relative_error(output_of(x, lambda y: two_column_convolution(y, weight)), expected) < 1e-6


def test_size_that_is_not_known_stays_so():
    x = ov.parameter([-1, 4, -1, 2], np.float32).output(0)
    shape = two_column_convolution(x, noise(6, 4, 3, 3)).get_output_partial_shape(0)
    assert shape == openvino.PartialShape([-1, 6, -1, 2])
