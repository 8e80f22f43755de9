"""The layout of the published files. Source: key names of github.com/haoheliu/AudioLDM2, commit b5786c5, and of
github.com/haoheliu/AudioLDM, commit 4054cb4."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.weights.mapping import Placement, Rule, apply_rules
from ppaudioldm.weights.state_dict import UNET, averaged_key

VAE = "first_stage_model."
VOCODER = "first_stage_model.vocoder."
PHONEMES = "cond_stage_models.0.cond_stage_models.1."
AUDIOMAE = "cond_stage_models.0.cond_stage_models.2.audiomae.model."
RANKING_CLAP = "clap.model."
AUDIOLDM1_CLAP = "cond_stage_model.model."  # of AudioLDM 1, whose only copy conditions and ranks

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "shortcut": "skip_connection",
}

# diffusers has the same names inside a transformer.
_BLOCK = r"blocks\.(\d+)"
TRANSFORMER_RULES = [
    Rule(r"(norm)", r"\1"),
    Rule(r"(proj_in|proj_out)", r"\1", trailing=2),
    Rule(_BLOCK + r"\.(norm[123])", r"transformer_blocks.\1.\2"),
    *[
        Rule(rf"{_BLOCK}\.{ours}\.{layer}", rf"transformer_blocks.\1.{theirs}.{stored}")
        for ours, theirs in (("self_attention", "attn1"), ("cross_attention", "attn2"))
        for layer, stored in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("out", "to_out.0"))
    ],
    Rule(_BLOCK + r"\.feed_forward\.value", r"transformer_blocks.\1.ff.net.0.proj", chunk=0, num_chunks=2),
    Rule(_BLOCK + r"\.feed_forward\.gate", r"transformer_blocks.\1.ff.net.0.proj", chunk=1, num_chunks=2),
    Rule(_BLOCK + r"\.feed_forward\.out", r"transformer_blocks.\1.ff.net.2"),
]

UNET_RULES = [
    Rule("time_in", "time_embed.0"),
    Rule("time_out", "time_embed.2"),
    Rule("film", "film_emb"),
    Rule("conv_in", "input_blocks.0.0"),
    Rule("norm_out", "out.0"),
    Rule("conv_out", "out.2"),
]


def unet_placement(config: UNetConfig, name: str) -> Placement:
    """Where the published file stores a UNet parameter: residual blocks and changes of resolution are in one list."""
    down_stride, up_stride = config.num_res_blocks + 1, config.num_res_blocks + 1
    if match := re.fullmatch(r"(down|up)_levels\.(\d+)\.(resnets|transformers)\.(\d+)\.(.*)", name):
        way, level, kind, block, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        stride, first = (down_stride, 1) if way == "down" else (up_stride, 0)
        place = f"{'input' if way == 'down' else 'output'}_blocks.{first + level * stride + block}"
        return _inside(kind, place, rest)
    if match := re.fullmatch(r"middle\.(resnet_in|transformers|resnet_out)\.(.*)", name):
        transformers = len(config.transformer_dims)
        if match[1] == "transformers":
            return _inside("transformers", "middle_block", match[2])
        return _inside("resnets", "middle_block", match[2], 0 if match[1] == "resnet_in" else transformers + 1)
    if match := re.fullmatch(r"down_levels\.(\d+)\.downsample\.(.*)", name):
        return Placement((f"{UNET}input_blocks.{(int(match[1]) + 1) * down_stride}.0.op.{match[2]}",))
    if match := re.fullmatch(r"up_levels\.(\d+)\.upsample\.(.*)", name):
        level = len(config.channel_mult) - 1 - int(match[1])
        index = 1 + (len(config.transformer_dims) if level in config.attention_levels else 0)
        return Placement((f"{UNET}output_blocks.{(int(match[1]) + 1) * up_stride - 1}.{index}.conv.{match[2]}",))
    return apply_rules(UNET_RULES, name, UNET)


def _inside(kind: str, place: str, rest: str, index: int = 0) -> Placement:
    if kind == "resnets":
        layer, _, leaf = rest.partition(".")
        return Placement((f"{UNET}{place}.{index}.{RESNET[layer]}.{leaf}",))
    _, number, rest = rest.split(".", 2)  # layers.N.rest
    return apply_rules(TRANSFORMER_RULES, rest, f"{UNET}{place}.{int(number) + 1}.")


def ema_placement(placement: Placement) -> Placement:
    """The moving average of a UNet parameter: its key has no dots."""
    return replace(placement, keys=(averaged_key(placement.keys[0]),))


def has_averages(keys: Iterable[str]) -> bool:
    """Whether a file with `keys` holds the moving average of the UNet: fine-tuned ones may come without."""
    return any(key.startswith("model_ema.diffusion_model") for key in keys)


_VAE_RESNET = r"(norm1|conv1|norm2|conv2)"


def vae_rules(side: str, levels: int) -> list[Rule]:
    """Rules for the VAE's `encoder` or `decoder`, whose levels the file numbers from the finest."""
    way, resample, quant = (
        ("down", "downsample", "quant_conv") if side == "encoder" else ("up", "upsample", "post_quant_conv")
    )
    rules = [
        Rule(quant, quant),
        Rule("(conv_in|norm_out|conv_out)", rf"{side}.\1"),
        Rule(rf"middle\.resnet_in\.{_VAE_RESNET}", rf"{side}.mid.block_1.\1"),
        Rule(rf"middle\.resnet_out\.{_VAE_RESNET}", rf"{side}.mid.block_2.\1"),
        Rule(r"middle\.attention\.norm", rf"{side}.mid.attn_1.norm"),
    ]
    for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "proj_out")):
        rules.append(Rule(rf"middle\.attention\.{ours}", rf"{side}.mid.attn_1.{theirs}", trailing=2))
    for level in range(levels):
        number = level if side == "encoder" else levels - 1 - level
        block = rf"{side}.{way}.{number}.block.\1"
        rules += [
            Rule(rf"levels\.{level}\.resnets\.(\d+)\.{_VAE_RESNET}", rf"{block}.\2"),
            Rule(rf"levels\.{level}\.resnets\.(\d+)\.shortcut", f"{block}.nin_shortcut"),
            Rule(rf"levels\.{level}\.resample\.conv", rf"{side}.{way}.{number}.{resample}.conv"),
        ]
    return rules


