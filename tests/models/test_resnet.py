from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.models.resnet import NORM_GROUPS, ResBlock
from ppaudioldm.weights.random import random_weights
from tests.support import SEED, noise, relative_error, run

EPS = 1e-5


def make_block(in_channels: int, out_channels: int, emb_dim: int | None) -> tuple[ResBlock, dict[str, np.ndarray]]:
    with framework.empty_weights():
        block = ResBlock(in_channels, out_channels, EPS, emb_dim)
    weights = dict(random_weights("block", framework.parameter_shapes(block), SEED))
    framework.assign_weights(block, weights.items())
    return block, weights


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def group_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    groups = x.reshape(len(x), NORM_GROUPS, -1)
    normed = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + EPS)
    return normed.reshape(x.shape) * gain[:, None, None] + bias[:, None, None]


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    size, (height, width) = kernel.shape[2], x.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2)])
    total = bias[None, :, None, None]
    for i in range(size):
        for j in range(size):
            total = total + np.einsum("oc,bchw->bohw", kernel[:, :, i, j], padded[:, :, i : i + height, j : j + width])
    return total


@pytest.mark.parametrize("out_channels", [32, 64])
@pytest.mark.parametrize("emb_dim", [None, 12])
def test_matches_the_formula(out_channels, emb_dim):
    block, weights = make_block(32, out_channels, emb_dim)
    x, emb = noise(2, 32, 3, 4), noise(2, emb_dim, seed=1) if emb_dim else None

    def layer(function, name: str, value: np.ndarray) -> np.ndarray:
        return function(value, weights[f"{name}.weight"], weights[f"{name}.bias"])

    h = layer(conv, "conv1", silu(layer(group_norm, "norm1", x)))
    if emb is not None:
        h = h + (silu(emb) @ weights["emb_proj.weight"].T + weights["emb_proj.bias"])[:, :, None, None]
    h = layer(conv, "conv2", silu(layer(group_norm, "norm2", h)))
    expected = h + (layer(conv, "shortcut", x) if out_channels != 32 else x)
    assert relative_error(run(block, x, emb), expected) < 1e-5
