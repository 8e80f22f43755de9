"""Against transformers' ClapTextModelWithProjection."""

from __future__ import annotations

import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.config import ClapTextConfig
from ppaudioldm.models.clap_text import ClapText
from ppaudioldm.weights.random import random_weights
from tests.models.test_clap_text import REDUCED, token_ids
from tests.support import SEED, random_network, relative_error, run, save_golden

PATHS = (
    ("embeddings.words.", "text_model.embeddings.word_embeddings."),
    ("embeddings.positions.", "text_model.embeddings.position_embeddings."),
    ("embeddings.token_types.", "text_model.embeddings.token_type_embeddings."),
    ("embeddings.norm.", "text_model.embeddings.LayerNorm."),
    ("layers.", "text_model.encoder.layer."),
    ("pooler.", "text_model.pooler.dense."),
    ("projection_in.", "text_projection.linear1."),
    ("projection_out.", "text_projection.linear2."),
    (".query.", ".attention.self.query."),
    (".key.", ".attention.self.key."),
    (".value.", ".attention.self.value."),
    (".attention_out.", ".attention.output.dense."),
    (".attention_norm.", ".attention.output.LayerNorm."),
    (".feed_forward_in.", ".intermediate.dense."),
    (".feed_forward_out.", ".output.dense."),
    (".feed_forward_norm.", ".output.LayerNorm."),
)


def reference_network(config: ClapTextConfig, shapes) -> torch.nn.Module:
    reference = transformers.ClapTextModelWithProjection(
        transformers.ClapTextConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=config.max_positions,
            projection_dim=config.projection_dim,
            layer_norm_eps=1e-5,  # RoBERTa's and the published code's; the class defaults to 1e-12
        )
    )
    state = {}
    for name, array in random_weights("clap_text", shapes, SEED):
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state[name] = torch.from_numpy(array)
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("_ids") for name in missing)
    return reference.eval()


@pytest.mark.parametrize("config", [REDUCED, ClapTextConfig()], ids=["reduced", "full"])
def test_clap_text(config, request):
    network = random_network("clap_text", ClapText, config)
    ids, mask = token_ids(config)
    with torch.no_grad():
        reference = reference_network(config, framework.parameter_shapes(network))
        output = reference(torch.from_numpy(ids), torch.from_numpy(mask)).text_embeds
        expected = torch.nn.functional.normalize(output, dim=-1).numpy()
    error = relative_error(run(network, ids, mask), expected)
    print(f"clap_text on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if config is REDUCED and request.config.getoption("--write-golden"):
        save_golden("clap_text", embedding=expected)
