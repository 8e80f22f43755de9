"""The default configuration of every stage: that of the next built-in model.

The checkpoint `tiny` in the package, `checkpoints.TINY`, is an earlier and smaller one.
"""

from __future__ import annotations

from ppaudioldm.config import (
    AudioMAEConfig,
    ClapAudioConfig,
    ClapTextConfig,
    DiffusionConfig,
    GPT2Config,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    T5Config,
    UNetConfig,
    VAEConfig,
)

CLIP_SECONDS = 5.12
VOCABULARY = 2048  # tokens of either tokenizer: English words, and a token for each Chinese character
LOA_TOKENS = 16
AUDIOMAE = AudioMAEConfig(frames=512, hidden_size=128, num_layers=6, num_heads=4, pooling=4)
CLAP_AUDIO = ClapAudioConfig(patch_size=8, hidden_size=48, depths=(2, 2, 2), num_heads=(2, 4, 8), projection_dim=128)

# The networks of the joint stage, trained and frozen; the others are added by `assemble`.
MODEL = ModelConfig(
    # Latents of 64 x 8. Attention at the finest level would take as long as everything else.
    unet=UNetConfig(
        in_channels=16,
        model_channels=64,
        channel_mult=(1, 1, 2, 3),
        num_res_blocks=1,
        attention_levels=(1, 2, 3),
        context_dims=(128, 192),
        loa_frames=4,  # 64 latent frames, LOA_TOKENS tokens
        loa_bands=8,
    ),
    # 8 times down as audioldm_48k's: a quarter of the positions for the UNet.
    vae=VAEConfig(channels=32, channel_mult=(1, 2, 4, 4), latent_channels=16),
    vocoder=HifiGanConfig(initial_channels=256),
    clap_text=ClapTextConfig(VOCABULARY, 128, 2, 4, 256, 514, projection_dim=128),
    clap_audio=None,
    flan_t5=T5Config(VOCABULARY, 192, 4, 6, 32, 384),
    gpt2=GPT2Config(128, 4, 4, 256),
    loa=LoaConfig((128, 192), 128, LOA_TOKENS),
    audiomae=None,
    diffusion=DiffusionConfig(prediction="v", clip_seconds=CLIP_SECONDS),
)
