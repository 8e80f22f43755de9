from __future__ import annotations

import re

import numpy as np
import pytest

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.mapping import (
    Placement,
    Rule,
    apply_rules,
    check_all_used,
    read_parameters,
    write_parameters,
)
from tests.weights.examples import error_of, only_shapes, stored

# our shape, how it is stored, its shape in the file, the values there for 0, 1, 2, ... in ours
MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
CASES = {
    "as it is": (Placement(("k",)), MATRIX),
    "transposed": (Placement(("k",), transposed=True), MATRIX.T),
    "1x1 convolution": (Placement(("k",), trailing=2), MATRIX[:, :, None, None]),
    "first half": (Placement(("k",), chunk=0, num_chunks=2), np.concatenate([MATRIX, 0 * MATRIX])),
    "last third": (Placement(("k",), chunk=2, num_chunks=3), np.concatenate([0 * MATRIX, 0 * MATRIX, MATRIX])),
    "half of columns": (
        Placement(("k",), chunk=1, num_chunks=2, transposed=True),
        np.concatenate([0 * MATRIX, MATRIX]).T,
    ),
    "row of a table": (
        Placement(("k",), chunk=1, num_chunks=4, row=True),
        np.stack([0 * MATRIX, MATRIX, 0 * MATRIX, 0 * MATRIX]),
    ),
}


@pytest.mark.parametrize("placement, in_file", CASES.values(), ids=CASES.keys())
def test_stored_ways(placement, in_file):
    assert placement.stored_shape(MATRIX.shape) == in_file.shape
    extracted = placement.extract([in_file], MATRIX.shape)
    np.testing.assert_array_equal(extracted, MATRIX)
    assert extracted.flags.c_contiguous
    assert (
        placement.num_chunks == 1 or extracted.base is None or extracted.base.size == extracted.size
    )  # no more stays in memory
    written = write_parameters("net", {"w": stored(MATRIX)}, lambda network, name: [placement])
    np.testing.assert_array_equal(written["k"].read(), in_file)
    assert written["k"].shape == in_file.shape


@pytest.mark.parametrize("transposed", [False, True])
def test_several_keys_are_joined(transposed):
    placement = Placement(("q", "k"), transposed=transposed)
    first, second = (row[None].T if transposed else row[None] for row in MATRIX)
    assert placement.stored_shape(MATRIX.shape) == first.shape
    np.testing.assert_array_equal(placement.extract([first, second], MATRIX.shape), MATRIX)
    written = write_parameters("net", {"w": stored(MATRIX)}, lambda network, name: [placement])
    assert {key: tensor.read().tolist() for key, tensor in written.items()} == {
        "q": first.tolist(),
        "k": second.tolist(),
    }


def test_parts_are_put_together():
    placements = {"a": Placement(("k",), 0, 2), "b": Placement(("k",), 1, 2)}
    parameters = {"b": stored(MATRIX + 10), "a": stored(MATRIX)}
    written = write_parameters("net", parameters, lambda network, name: [placements[name]])
    np.testing.assert_array_equal(written["k"].read(), np.concatenate([MATRIX, MATRIX + 10]))


def test_rules_keep_weight_and_bias():
    rules = [Rule(r"layers\.(\d+)\.(in|out)", r"block.\1.\2", trailing=2), Rule("table", "t.weight")]
    assert apply_rules(rules, "layers.3.in.weight", "p.") == Placement(("p.block.3.in.weight",), trailing=2)
    assert apply_rules(rules, "layers.3.in.bias") == Placement(("block.3.in.bias",))
    assert apply_rules(rules, "table") == Placement(("t.weight",))
    with pytest.raises(AssertionError, match="no rule for layers.x"):
        apply_rules(rules, "layers.x.in.weight")


def test_a_bias_is_never_transposed():
    rules = [Rule("linear", "c", transposed=True)]
    assert apply_rules(rules, "linear.weight").transposed and not apply_rules(rules, "linear.bias").transposed


def test_first_source_that_is_complete_is_taken_and_all_count_as_used():
    placements = [Placement(("new",)), Placement(("old_a", "old_b"))]
    tensors = {"old_a": stored(MATRIX[:1]), "old_b": stored(MATRIX[1:])}
    found, used = read_parameters("net", {"w": (2, 3)}, lambda network, name: placements, tensors, "x.pth")
    np.testing.assert_array_equal(found["w"].read(), MATRIX)
    assert used == {"new", "old_a", "old_b"}


def test_missing_tensors_are_counted_and_the_first_named():
    shapes = {f"w{i}": (2,) for i in range(5)}
    message = error_of(read_parameters, "unet", shapes, lambda n, key: [Placement((f"their.{key}",))], {}, "x.pth")
    assert message == "x.pth: 5 tensors of unet are missing, the first: their.w0, their.w1, their.w2"


def test_wrong_shapes_are_named_without_reading_values():
    tensors = only_shapes({"w": (3, 2)})
    message = error_of(read_parameters, "unet", {"w": (2, 3)}, lambda n, key: [Placement((key,))], tensors, "x.pth")
    assert message == "x.pth: 1 wrong shapes in unet, the first: w [3, 2], expected [2, 3]"


def test_unexpected_tensors_are_named():
    check_all_used(["used", "betas"], {"used"}, re.compile("betas"), "x.pth")
    with pytest.raises(CheckpointError, match="x.pth: 2 unexpected tensors, the first: more, betas2"):
        check_all_used(["used", "more", "betas2"], {"used"}, re.compile("betas"), "x.pth")
