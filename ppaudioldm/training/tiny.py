"""The small model that is trained here and shipped: the published classes with 19 million parameters.

What is heard at once is 2.56 s: 256 mel frames, 64 latent frames, 8 LOA tokens.
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

CLIP_SECONDS = 2.56
VOCABULARY = 1024  # tokens of either tokenizer
WIDTH = 128  # of everything that the UNet listens to

# Only for training: the targets of LOA, and the branch of CLAP that listens.
AUDIOMAE = AudioMAEConfig(frames=256, hidden_size=WIDTH, num_layers=6, num_heads=4, pooling=4)
CLAP_AUDIO = ClapAudioConfig(patch_size=8, hidden_size=48, depths=(2, 2, 2), num_heads=(2, 4, 8), projection_dim=WIDTH)

MODEL = ModelConfig(
    # Attention to 64 positions and fewer: at 256 it would take as long as all the rest.
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 2, 3, 4),
        num_res_blocks=1,
        attention_levels=(2, 3),
        context_dims=(WIDTH, WIDTH),
    ),
    vae=VAEConfig(channels=32),
    vocoder=HifiGanConfig(initial_channels=256),
    clap_text=ClapTextConfig(VOCABULARY, WIDTH, 2, 4, 256, 514, projection_dim=WIDTH),
    clap_audio=None,
    flan_t5=T5Config(VOCABULARY, WIDTH, 4, 4, 32, 256),
    gpt2=GPT2Config(WIDTH, 4, 4, 256),
    loa=LoaConfig((WIDTH, WIDTH), WIDTH),
    diffusion=DiffusionConfig(prediction="v"),
)
