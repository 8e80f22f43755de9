"""Configurations of the networks, the noise schedule, and a whole checkpoint: frozen dataclasses, read from JSON.

Defaults are those of audioldm2-full; `checkpoints` has the other published ones. Sources: arXiv:2308.05734 and the
configuration files of the published code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ppaudioldm.errors import shown


@dataclass(frozen=True)
class ClapTextConfig:
    """CLAP's text encoder: RoBERTa-base with a projection into the joint space."""

    vocab_size: int = 50265
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    intermediate_size: int = 3072
    max_positions: int = 514  # positions start at pad_token_id + 1, so 512 tokens fit
    pad_token_id: int = 1
    projection_dim: int = 512


@dataclass(frozen=True)
class ClapAudioConfig:
    """CLAP's audio encoder: HTSAT, a Swin transformer, here of size base, with a projection into the joint space."""

    spec_size: int = 256  # the mel spectrogram is folded into a square of spec_size x spec_size
    n_mels: int = 64
    patch_size: int = 4
    hidden_size: int = 128  # of the first stage; each further stage doubles it
    depths: tuple[int, ...] = (2, 2, 12, 2)
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    window_size: int = 8
    projection_dim: int = 512
    sample_rate: int = 48000  # Hz, of the input waveform
    short_input: str = "stretched"  # how a recording shorter than 10 s fills the input; "repeated" by AudioLDM 1


@dataclass(frozen=True)
class T5Config:
    """The encoder of FLAN-T5-large."""

    vocab_size: int = 32128
    hidden_size: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    head_dim: int = 64
    feed_forward_size: int = 2816
    relative_buckets: int = 32
    relative_max_distance: int = 128
    max_tokens: int = 128  # longer prompts are truncated


@dataclass(frozen=True)
class GPT2Config:
    """GPT-2 base, run on embeddings, without its token table."""

    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    max_positions: int = 1024


@dataclass(frozen=True)
class PhonemeEncoderConfig:
    """The VITS text encoder, for speech checkpoints."""

    vocab_size: int = 183
    hidden_size: int = 192
    num_layers: int = 6
    num_heads: int = 2
    feed_forward_size: int = 768
    window_size: int = 4  # of the relative attention
    max_phonemes: int = 310  # every sequence is padded to this
    with_embeddings: bool = False  # of the phonemes themselves, behind the states

    @property
    def state_dim(self) -> int:
        return self.hidden_size * (2 if self.with_embeddings else 1)


@dataclass(frozen=True)
class AudioMAEConfig:
    """AudioMAE's encoder, a ViT-B, which computes the LOA tokens of a recording."""

    n_mels: int = 128
    frames: int = 1024  # of the filter bank, 10 ms each; every recording is cut or padded to this
    patch_size: int = 16  # frames of a patch
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    pooling: int = 8  # pooling x pooling patches become one token; 1 for speech
    patch_mels: int | None = None  # mel bins of a patch; None: patch_size

    @property
    def num_tokens(self) -> int:
        """LOA tokens of a recording."""
        frames, mels = self.patch
        return (self.frames // (frames * self.pooling)) * (self.n_mels // (mels * self.pooling))

    @property
    def patch(self) -> tuple[int, int]:
        """Frames and mel bins of a patch."""
        return self.patch_size, self.patch_mels or self.patch_size


@dataclass(frozen=True)
class LoaConfig:
    """The projections of the conditions to the sequence that GPT-2 continues with LOA tokens."""

    condition_dims: tuple[int, ...] = (512, 1024)  # CLAP embedding, FLAN-T5 states (192: phoneme states)
    hidden_size: int = 768
    num_tokens: int = 8  # LOA tokens to generate; 512 for speech
    duration_dim: int | None = None  # of what predicts durations of phonemes; None: as published, without them


@dataclass(frozen=True)
class UNetConfig:
    """The diffusion UNet on the VAE's latents."""

    in_channels: int = 8  # of the latents
    model_channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 3, 5)  # times model_channels, per level
    num_res_blocks: int = 2  # per level going down, one more going up
    attention_levels: tuple[int, ...] = (1, 2, 3)  # with transformers
    head_dim: int = 32  # heads = channels / head_dim: 8, 12, 20
    # LOA, FLAN-T5; None = self-attention instead. Empty: self-attention only, one transformer a place.
    context_dims: tuple[int | None, ...] = (768, 1024)
    transformer_depth: int = 1  # blocks each
    film_dim: int | None = None  # of a global condition, projected and concatenated to the time embedding
    transformers: str = "audioldm"  # of UNET_TRANSFORMERS, see `transformer_dims` and `attention_width`
    guidance_dim: int | None = None  # of the Fourier features of a guidance scale that is an input
    loa_frames: int = 0  # latent frames of an LOA token, for `models.time_bias`; 0: as published
    loa_bands: int = 0  # of the latents, for `models.frame_tokens`; 0: as published

    @property
    def time_embed_dim(self) -> int:
        return 4 * self.model_channels

    @property
    def transformer_dims(self) -> tuple[int | None, ...]:
        """The widths of the contexts of the transformers at each place, in order; None is one without context.

        "audioldm": one without context comes before those of `context_dims`. "tango": there are only the latter.
        """
        return self.context_dims if self.transformers == "tango" else (None, *self.context_dims)

    def attention_width(self, channels: int) -> int:
        """The width inside the transformers of a level with `channels` channels.

        "audioldm": the same. "tango": that of as many whole heads as fit, 255 for 256 channels and heads 51 wide.
        """
        return channels // self.head_dim * self.head_dim if self.transformers == "tango" else channels

    @property
    def is_audioldm1(self) -> bool:
        """Whether this is AudioLDM 1's: a global condition alone, and one transformer a place, without context."""
        return self.film_dim is not None and not self.context_dims

    @property
    def conditions_finest(self) -> bool:
        """Whether the finest level depends on contexts."""
        return bool(self.loa_bands) or 0 in self.attention_levels

    @property
    def downsampling(self) -> int:
        """Latent frames and bands must be multiples of this."""
        return 2 ** (len(self.channel_mult) - 1)


