from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import ModelConfig
from ppaudioldm.weights.config_check import check_config
from tests.weights.examples import error_of

FULL = CHECKPOINTS["audioldm2-full"].config


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_published_configuration_fits_and_survives_json(name):
    config = CHECKPOINTS[name].config
    check_config(config)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_derived_figures():
    assert (FULL.sample_rate, FULL.latent_bands, FULL.samples_per_latent) == (16000, 16, 640)
    assert (FULL.unet.downsampling, FULL.vae.downsampling, FULL.vocoder.hop_length) == (8, 4, 160)
    high = CHECKPOINTS["audioldm_48k"].config
    assert (high.sample_rate, high.latent_bands, high.samples_per_latent) == (48000, 32, 3840)
    assert FULL.contexts == ("loa", "flan_t5") and high.contexts == ()
    assert CHECKPOINTS["audioldm2-speech-gigaspeech"].config.contexts == ("loa",)
    assert CHECKPOINTS["audioldm_16k_crossattn_t5"].config.contexts == ("flan_t5",)


@pytest.mark.parametrize(
    "values, message",
    [
        (None, "config: expected an object, got null"),
        ([1], "config: expected an object, got a list"),
        ({"unett": {}}, "config: unknown field 'unett', allowed: .*unet"),
        ({"unet": {"x\n" * 500: 1}}, "config.unet: unknown field"),
        ({"unet": None}, "config.unet: expected an object, got null"),
        ({"unet": {"in_channels": "8"}}, "config.unet.in_channels: expected an integer, got '8'"),
        ({"unet": {"in_channels": 8.0}}, "config.unet.in_channels: expected an integer, got 8.0"),
        ({"unet": {"in_channels": True}}, "config.unet.in_channels: expected an integer, got True"),
        (
            {"phoneme_encoder": {"with_embeddings": 1}},
            "config.phoneme_encoder.with_embeddings: expected true or false, got 1",
        ),
        ({"unet": {"in_channels": None}}, "config.unet.in_channels: expected an integer, got null"),
        ({"unet": {"in_channels": 10**4000}}, "config.unet.in_channels: expected an integer, got 1000"),
        ({"unet": {"channel_mult": 3}}, "config.unet.channel_mult: expected a list of integers, got 3"),
        ({"unet": {"channel_mult": [1, "2"]}}, "config.unet.channel_mult: expected a list of integers, got a list"),
        ({"unet": {"channel_mult": [[1] * 5] * 10**4}}, "expected a list of integers, got a list"),
        ({"vae": {"scale_factor": "1"}}, "config.vae.scale_factor: expected a number, got '1'"),
        ({"diffusion": {"prediction": 1}}, "config.diffusion.prediction: expected a string, got 1"),
        ({"loa": []}, "config.loa: expected an object, got a list"),
    ],
)
def test_bad_json(values, message):
    assert re.search(message, error_of(ModelConfig.from_dict, values))


def test_json_null_leaves_a_network_out():
    assert ModelConfig.from_dict({"flan_t5": None, "unet": {"film_dim": None}}).flan_t5 is None


