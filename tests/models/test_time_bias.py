"""Attention that falls with the distance in time."""

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import UNetConfig
from ppaudioldm.framework import additive_mask
from ppaudioldm.models.time_bias import SLOPES, time_bias
from ppaudioldm.models.unet_transformer import Transformer
from tests.support import noise, random_network


def bias(frames, bands, tokens, heads, position_frames, token_frames):
    with framework.no_grad():
        x = framework.from_numpy(np.zeros((2, 3, frames, bands), np.float32))
        context = framework.from_numpy(np.zeros((2, tokens, 5), np.float32))
        return framework.to_numpy(time_bias(x, context, heads, position_frames, token_frames))


@pytest.mark.parametrize("position_frames,token_frames", [(1, 1), (4, 1), (2, 4)])
def test_scores_fall_with_the_distance_of_the_centres(position_frames, token_frames):
    found = bias(6, 2, 5, 5, position_frames, token_frames)
    assert found.shape == (1, 5, 12, 5)
    for head, slope in enumerate((*SLOPES, SLOPES[0])):
        for frame in range(6):
            for token in range(5):
                distance = abs((frame + 0.5) * position_frames - (token + 0.5) * token_frames)
                expected = -slope * distance / max(position_frames, token_frames)
                assert np.allclose(found[0, head, 2 * frame : 2 * frame + 2, token], expected, atol=1e-6)


def test_a_position_attends_to_the_tokens_of_its_time():
    """With queries of zeros the bias alone decides: the attention is the softmax of it."""
    config = UNetConfig(model_channels=64, channel_mult=(1,), head_dim=32, context_dims=(64,))
    network = random_network("unet", lambda config: Transformer(config, 64, 64, 2, 1), config)
    weights = {name: framework.to_numpy(value) for name, value in network.named_parameters()}
    attention = network.blocks[0].cross_attention
    framework.assign_weights(
        network,
        {**weights, "blocks.0.cross_attention.query.weight": np.zeros((64, 64), np.float32)}.items(),
        "cpu",
    )
    x, context, mask = noise(1, 64, 4, 2), noise(1, 8, 64, seed=1), np.ones((1, 8), np.float32)
    mask[0, 7] = 0
    seen = {}
    merge = attention.out.forward

    def noted(values):
        seen["attended"] = framework.to_numpy(values)
        return merge(values)

    attention.out.forward = noted
    with framework.no_grad():
        keys_values = attention.project(framework.from_numpy(context))
        network(framework.from_numpy(x), [keys_values], additive_mask(framework.from_numpy(mask)))
    values = context[0] @ weights["blocks.0.cross_attention.value.weight"].T
    for position in range(8):
        for head in range(2):
            distance = np.abs((position // 2 + 0.5) * 2 - (np.arange(8) + 0.5)) / 2
            shares = np.exp(-SLOPES[head] * distance) * mask[0]
            expected = shares / shares.sum() @ values[:, 32 * head : 32 * head + 32]
            assert np.allclose(seen["attended"][0, position, 32 * head : 32 * head + 32], expected, atol=1e-4)