def vocoder_placement(name: str, stacks: int, upsample: str = "ups", prefix: str = VOCODER) -> Placement:
    """Where a file stores a vocoder parameter. stacks: residual stacks of a stage; the file has one list of all."""
    if match := re.fullmatch(r"stages\.(\d+)\.stacks\.(\d+)\.(dilated|plain)\.(.*)", name):
        number = int(match[1]) * stacks + int(match[2])
        return Placement((f"{prefix}resblocks.{number}.{'convs1' if match[3] == 'dilated' else 'convs2'}.{match[4]}",))
    rules = [
        Rule("conv_in", "conv_pre"),
        Rule("conv_out", "conv_post"),
        Rule(r"stages\.(\d+)\.upsample", rf"{upsample}.\1"),
    ]
    return apply_rules(rules, name, prefix)


_LAYER = r"layers\.(\d+)"
_HF_LAYER = r"encoder.layer.\1"
ROBERTA_RULES = [
    Rule(r"embeddings\.words", "embeddings.word_embeddings"),
    Rule(r"embeddings\.positions", "embeddings.position_embeddings"),
    Rule(r"embeddings\.token_types", "embeddings.token_type_embeddings"),
    Rule(r"embeddings\.norm", "embeddings.LayerNorm"),
    Rule(_LAYER + r"\.(query|key|value)", _HF_LAYER + r".attention.self.\2"),
    Rule(_LAYER + r"\.attention_out", _HF_LAYER + ".attention.output.dense"),
    Rule(_LAYER + r"\.attention_norm", _HF_LAYER + ".attention.output.LayerNorm"),
    Rule(_LAYER + r"\.feed_forward_in", _HF_LAYER + ".intermediate.dense"),
    Rule(_LAYER + r"\.feed_forward_out", _HF_LAYER + ".output.dense"),
    Rule(_LAYER + r"\.feed_forward_norm", _HF_LAYER + ".output.LayerNorm"),
    Rule("pooler", "pooler.dense"),
]

_SWIN = r"stages\.(\d+)\.blocks\.(\d+)"
_HTSAT = r"layers.\1.blocks.\2"
HTSAT_RULES = [
    Rule("input_norm", "bn0"),
    Rule("patch_embed", "patch_embed.proj"),
    Rule("patch_norm", "patch_embed.norm"),
    Rule(_SWIN + r"\.(norm1|norm2)", _HTSAT + r".\3"),
    *[
        Rule(rf"{_SWIN}\.{layer}", _HTSAT + ".attn.qkv", chunk=i, num_chunks=3)
        for i, layer in enumerate(("query", "key", "value"))
    ],
    Rule(_SWIN + r"\.relative_bias", _HTSAT + ".attn.relative_position_bias_table"),
    Rule(_SWIN + r"\.attention_out", _HTSAT + ".attn.proj"),
    Rule(_SWIN + r"\.feed_forward_in", _HTSAT + ".mlp.fc1"),
    Rule(_SWIN + r"\.feed_forward_out", _HTSAT + ".mlp.fc2"),
    Rule(r"stages\.(\d+)\.downsample\.(norm|reduction)", r"layers.\1.downsample.\2"),
    Rule("norm", "norm"),
]

