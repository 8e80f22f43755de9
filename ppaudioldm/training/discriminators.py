"""Multi-period and multi-scale discriminators for adversarial training of the vocoder, with few channels.

Source: HiFi-GAN, arXiv:2010.05646.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppaudioldm.framework import F, Tensor, nn

NEGATIVE_SLOPE = 0.1  # of the leaky ReLU


@dataclass(frozen=True)
class DiscriminatorConfig:
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples; primes, so that they overlap least
    period_channels: tuple[int, ...] = (16, 32, 64, 64)
    scales: int = 2  # of the waveform, each at half the rate of the one before
    scale_channels: tuple[int, ...] = (16, 32, 64, 64)


class Discriminators(nn.Module):
    """All discriminators of a configuration side by side."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        by_period: list[nn.Module] = [_PeriodDiscriminator(period, config.period_channels) for period in config.periods]
        self.parts = nn.ModuleList(
            by_period + [_ScaleDiscriminator(i, config.scale_channels) for i in range(config.scales)]
        )

    def forward(self, waveform: Tensor) -> list[list[Tensor]]:
        """For each discriminator the outputs of its layers for `waveform` (B, samples); the last are its scores."""
        return [part(waveform.unsqueeze(1)) for part in self.parts]


class _PeriodDiscriminator(nn.Module):
    """2-D convolutions over the waveform folded to rows of `period` samples."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        pairs = zip((1, *channels), channels, strict=False)
        self.convs = nn.ModuleList([nn.Conv2d(i, o, (5, 1), (3, 1), padding=(2, 0)) for i, o in pairs])
        self.verdict = nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> list[Tensor]:
        whole = x.shape[2] // self.period * self.period
        x = x[:, :, :whole].reshape([x.shape[0], 1, whole // self.period, self.period])
        return _layer_outputs(self, x)


class _ScaleDiscriminator(nn.Module):
    """1-D convolutions over the waveform at 1 / 2^halvings of its rate."""

    def __init__(self, halvings: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.halvings = halvings
        pairs = zip((1, *channels), channels, strict=False)
        self.convs = nn.ModuleList([nn.Conv1d(i, o, 15, 4, padding=7) for i, o in pairs])
        self.verdict = nn.Conv1d(channels[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        for _ in range(self.halvings):
            x = F.avg_pool1d(x, 4, 2, 1)
        return _layer_outputs(self, x)


def _layer_outputs(discriminator: _PeriodDiscriminator | _ScaleDiscriminator, x: Tensor) -> list[Tensor]:
    outputs = []
    for conv in discriminator.convs:
        x = F.leaky_relu(conv(x), NEGATIVE_SLOPE)
        outputs.append(x)
    return [*outputs, discriminator.verdict(x)]
