"""The layout of a diffusers folder: a sub-folder for each component, with a config.json and weights.

Its config.json files are read in `diffusers_config`. Keys here begin with the sub-folder: `unet/conv_in.weight`.
Source: key names of diffusers' AudioLDM2Pipeline and AudioLDMPipeline (0.20 to 0.42) and of transformers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.weights.components import COMPONENTS
from ppaudioldm.weights.mapping import Placement, Rule, apply_rules
from ppaudioldm.weights.original import GPT2_RULES, ROBERTA_RULES, T5_RULES, TRANSFORMER_RULES, vocoder_placement
from ppaudioldm.weights.safetensors_files import read_weights_folder
from ppaudioldm.weights.tensors import LazyTensor
from ppaudioldm.weights.weight_norm import without_weight_norm

WEIGHT_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")

RESNET = {"emb_proj": "time_emb_proj", "shortcut": "conv_shortcut"}
UNET_RULES = [
    Rule("time_in", "time_embedding.linear_1"),
    Rule("time_out", "time_embedding.linear_2"),
    Rule("film", "class_embedding"),
    # Of ConsistencyTTA, whose UNet is none of diffusers', but for this.
    Rule("guidance", "guidance_proj"),
    Rule("guidance_in", "guidance_embedding.linear_1"),
    Rule("guidance_out", "guidance_embedding.linear_2"),
    Rule("(conv_in|conv_out)", r"\1"),
    Rule("norm_out", "conv_norm_out"),
]
# As Stable Diffusion 2 has it, with linear layers in place of convolutions of size 1.
LINEAR_TRANSFORMER_RULES = [Rule(r"(proj_in|proj_out)", r"\1"), *TRANSFORMER_RULES]


def unet_placement(config: UNetConfig, name: str) -> Placement:
    """Where diffusers stores a UNet parameter: all transformers of a level are in one list."""
    transformers_per_resnet = len(config.transformer_dims)
    rules = LINEAR_TRANSFORMER_RULES if config.transformers == "tango" else TRANSFORMER_RULES
    if match := re.fullmatch(r"(down|up)_levels\.(\d+)\.(resnets|transformers)\.(\d+)\.(.*)", name):
        block = f"unet/{match[1]}_blocks.{match[2]}."
        if match[3] == "resnets":
            return _resnet(f"{block}resnets.{match[4]}.", match[5])
        return _transformer(block, int(match[4]) * transformers_per_resnet, match[5], rules)
    if match := re.fullmatch(r"middle\.(resnet_in|transformers|resnet_out)\.(.*)", name):
        if match[1] == "transformers":
            return _transformer("unet/mid_block.", 0, match[2], rules)
        return _resnet(f"unet/mid_block.resnets.{0 if match[1] == 'resnet_in' else 1}.", match[2])
    if match := re.fullmatch(r"(down|up)_levels\.(\d+)\.(down|up)sample\.(.*)", name):
        return Placement((f"unet/{match[1]}_blocks.{match[2]}.{match[1]}samplers.0.conv.{match[4]}",))
    return apply_rules(UNET_RULES, name, "unet/")


def _resnet(place: str, rest: str) -> Placement:
    layer, _, leaf = rest.partition(".")
    return Placement((f"{place}{RESNET.get(layer, layer)}.{leaf}",))


def _transformer(block: str, first: int, rest: str, rules: Sequence[Rule]) -> Placement:
    _, number, rest = rest.split(".", 2)  # layers.N.rest
    return apply_rules(rules, rest, f"{block}attentions.{first + int(number)}.")


_VAE_RESNET = r"(norm1|conv1|norm2|conv2)"


def vae_placements(side: str, name: str) -> list[Placement]:
    """Where diffusers stores a parameter of the `encoder` or `decoder`; its attention layers were renamed once."""
    way, quant = ("down", "quant_conv") if side == "encoder" else ("up", "post_quant_conv")
    mid = f"{side}.mid_block."
    rules = [
        Rule(quant, quant),
        Rule("(conv_in|conv_out)", rf"{side}.\1"),
        Rule("norm_out", f"{side}.conv_norm_out"),
        Rule(rf"middle\.resnet_in\.{_VAE_RESNET}", mid + r"resnets.0.\1"),
        Rule(rf"middle\.resnet_out\.{_VAE_RESNET}", mid + r"resnets.1.\1"),
        Rule(r"middle\.attention\.norm", mid + "attentions.0.group_norm"),
        Rule(rf"levels\.(\d+)\.resnets\.(\d+)\.{_VAE_RESNET}", rf"{side}.{way}_blocks.\1.resnets.\2.\3"),
        Rule(r"levels\.(\d+)\.resnets\.(\d+)\.shortcut", rf"{side}.{way}_blocks.\1.resnets.\2.conv_shortcut"),
        Rule(r"levels\.(\d+)\.resample\.conv", rf"{side}.{way}_blocks.\1.{way}samplers.0.conv"),
    ]
    match = re.match(r"middle\.attention\.(query|key|value|out)\.", name)
    if not match:
        return [apply_rules(rules, name, "vae/")]
    new, old = {
        "query": ("to_q", "query"),
        "key": ("to_k", "key"),
        "value": ("to_v", "value"),
        "out": ("to_out.0", "proj_attn"),
    }[match[1]]
    leaf = name.rpartition(".")[2]
    return [Placement((f"vae/{mid}attentions.0.{layer}.{leaf}",)) for layer in (new, old)]


_SWIN = r"stages\.(\d+)\.blocks\.(\d+)"
_HTSAT = r"layers.\1.blocks.\2"
HTSAT_RULES = [
    Rule("input_norm", "batch_norm"),
    Rule("patch_embed", "patch_embed.proj"),
    Rule("patch_norm", "patch_embed.norm"),
    Rule(_SWIN + r"\.norm1", _HTSAT + ".layernorm_before"),
    Rule(_SWIN + r"\.norm2", _HTSAT + ".layernorm_after"),
    Rule(_SWIN + r"\.(query|key|value)", _HTSAT + r".attention.self.\3"),
    Rule(_SWIN + r"\.relative_bias", _HTSAT + ".attention.self.relative_position_bias_table"),
    Rule(_SWIN + r"\.attention_out", _HTSAT + ".attention.output.dense"),
    Rule(_SWIN + r"\.feed_forward_in", _HTSAT + ".intermediate.dense"),
    Rule(_SWIN + r"\.feed_forward_out", _HTSAT + ".output.dense"),
    Rule(r"stages\.(\d+)\.downsample\.(norm|reduction)", r"layers.\1.downsample.\2"),
    Rule("norm", "norm"),
]
_LAYER = r"layers\.(\d+)"
_VITS = r"encoder.layers.\1"
PHONEME_RULES = [
    Rule("embedding", "embed_tokens"),
    *[
        Rule(rf"{_LAYER}\.{ours}", f"{_VITS}.attention.{theirs}")
        for ours, theirs in (
            ("query", "q_proj"),
            ("key", "k_proj"),
            ("value", "v_proj"),
            ("attention_out", "out_proj"),
            ("relative_keys", "emb_rel_k"),
            ("relative_values", "emb_rel_v"),
        )
    ],
    Rule(_LAYER + r"\.attention_norm", _VITS + ".layer_norm"),
    Rule(_LAYER + r"\.feed_forward_in", _VITS + ".feed_forward.conv_1"),
    Rule(_LAYER + r"\.feed_forward_out", _VITS + ".feed_forward.conv_2"),
    Rule(_LAYER + r"\.feed_forward_norm", _VITS + ".final_layer_norm"),
]
LOA_RULES = [
    Rule("(sos|eos)_0", r"\1_embed"),
    Rule("(sos|eos)_1", r"\1_embed_1"),
    Rule(r"projections\.0", "projection"),
    Rule(r"projections\.1", "projection_1"),
]


def _clap_placement(name: str, branch: str, rules: Sequence[Rule], inside: str) -> Placement:
    if match := re.fullmatch(r"projection_(in|out)\.(.*)", name):
        return Placement((f"text_encoder/{branch}_projection.linear{1 if match[1] == 'in' else 2}.{match[2]}",))
    return apply_rules(rules, name, f"text_encoder/{inside}.")


def layout(config: ModelConfig) -> Callable[[str, str], Sequence[Placement]]:
    """The diffusers layout of a checkpoint of `config`."""

    def placements(network: str, name: str) -> Sequence[Placement]:
        if network == "unet":
            return [unet_placement(config.unet, name)]
        if network in ("vae_encoder", "vae_decoder"):
            return vae_placements(network.removeprefix("vae_"), name)
        if network == "vocoder":
            return [vocoder_placement(name, len(config.vocoder.resblock_kernels), "upsampler", "vocoder/")]
        if network == "clap_text":
            return [_clap_placement(name, "text", ROBERTA_RULES, "text_model")]
        if network == "clap_audio":
            return [_clap_placement(name, "audio", HTSAT_RULES, "audio_model.audio_encoder")]
        if network == "flan_t5":
            placement = apply_rules(T5_RULES, name, "text_encoder_2/")
            tied = Placement(("text_encoder_2/encoder.embed_tokens.weight",))
            return [placement, tied] if name == "embedding.weight" else [placement]
        if network == "phoneme_encoder":
            if name == "positions":  # diffusers adds them where it concatenates the conditioning sequences
                return [Placement(("projection_model/learnable_positional_embedding",))]
            return [apply_rules(PHONEME_RULES, name, "text_encoder_2/text_encoder.")]
        if network == "gpt2":  # a GPT2Model, or re-saved as a GPT2LMHeadModel
            return [apply_rules(GPT2_RULES, name, f"language_model/{prefix}") for prefix in ("", "transformer.")]
        if network == "audiomae":  # diffusers generates from text only
            return []
        assert network == "loa", network
        return [apply_rules(LOA_RULES, name, "projection_model/")]

    return placements


# Tensors that generation does not use. A VitsModel is a whole text-to-speech model: only its text encoder is used.
IGNORED = re.compile(
    r"text_encoder/logit_scale_[at]"
    r"|.*\.(position_ids|token_type_ids|relative_position_index|attn_mask|num_batches_tracked)"
    r"|vocoder/(mean|scale)"
    r"|text_encoder_2/(text_encoder\.project|flow|decoder|posterior_encoder|duration_predictor|embed_speaker)\..*"
    r"|language_model/(transformer\.)?(wte\.weight|h\.\d+\.attn\.(bias|masked_bias))|language_model/lm_head\.weight"
)


def read_folder(folder: Path) -> dict[str, LazyTensor]:
    """Every tensor of the components in `folder`, under `component/key`."""
    tensors: dict[str, LazyTensor] = {}
    for component in COMPONENTS:
        if (folder / component).is_dir():
            found = read_weights_folder(folder / component, WEIGHT_STEMS)
            tensors.update({f"{component}/{key}": tensor for key, tensor in found.items()})
    return without_weight_norm(tensors)
