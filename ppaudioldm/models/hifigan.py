"""HiFi-GAN, the vocoder. Source: HiFi-GAN, arXiv:2010.05646."""

from __future__ import annotations

from ppaudioldm.config import HifiGanConfig
from ppaudioldm.framework import ConvTranspose1d, F, Tensor, nn, xp

SLOPE = 0.1
LAST_SLOPE = 0.01  # before the last convolution the published code has PyTorch's default


class ResidualStack(nn.Module):
    """For each dilation, x + conv(lrelu(dilated conv(lrelu(x))))."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            [nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2) for d in dilations]
        )
        self.plain = nn.ModuleList(
            [nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations]
        )

    def forward(self, x: Tensor) -> Tensor:
        for i, dilated in enumerate(self.dilated):
            x = x + self.plain[i](F.leaky_relu(dilated(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Stage(nn.Module):
    """A transposed convolution that raises the rate and halves the channels, then the mean of residual stacks."""

    def __init__(self, config: HifiGanConfig, index: int) -> None:
        super().__init__()
        rate, kernel = config.upsample_rates[index], config.upsample_kernels[index]
        channels = config.initial_channels // 2 ** (index + 1)
        self.upsample = ConvTranspose1d(2 * channels, channels, kernel, stride=rate, padding=(kernel - rate) // 2)
        self.stacks = nn.ModuleList(
            [ResidualStack(channels, k, config.resblock_dilations) for k in config.resblock_kernels]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.upsample(F.leaky_relu(x, SLOPE))
        return sum(stack(x) for stack in self.stacks) / len(self.stacks)


class HifiGan(nn.Module):
    """Log-mel spectrogram -> waveform."""

    def __init__(self, config: HifiGanConfig) -> None:
        super().__init__()
        stages = len(config.upsample_rates)
        self.conv_in = nn.Conv1d(config.n_mels, config.initial_channels, 7, padding=3)
        self.stages = nn.ModuleList([Stage(config, i) for i in range(stages)])
        self.conv_out = nn.Conv1d(config.initial_channels // 2**stages, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        """mel (B, frames, n_mels), natural log. Returns the waveform (B, samples) in (-1, 1).

        samples = hop_length * frames and a few more (32 at 16 kHz, 16 at 48 kHz): where kernel and rate differ by an
        odd number, a transposed convolution returns one value more than rate * length.
        """
        x = self.conv_in(mel.transpose(1, 2))
        for stage in self.stages:
            x = stage(x)
        return xp.tanh(self.conv_out(F.leaky_relu(x, LAST_SLOPE))).squeeze(1)