AUDIOLDM1_GUIDANCE = 2.5  # the guidance scale of AudioLDM 1's program
WIDE_HEADS_FROM = 256  # model channels of the only published UNet with heads 64 wide, audioldm-l-full's


def with_head_dim(config: UNetConfig) -> UNetConfig:
    """`config` with the width of its heads, which no shape of a tensor shows: as the published UNet of that size."""
    is_wide = config.is_audioldm1 and config.model_channels == WIDE_HEADS_FROM
    return replace(config, head_dim=64 if is_wide else 32)


@dataclass(frozen=True)
class VAEConfig:
    """The VAE between log-mel spectrograms and latents."""

    channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 4)  # times channels, per level
    num_res_blocks: int = 2  # per level in the encoder, one more in the decoder
    latent_channels: int = 8
    n_mels: int = 64
    scale_factor: float = 1.0  # the UNet's latents are the VAE's times this; it differs between checkpoints

    @property
    def downsampling(self) -> int:
        """Mel frames per latent frame, and mel bins per latent band."""
        return 2 ** (len(self.channel_mult) - 1)


@dataclass(frozen=True)
class HifiGanConfig:
    """The vocoder: HiFi-GAN, or the Griffin-Lim algorithm."""

    n_mels: int = 64
    sample_rate: int = 16000  # Hz
    upsample_rates: tuple[int, ...] = (5, 4, 2, 2, 2)  # their product is the hop length
    upsample_kernels: tuple[int, ...] = (16, 16, 8, 4, 4)
    initial_channels: int = 1024
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[int, ...] = (1, 3, 5)
    # With "griffin-lim" there is no network; of the fields above, only the sample rate, mels and hop length are used.
    method: str = "network"

    @property
    def hop_length(self) -> int:
        """Samples per mel frame."""
        hop = 1
        for rate in self.upsample_rates:
            hop *= rate
        return hop


