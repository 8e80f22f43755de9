"""Half precision on every engine that has it, with activations as trained networks have them.

In these a few channels reach thousands: more than float16 can square, and more than it can multiply with each other.
PyTorch has fp16 and bf16 on a CPU, OpenVINO bf16, Paddle neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.noise_predictor import NoisePredictor, UNetSchedule
from ppaudioldm.generation.text_condition import Conditioning
from ppaudioldm.models.build import NETWORKS, parameter_shapes
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.openvino_engine.engine import OpenVINOEngine
from ppaudioldm.weights.random import random_weights
from tests.network_examples import CONFIGS, EXAMPLES
from tests.support import noise, relative_error

OUTLIER, CHANNEL = 1000.0, 5
# Parameters that write to the hidden states of each network, to one channel of which they write outliers.
WRITING = {
    "unet": r"^conv_in|conv2",
    "vae_encoder": r"^conv_in|levels.*conv2",
    "vae_decoder": r"^conv_in|levels.*conv2",
    "vocoder": r"^conv_in",
    "clap_text": r"words|attention_out|feed_forward_out",
    "clap_audio": r"patch_embed|blocks.0.attention_out",
    "flan_t5": r"^embedding",
    "phoneme_encoder": r"^embedding|feed_forward_out",
    "gpt2": r"^positions",
    "loa": r"^projections|^[se]os",
    "audiomae": r"patch_embed.bias",
}
EMBEDDING = re.compile(r"^(embedding|embeddings.words|positions)\.weight$")
FUNCTION_CASES = [
    ("two contexts", "unet_contexts"),
    ("two contexts", "unet_guided_step"),
    ("48k", "unet_step"),
    *[("untrained", name) for name in NETWORKS if name not in ("unet", "phoneme_encoder")],
    ("48k", "vocoder"),
    ("speech", "phoneme_encoder"),
]
# One function of each network: each is translated, and compiled, which takes a second.
OPENVINO_CASES = [case for case in FUNCTION_CASES if case[0] != "48k" and case[1] != "unet_contexts"]
LIMITS = {"bf16": 0.03, "fp16": 0.004}  # of the relative error
only_torch = pytest.mark.skipif(framework.NAME != "torch", reason="half precision of the eager engine is PyTorch's")
HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class WithOutliers:
    """A checkpoint of random weights, and of outliers in one channel of the hidden states of every network."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def weights(self, network: str) -> Iterator[tuple[str, np.ndarray]]:
        for name, value in random_weights(network, parameter_shapes(network, self.config), seed=1):
            changed = value.copy()
            if (
                name == "stages.0.upsample.weight"
            ):  # the vocoder has no norms: what reads the outliers has small weights
                changed[CHANNEL] /= OUTLIER
            elif not re.search(WRITING[network], name):
                pass
            elif EMBEDDING.search(name):
                # VITS multiplies its embeddings by the root of their size.
                scale = np.sqrt(value.shape[1]) if network == "phoneme_encoder" else 1
                changed[:, CHANNEL] *= OUTLIER / scale / value[:, CHANNEL].std()
            else:
                changed[CHANNEL] = OUTLIER * (value[CHANNEL] if value.ndim > 1 else 1)
            yield name, changed


def outputs(engine: Any, function: str, inputs: list[Any]) -> list[np.ndarray]:
    def converted(x: Any) -> Any:
        return [converted(y) for y in x] if isinstance(x, list) else engine.asarray(x)

    if function == "gpt2":
        made = engine.start(function)(*[converted(x) for x in inputs[:-1]])
    else:
        made = engine.run(function, *[converted(x) for x in inputs])
    return [engine.to_numpy(x) for x in (made if isinstance(made, (list, tuple)) else [made])]


@cache
def exact(name: str, function: str) -> tuple[list[Any], list[np.ndarray]]:
    """Inputs and outputs in float32."""
    inputs = EXAMPLES[function](CONFIGS[name], 2, 3)
    return inputs, outputs(EagerEngine(WithOutliers(CONFIGS[name]), "cpu", "f32"), function, inputs)


def test_every_network_is_tested():
    for cases in (FUNCTION_CASES, OPENVINO_CASES):
        assert {network_and_method(function)[0] for _, function in cases} == set(NETWORKS) == set(WRITING)


@only_torch
@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize(("name", "function"), FUNCTION_CASES, ids=[" ".join(case) for case in FUNCTION_CASES])
def test_outliers_in_half_precision(name, function, precision):
    inputs, expected = exact(name, function)
    engine = EagerEngine(WithOutliers(CONFIGS[name]), "cpu", precision)
    for half, whole in zip(outputs(engine, function, inputs), expected, strict=True):
        assert relative_error(half, whole) < LIMITS[precision]


