from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.diffusion.noise import INITIAL, KEPT, MAX_SEED, STEP, check_seed, gaussian, item_seeds

SHAPE = (8, 64, 16)


def test_the_numbers_are_fixed():
    # Written down once: a change means that no seed gives the clip it gave before.
    first = gaussian((2, 2, 2), [0])[0].transpose(1, 0, 2).ravel()
    expected = [0.15853384, 2.9828794, -1.925692, -0.82492554, -0.20250328, 1.1557642, 0.33020452, -0.028982949]
    np.testing.assert_allclose(first, expected, rtol=1e-6)
    last = gaussian((1, 1, 3), [MAX_SEED], STEP, 7).ravel()
    np.testing.assert_allclose(last, [0.98155886, 0.16277404, 0.72570699], rtol=1e-6)


def test_normal():
    values = gaussian((8, 1024, 16), [3]).ravel().astype(np.float64)
    assert values.mean() == pytest.approx(0, abs=0.01) and values.std() == pytest.approx(1, abs=0.01)
    assert (values**3).mean() == pytest.approx(0, abs=0.03) and (values**4).mean() == pytest.approx(3, abs=0.1)
    assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(0, abs=0.02)


def test_an_item_depends_on_its_seed_alone():
    batch = gaussian(SHAPE, [5, 6, 5])
    assert batch.shape == (3, *SHAPE) and batch.dtype == np.float32 and batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[1], gaussian(SHAPE, [6])[0])
    np.testing.assert_array_equal(batch[0], batch[2])
    # Seeds that follow each other have independent noise.
    assert abs(np.corrcoef(batch[0].ravel(), batch[1].ravel())[0, 1]) < 0.05


def test_a_longer_clip_begins_with_the_shorter_one():
    long = gaussian((8, 100, 16), [1], STEP, 3)
    for time in (1, 7, 64):
        np.testing.assert_array_equal(gaussian((8, time, 16), [1], STEP, 3), long[:, :, :time])
    np.testing.assert_array_equal(gaussian((1, 3, 1), [1]), gaussian((1, 4, 1), [1])[:, :, :3])  # odd count


def test_draws_do_not_repeat():
    draws = [gaussian(SHAPE, [s], p, i) for s in (0, 1) for p in (INITIAL, STEP, KEPT) for i in (0, 1, 2)]
    values = np.concatenate([d.ravel() for d in draws])
    assert len(np.unique(values)) > 0.99 * len(values)  # float32 has some equal ones
    correlation = np.corrcoef([d.ravel() for d in draws])
    assert np.abs(correlation - np.eye(len(draws))).max() < 0.06


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, None, "1"])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="seed is .* allowed: whole numbers from 0 to 9223372036854775807"):
        gaussian(SHAPE, [seed])


def test_seeds():
    assert check_seed(np.int64(7)) == 7 and check_seed(MAX_SEED) == MAX_SEED
    assert item_seeds(7, 3) == [7, 8, 9]
    with pytest.raises(ValueError, match=f"seed is {MAX_SEED}, allowed with 2 candidates: up to {MAX_SEED - 1}"):
        item_seeds(MAX_SEED, 2)
