"""Against transformers' GPT2Model, alone and as the maker of LOA tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.config import GPT2Config, LoaConfig
from ppaudioldm.engines.states import Stateful
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.models.gpt2 import GPT2
from ppaudioldm.models.loa import LoaPrefix
from ppaudioldm.weights.random import random_weights
from tests.models import test_loa as loa
from tests.models.test_gpt2 import REDUCED, empty_cache, sequence
from tests.support import SEED, noise, random_network, relative_error, run, save_golden

PATHS = (
    ("positions.", "wpe."),
    ("layers.", "h."),
    (".attention_norm.", ".ln_1."),
    (".qkv.", ".attn.c_attn."),
    (".attention_out.", ".attn.c_proj."),
    (".feed_forward_norm.", ".ln_2."),
    (".feed_forward_in.", ".mlp.c_fc."),
    (".feed_forward_out.", ".mlp.c_proj."),
)


def reference_network(config: GPT2Config, shapes) -> torch.nn.Module:
    reference = transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=1,
            n_positions=config.max_positions,
            n_embd=config.hidden_size,
            n_layer=config.num_layers,
            n_head=config.num_heads,
        )
    )
    state = {}
    for name, array in random_weights("gpt2", shapes, SEED):
        # transformers stores GPT-2's linear layers transposed.
        tensor = torch.from_numpy(array.T if name.startswith("layers.") and array.ndim == 2 else array)
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state[name.replace("norm.", "ln_f.")] = tensor
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected and missing == ["wte.weight"]
    return reference.eval()


def reference_hidden(reference: torch.nn.Module, embeddings: np.ndarray, mask: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output = reference(
            inputs_embeds=torch.from_numpy(embeddings),
            attention_mask=torch.from_numpy(mask),
            position_ids=torch.arange(embeddings.shape[1])[None],
            use_cache=False,
        )
    return output.last_hidden_state.numpy()


def reference_tokens(reference: torch.nn.Module, prefix: np.ndarray, mask: np.ndarray, num_tokens: int) -> np.ndarray:
    """The published code's loop: the whole sequence again for every token."""
    for _ in range(num_tokens):
        token = reference_hidden(reference, prefix, mask)[:, -1:]
        prefix, mask = np.concatenate([prefix, token], 1), np.concatenate([mask, np.ones_like(mask[:, :1])], 1)
    return prefix[:, -num_tokens:]


@pytest.mark.parametrize("config", [REDUCED, GPT2Config()], ids=["reduced", "full"])
def test_gpt2(config, request):
    network = random_network("gpt2", GPT2, config)
    reference = reference_network(config, framework.parameter_shapes(network))
    embeddings, mask = sequence(config)
    expected = reference_hidden(reference, embeddings, mask)
    hidden, _ = run(network, embeddings, mask, empty_cache(config, 2))
    error = relative_error(hidden, expected)
    print(f"gpt2 on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if config is REDUCED and request.config.getoption("--write-golden"):
        save_golden("gpt2", hidden=expected)


def test_loa_reduced(request):
    prefix, mask = loa.make_prefix(random_network("loa", LoaPrefix, loa.REDUCED))
    shapes = framework.parameter_shapes(random_network("gpt2", GPT2, REDUCED))
    expected = reference_tokens(reference_network(REDUCED, shapes), prefix, mask, loa.NUM_TOKENS)
    error = relative_error(loa.generate(prefix, mask), expected)
    print(f"loa on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if request.config.getoption("--write-golden"):
        save_golden("loa", tokens=expected)


def test_loa_full():
    config, num_tokens = GPT2Config(), LoaConfig().num_tokens
    network = random_network("gpt2", GPT2, config)
    prefix, mask = noise(1, 30, config.hidden_size), np.ones((1, 30), np.float32)
    mask[0, 20:29] = 0
    expected = reference_tokens(
        reference_network(config, framework.parameter_shapes(network)), prefix, mask, num_tokens
    )
    gpt2 = Stateful(lambda *x: run(network, *x), lambda batch: empty_cache(config, batch))
    tokens = generate_loa(prefix, mask, gpt2, num_tokens, np.concatenate)
    error = relative_error(tokens, expected)
    print(f"loa on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
