"""The VAE between log-mel spectrograms and latents. Source: latent diffusion, arXiv:2112.10752.

Encoder and decoder are two networks: generation from text needs only the decoder.
"""

from __future__ import annotations

from ppaudioldm.config import VAEConfig
from ppaudioldm.framework import F, Linear, Tensor, attention, nn, unflatten, xp
from ppaudioldm.models.resnet import ResBlock, group_norm

EPS = 1e-6
LOG_VARIANCE_RANGE = (-30.0, 20.0)


class SpatialAttention(nn.Module):
    """Single-head self-attention over all positions of a feature map, with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, EPS)
        self.query = Linear(channels, channels)
        self.key = Linear(channels, channels)
        self.value = Linear(channels, channels)
        self.out = Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x).flatten(2).transpose(1, 2)  # (B, T*F, C)
        query, key, value = (layer(h).unsqueeze(1) for layer in (self.query, self.key, self.value))
        h = self.out(attention(query, key, value).squeeze(1))
        return x + unflatten(h.transpose(1, 2), 2, (-1, x.shape[3]))


class Middle(nn.Module):
    """The blocks at the coarsest resolution, the only ones with attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.resnet_in = ResBlock(channels, channels, EPS)
        self.attention = SpatialAttention(channels)
        self.resnet_out = ResBlock(channels, channels, EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.resnet_out(self.attention(self.resnet_in(x)))


class Level(nn.Module):
    """Residual blocks of one resolution, then a change of resolution (`resample`) unless it is the last level."""

    def __init__(self, in_channels: int, channels: int, num_blocks: int, resample: nn.Module | None) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * (num_blocks - 1)
        self.resnets = nn.ModuleList([ResBlock(width, channels, EPS) for width in widths])
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        return x if self.resample is None else self.resample(x)


class Downsample(nn.Module):
    """Halves time and frequency."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, [0, 1, 0, 1]))  # one zero after the last frame and the last bin only


class Upsample(nn.Module):
    """Doubles time and frequency."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class VAEEncoder(nn.Module):
    """Log-mel spectrogram -> mean and log variance of its latents."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.channels * mult for mult in config.channel_mult]
        inputs = [config.channels, *widths[:-1]]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(1, config.channels, 3, padding=1)
        self.levels = nn.ModuleList(
            [
                Level(before, width, config.num_res_blocks, Downsample(width) if i < last else None)
                for i, (before, width) in enumerate(zip(inputs, widths, strict=True))
            ]
        )
        self.middle = Middle(widths[-1])
        self.norm_out = group_norm(widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)
        self.quant_conv = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior of the latents, before `scale_factor`.

        mel: natural log, (B, frames, n_mels), frames divisible by `config.downsampling` (4; 8 at 48 kHz).
        Returns mean and log variance, each (B, latent_channels, frames / 4, n_mels / 4).
        """
        h = self.conv_in(mel.unsqueeze(1))
        for level in self.levels:
            h = level(h)
        h = self.conv_out(F.silu(self.norm_out(self.middle(h))))
        mean, log_variance = xp.chunk(self.quant_conv(h), 2, 1)
        return mean, xp.clip(log_variance, *LOG_VARIANCE_RANGE)


class VAEDecoder(nn.Module):
    """Latents -> log-mel spectrogram."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.channels * mult for mult in reversed(config.channel_mult)]  # coarsest first
        inputs = [widths[0], *widths[:-1]]
        last = len(widths) - 1
        self.post_quant_conv = nn.Conv2d(config.latent_channels, config.latent_channels, 1)
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.middle = Middle(widths[0])
        self.levels = nn.ModuleList(
            [
                Level(before, width, config.num_res_blocks + 1, Upsample(width) if i < last else None)
                for i, (before, width) in enumerate(zip(inputs, widths, strict=True))
            ]
        )
        self.norm_out = group_norm(widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """latents (B, latent_channels, T, bands), already divided by `scale_factor`.

        Returns the mel spectrogram, natural log: (B, 4 T, n_mels) at 16 kHz, (B, 8 T, n_mels) at 48 kHz.
        """
        h = self.middle(self.conv_in(self.post_quant_conv(latents)))
        for level in self.levels:
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(h))).squeeze(1)
