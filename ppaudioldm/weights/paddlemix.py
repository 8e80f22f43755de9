"""The layout of PaddleMIX's `model_state.pdparams`: the published key names, changed where Paddle's layers differ.

Paddle stores the weights of linear layers as (inputs, outputs), and has other names for the statistics of BatchNorm.
The merged port uses PaddleNLP's RoBERTa and GPT-2 with that library's names; its first version had the published names.
Both can be loaded. The file itself was not available to us: it is read strictly by these rules.
Source: github.com/PaddlePaddle/PaddleMIX, paddlemix/models/audioldm2 (2024-01 to 2024-10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ppaudioldm.config import ModelConfig
from ppaudioldm.weights import original
from ppaudioldm.weights.mapping import Placement, Rule, apply_rules
from ppaudioldm.weights.tensors import LazyTensor, UnreadableTensor

_LAYER = r"layers\.(\d+)"
_NLP = r"encoder.layers.\1"
ROBERTA_RULES = [
    Rule(r"embeddings\.words", "embeddings.word_embeddings"),
    Rule(r"embeddings\.positions", "embeddings.position_embeddings"),
    Rule(r"embeddings\.token_types", "embeddings.token_type_embeddings"),
    Rule(r"embeddings\.norm", "embeddings.layer_norm"),
    *[
        Rule(rf"{_LAYER}\.{ours}", f"{_NLP}.self_attn.{theirs}_proj", transposed=True)
        for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("attention_out", "out"))
    ],
    Rule(_LAYER + r"\.attention_norm", _NLP + ".norm1"),
    Rule(_LAYER + r"\.feed_forward_in", _NLP + ".linear1", transposed=True),
    Rule(_LAYER + r"\.feed_forward_out", _NLP + ".linear2", transposed=True),
    Rule(_LAYER + r"\.feed_forward_norm", _NLP + ".norm2"),
    Rule("pooler", "pooler.dense", transposed=True),
]
GPT_RULES = [
    Rule("positions", "embeddings.position_embeddings"),
    Rule(_LAYER + r"\.attention_norm", r"decoder.layers.\1.norm1"),
    Rule(_LAYER + r"\.qkv", tuple(rf"decoder.layers.\1.self_attn.{letter}_proj" for letter in "qkv"), transposed=True),
    Rule(_LAYER + r"\.attention_out", r"decoder.layers.\1.self_attn.out_proj", transposed=True),
    Rule(_LAYER + r"\.feed_forward_norm", r"decoder.layers.\1.norm2"),
    Rule(_LAYER + r"\.feed_forward_in", r"decoder.layers.\1.linear1", transposed=True),
    Rule(_LAYER + r"\.feed_forward_out", r"decoder.layers.\1.linear2", transposed=True),
    Rule("norm", "decoder.norm"),
]


# PaddleNLP's names of the layers from which `original_config` reads sizes -> the published names.
PUBLISHED_NAMES = [
    (r"\.text_branch\.encoder\.layers\.(\d+)\.linear1\.", r".text_branch.encoder.layer.\1.intermediate.dense."),
    (r"\.text_branch\.encoder\.layers\.(\d+)\.", r".text_branch.encoder.layer.\1."),
    (r"^cond_stage_models\.0\.model\.embeddings\.position_embeddings", "cond_stage_models.0.model.wpe"),
    (r"^cond_stage_models\.0\.model\.decoder\.layers\.(\d+)\.", r"cond_stage_models.0.model.h.\1."),
]
# Matrices of linear layers, stored transposed, from whose shapes `original_config` reads sizes.
SIZE_GIVING_LINEAR = (
    "attn2.to_k.weight",
    "film_emb.weight",
    "intermediate.dense.weight",
    "_projection.0.weight",
    "SelfAttention.q.weight",
    "DenseReluDense.wi_0.weight",
    "input_sequence_embed_linear.0.weight",
    "input_sequence_embed_linear.1.weight",
)


def published_shapes(tensors: Mapping[str, LazyTensor]) -> dict[str, tuple[int, ...]]:
    """Shapes by published key, for all keys from which `original_config` reads sizes."""
    shapes = {}
    for key, tensor in tensors.items():
        if isinstance(tensor, UnreadableTensor):
            continue
        for theirs, ours in PUBLISHED_NAMES:
            key = re.sub(theirs, ours, key)
        is_linear = key.endswith(SIZE_GIVING_LINEAR) and len(tensor.shape) == 2
        shapes[key] = tensor.shape[::-1] if is_linear else tensor.shape
    return shapes


def layout(config: ModelConfig, linear: frozenset[tuple[str, str]]) -> Callable[[str, str], Sequence[Placement]]:
    """The PaddleMIX layout of a checkpoint of `config`.

    linear: (network, name) of all our parameters that are matrices of linear layers.
    """
    published = original.layout(config)

    def placements(network: str, name: str) -> Sequence[Placement]:
        found = list(published(network, name))
        if network == "clap_text" and not name.startswith("projection_"):
            prefixes = [p.keys[0].partition("text_branch.")[0] + "text_branch." for p in found]
            found += [apply_rules(ROBERTA_RULES, name, prefix) for prefix in prefixes]
        elif network == "gpt2":
            found.append(apply_rules(GPT_RULES, name, "cond_stage_models.0.model."))
        if (network, name) not in linear:
            return [_renamed(p) for p in found]
        return [_renamed(p if p.trailing else replace(p, transposed=True)) for p in found]

    return placements


def _renamed(placement: Placement) -> Placement:
    renames = {"bn0.running_mean": "bn0._mean", "bn0.running_var": "bn0._variance"}
    keys = placement.keys
    for ours, theirs in renames.items():
        keys = tuple(key.replace(ours, theirs) for key in keys)
    return replace(placement, keys=keys)


IGNORED = re.compile(
    original.IGNORED.pattern
    + r"|cond_stage_models\.0\.model\.embeddings\.word_embeddings\.weight"
    + r"|.*\.(_mean|_variance)"
)
