"""GPT-2's key-value cache in an OpenVINO model: states, which an inference request keeps between calls.

Attention to keys and values that are states is replaced by one operation, scaled dot-product attention. OpenVINO has a
kernel for it that appends to them in place, but does not recognise it in the products and sums of a trace.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.models.functions import Input


def read_state(x: Input, first: openvino.Output) -> openvino.Output:
    """The value of the state `x` after the last call; `engines.states` says how it begins.

    first: the function's first input, which has the batch size.
    """
    shape = openvino.PartialShape([-1 if size is None else size for size in x.shape])
    batch = ov.gather(ov.shape_of(first, "i32"), _integers([0]), _integers(0))
    sizes = ov.concat([batch, _integers([size or 0 for size in x.shape[1:]])], 0)
    empty = ov.broadcast(ov.constant(np.zeros((), x.dtype)), sizes)
    state = ov.read_value(empty, x.name, openvino.Type(x.dtype), shape)
    # A gather in the order 0, 1, ... changes nothing. By this gather, which a beam search reorders with, OpenVINO
    # recognises a key-value cache.
    order = ov.range(_integers(0), ov.squeeze(batch, _integers(0)), _integers(1), "i32")
    return ov.gather(state, order, _integers(0)).output(0)


def write_state(x: Input, value: openvino.Output) -> openvino.Node:
    """The sink of the model that stores `value` as the state `x`."""
    return ov.assign(value.get_node(), x.name)


def fuse_attention(model: openvino.Model) -> None:
    """Replace every softmax(query keys^T + mask) values, whose keys and values are states, by one operation."""
    for product in model.get_ordered_ops():
        if not (
            _is(product, "MatMul") and _extends_a_state(product.input_value(1)) and _is(_producer(product), "Softmax")
        ):
            continue
        masked = _producer(_producer(product))
        scores = _producer(masked)
        if not (_is(masked, "Add") and _is(scores, "MatMul") and _is(_producer(scores, 1), "Transpose")):
            continue
        keys = _producer(scores, 1).input_value(0)
        if not _extends_a_state(keys):
            continue
        one = ov.constant(np.float32(1))  # the query has been scaled already
        attended = ov.scaled_dot_product_attention(
            scores.input_value(0), keys, product.input_value(1), masked.input_value(1), one
        )
        for target in product.output(0).get_target_inputs():
            target.replace_source_output(attended.output(0))


def _producer(node: openvino.Node, index: int = 0) -> openvino.Node:
    """The node that computes input `index` of `node`."""
    return node.input_value(index).get_node()


def _is(node: openvino.Node, kind: str) -> bool:
    return node.get_type_name() == kind


def _extends_a_state(x: openvino.Output) -> bool:
    """Whether `x` is a state with something appended."""
    node = x.get_node()
    return _is(node, "Concat") and _is(_producer(node), "Gather") and _is(_producer(_producer(node)), "ReadValue")


def _integers(values: int | list[int]) -> openvino.Node:
    return ov.constant(np.array(values, np.int32))
