from __future__ import annotations

import numpy as np

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.random import random_weight, random_weights
from tests.weights.examples import all_values


def test_the_same_seed_gives_the_same_values_and_another_others():
    first, again, other = (all_values(random_checkpoint("untrained", UNTRAINED, seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not any(np.array_equal(first[key], other[key]) for key in first)


def test_values_depend_on_network_and_name_alone():
    shapes = {"a.weight": (3, 5), "b.weight": (3, 5)}
    backwards = dict(reversed(shapes.items()))
    forth, back = dict(random_weights("unet", shapes, 0)), dict(random_weights("unet", backwards, 0))
    assert all(np.array_equal(forth[key], back[key]) for key in shapes)
    assert not np.array_equal(forth["a.weight"], forth["b.weight"])
    assert not np.array_equal(forth["a.weight"], random_weight("vocoder", "a.weight", (3, 5), 0))


def test_these_values_stay():
    # They stand behind every golden file and benchmark.
    values = random_weight("unet", "conv_in.weight", (2, 2), 0)
    np.testing.assert_array_equal(
        values,
        np.array([[-0.15287528932094574, 0.29224300384521484], [-0.2987610101699829, 0.9957944750785828]], np.float32),
    )
    assert values.dtype == np.float32


def test_signals_keep_their_size():
    matrix = random_weight("unet", "x.weight", (400, 300), 0)
    assert abs(matrix.std() * 300**0.5 - 1) < 0.02
    queries = random_weight("flan_t5", "layers.0.query.weight", (400, 300), 0)
    assert abs(queries.std() * (64 * 300) ** 0.5 - 1) < 0.02
    gain = random_weight("unet", "norm.weight", (1000,), 0)
    assert abs(gain.mean() - 1) < 0.02 and gain.min() > 0
    assert abs(random_weight("unet", "x.bias", (1000,), 0).mean()) < 0.02
    assert (random_weight("clap_audio", "input_norm.running_var", (1000,), 0) >= 1).all()
