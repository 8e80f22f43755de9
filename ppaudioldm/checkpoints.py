"""The published checkpoints: address, configuration and licence of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ppaudioldm.config import (
    AUDIOLDM1_GUIDANCE,
    CONSISTENCYTTA_DIFFUSION,
    CONSISTENCYTTA_HEAD_DIM,
    AudioMAEConfig,
    ClapAudioConfig,
    ClapTextConfig,
    DiffusionConfig,
    GPT2Config,
    HifiGanConfig,
    LoaConfig,
    ModelConfig,
    PhonemeEncoderConfig,
    T5Config,
    UNetConfig,
    VAEConfig,
)

DEFAULT_CHECKPOINT = "tiny"
PUBLISHED_SPEECH_CHECKPOINT = "audioldm2-speech-gigaspeech"
LICENCE = "CC-BY-NC-SA-4.0"  # of the published weights: not for commercial use
CONSISTENCYTTA_LICENCE = "CC-BY-NC-ND-4.0"  # nor may what is derived from them be shared


@dataclass(frozen=True)
class CheckpointInfo:
    """One entry of CHECKPOINTS.

    layout: "original" (one file), "diffusers" (a folder), "consistencytta" (a folder of two files), "built-in" (comes
    with the package) or "random" (no files).
    """

    summary: str
    config: ModelConfig
    layout: str
    repo: str = ""  # on the Hugging Face hub
    filename: str = ""  # of "consistencytta" the folder
    zenodo: int | None = None  # the record on zenodo.org that has the file, where the hub has none
    licence: str = LICENCE
    download_gb: float = 0.0

    @property
    def download_bytes(self) -> float:
        """About as many as are downloaded."""
        return self.download_gb * 1e9


_FULL = ModelConfig(audiomae=AudioMAEConfig())
_LARGE = replace(_FULL, unet=UNetConfig(context_dims=(768, 1024, None), transformer_depth=2))
_SPEECH = replace(
    _FULL,
    unet=UNetConfig(context_dims=(768,)),
    flan_t5=None,
    phoneme_encoder=PhonemeEncoderConfig(),
    loa=LoaConfig(condition_dims=(512, 192), num_tokens=512),
    audiomae=AudioMAEConfig(pooling=1),
)
_T5_ONLY = replace(_FULL, unet=UNetConfig(context_dims=(1024,)), gpt2=None, loa=None, audiomae=None)
_48K = replace(
    _FULL,
    unet=UNetConfig(in_channels=16, context_dims=(None,), film_dim=512),
    vae=VAEConfig(channel_mult=(1, 2, 4, 8), latent_channels=16, n_mels=256),
    vocoder=HifiGanConfig(
        n_mels=256,
        sample_rate=48000,
        upsample_rates=(6, 5, 4, 2, 2),
        upsample_kernels=(12, 10, 8, 4, 4),
        initial_channels=1536,
        resblock_kernels=(3, 7, 11, 15),
    ),
    flan_t5=None,
    gpt2=None,
    loa=None,
    audiomae=None,
)
HTSAT_TINY = ClapAudioConfig(hidden_size=96, depths=(2, 2, 6, 2), short_input="repeated")
_AUDIOLDM1_S = replace(
    _FULL,
    unet=UNetConfig(context_dims=(), film_dim=512),
    clap_audio=HTSAT_TINY,
    diffusion=DiffusionConfig(guidance_scale=AUDIOLDM1_GUIDANCE),
    flan_t5=None,
    gpt2=None,
    loa=None,
    audiomae=None,
)
_AUDIOLDM1_M = replace(
    _AUDIOLDM1_S,
    unet=replace(_AUDIOLDM1_S.unet, model_channels=192),
    clap_audio=ClapAudioConfig(short_input="repeated"),
)
_AUDIOLDM1_L = replace(_AUDIOLDM1_S, unet=replace(_AUDIOLDM1_S.unet, model_channels=256, head_dim=64))

_CONSISTENCYTTA = replace(
    _FULL,
    unet=UNetConfig(
        model_channels=256,
        channel_mult=(1, 2, 4, 4),
        attention_levels=(0, 1, 2),
        head_dim=CONSISTENCYTTA_HEAD_DIM,
        context_dims=(1024,),
        transformers="tango",
        guidance_dim=1024,
    ),
    clap_text=None,
    clap_audio=None,
    flan_t5=T5Config(max_tokens=512),
    gpt2=None,
    loa=None,
    audiomae=None,
    diffusion=CONSISTENCYTTA_DIFFUSION,
)

# The same classes with 18 million parameters, trained by `training/` and shipped with the package. All conditions of
# the UNet are 128 wide; a clip of training lasts 2.56 s: 256 mel frames, 64 latent frames, 8 LOA tokens.
TINY = ModelConfig(
    # Attention only at the levels of 64 positions and fewer: at that of 256 it would take as long as everything else.
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 2, 3, 4),
        num_res_blocks=1,
        attention_levels=(2, 3),
        context_dims=(128, 128),
    ),
    vae=VAEConfig(channels=32),
    vocoder=HifiGanConfig(initial_channels=256, method="griffin-lim"),
    clap_text=ClapTextConfig(1024, 128, 2, 4, 256, 514, projection_dim=128),
    clap_audio=ClapAudioConfig(patch_size=8, hidden_size=48, depths=(2, 2, 2), num_heads=(2, 4, 8), projection_dim=128),
    flan_t5=T5Config(1024, 128, 4, 4, 32, 256),
    gpt2=GPT2Config(128, 4, 4, 256),
    loa=LoaConfig((128, 128), 128),
    audiomae=AudioMAEConfig(frames=256, hidden_size=128, num_layers=6, num_heads=4, pooling=4),
    diffusion=DiffusionConfig(prediction="v", clip_seconds=2.56),
)

# Those of the published speech checkpoints with 20 million parameters: phonemes -> GPT-2 -> LOA tokens -> UNet, which
# attends to nothing but the tokens, one for each latent frame. recipes/tiny-speech.toml trains it.
TINY_SPEECH = ModelConfig(
    unet=UNetConfig(
        in_channels=16,
        model_channels=64,
        channel_mult=(1, 1, 2, 2),
        num_res_blocks=1,
        attention_levels=(1,),
        context_dims=(256,),
        loa_frames=1,
        loa_bands=8,
    ),
    vae=VAEConfig(channels=32, channel_mult=(1, 2, 4, 4), latent_channels=16),
    vocoder=HifiGanConfig(initial_channels=256, method="griffin-lim"),
    clap_text=ClapTextConfig(512, 128, 2, 4, 256, 514, projection_dim=128),
    clap_audio=None,
    flan_t5=None,
    phoneme_encoder=PhonemeEncoderConfig(num_layers=3, feed_forward_size=384, max_phonemes=128, with_embeddings=True),
    gpt2=GPT2Config(256, 5, 4, 256),
    loa=LoaConfig((128, 384), 256, num_tokens=64, duration_dim=256),
    audiomae=None,
    diffusion=DiffusionConfig(prediction="v", clip_seconds=5.12, guidance_scale=2.0, num_inference_steps=8),
)

# The same classes, as small as possible, for tests.
UNTRAINED = ModelConfig(
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 2, 3),
        num_res_blocks=1,
        attention_levels=(1, 2),
        context_dims=(128, 160),
    ),
    vae=VAEConfig(channels=32, num_res_blocks=1, scale_factor=0.5),
    vocoder=HifiGanConfig(initial_channels=64, resblock_kernels=(3, 7)),
    clap_text=ClapTextConfig(300, 64, 2, 1, 128, 514, projection_dim=64),
    clap_audio=ClapAudioConfig(hidden_size=32, depths=(2, 2), num_heads=(1, 2), projection_dim=64),
    flan_t5=T5Config(300, 160, 2, 2, 64, 128),
    gpt2=GPT2Config(128, 2, 2, 256),
    loa=LoaConfig((64, 160), 128),
    audiomae=AudioMAEConfig(hidden_size=128, num_layers=3, num_heads=2),
)


def _in_diffusers(config: ModelConfig) -> ModelConfig:
    """`config` without what diffusers' pipelines lack, which generate from text only; AudioLDM 1's ranks nothing."""
    return replace(config, audiomae=None, clap_audio=None if config.unet.is_audioldm1 else config.clap_audio)


CHECKPOINTS: dict[str, CheckpointInfo] = {
    "tiny": CheckpointInfo("simple sounds, see `ppaudioldm checkpoints tiny`", TINY, "built-in", licence="Apache-2.0"),
    "tiny-speech": CheckpointInfo(
        "English speech in four voices, see `ppaudioldm checkpoints tiny-speech`",
        TINY_SPEECH,
        "built-in",
        licence="Apache-2.0",
    ),
    "untrained": CheckpointInfo(
        "noise: the smallest configuration with random weights, for tests", UNTRAINED, "random", licence="none"
    ),
    "audioldm2-full": CheckpointInfo(
        "sound effects, music and speech-like sounds",
        _FULL,
        "original",
        "haoheliu/audioldm2-full",
        "audioldm2-full.pth",
        download_gb=8.5,
    ),
    "audioldm2-music-665k": CheckpointInfo(
        "music", _FULL, "original", "haoheliu/audioldm2-music-665k", "audioldm2-music-665k.pth", download_gb=8.5
    ),
    "audioldm2-full-large-1150k": CheckpointInfo(
        "sound effects and music, twice the size",
        _LARGE,
        "original",
        "haoheliu/audioldm2-full-large-1150k",
        "audioldm2-full-large-1150k.pth",
        download_gb=11.5,
    ),
    "audioldm2-speech-gigaspeech": CheckpointInfo(
        "speech in many voices",
        _SPEECH,
        "original",
        "haoheliu/audioldm2-speech",
        "audioldm2-speech-gigaspeech.pth",
        download_gb=5.1,
    ),
    "audioldm2-speech-ljspeech": CheckpointInfo(
        "speech in one voice",
        _SPEECH,
        "original",
        "haoheliu/audioldm2-speech",
        "audioldm2-speech-ljspeech.pth",
        download_gb=5.1,
    ),
    "audioldm_48k": CheckpointInfo(
        "sound effects and music at 48 kHz",
        _48K,
        "original",
        "haoheliu/audioldm_48k",
        "audioldm_48k.pth",
        download_gb=5.4,
    ),
    "audioldm_16k_crossattn_t5": CheckpointInfo(
        "sound effects, conditioned on FLAN-T5 alone",
        _T5_ONLY,
        "original",
        "haoheliu/audioldm_16k_crossattn_t5",
        "audioldm_16k_crossattn_t5.pth",
        download_gb=4.7,
    ),
    "audioldm-s-full": CheckpointInfo(
        "sound effects, music and speech-like sounds; AudioLDM 1, the smallest",
        _AUDIOLDM1_S,
        "original",
        "haoheliu/AudioLDM-S-Full",
        "audioldm-s-full",
        download_gb=2.6,
    ),
    "audioldm-s-full-v2": CheckpointInfo(
        "audioldm-s-full, trained for longer",
        _AUDIOLDM1_S,
        "original",
        filename="audioldm-full-s-v2.ckpt",
        zenodo=7698295,
        download_gb=2.6,
    ),
    "audioldm-m-full": CheckpointInfo(
        "sound effects, music and speech-like sounds; AudioLDM 1, medium size",
        _AUDIOLDM1_M,
        "original",
        filename="audioldm-m-full.ckpt",
        zenodo=7813012,
        download_gb=4.6,
    ),
    "audioldm-l-full": CheckpointInfo(
        "sound effects, music and speech-like sounds; AudioLDM 1, the largest",
        _AUDIOLDM1_L,
        "original",
        filename="audioldm-full-l.ckpt",
        zenodo=7698295,
        download_gb=7.0,
    ),
    "audioldm-s-text-ft": CheckpointInfo(
        "audioldm-s, fine-tuned with captions of AudioCaps and MusicCaps",
        _AUDIOLDM1_S,
        "original",
        filename="audioldm-s-text-ft.ckpt",
        zenodo=7813012,
        download_gb=2.6,
    ),
    "audioldm-m-text-ft": CheckpointInfo(
        "audioldm-m, fine-tuned with captions of AudioCaps and MusicCaps",
        _AUDIOLDM1_M,
        "original",
        filename="audioldm-m-text-ft.ckpt",
        zenodo=7813012,
        download_gb=4.6,
    ),
    "consistencytta": CheckpointInfo(
        "sound effects in one call of the UNet: the fastest",
        _CONSISTENCYTTA,
        "consistencytta",
        "Bai-YT/ConsistencyTTA",
        "consistencytta_clapft_ckpt",
        licence=CONSISTENCYTTA_LICENCE,
        download_gb=5.8,
    ),
    "cvssp/audioldm2": CheckpointInfo(
        "audioldm2-full as a diffusers folder",
        _in_diffusers(_FULL),
        "diffusers",
        "cvssp/audioldm2",
        download_gb=4.5,
    ),
    "cvssp/audioldm2-large": CheckpointInfo(
        "audioldm2-full-large as a diffusers folder",
        _in_diffusers(_LARGE),
        "diffusers",
        "cvssp/audioldm2-large",
        download_gb=6.0,
    ),
    "cvssp/audioldm2-music": CheckpointInfo(
        "audioldm2-music as a diffusers folder",
        _in_diffusers(_FULL),
        "diffusers",
        "cvssp/audioldm2-music",
        download_gb=4.5,
    ),
    "anhnct/audioldm2_gigaspeech": CheckpointInfo(
        "audioldm2-speech-gigaspeech as a diffusers folder",
        _in_diffusers(_SPEECH),
        "diffusers",
        "anhnct/audioldm2_gigaspeech",
        download_gb=2.8,
    ),
    "anhnct/audioldm2_ljspeech": CheckpointInfo(
        "audioldm2-speech-ljspeech as a diffusers folder",
        _in_diffusers(_SPEECH),
        "diffusers",
        "anhnct/audioldm2_ljspeech",
        download_gb=2.8,
    ),
    "cvssp/audioldm": CheckpointInfo(
        "audioldm-s-full as a diffusers folder",
        _in_diffusers(_AUDIOLDM1_S),
        "diffusers",
        "cvssp/audioldm",
        download_gb=1.7,
    ),
    "cvssp/audioldm-s-full-v2": CheckpointInfo(
        "audioldm-s-full-v2 as a diffusers folder",
        _in_diffusers(_AUDIOLDM1_S),
        "diffusers",
        "cvssp/audioldm-s-full-v2",
        download_gb=1.7,
    ),
    "cvssp/audioldm-m-full": CheckpointInfo(
        "audioldm-m-full as a diffusers folder",
        _in_diffusers(_AUDIOLDM1_M),
        "diffusers",
        "cvssp/audioldm-m-full",
        download_gb=2.6,
    ),
    "cvssp/audioldm-l-full": CheckpointInfo(
        "audioldm-l-full as a diffusers folder",
        _in_diffusers(_AUDIOLDM1_L),
        "diffusers",
        "cvssp/audioldm-l-full",
        download_gb=3.9,
    ),
}


def speech_names() -> list[str]:
    """The published checkpoints that generate speech."""
    return [name for name, info in CHECKPOINTS.items() if info.config.phoneme_encoder]


def built_in_speech_checkpoint() -> str | None:
    """The checkpoint that speaks and comes with the package, if one does."""
    return next((name for name in speech_names() if CHECKPOINTS[name].layout == "built-in"), None)


def audiomae_names() -> list[str]:
    """The published checkpoints with AudioMAE, which encodes a recording as LOA tokens."""
    return [name for name, info in CHECKPOINTS.items() if info.config.audiomae]


def recording_names() -> list[str]:
    """The published checkpoints that can generate from features of a recording in place of a prompt's."""
    return [name for name, info in CHECKPOINTS.items() if info.config.recording_encoder]


def licence_of(name: str, layout: str) -> str | None:
    """The licence of the weights of a checkpoint called `name`, in that layout; None if it is not known."""
    if layout == "random":
        return None
    if layout == "consistencytta":
        return CONSISTENCYTTA_LICENCE
    return CHECKPOINTS[name].licence if name in CHECKPOINTS else None


def derivatives_warning(licence: str | None, what: str) -> str | None:
    """What to say where `what` is derived from weights under `licence`, if that forbids to share it; else None."""
    if licence is None or "-ND" not in licence:
        return None
    return f"the weights are licensed {licence}: {what} is derived from them and must not be shared"


def unknown_name(name: str) -> ValueError:
    """The error for a name that is neither a checkpoint's nor a path."""
    return ValueError(f"unknown checkpoint {name!r}: not a file or folder, nor one of {', '.join(CHECKPOINTS)}")
