"""Windows over long arrays: the weights of every frame sum to one, and nothing jumps where a window begins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm import framework
from ppaudioldm.diffusion.windows import OVERLAP, Windows, windows_over
from tests.support import noise

LENGTH = 64
LINES = [windows_over(total, LENGTH) for total in (65, 66, 100, 112, 113, 400, 1001)]
CIRCLES = [windows_over(total, LENGTH, circular=True) for total in (8, 63, 64, 65, 100, 400, 1001)]
EVERY = LINES + CIRCLES
NAMES = [f"{'line' if windows in LINES else 'circle'} of {windows.total}" for windows in EVERY]


def blended(windows: Windows, pieces: list[np.ndarray]) -> np.ndarray:
    return windows.blend(pieces, np.asarray, np.concatenate)


def cut(windows: Windows, array: np.ndarray) -> list[np.ndarray]:
    return windows.cut(array, np.concatenate)


@st.composite
def any_windows(draw: st.DrawFn) -> Windows:
    """From `windows_over`, as the latents and the decoder use them."""
    length = draw(st.sampled_from([8, 16, 24, 64, 256]))
    # Lengths of real clips are multiples of the UNet's downsampling; a circle shorter than a window goes round in it.
    total = draw(st.integers(1, 12 * length))
    return windows_over(total, length, circular=draw(st.booleans()))


@given(any_windows())
def test_every_frame_is_covered(windows):
    """And a window holds the frames that follow its start, from 0 again after the last."""
    frames = np.arange(windows.total, dtype=np.float32)[None, :, None]
    pieces = cut(windows, frames)
    assert len(pieces) == len(windows.starts)
    assert all(piece.shape == (1, windows.length, 1) for piece in pieces)
    assert set(np.concatenate(pieces, 1).ravel().astype(int)) == set(range(windows.total))
    for start, piece in zip(windows.starts, pieces, strict=True):
        expected = (start + np.arange(windows.length)) % windows.total
        np.testing.assert_array_equal(piece.ravel(), expected)


@given(any_windows(), st.floats(-100, 100, width=32))
def test_windows_of_equal_content_blend_to_it(windows, value):
    pieces = [np.full((2, windows.length, 3), value, np.float32)] * len(windows.starts)
    blend = blended(windows, pieces)
    assert blend.shape == (2, windows.total, 3)
    np.testing.assert_allclose(blend, value, rtol=1e-5, atol=1e-6)


@given(any_windows(), st.integers(0, 100))
def test_cut_windows_blend_to_the_array(windows, seed):
    x = noise(2, windows.total, 3, seed=seed)
    np.testing.assert_allclose(blended(windows, cut(windows, x)), x, atol=1e-5)


@given(any_windows(), st.integers(0, 100))
def test_blending_is_the_weighted_mean_of_the_windows(windows, seed):
    """Of arbitrary windows, by a sum over frames one by one."""
    pieces = [noise(1, windows.length, 2, seed=seed + i) for i in range(len(windows.starts))]
    inside = (np.arange(windows.length) + 0.5) / windows.length
    weights = np.sin(np.pi * inside) ** 2
    if len(pieces) == 1:
        expected = pieces[0]
    else:
        sums, expected = np.zeros(windows.total), np.zeros((1, windows.total, 2))
        for start, piece in zip(windows.starts, pieces, strict=True):
            for i in range(windows.length):
                sums[(start + i) % windows.total] += weights[i]
                expected[:, (start + i) % windows.total] += weights[i] * piece[:, i]
        expected = expected / sums[:, None]
    np.testing.assert_allclose(blended(windows, pieces), expected, atol=2e-5)


@given(st.sampled_from([16, 64]), st.integers(2, 12), st.integers(0, 11))
def test_a_circle_rotated_by_the_distance_of_its_windows(length, count, shift):
    """Blending its windows, whatever they hold, and rotating are the same in either order."""
    total = count * (length - round(OVERLAP * length))
    windows = windows_over(total, length, circular=True)
    assert len(windows.starts) == count
    pieces = [noise(1, length, 1, seed=i) for i in range(count)]
    rotated = [pieces[(i - shift) % count] for i in range(count)]
    expected = np.roll(blended(windows, pieces), shift * total // count, 1)
    np.testing.assert_allclose(blended(windows, rotated), expected, atol=1e-6)


@pytest.mark.parametrize("windows", EVERY, ids=NAMES)
def test_weights_sum_to_one(windows):
    ones = [np.ones((2, LENGTH, 3), np.float32)] * len(windows.starts)
    np.testing.assert_allclose(blended(windows, ones), np.ones((2, windows.total, 3)), atol=1e-6)


@pytest.mark.parametrize("windows", EVERY, ids=NAMES)
def test_what_is_done_to_each_value_is_the_same_with_and_without_windows(windows):
    x = noise(2, 3, windows.total, 4)
    pieces = cut(windows, x)
    assert {piece.shape for piece in pieces} == {(2, 3, LENGTH, 4)}
    np.testing.assert_allclose(blended(windows, [np.tanh(piece) for piece in pieces]), np.tanh(x), atol=1e-6)


@pytest.mark.parametrize("windows", LINES, ids=NAMES[: len(LINES)])
def test_windows_stay_inside_and_overlap(windows):
    assert windows.starts[0] == 0 and windows.starts[-1] == windows.total - LENGTH
    assert max(np.diff(windows.starts)) <= LENGTH * (1 - OVERLAP)


def test_cost_is_linear():
    assert len(windows_over(15000, 256).starts) == 78  # ten minutes
    assert len(windows_over(7500, 256).starts) == 39


@pytest.mark.parametrize("total", [8, 64, 400])
def test_a_frame_of_a_circle_is_well_inside_of_a_window(total):
    windows = windows_over(total, LENGTH, circular=True)
    places = (np.arange(total)[:, None] - windows.starts) % total
    from_an_end = np.minimum(places, LENGTH - 1 - places).max(1)
    assert from_an_end.min() >= min(total // 4, LENGTH * OVERLAP / 2) - 1


def test_a_circle_has_no_beginning():
    """Rotated by the distance of its windows, the result is rotated with it, whatever is computed in a window."""
    windows = windows_over(480, 64, circular=True)
    step = 480 // len(windows.starts)
    assert set(np.diff(windows.starts)) == {step}
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[:, None]

    def result(x: np.ndarray) -> np.ndarray:
        return blended(windows, [np.cumsum(piece, -2) * ramp + piece[..., ::-1, :] for piece in cut(windows, x)])

    x = noise(1, 480, 3)
    np.testing.assert_allclose(result(np.roll(x, step, 1)), np.roll(result(x), step, 1), atol=1e-5)
    # By another distance it is not: the property is not one of this `result` alone.
    assert np.abs(result(np.roll(x, step + 1, 1)) - np.roll(result(x), step + 1, 1)).max() > 1e-3


@pytest.mark.parametrize("windows", EVERY, ids=NAMES)
def test_nothing_jumps_where_a_window_begins(windows):
    """Between windows of opposite values the result changes in small steps."""
    pieces = [np.full((1, LENGTH, 1), (-1.0) ** i, np.float32) for i in range(len(windows.starts))]
    steps = np.abs(np.diff(blended(windows, pieces), axis=1))
    # Half a cosine over the overlap is the smoothest there is, its steepest step is pi / overlap.
    assert steps.max() < 2 * np.pi / (OVERLAP * LENGTH) or windows.total < LENGTH


def test_one_window_is_the_array_itself():
    x = noise(1, 50, 3)
    windows = windows_over(50, LENGTH)
    assert windows.starts == (0,)
    (piece,) = cut(windows, x)
    np.testing.assert_array_equal(piece, x)
    assert blended(windows, [piece]) is piece


@pytest.mark.parametrize("circular", [False, True])
def test_scaled_windows_are_the_same_windows(circular):
    windows = windows_over(100, LENGTH, circular)
    coarse = noise(1, 100, 3)
    fine = np.repeat(coarse, 4, 1)
    for small, large in zip(cut(windows, coarse), cut(windows.scaled(4), fine), strict=True):
        np.testing.assert_array_equal(np.repeat(small, 4, 1), large)


def test_tensors_are_treated_alike():
    windows = windows_over(100, LENGTH, circular=True)
    x = noise(1, 2, 100, 3)
    pieces = windows.cut(framework.from_numpy(x), framework.xp.concat)
    tripled = windows.blend([3 * piece for piece in pieces], framework.from_numpy, framework.xp.concat)
    np.testing.assert_allclose(framework.to_numpy(tripled), 3 * x, atol=1e-5)
