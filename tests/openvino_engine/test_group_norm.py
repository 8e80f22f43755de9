"""A group norm of a feature map, against NumPy's in float64."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from openvino import opset15 as ov

from ppaudioldm.openvino_engine.group_norm import group_norm, swish
from tests.openvino_engine.test_engine import HAS_BF16
from tests.support import noise, relative_error

GROUPS, CHANNELS, EPSILON = 4, 12, 1e-3


def expected_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    groups = x.astype(np.float64).reshape(len(x), GROUPS, -1)
    normal = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + EPSILON)
    shape = [1, CHANNELS, 1, 1]
    return normal.reshape(x.shape) * weight.reshape(shape) + bias.reshape(shape)


def norm_model(shape: list[int], weight: np.ndarray, bias: np.ndarray) -> openvino.Model:
    x = ov.parameter(shape, np.float32)
    values = (ov.constant(value).output(0) for value in (weight, bias))
    return openvino.Model([group_norm(x.output(0), *values, GROUPS, EPSILON)], [x])


def bf16(x: np.ndarray) -> np.ndarray:
    return (x.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("bands", [1, 2, 4, 16])
@pytest.mark.parametrize("mean", [0, 30])
def test_group_norm(bands, known, mean):
    x = noise(2, CHANNELS, 9, bands) + np.float32(mean)
    weight, bias = noise(CHANNELS, seed=1), noise(CHANNELS, seed=2)
    shape = list(x.shape) if known else [-1, CHANNELS, -1, bands]
    made = openvino.compile_model(norm_model(shape, weight, bias), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])
    assert relative_error(made[0], expected_norm(x, weight, bias)) < (1e-4 if mean else 1e-6)


def test_a_map_without_variance_is_the_bias():
    weight, bias = noise(CHANNELS, seed=1), noise(CHANNELS, seed=2)
    x = np.full((1, CHANNELS, 9, 8), 1000.1, np.float32)
    model = norm_model(list(x.shape), weight, bias)
    made = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    assert np.abs(made - bias.reshape(1, -1, 1, 1)).max() < 1e-2


@pytest.mark.parametrize("bands", [2, 8])
def test_swish_of_a_norm(bands):
    x, ones = noise(1, CHANNELS, 9, bands), np.ones(CHANNELS, np.float32)
    model = norm_model(list(x.shape), ones, 0 * ones)
    norm = model.results[0].input_value(0)
    model = openvino.Model([swish(norm)], model.get_parameters())
    made = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    normal = expected_norm(x, ones, 0 * ones)
    assert relative_error(made, normal / (1 + np.exp(-normal))) < 1e-6


@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no bf16")
@pytest.mark.parametrize("again", [False, True])
def test_statistics_are_float32_where_the_rest_is_bf16(tmp_path, again):
    """Else the mean, of which a float has 24 bits and bf16 8, would be off by a tenth of the standard deviation."""
    x = bf16(noise(2, CHANNELS, 64, 8) + np.float32(30.1))
    ones = np.ones(CHANNELS, np.float32)
    # Between convolutions, as in a network: what is next to an input or output is in float32 anyway.
    parameter = ov.parameter(list(x.shape), np.float32)
    same = ov.constant(np.eye(CHANNELS, dtype=np.float32).reshape(CHANNELS, CHANNELS, 1, 1))

    def convolved(y):
        return ov.convolution(y, same, [1, 1], [0, 0], [0, 0], [1, 1])

    values = (ov.constant(value).output(0) for value in (ones, 0 * ones))
    norm = group_norm(convolved(parameter).output(0), *values, GROUPS, EPSILON)
    openvino.save_model(openvino.Model([convolved(norm)], [parameter]), tmp_path / "model.xml")
    core, options = openvino.Core(), {"INFERENCE_PRECISION_HINT": "bf16"}
    compiled = core.compile_model(core.read_model(tmp_path / "model.xml"), "CPU", options)
    if again:  # as it is read back at a later start
        compiled = core.import_model(compiled.export_model(), "CPU", options)
    made = compiled([x])[0]
    assert relative_error(made, expected_norm(x, ones, 0 * ones)) < 5e-3
    assert np.abs(made.reshape(2, GROUPS, -1).mean(2)).max() < 3e-3