_T5_LAYER = r"encoder.block.\1.layer"
T5_RULES = [
    Rule("embedding", "shared"),
    Rule("relative_bias", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"),
    Rule(_LAYER + r"\.attention_norm", _T5_LAYER + ".0.layer_norm"),
    *[
        Rule(rf"{_LAYER}\.{ours}", f"{_T5_LAYER}.0.SelfAttention.{theirs}")
        for ours, theirs in (("query", "q"), ("key", "k"), ("value", "v"), ("attention_out", "o"))
    ],
    Rule(_LAYER + r"\.feed_forward_norm", _T5_LAYER + ".1.layer_norm"),
    *[
        Rule(rf"{_LAYER}\.{ours}", f"{_T5_LAYER}.1.DenseReluDense.{theirs}")
        for ours, theirs in (("gate", "wi_0"), ("up", "wi_1"), ("feed_forward_out", "wo"))
    ],
    Rule("norm", "encoder.final_layer_norm"),
]

# The phoneme encoder has a list for each kind of layer; the linear layers of its attention are convolutions of size 1.
_SPEECH = "text_encoder.encoder."
PHONEME_RULES = [
    Rule("embedding", "text_encoder.emb"),
    Rule("positions", "learnable_positional_embedding"),
    *[
        Rule(rf"{_LAYER}\.{ours}", rf"{_SPEECH}attn_layers.\1.{theirs}", trailing=1)
        for ours, theirs in (("query", "conv_q"), ("key", "conv_k"), ("value", "conv_v"), ("attention_out", "conv_o"))
    ],
    Rule(_LAYER + r"\.relative_keys", _SPEECH + r"attn_layers.\1.emb_rel_k"),
    Rule(_LAYER + r"\.relative_values", _SPEECH + r"attn_layers.\1.emb_rel_v"),
    Rule(_LAYER + r"\.feed_forward_in", _SPEECH + r"ffn_layers.\1.conv_1"),
    Rule(_LAYER + r"\.feed_forward_out", _SPEECH + r"ffn_layers.\1.conv_2"),
    *[
        Rule(rf"{_LAYER}\.{ours}_norm\.{leaf}", rf"{_SPEECH}norm_layers_{number}.\1.{theirs}")
        for number, ours in ((1, "attention"), (2, "feed_forward"))
        for leaf, theirs in (("weight", "gamma"), ("bias", "beta"))
    ],
]

# GPT-2's linear layers are stored as (inputs, outputs).
GPT2_RULES = [
    Rule("positions", "wpe"),
    Rule(_LAYER + r"\.attention_norm", r"h.\1.ln_1"),
    Rule(_LAYER + r"\.qkv", r"h.\1.attn.c_attn", transposed=True),
    Rule(_LAYER + r"\.attention_out", r"h.\1.attn.c_proj", transposed=True),
    Rule(_LAYER + r"\.feed_forward_norm", r"h.\1.ln_2"),
    Rule(_LAYER + r"\.feed_forward_in", r"h.\1.mlp.c_fc", transposed=True),
    Rule(_LAYER + r"\.feed_forward_out", r"h.\1.mlp.c_proj", transposed=True),
    Rule("norm", "ln_f"),
]

LOA_TABLE_ROWS = 32  # rows in the tables of start and end tokens, of which the first two are used
LOA_RULES = [
    *[
        Rule(rf"{ours}_{i}", f"{theirs}_of_sequence_tokens.weight", chunk=i, num_chunks=LOA_TABLE_ROWS, row=True)
        for ours, theirs in (("sos", "start"), ("eos", "end"))
        for i in range(2)
    ],
    Rule(r"projections\.(\d+)", r"input_sequence_embed_linear.\1"),
]

# AudioMAE has the names of timm's Vision Transformer.
AUDIOMAE_RULES = [
    Rule("class_token", "cls_token"),
    Rule("positions", "pos_embed"),
    Rule("patch_embed", "patch_embed.proj"),
    Rule(_LAYER + r"\.attention_norm", r"blocks.\1.norm1"),
    *[
        Rule(rf"{_LAYER}\.{layer}", r"blocks.\1.attn.qkv", chunk=i, num_chunks=3)
        for i, layer in enumerate(("query", "key", "value"))
    ],
    Rule(_LAYER + r"\.attention_out", r"blocks.\1.attn.proj"),
    Rule(_LAYER + r"\.feed_forward_norm", r"blocks.\1.norm2"),
    Rule(_LAYER + r"\.feed_forward_in", r"blocks.\1.mlp.fc1"),
    Rule(_LAYER + r"\.feed_forward_out", r"blocks.\1.mlp.fc2"),
    Rule("norm", "norm"),
]


def clap_placement(name: str, branch: str, rules: Sequence[Rule], prefix: str) -> Placement:
    """Where a file stores a parameter of CLAP's text or audio `branch`; the projection is outside the branch."""
    if match := re.fullmatch(r"projection_(in|out)\.(.*)", name):
        return Placement((f"{prefix}{branch}_projection.{0 if match[1] == 'in' else 2}.{match[2]}",))
    return apply_rules(rules, name, f"{prefix}{branch}_branch.")


def t5_placements(name: str, prefix: str) -> list[Placement]:
    """Where a file may store a FLAN-T5 parameter: the embedding has two keys, and a file may have either."""
    placement = apply_rules(T5_RULES, name, prefix)
    if name == "embedding.weight":
        return [placement, Placement((f"{prefix}encoder.embed_tokens.weight",))]
    return [placement]


def layout(config: ModelConfig, ema: bool = False) -> Callable[[str, str], Sequence[Placement]]:
    """The published layout of a checkpoint of `config`. ema: with the moving average of the UNet's weights."""
    loa = "cond_stage_models.0." if config.loa else ""
    # Files have several copies of the text encoders. Those inside the LOA module, if any, condition the diffusion.
    # AudioLDM 1 has one CLAP, which conditions and ranks.
    clap_prefixes = [f"{loa}cond_stage_models.0.model."] if config.loa or config.unet.film_dim else []
    ranking_clap = RANKING_CLAP
    if config.unet.is_audioldm1:
        clap_prefixes, ranking_clap = [], AUDIOLDM1_CLAP
    t5_prefixes = (["cond_stage_models.0.cond_stage_models.1.model."] if config.loa else []) + [
        f"cond_stage_models.{1 if config.loa else 0}.model."
    ]
    vae_levels = len(config.vae.channel_mult)
    sides = {"vae_encoder": vae_rules("encoder", vae_levels), "vae_decoder": vae_rules("decoder", vae_levels)}

    def placements(network: str, name: str) -> Sequence[Placement]:
        if network == "unet":
            placement = unet_placement(config.unet, name)
            return [ema_placement(placement) if ema else placement]
        if network in sides:
            return [apply_rules(sides[network], name, VAE)]
        if network == "vocoder":
            return [vocoder_placement(name, len(config.vocoder.resblock_kernels))]
        if network == "clap_text":
            return [clap_placement(name, "text", ROBERTA_RULES, p) for p in (*clap_prefixes, ranking_clap)]
        if network == "clap_audio":
            return [clap_placement(name, "audio", HTSAT_RULES, p) for p in (ranking_clap, *clap_prefixes)]
        if network == "flan_t5":
            return [placement for prefix in t5_prefixes for placement in t5_placements(name, prefix)]
        if network == "phoneme_encoder":
            return [apply_rules(PHONEME_RULES, name, PHONEMES)]
        if network == "gpt2":
            return [apply_rules(GPT2_RULES, name, f"{loa}model.")]
        if network == "audiomae":
            return [apply_rules(AUDIOMAE_RULES, name, AUDIOMAE)]
        assert network == "loa", network
        return [apply_rules(LOA_RULES, name, loa)]

    return placements


# Tensors of the published files that generation does not use: schedules that follow from the configuration, fixed
# transforms, position tables, the moving average of the UNet, the classification heads of CLAP and the phoneme encoder,
# AudioMAE's decoder, and all of AudioMAE in files that lack its encoder.
IGNORED = re.compile(
    r"logvar|scale_factor|(log_|sqrt_)*(betas|one_minus_.*|alphas_cumprod.*|recip.*)|posterior_.*|lvlb_weights"
    r"|(.*\.)?ddim_\w+"  # of a sampler that was saved with the model
    r"|model_ema\..*"
    r"|first_stage_model\.loss\..*"
    r"|.*\.(position_ids|relative_position_index|attn_mask|num_batches_tracked)"
    r"|.*mel_transform\..*|.*\.(spectrogram_extractor|logmel_extractor|tscam_conv|head|audio_transform|text_transform)\..*"
    r"|.*\.logit_scale_[at]"
    r"|cond_stage_models\.0\.model\.wte\.weight"
    r"|cond_stage_models\.0\.cond_stage_models\.1\.text_encoder\.proj\..*"
    r"|cond_stage_models\.0\.cond_stage_models\.2\.audiomae\..*"
)
# With the moving average, the UNet itself is not used.
IGNORED_WITH_EMA = re.compile(IGNORED.pattern + r"|model\.diffusion_model\..*")
