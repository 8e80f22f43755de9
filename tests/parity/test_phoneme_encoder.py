"""Against transformers' VitsTextEncoder, which lacks the positional table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import VitsConfig
from transformers.models.vits.modeling_vits import VitsTextEncoder

from ppaudioldm import framework
from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.models.phoneme_encoder import PhonemeEncoder
from ppaudioldm.weights.random import random_weights
from tests.models.test_phoneme_encoder import LENGTHS, REDUCED, phoneme_ids
from tests.support import SEED, random_network, relative_error, run, save_golden

PATHS = (
    ("embedding.", "embed_tokens."),
    ("layers.", "encoder.layers."),
    (".query.", ".attention.q_proj."),
    (".key.", ".attention.k_proj."),
    (".value.", ".attention.v_proj."),
    (".attention_out.", ".attention.out_proj."),
    (".relative_keys", ".attention.emb_rel_k"),
    (".relative_values", ".attention.emb_rel_v"),
    (".attention_norm.", ".layer_norm."),
    (".feed_forward_in.", ".feed_forward.conv_1."),
    (".feed_forward_out.", ".feed_forward.conv_2."),
    (".feed_forward_norm.", ".final_layer_norm."),
)


def reference_network(config: PhonemeEncoderConfig, weights: dict[str, np.ndarray]) -> torch.nn.Module:
    reference = VitsTextEncoder(
        VitsConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            ffn_dim=config.feed_forward_size,
            window_size=config.window_size,
            pad_token_id=0,
            attn_implementation="eager",
        )
    )
    state = {}
    for name, array in weights.items():
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state[name] = torch.from_numpy(array)
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected and missing == ["project.weight", "project.bias"]
    return reference.eval()


@pytest.mark.parametrize("config", [REDUCED, PhonemeEncoderConfig()], ids=["reduced", "full"])
def test_phoneme_encoder(config, request):
    network = random_network("phoneme_encoder", PhonemeEncoder, config)
    weights = dict(random_weights("phoneme_encoder", framework.parameter_shapes(network), SEED))
    table = weights.pop("positions").transpose(0, 2, 1)
    ids = phoneme_ids(config, (*LENGTHS[:-1], config.max_phonemes))
    states, mask = run(network, ids)
    expected_mask = (np.arange(config.max_phonemes) < (ids != 0).sum(1, keepdims=True)).astype(np.float32)
    with torch.no_grad():
        reference = reference_network(config, weights)
        padding = torch.from_numpy(expected_mask)
        found = reference(torch.from_numpy(ids), padding[:, :, None], padding).last_hidden_state
    expected = found.numpy() + table
    error, largest = relative_error(states, expected), np.abs(states - expected).max()
    print(f"phoneme_encoder on {framework.NAME}: relative error {error:.1e}, largest {largest:.1e}")
    assert error <= 1e-5 and largest <= 1e-5
    np.testing.assert_array_equal(mask, expected_mask)
    if config is REDUCED and request.config.getoption("--write-golden"):
        save_golden("phoneme_encoder", states=expected)
