"""The fields of a diffusers folder's configuration files that are not sizes: what each must be, or that it is harmless.

Every field is read by `diffusers_config`, or has values here with which the network computes what ours does, or is
known to change nothing; any other field is an error unless it is off (null or false).
Source: the configuration classes of diffusers 0.20 to 0.42 and transformers 4.30 to 5.23.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppaudioldm.config import short
from ppaudioldm.diffusion.schedule import LCM_TIMESTEPS
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.components import AUDIOLDM1_PIPELINE

# Of transformers' configurations: training, text generation, and how the files were written.
_HARMLESS = (
    "architectures torch_dtype dtype return_dict output_hidden_states output_attentions use_cache id2label"
    " label2id problem_type chunk_size_feed_forward is_encoder_decoder is_decoder cross_attention_hidden_size"
    " tie_encoder_decoder tie_word_embeddings finetuning_task tokenizer_class prefix pruned_heads bos_token_id"
    " eos_token_id pad_token_id sep_token_id decoder_start_token_id task_specific_params min_length max_length"
    " do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p"
    " repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids"
    " num_return_sequences output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id"
    " remove_invalid_values suppress_tokens begin_suppress_tokens exponential_decay_length_penalty torchscript"
    " use_bfloat16 tf_legacy_loss transformers_version initializer_range initializer_factor attn_implementation"
)


@dataclass(frozen=True)
class Fields:
    """What may stand in one configuration file.

    used: fields that `diffusers_config` reads. harmless: those that change nothing that is computed, or only repeat
    what the shapes of the tensors show. fixed: field -> the values that are supported.
    """

    used: str
    harmless: str = ""
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def check_values(self, values: Mapping[str, Any], where: str) -> None:
        """Raise CheckpointError for the first field with a value that is not supported; `where` names the file."""
        for name, value in values.items():
            if name in self.fixed and not any(_equal(value, allowed) for allowed in self.fixed[name]):
                expected = " or ".join(json.dumps(allowed) for allowed in self.fixed[name])
                raise CheckpointError(f"{where}: {name} is {_value(value)}, expected {expected}")

    def check_names(self, values: Mapping[str, Any], where: str) -> None:
        """Raise CheckpointError for the first unknown field that is on; those that begin with _ are notes."""
        known = {*self.used.split(), *self.harmless.split(), *_HARMLESS.split(), *self.fixed}
        for name, value in values.items():
            if name not in known and not name.startswith("_") and value is not None and value is not False:
                raise CheckpointError(f"{where}: {short(name)} is {_value(value)}, a field that is not supported")


def _equal(value: Any, allowed: Any) -> bool:
    """Whether they are the same in JSON, where true is not 1; a list may repeat one value."""
    if isinstance(value, list) and value and not isinstance(allowed, list):
        return all(not isinstance(entry, list) and _equal(entry, allowed) for entry in value)
    return isinstance(value, bool) == isinstance(allowed, bool) and bool(value == allowed)


def _value(value: Any) -> str:
    return repr(value) if isinstance(value, list) and len(repr(value)) <= 100 else short(value)


SILU = ("silu", "swish")  # two names of one function
UNET = Fields(
    used="in_channels block_out_channels layers_per_block down_block_types cross_attention_dim attention_head_dim"
    " transformer_layers_per_block",
    harmless="sample_size out_channels up_block_types upcast_attention dropout",
    fixed={
        "_class_name": ("AudioLDM2UNet2DConditionModel",),
        "act_fn": SILU,
        "norm_num_groups": (32,),
        "norm_eps": (1e-5,),
        "flip_sin_to_cos": (True,),
        "freq_shift": (0,),
        "downsample_padding": (1,),
        "mid_block_type": ("UNetMidBlock2DCrossAttn",),
        "mid_block_scale_factor": (1,),
        "resnet_time_scale_shift": ("default",),
        "time_embedding_type": ("positional",),
        "conv_in_kernel": (3,),
        "conv_out_kernel": (3,),
    },
)
# Of AudioLDM 1: attention is to the features themselves, whose widths cross_attention_dim repeats.
AUDIOLDM1_UNET = replace(
    UNET,
    used=f"{UNET.used} projection_class_embeddings_input_dim",
    fixed={
        **UNET.fixed,
        "_class_name": ("UNet2DConditionModel",),
        "class_embed_type": ("simple_projection",),
        "class_embeddings_concat": (True,),
    },
)
VAE = Fields(
    used="block_out_channels layers_per_block latent_channels scaling_factor",
    harmless="sample_size in_channels out_channels force_upcast",
    fixed={
        "_class_name": ("AutoencoderKL",),
        "act_fn": SILU,
        "norm_num_groups": (32,),
        "down_block_types": ("DownEncoderBlock2D",),
        "up_block_types": ("UpDecoderBlock2D",),
        "shift_factor": (None, 0),
        "use_quant_conv": (True,),
        "use_post_quant_conv": (True,),
        "mid_block_add_attention": (True,),
    },
)
VOCODER = Fields(
    used="model_in_dim sampling_rate upsample_rates upsample_kernel_sizes upsample_initial_channel"
    " resblock_kernel_sizes resblock_dilation_sizes",
    fixed={
        "model_type": ("hifigan", "speecht5_hifigan"),
        "leaky_relu_slope": (0.1,),
        "normalize_before": (False,),
    },
)
CLAP = Fields(
    used="text_config audio_config",
    harmless="projection_dim hidden_size num_hidden_layers logit_scale_init_value",
    fixed={"model_type": ("clap",), "projection_hidden_act": ("relu",)},
)
CLAP_TEXT = Fields(
    used="vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings"
    " pad_token_id projection_dim",
    harmless="type_vocab_size hidden_dropout_prob attention_probs_dropout_prob classifier_dropout fusion_hidden_size"
    " fusion_num_hidden_layers",
    fixed={
        "model_type": ("clap_text_model", "roberta"),
        "hidden_act": ("gelu",),
        "projection_hidden_act": ("relu",),
        "position_embedding_type": ("absolute",),
        # Files inherit 1e-12, the default of transformers' class. RoBERTa was trained with 1e-5, which is used here and
        # in the original: its embeddings differ by 4e-6.
        "layer_norm_eps": (1e-5, 1e-12),
    },
)
CLAP_AUDIO = Fields(
    used="spec_size num_mel_bins patch_size patch_embeds_hidden_size depths num_attention_heads window_size"
    " projection_dim patch_stride",
    harmless="hidden_size num_hidden_layers num_classes fusion_type aff_block_r drop_path_rate hidden_dropout_prob"
    " attention_probs_dropout_prob projection_hidden_size",
    fixed={
        "model_type": ("clap_audio_model",),
        "hidden_act": ("gelu",),
        "projection_hidden_act": ("relu",),
        "enable_fusion": (False,),
        "patch_embed_input_channels": (1,),
        "flatten_patch_embeds": (True,),
        "enable_patch_layer_norm": (True,),
        "qkv_bias": (True,),
        "mlp_ratio": (4,),
        "layer_norm_eps": (1e-5,),
    },
)
T5 = Fields(
    used="model_type vocab_size d_model num_layers num_heads d_kv d_ff relative_attention_num_buckets"
    " relative_attention_max_distance",
    harmless="num_decoder_layers dropout_rate classifier_dropout n_positions output_past scale_decoder_outputs",
    fixed={
        "feed_forward_proj": ("gated-gelu",),
        "dense_act_fn": ("gelu_new",),
        "is_gated_act": (True,),
        "layer_norm_epsilon": (1e-6,),
    },
)
# A VitsModel is a whole text-to-speech model: only its text encoder is used.
VITS = Fields(
    used="model_type vocab_size hidden_size num_hidden_layers num_attention_heads ffn_dim window_size",
    harmless="layerdrop hidden_dropout attention_dropout activation_dropout flow_size spectrogram_bins"
    " use_stochastic_duration_prediction num_speakers speaker_embedding_size upsample_initial_channel upsample_rates"
    " upsample_kernel_sizes resblock_kernel_sizes resblock_dilation_sizes leaky_relu_slope depth_separable_channels"
    " depth_separable_num_layers duration_predictor_flow_bins duration_predictor_tail_bound"
    " duration_predictor_kernel_size duration_predictor_dropout duration_predictor_num_flows"
    " duration_predictor_filter_channels prior_encoder_num_flows prior_encoder_num_wavenet_layers"
    " posterior_encoder_num_wavenet_layers wavenet_kernel_size wavenet_dilation_rate wavenet_dropout speaking_rate"
    " noise_scale noise_scale_duration sampling_rate",
    fixed={"hidden_act": ("relu",), "ffn_kernel_size": (3,), "layer_norm_eps": (1e-5,), "use_bias": (True,)},
)
GPT2 = Fields(
    used="n_embd n_layer n_head n_positions max_new_tokens n_inner",
    harmless="vocab_size n_ctx resid_pdrop embd_pdrop attn_pdrop summary_type summary_use_proj summary_activation"
    " summary_proj_to_labels summary_first_dropout reorder_and_upcast_attn",
    fixed={
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of one function
        "layer_norm_epsilon": (1e-5,),
        "scale_attn_weights": (True,),
    },
)
PROJECTION = Fields(
    used="text_encoder_dim text_encoder_1_dim langauge_model_dim language_model_dim max_seq_length",
    harmless="use_learned_position_embedding",
    fixed={"_class_name": ("AudioLDM2ProjectionModel",)},
)
# The noise schedule is the checkpoint's; the sampler, with its steps, is chosen with every generation, but for that of
# a latent consistency model.
SCHEDULER = Fields(
    used="num_train_timesteps beta_start beta_end",
    harmless="set_alpha_to_one steps_offset timestep_spacing skip_prk_steps clip_sample_range sample_max_value"
    " dynamic_thresholding_ratio solver_order algorithm_type solver_type lower_order_final euler_at_final"
    " use_karras_sigmas use_exponential_sigmas use_beta_sigmas use_lu_lambdas final_sigmas_type lambda_min_clipped"
    " variance_type timestep_type interpolation_type flow_shift time_shift_type predict_x0 disable_corrector solver_p"
    " sigma_min sigma_max shift_terminal",
    fixed={
        "prediction_type": ("epsilon", "v_prediction"),
        "beta_schedule": ("scaled_linear",),
        "clip_sample": (False,),
        "thresholding": (False,),
        "rescale_betas_zero_snr": (False,),
        "trained_betas": (None,),
        "original_inference_steps": (LCM_TIMESTEPS,),
        "timestep_scaling": (10.0,),
    },
)
# Candidates are ranked with the spectrogram of the original implementation, whatever bounds a file gives in Hz.
FEATURE_EXTRACTOR = Fields(
    used="",
    harmless="feature_extractor_type processor_class padding_value padding_side return_attention_mask truncation"
    " padding nb_frequency_bins nb_max_samples frequency_min frequency_max",
    fixed={
        "feature_size": (64,),
        "sampling_rate": (48000,),
        "hop_length": (480,),
        "fft_window_size": (1024,),
        "max_length_s": (10,),
    },
)
PIPELINES = ("AudioLDM2Pipeline", AUDIOLDM1_PIPELINE)


Files = Mapping[str, Mapping[str, Any]]  # path inside a diffusers folder -> content of that configuration file


def check_values(folder: Path, files: Files) -> None:
    """Raise CheckpointError for the first field in `files` with which a network would compute something else."""
    for fields, values, where in _each(folder, files):
        fields.check_values(values, where)
    clap, gpt2 = files["text_encoder/config.json"], files.get("language_model/config.json", {})
    if isinstance(width := gpt2.get("n_embd"), int):
        _check_same(folder / "language_model/config.json", "n_inner", gpt2.get("n_inner"), 4 * width)
    unet = files["unet/config.json"]
    if _is_audioldm1(files):
        widths = unet.get("block_out_channels")
        _check_same(folder / "unet/config.json", "cross_attention_dim", unet.get("cross_attention_dim"), widths)
    if isinstance(audio := clap.get("audio_config"), dict):
        stride = audio.get("patch_stride")
        stride = stride[0] if isinstance(stride, list) and stride[1:] == stride[:1] else stride
        _check_same(folder / "text_encoder/config.json", "patch_stride", stride, audio.get("patch_size", 4))


def check_names(folder: Path, files: Files) -> None:
    """Raise CheckpointError for the first field in `files` that is unknown and on."""
    for fields, values, where in _each(folder, files):
        fields.check_names(values, where)


def _each(folder: Path, files: Files) -> Iterator[tuple[Fields, Mapping[str, Any], str]]:
    if _is_audioldm1(files):
        for name, fields in AUDIOLDM1_FIELDS.items():
            yield fields, files[name], str(folder / name)
        return
    second = T5 if files["text_encoder_2/config.json"].get("model_type") == "t5" else VITS
    for name, fields in {**FIELDS, "text_encoder_2/config.json": second}.items():
        yield fields, files.get(name, {}), str(folder / name)
    for part, fields in (("text_config", CLAP_TEXT), ("audio_config", CLAP_AUDIO)):
        if isinstance(inner := files["text_encoder/config.json"].get(part), dict):
            yield fields, inner, f"{folder / 'text_encoder/config.json'}: {part}"


FIELDS = {
    "unet/config.json": UNET,
    "vae/config.json": VAE,
    "vocoder/config.json": VOCODER,
    "text_encoder/config.json": CLAP,
    "language_model/config.json": GPT2,
    "projection_model/config.json": PROJECTION,
    "scheduler/scheduler_config.json": SCHEDULER,
    "feature_extractor/preprocessor_config.json": FEATURE_EXTRACTOR,
}


AUDIOLDM1_FIELDS = {
    "unet/config.json": AUDIOLDM1_UNET,
    "vae/config.json": VAE,
    "vocoder/config.json": VOCODER,
    "text_encoder/config.json": CLAP_TEXT,
    "scheduler/scheduler_config.json": SCHEDULER,
}


def _is_audioldm1(files: Files) -> bool:
    """AudioLDM 1's folders have one text encoder."""
    return "text_encoder_2/config.json" not in files


def check_pipeline(index: Mapping[str, Any], folder: Path) -> None:
    """Raise CheckpointError unless `index`, the model_index.json of `folder`, is that of AudioLDM 1 or 2."""
    pipeline = index.get("_class_name", PIPELINES[0])
    if pipeline not in PIPELINES:
        expected = " or ".join(map(repr, PIPELINES))
        raise CheckpointError(f"{folder}: a diffusers folder of {short(pipeline)}, expected {expected}")


def _check_same(file: Path, name: str, value: Any, expected: Any) -> None:
    if value is not None and value != expected:
        raise CheckpointError(f"{file}: {name} is {_value(value)}, expected {short(expected)}")
