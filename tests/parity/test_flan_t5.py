"""Against transformers' T5EncoderModel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from transformers.models.t5.modeling_t5 import T5Attention

from ppaudioldm import framework
from ppaudioldm.config import T5Config
from ppaudioldm.models.flan_t5 import FlanT5Encoder, relative_buckets
from ppaudioldm.weights.random import random_weights
from tests.models.test_flan_t5 import REDUCED, token_ids
from tests.support import SEED, random_network, relative_error, run, save_golden

PATHS = (
    ("layers.", "encoder.block."),
    ("relative_bias.", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias."),
    ("embedding.", "shared."),
    (".query.", ".layer.0.SelfAttention.q."),
    (".key.", ".layer.0.SelfAttention.k."),
    (".value.", ".layer.0.SelfAttention.v."),
    (".attention_out.", ".layer.0.SelfAttention.o."),
    (".attention_norm.", ".layer.0.layer_norm."),
    (".gate.", ".layer.1.DenseReluDense.wi_0."),
    (".up.", ".layer.1.DenseReluDense.wi_1."),
    (".feed_forward_out.", ".layer.1.DenseReluDense.wo."),
    (".feed_forward_norm.", ".layer.1.layer_norm."),
)


def reference_network(config: T5Config, shapes) -> torch.nn.Module:
    reference = transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.hidden_size,
            d_kv=config.head_dim,
            d_ff=config.feed_forward_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            feed_forward_proj="gated-gelu",
        )
    )
    state = {}
    for name, array in random_weights("flan_t5", shapes, SEED):
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state["encoder.final_layer_norm.weight" if name == "norm.weight" else name] = torch.from_numpy(array)
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected and missing in ([], ["encoder.embed_tokens.weight"])  # the same tensor as `shared.weight`
    return reference.eval()


@pytest.mark.parametrize("config", [REDUCED, T5Config()], ids=["reduced", "full"])
def test_flan_t5(config, request):
    network = random_network("flan_t5", FlanT5Encoder, config)
    ids, mask = token_ids(config)
    with torch.no_grad():
        reference = reference_network(config, framework.parameter_shapes(network))
        expected = reference(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
    is_token = mask == 1
    error = relative_error(run(network, ids, mask)[is_token], expected[is_token])
    print(f"flan_t5 on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if config is REDUCED and request.config.getoption("--write-golden"):
        save_golden("flan_t5", states=expected[0], buckets=reference_buckets())


def reference_buckets() -> np.ndarray:
    distances = torch.arange(-512, 513)
    return T5Attention._relative_position_bucket(distances, True, 32, 128).numpy()


def test_buckets_of_every_distance():
    np.testing.assert_array_equal(relative_buckets(np.arange(-512, 513), 32, 128), reference_buckets())
