"""Every function that an engine runs, translated, against Paddle: one model for all batch sizes and lengths."""

from __future__ import annotations

import openvino
import pytest

from ppaudioldm import framework
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.models.functions import FUNCTIONS, INPUTS, flat_inputs, function_inputs, network_and_method
from tests.network_examples import CONFIGS, EXAMPLES, eager, flat, layer_of
from tests.support import relative_error

if framework.NAME != "paddle":
    pytest.skip("only Paddle's programs are translated", allow_module_level=True)

from ppaudioldm.openvino_engine.paddle_program import translate

CASES = [("untrained", function) for function in NETWORKS if function not in ("unet", "phoneme_encoder")] + [
    ("speech", "phoneme_encoder"),
    ("speech", "audiomae"),
    ("strips", "audiomae"),
    ("two contexts", "unet_contexts"),
    ("two contexts", "unet_time_embedding"),
    ("two contexts", "unet_step"),
    ("untrained", "unet_any_length_step"),
    ("two contexts", "unet_guided_step"),
    ("two contexts", "unet_guided_deep"),
    ("two contexts", "unet_guided_shallow"),
    ("large", "unet_guided_step"),
    ("attention at the finest level", "unet_guided_step"),
    ("attention at the finest level", "unet_guided_deep"),
    ("times of phonemes", "loa"),
    ("tokens of frames", "unet_contexts"),
    ("tokens of frames", "unet_step"),
    ("tokens of frames", "unet_any_length_step"),
    ("tokens of frames", "unet_guided_step"),
    ("times of tokens", "unet_step"),
    ("times of tokens", "unet_guided_step"),
    ("attention in the middle", "unet_guided_step"),
    ("attention in the middle", "unet_guided_shallow"),
    ("one context", "unet_contexts"),
    ("one context", "unet_step"),
    ("no context", "unet_step"),
    ("48k", "unet_step"),
    ("audioldm1", "unet_guided_step"),
    ("audioldm1", "unet_guided_deep"),
    ("audioldm1", "unet_guided_shallow"),
    ("consistencytta", "unet_time_embedding"),
    ("consistencytta", "unet_step"),
    ("48k", "vae_encoder"),
    ("48k", "vae_decoder"),
    ("48k", "vocoder"),
]
F32 = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
SIZES = [(2, 2), (3, 5)]  # batch, length


@pytest.mark.parametrize(("name", "function"), CASES, ids=[f"{name} {function}" for name, function in CASES])
def test_translated_function_is_paddles(name, function):
    config = CONFIGS[name]
    network, method = network_and_method(function)
    layer = layer_of(network, config)
    model = translate(layer, function_inputs(function, config), method)
    described = flat_inputs(function_inputs(function, config))
    compiled = openvino.Core().compile_model(model, "CPU", F32)
    for batch, n in SIZES:
        inputs = EXAMPLES[function](config, batch, n)
        taken = [x for x, given in zip(flat(inputs), described, strict=True) if not given.is_state]
        results = compiled.create_infer_request().infer(taken).values()
        for actual, expected in zip(results, eager(layer, method, inputs), strict=True):
            error = relative_error(actual, expected)
            print(f"{name} {function} {batch} x {n}: relative error {error:.1e}")
            assert error <= 1e-5


def test_inputs_of_every_function_are_what_it_takes():
    assert set(INPUTS) == set(EXAMPLES) == {*NETWORKS, *FUNCTIONS} - {"unet"}
    for name, function in CASES:
        config = CONFIGS[name]
        expected = flat_inputs(function_inputs(function, config))
        for array, x in zip(flat(EXAMPLES[function](config, *SIZES[0])), expected, strict=True):
            assert array.dtype == x.dtype
            assert len(array.shape) == len(x.shape)
            assert all(size in (None, given) for size, given in zip(x.shape, array.shape, strict=True))