@dataclass(frozen=True)
class DiffusionConfig:
    """The noise schedule that the UNet was trained with."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.0015
    beta_end: float = 0.0195
    prediction: str = "epsilon"  # what the UNet predicts: "epsilon", "v", or "x0", the clean latents
    clip_seconds: float = 10.24  # of the training clips; longer clips are generated in overlapping windows
    guidance_scale: float = 3.5  # by default: what the published program uses
    sampler: str = "dpm++"  # by default; "consistency" and "lcm" are the only ones of the models that have them
    num_inference_steps: int = 10  # by default
    # By default a sound is the one of so many attempts that CLAP scores nearest to its prompt.
    best_of: int = 1


# Of ConsistencyTTA: Stable Diffusion's noise schedule, and a UNet that predicts the clean latents in one call.
CONSISTENCYTTA_DIFFUSION = DiffusionConfig(
    beta_start=0.00085,
    beta_end=0.012,
    prediction="x0",
    guidance_scale=4.0,
    sampler="consistency",
    num_inference_steps=1,
)
CONSISTENCYTTA_HEAD_DIM = 51  # 256 // 5, 512 // 10, 1024 // 20


@dataclass(frozen=True)
class ModelConfig:
    """Everything a checkpoint consists of. A network that a checkpoint does not have is None."""

    unet: UNetConfig = field(default_factory=UNetConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    vocoder: HifiGanConfig = field(default_factory=HifiGanConfig)
    clap_text: ClapTextConfig | None = field(default_factory=ClapTextConfig)
    clap_audio: ClapAudioConfig | None = field(default_factory=ClapAudioConfig)
    flan_t5: T5Config | None = field(default_factory=T5Config)
    phoneme_encoder: PhonemeEncoderConfig | None = None
    gpt2: GPT2Config | None = field(default_factory=GPT2Config)
    loa: LoaConfig | None = field(default_factory=LoaConfig)
    audiomae: AudioMAEConfig | None = None  # encodes recordings; not needed for generation from text
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)

    @property
    def sample_rate(self) -> int:
        return self.vocoder.sample_rate

    @property
    def latent_bands(self) -> int:
        """Width of the latents along the mel axis."""
        return self.vae.n_mels // self.vae.downsampling

    @property
    def samples_per_latent(self) -> int:
        """Waveform samples per latent frame."""
        return self.vocoder.hop_length * self.vae.downsampling

    @property
    def window_frames(self) -> int:
        """Latent frames of the clips that the UNet was trained on, rounded to a multiple of its downsampling."""
        unit = self.unet.downsampling
        frames = self.diffusion.clip_seconds * self.sample_rate / self.samples_per_latent
        return unit * max(1, round(frames / unit))

    @property
    def recording_encoder(self) -> str | None:
        """The network whose features of a recording can take the place of a prompt; None if there is none.

        AudioMAE computes LOA tokens; CLAP, where its embedding conditions the UNet (FiLM), has an audio branch.
        """
        if self.audiomae is not None:
            return "audiomae"
        return "clap_audio" if self.unet.film_dim and self.clap_audio is not None else None

    @property
    def best_of(self) -> int:
        """How many attempts a sound is the best of, by default; 1 where nothing ranks them."""
        return self.diffusion.best_of if self.ranks else 1

    @property
    def ranks(self) -> bool:
        """Whether CLAP can compare sounds with prompts: it has both of its branches."""
        return self.clap_text is not None and self.clap_audio is not None

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names of the contexts of the UNet's cross-attentions, in the order of `unet.context_dims` without None."""
        return tuple(name for name, network in (("loa", self.loa), ("flan_t5", self.flan_t5)) if network)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> ModelConfig:
        """The inverse of `to_dict`. Raises ValueError that names the first unknown or ill-typed field in `where`."""
        return _from_dict(cls, values, where)


NETWORK_CONFIGS: dict[str, type] = {
    "unet": UNetConfig,
    "vae": VAEConfig,
    "vocoder": HifiGanConfig,
    "clap_text": ClapTextConfig,
    "clap_audio": ClapAudioConfig,
    "flan_t5": T5Config,
    "phoneme_encoder": PhonemeEncoderConfig,
    "gpt2": GPT2Config,
    "loa": LoaConfig,
    "audiomae": AudioMAEConfig,
    "diffusion": DiffusionConfig,
}


def _from_dict(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected an object, got {short(values)}")
    names = {f.name for f in fields(cls)}
    for name in values:
        if name not in names:
            raise ValueError(f"{where}: unknown field {shown(name)}, allowed: {sorted(names)}")
    return cls(**{name: _field_value(cls, name, value, f"{where}.{name}") for name, value in values.items()})


def _field_value(cls: type, name: str, value: Any, where: str) -> Any:
    """`value` from JSON as the type of the field's default; `weights.config_check` checks its range."""
    if cls is ModelConfig:
        if value is None and name not in ("unet", "vae", "vocoder", "diffusion"):
            return None
        return _from_dict(NETWORK_CONFIGS[name], value, where)
    default = getattr(cls(), name)
    if isinstance(default, tuple):
        if isinstance(value, list) and all(is_whole(v) or v is None for v in value):
            return tuple(value)
        raise ValueError(f"{where}: expected a list of integers, got {short(value)}")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{where}: expected true or false, got {short(value)}")
    if isinstance(default, float):
        if isinstance(value, float) or is_whole(value):
            return float(value)
        raise ValueError(f"{where}: expected a number, got {short(value)}")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise ValueError(f"{where}: expected a string, got {short(value)}")
    if is_whole(value) or (default is None and value is None):
        return value
    raise ValueError(f"{where}: expected an integer, got {short(value)}")


def is_whole(value: Any) -> bool:
    """Whether `value` from JSON is an integer of 64 bits, and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def short(value: Any) -> str:
    """A value from a file, shortened and escaped for an error message."""
    if isinstance(value, (bool, int, float)):
        return repr(value)[:100]
    return "null" if value is None else shown(value)