WRONG = {
    # absurd sizes
    "unet.in_channels is 2147483648, expected 1 to 16384": {"unet": {"in_channels": 2**31}},
    "unet.in_channels is 0, expected 1 to 16384": {"unet": {"in_channels": 0}},
    "unet.in_channels is -8, expected 1 to 16384": {"unet": {"in_channels": -8}},
    "unet.num_res_blocks is 1000000, expected 1 to 16": {"unet": {"num_res_blocks": 10**6}},
    "unet.transformer_depth is 17, expected 1 to 16": {"unet": {"transformer_depth": 17}},
    "unet.channel_mult has 100000 entries, expected 1 to 8": {"unet": {"channel_mult": (1,) * 100_000}},
    "unet.channel_mult has 0 entries, expected 1 to 8": {"unet": {"channel_mult": ()}},
    "unet.channel_mult is null, expected 1 to 64": {"unet": {"channel_mult": (1, None)}},
    "unet.loa_frames is -1, expected 0 to 16384": {"unet": {"loa_frames": -1}},
    "unet.loa_bands is 16, expected 0 where unet.loa_frames is 0": {"unet": {"loa_bands": 16}},
    "unet.loa_bands is 8, but the bands of the latents is 16": {"unet": {"loa_bands": 8, "loa_frames": 4}},
    "unet.loa_frames is 4, expected 0 without LOA tokens": {
        "unet": {"loa_frames": 4, "context_dims": (1024,)},
        "loa": None,
        "gpt2": None,
        "audiomae": None,
    },
    "loa.duration_dim is 8, expected null without embeddings of phonemes": {"loa": {"duration_dim": 8}},
    "unet.context_dims has 9 entries": {"unet": {"context_dims": (None,) * 9}},
    "unet.attention_levels (1, 4) go beyond its 4 levels": {"unet": {"attention_levels": (1, 4)}},
    "the UNet has 5940 transformer blocks, expected at most 2048": {
        "unet": {"num_res_blocks": 16, "transformer_depth": 15}
    },
    "unet has 20480 channels, expected a multiple of 32 up to 16384": {"unet": {"model_channels": 4096}},
    "unet has 48 channels, expected a multiple of 32": {"unet": {"model_channels": 48}},
    "unet.model_channels is a list, expected": {"unet": {"model_channels": [1]}},
    "vae has 100 channels, expected a multiple of 32": {"vae": {"channels": 100}},
    "vae.scale_factor is nan, expected a positive number": {"vae": {"scale_factor": float("nan")}},
    "vae.scale_factor is inf, expected a positive number": {"vae": {"scale_factor": float("inf")}},
    "vae.scale_factor is 0.0, expected a positive number": {"vae": {"scale_factor": 0.0}},
    "vae.scale_factor is null, expected a positive number": {"vae": {"scale_factor": None}},
    "flan_t5.num_layers is 1000000, expected 1 to 128": {"flan_t5": {"num_layers": 10**6}},
    "flan_t5.vocab_size is 1000000000, expected 1 to 1048576": {"flan_t5": {"vocab_size": 10**9}},
    "flan_t5.relative_buckets is 30, which": {"flan_t5": {"relative_buckets": 30}},
    "flan_t5.relative_max_distance is 8, too near for 32": {"flan_t5": {"relative_max_distance": 8}},
    "clap_text.hidden_size is 768, which clap_text.num_heads (7) do not divide": {"clap_text": {"num_heads": 7}},
    "clap_text.pad_token_id 10 is none of 10 tokens": {"clap_text": {"pad_token_id": 10, "vocab_size": 10}},
    "clap_text.max_positions is 512, expected at least 514": {"clap_text": {"max_positions": 512}},
    "clap_audio.num_heads has 2 entries for 4 depths": {"clap_audio": {"num_heads": (4, 8)}},
    "clap_audio width of stage 1 is 256, which its heads (7)": {"clap_audio": {"num_heads": (4, 7, 8, 8)}},
    "clap_audio.window_size is 1024, expected 1 to 16": {"clap_audio": {"window_size": 1024}},
    "clap_audio has a map of 256, windows of 8": {"clap_audio": {"patch_size": 1}},
    "clap_audio.spec_size is 128, but its mel front-end's is 256": {"clap_audio": {"spec_size": 128}},
    "clap_audio.n_mels is 128, but its mel front-end's is 64": {"clap_audio": {"n_mels": 128}},
    "clap_audio.sample_rate is 16000, but its mel front-end's is 48000": {"clap_audio": {"sample_rate": 16000}},
    "vocoder.upsample_kernels (16, 16) do not cover": {"vocoder": {"upsample_kernels": (16, 16)}},
    "vocoder.upsample_kernels (4, 16, 8, 4, 4) do not cover vocoder.upsample_rates (5, 4, 2, 2, 2)": {
        "vocoder": {"upsample_kernels": (4, 16, 8, 4, 4)}
    },
    "vocoder.resblock_kernels are (3, 4), expected odd numbers": {"vocoder": {"resblock_kernels": (3, 4)}},
    "vocoder.initial_channels is 1000, which its halvings (32) do not divide": {"vocoder": {"initial_channels": 1000}},
    "vocoder.upsample_rates multiply to 65536, expected": {
        "vocoder": {"upsample_rates": (32, 32, 64), "upsample_kernels": (64, 64, 64)}
    },
    "vocoder.sample_rate is 10000000, expected 1 to 384000": {"vocoder": {"sample_rate": 10**7}},
    "diffusion.beta_start is nan, expected a positive number": {"diffusion": {"beta_start": float("nan")}},
    "diffusion.num_train_timesteps is 1000000000": {"diffusion": {"num_train_timesteps": 10**9}},
    "diffusion.prediction is null, expected a string": {"diffusion": {"prediction": None}},
    # networks that do not fit each other
    "unet.in_channels is 4, but vae.latent_channels is 8": {"unet": {"in_channels": 4}},
    "vocoder.n_mels is 80, but vae.n_mels is 64": {"vocoder": {"n_mels": 80}},
    "vae.n_mels is 80, which the halvings of VAE and UNet (32) do not divide": {
        "vocoder": {"n_mels": 80},
        "vae": {"n_mels": 80},
    },
    "unet.context_dims is (768,), but the width of ('loa', 'flan_t5') is (768, 1024)": {
        "unet": {"context_dims": (768,)}
    },
    "unet.context_dims is (768, 512), but": {"unet": {"context_dims": (768, 512)}},
    "unet.context_dims is (768, 1024), but the width of ('loa',) is (768,)": {"flan_t5": None},
    "unet.film_dim is 256, but the width of CLAP is 512": {"unet": {"film_dim": 256}},
    "clap_text.projection_dim is 256, but clap_audio.projection_dim is 512": {"clap_text": {"projection_dim": 256}},
    "loa.condition_dims is (512, 512), but the width of its conditions is (512, 1024)": {
        "loa": {"condition_dims": (512, 512)}
    },
    "loa.condition_dims is (512, 1024), but the width of its conditions is (None, 1024)": {"clap_text": None},
    "loa.hidden_size is 768, but gpt2.hidden_size is 1536": {"gpt2": {"hidden_size": 1536}},
    "loa.hidden_size is 768, but gpt2.hidden_size is None": {"gpt2": None},
    "loa.num_tokens is 1024, but gpt2.max_positions is 1024": {"loa": {"num_tokens": 1024}},
    "tokens of audiomae is 4, but loa.num_tokens is 8": {"audiomae": {"frames": 512}},
    "audiomae.n_mels is 64, but its filter bank's is 128": {"audiomae": {"n_mels": 64}},
    "audiomae.pooling is 0, expected 1 to 16384": {"audiomae": {"pooling": 0}},
    "audiomae.num_layers is 1000000, expected 1 to 128": {"audiomae": {"num_layers": 10**6}},
    "audiomae.hidden_size is 768, which audiomae.num_heads (7) do not divide": {"audiomae": {"num_heads": 7}},
    "audiomae.hidden_size is 384, but loa.hidden_size is 768": {"audiomae": {"hidden_size": 384}},
    "tokens of audiomae is 32, but loa.num_tokens is 8": {"audiomae": {"pooling": 4}},
}


@pytest.mark.parametrize("message, changes", WRONG.items(), ids=WRONG.keys())
def test_what_cannot_be(message, changes):
    networks = {name: values and replace(getattr(FULL, name), **values) for name, values in changes.items()}
    assert message in error_of(check_config, replace(FULL, **networks))


def test_phonemes_beyond_what_attention_can_hold():
    speech = CHECKPOINTS["audioldm2-speech-gigaspeech"].config
    assert speech.phoneme_encoder
    config = replace(speech, phoneme_encoder=replace(speech.phoneme_encoder, max_phonemes=16384))
    with pytest.raises(ValueError, match="phoneme_encoder.max_phonemes is 16384, expected 1 to 1024"):
        check_config(config)