@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no bf16")
@pytest.mark.parametrize(("name", "function"), OPENVINO_CASES, ids=[" ".join(case) for case in OPENVINO_CASES])
def test_outliers_in_bf16_through_openvino(name, function, tmp_path):
    engine = in_bf16_through_openvino(WithOutliers(CONFIGS[name]), tmp_path)
    inputs, expected = exact(name, function)
    for half, whole in zip(outputs(engine, function, inputs), expected, strict=True):
        assert relative_error(half, whole) < LIMITS["bf16"]


def in_bf16_through_openvino(checkpoint: Any, folder: Path) -> OpenVINOEngine:
    from ppaudioldm.openvino_engine.translator import Translator

    translate = Translator(checkpoint)

    def model_of(function: str) -> openvino.Model:
        # As from the cache: what is to stay in float32 is only known of a model that has been read.
        openvino.save_model(translate(function), folder / f"{function}.xml")
        return openvino.Core().read_model(folder / f"{function}.xml")

    return OpenVINOEngine(model_of, "bf16")


class WithSensitiveTime(WithOutliers):
    """Random weights, but the first time layer multiplies the difference of two time features that are nearly equal.

    In half precision little more than rounding errors would be left of it.
    """

    def weights(self, network: str) -> Iterator[tuple[str, np.ndarray]]:
        for name, value in random_weights(network, parameter_shapes(network, self.config), seed=1):
            changed = value.copy()
            if name == "time_in.weight":
                last = value.shape[1] // 2 - 1  # of the cosines, that of the lowest frequency
                factors = 200 * np.sign(value[:, last])
                changed[:, last] += factors
                changed[:, last - 1] -= factors
            yield name, changed


def predicted(engine: Any, config: ModelConfig) -> np.ndarray:
    """The noise that the first step of a generation predicts."""
    contexts = [noise(2, 4, dim, seed=2) for dim in config.unet.context_dims if dim]
    film = noise(2, config.unet.film_dim, seed=3) if config.unet.film_dim else None
    conditioning = Conditioning(tuple(contexts), tuple(np.ones((2, 4), np.float32) for _ in contexts), film)
    schedule = UNetSchedule((500,), (True,), 1, Windows(8, 8, (0,)), 1)
    predictor = NoisePredictor(engine, config, conditioning, schedule, lambda: None)
    latents = engine.asarray(noise(1, config.unet.in_channels, 8, config.latent_bands))
    return engine.to_numpy(predictor(latents, 500, 0))


@pytest.mark.parametrize("precision", LIMITS if framework.NAME == "torch" else ["bf16"])
@pytest.mark.parametrize("name", ["two contexts", "audioldm1"])
def test_the_time_embedding_is_computed_in_float32(name, precision, tmp_path):
    """On every engine: all else is in half precision."""
    checkpoint = WithSensitiveTime(CONFIGS[name])
    if framework.NAME == "torch":
        engine: Any = EagerEngine(checkpoint, "cpu", precision)
    elif HAS_BF16:
        engine = in_bf16_through_openvino(checkpoint, tmp_path)
    else:
        pytest.skip("this CPU has no bf16")
    error = relative_error(
        predicted(engine, checkpoint.config), predicted(EagerEngine(checkpoint, "cpu", "f32"), checkpoint.config)
    )
    assert 1e-4 < error < LIMITS[precision]


@only_torch
@pytest.mark.parametrize("precision", LIMITS)
def test_products_of_outliers_in_flan_t5(precision):
    """The gated feed-forward multiplies two activations: 300 * 300 is beyond float16, the sum of layers even more."""
    config = CONFIGS["untrained"]

    class Gated(WithOutliers):
        def weights(self, network: str) -> Iterator[tuple[str, np.ndarray]]:
            for name, value in super().weights(network):
                yield name, value * 150 if name.endswith(("gate.weight", "up.weight")) else value

    inputs = EXAMPLES["flan_t5"](config, 2, 3)
    (whole,), (half,) = (outputs(EagerEngine(Gated(config), "cpu", p), "flan_t5", inputs) for p in ("f32", precision))
    assert relative_error(half, whole) < LIMITS[precision]


@only_torch
@pytest.mark.parametrize("name", ["untrained", "speech"])
def test_what_stays_in_float32(name):
    """The second product of FLAN-T5's feed-forward and the UNet's timestep embedding, exactly as in the checkpoint."""
    precise = {"flan_t5": (".feed_forward_out.",), "unet": ("time_in.", "time_out.")}
    config = CONFIGS[name]
    engine = EagerEngine(WithOutliers(config), "cpu", "bf16")
    for network in ("unet", "flan_t5", "gpt2"):
        engine.prepare({"unet": "unet_step"}.get(network, network))
        exact_values = dict(engine.checkpoint.weights(network))
        for parameter, value in engine._networks[network].named_parameters():
            if any(layer in parameter for layer in precise.get(network, ())):
                assert np.array_equal(value.numpy(), exact_values[parameter])
            else:
                assert value.dtype == framework.xp.bfloat16, parameter
