"""States in an OpenVINO model: the memory of a request to run it, so that nothing is copied between calls.

Attention to keys and values that are states is named as what it is. OpenVINO has a kernel for it, which appends to
them in place, but does not find it in the products and sums that a trace consists of.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset15 as ov

from ppaudioldm.models.functions import Input


def read_state(x: Input, first: openvino.Output) -> openvino.Output:
    """The state `x` as the last call left it; see `states` for how it begins. first: the function's first input."""
    shape = openvino.PartialShape([-1 if size is None else size for size in x.shape])
    batch = ov.gather(ov.shape_of(first, "i32"), _integers([0]), _integers(0))
    sizes = ov.concat([batch, _integers([size or 0 for size in x.shape[1:]])], 0)
    empty = ov.broadcast(ov.constant(np.zeros((), x.dtype)), sizes)
    state = ov.read_value(empty, x.name, openvino.Type(x.dtype), shape)
    # In the order that they have. That order could change, in a beam search, is how OpenVINO knows a cache.
    order = ov.range(_integers(0), ov.squeeze(batch, _integers(0)), _integers(1), "i32")
    return ov.gather(state, order, _integers(0)).output(0)


def write_state(x: Input, value: openvino.Output) -> openvino.Node:
    """What keeps `value` as the state `x`: a sink of the model."""
    return ov.assign(value.get_node(), x.name)


def name_attention(model: openvino.Model) -> None:
    """Every softmax(query keys^T + mask) values in `model`, of keys and values that are states, as one operation."""
    for product in model.get_ordered_ops():
        if not (
            _is(product, "MatMul") and _extends_a_state(product.input_value(1)) and _is(_before(product), "Softmax")
        ):
            continue
        masked = _before(_before(product))
        scores = _before(masked)
        if not (_is(masked, "Add") and _is(scores, "MatMul") and _is(_before(scores, 1), "Transpose")):
            continue
        keys = _before(scores, 1).input_value(0)
        if not _extends_a_state(keys):
            continue
        one = ov.constant(np.float32(1))  # the query has been scaled
        attended = ov.scaled_dot_product_attention(
            scores.input_value(0), keys, product.input_value(1), masked.input_value(1), one
        )
        for target in product.output(0).get_target_inputs():
            target.replace_source_output(attended.output(0))


def _before(node: openvino.Node, index: int = 0) -> openvino.Node:
    return node.input_value(index).get_node()


def _is(node: openvino.Node, kind: str) -> bool:
    return node.get_type_name() == kind


def _extends_a_state(x: openvino.Output) -> bool:
    node = x.get_node()
    return _is(node, "Concat") and _is(_before(node), "Gather") and _is(_before(_before(node)), "ReadValue")


def _integers(values: int | list[int]) -> openvino.Node:
    return ov.constant(np.array(values, np.int32))
