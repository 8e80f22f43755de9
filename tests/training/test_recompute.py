"""Activations computed again in the backward pass: the same gradients, with fewer of them kept meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training.recompute import recompute_blocks
from tests.network_examples import CONFIGS, mask, unet_contexts
from tests.support import noise, random_network

SMALL = CONFIGS["two contexts"]
LATENTS = [noise(2, 8, 8, 16)]
TOKENS = [np.ones((2, 5), np.int64), np.ones((2, 5), np.float32)]
CONTEXTS = unet_contexts(SMALL, 2, 2)
CASES = {
    "unet": (
        [noise(2, 8, 16, 16), noise(2, 32), *CONTEXTS, [mask(2, x.shape[1]) for x in CONTEXTS[0]]],
        18,
    ),
    "flan_t5": (TOKENS, 2),
    "clap_text": (TOKENS, 2),
    "vae_decoder": (LATENTS, 6),
    "vocoder": ([noise(1, 12, 64)], 10),
}


def tensors(inputs):
    return [tensors(x) if isinstance(x, list) else framework.from_numpy(x) for x in inputs]


def gradients(network, inputs) -> dict[str, np.ndarray]:
    for parameter in network.parameters():
        parameter.requires_grad = True
    outputs = network(*tensors(inputs))
    (outputs**2).mean().backward()
    return {name: framework.to_numpy(p.grad) for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_same(name):
    inputs, blocks = CASES[name]
    network_class, field = NETWORKS[name]
    network, again = (random_network(name, network_class, getattr(SMALL, field)) for _ in range(2))
    assert len(recompute_blocks(again)) == blocks
    expected, found = gradients(network, inputs), gradients(again, inputs)
    assert expected.keys() == found.keys() and len(expected) > 10
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values, err_msg=key)


def test_blocks_run_twice_with_gradients_and_once_without(monkeypatch):
    network_class, field = NETWORKS["flan_t5"]
    network = random_network("flan_t5", network_class, getattr(SMALL, field))
    layer = network.layers[0]
    calls, run = [], layer.forward
    layer.forward = lambda *inputs: calls.append(1) or run(*inputs)
    recompute_blocks(network)
    with framework.no_grad():
        network(*tensors(TOKENS))
    assert len(calls) == 1
    gradients(network, TOKENS)
    assert len(calls) == 3
