from __future__ import annotations

import re

import numpy as np
import pytest

from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.mapping import (
    Rule,
    Source,
    apply_rules,
    check_all_used,
    read_parameters,
    write_parameters,
)
from tests.weights.examples import error_of, only_shapes, stored

# our shape, how it is stored, its shape in the file, the values there for 0, 1, 2, ... in ours
MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
CASES = {
    "as it is": (Source(("k",)), MATRIX),
    "transposed": (Source(("k",), transposed=True), MATRIX.T),
    "1x1 convolution": (Source(("k",), trailing=2), MATRIX[:, :, None, None]),
    "first half": (Source(("k",), part=0, of=2), np.concatenate([MATRIX, 0 * MATRIX])),
    "last third": (Source(("k",), part=2, of=3), np.concatenate([0 * MATRIX, 0 * MATRIX, MATRIX])),
    "half of columns": (Source(("k",), part=1, of=2, transposed=True), np.concatenate([0 * MATRIX, MATRIX]).T),
    "row of a table": (Source(("k",), part=1, of=4, row=True), np.stack([0 * MATRIX, MATRIX, 0 * MATRIX, 0 * MATRIX])),
}


@pytest.mark.parametrize("source, in_file", CASES.values(), ids=CASES.keys())
def test_stored_ways(source, in_file):
    assert source.stored_shape(MATRIX.shape) == in_file.shape
    extracted = source.extract([in_file], MATRIX.shape)
    np.testing.assert_array_equal(extracted, MATRIX)
    assert extracted.flags.c_contiguous
    assert source.of == 1 or extracted.base is None or extracted.base.size == extracted.size  # no more stays in memory
    written = write_parameters("net", {"w": stored(MATRIX)}, lambda network, name: [source])
    np.testing.assert_array_equal(written["k"].read(), in_file)
    assert written["k"].shape == in_file.shape


@pytest.mark.parametrize("transposed", [False, True])
def test_several_keys_are_joined(transposed):
    source = Source(("q", "k"), transposed=transposed)
    first, second = (row[None].T if transposed else row[None] for row in MATRIX)
    assert source.stored_shape(MATRIX.shape) == first.shape
    np.testing.assert_array_equal(source.extract([first, second], MATRIX.shape), MATRIX)
    written = write_parameters("net", {"w": stored(MATRIX)}, lambda network, name: [source])
    assert {key: tensor.read().tolist() for key, tensor in written.items()} == {
        "q": first.tolist(),
        "k": second.tolist(),
    }


def test_parts_are_put_together():
    sources = {"a": Source(("k",), 0, 2), "b": Source(("k",), 1, 2)}
    parameters = {"b": stored(MATRIX + 10), "a": stored(MATRIX)}
    written = write_parameters("net", parameters, lambda network, name: [sources[name]])
    np.testing.assert_array_equal(written["k"].read(), np.concatenate([MATRIX, MATRIX + 10]))


def test_rules_keep_weight_and_bias():
    rules = [Rule(r"layers\.(\d+)\.(in|out)", r"block.\1.\2", trailing=2), Rule("table", "t.weight")]
    assert apply_rules(rules, "layers.3.in.weight", "p.") == Source(("p.block.3.in.weight",), trailing=2)
    assert apply_rules(rules, "layers.3.in.bias") == Source(("block.3.in.bias",))
    assert apply_rules(rules, "table") == Source(("t.weight",))
    with pytest.raises(AssertionError, match="no rule for layers.x"):
        apply_rules(rules, "layers.x.in.weight")


def test_a_bias_is_never_transposed():
    rules = [Rule("linear", "c", transposed=True)]
    assert apply_rules(rules, "linear.weight").transposed and not apply_rules(rules, "linear.bias").transposed


def test_first_source_that_is_complete_is_taken_and_all_count_as_used():
    sources = [Source(("new",)), Source(("old_a", "old_b"))]
    tensors = {"old_a": stored(MATRIX[:1]), "old_b": stored(MATRIX[1:])}
    found, used = read_parameters("net", {"w": (2, 3)}, lambda network, name: sources, tensors, "x.pth")
    np.testing.assert_array_equal(found["w"].read(), MATRIX)
    assert used == {"new", "old_a", "old_b"}


def test_missing_tensors_are_counted_and_the_first_named():
    shapes = {f"w{i}": (2,) for i in range(5)}
    message = error_of(read_parameters, "unet", shapes, lambda n, key: [Source((f"their.{key}",))], {}, "x.pth")
    assert message == "x.pth: 5 tensors of unet are missing, the first: their.w0, their.w1, their.w2"


def test_wrong_shapes_are_named_without_reading_values():
    tensors = only_shapes({"w": (3, 2)})
    message = error_of(read_parameters, "unet", {"w": (2, 3)}, lambda n, key: [Source((key,))], tensors, "x.pth")
    assert message == "x.pth: 1 wrong shapes in unet, the first: w [3, 2], expected [2, 3]"


def test_unexpected_tensors_are_named():
    check_all_used(["used", "betas"], {"used"}, re.compile("betas"), "x.pth")
    with pytest.raises(CheckpointError, match="x.pth: 2 unexpected tensors, the first: more, betas2"):
        check_all_used(["used", "more", "betas2"], {"used"}, re.compile("betas"), "x.pth")
