"""What tells recordings from a vocoder's work: HiFi-GAN's discriminators of many periods and scales, made small.

Source: HiFi-GAN, arXiv:2010.05646. They serve training only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppaudioldm.framework import F, Tensor, nn

SLOPE = 0.1


@dataclass(frozen=True)
class DiscriminatorConfig:
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples: primes, so that no two look at the same
    period_channels: tuple[int, ...] = (16, 32, 64, 64)
    scales: int = 2  # the waveform, and averages of two neighbours of the one before
    scale_channels: tuple[int, ...] = (16, 32, 64, 64)


class Discriminators(nn.Module):
    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        by_period: list[nn.Module] = [_Period(period, config.period_channels) for period in config.periods]
        self.parts = nn.ModuleList(by_period + [_Scale(i, config.scale_channels) for i in range(config.scales)])

    def forward(self, waveform: Tensor) -> list[list[Tensor]]:
        """For each discriminator its features of `waveform` (B, samples), layer by layer; the last are its verdicts."""
        return [part(waveform.unsqueeze(1)) for part in self.parts]


class _Period(nn.Module):
    """Sees the samples that are `period` apart as neighbours."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        pairs = zip((1, *channels), channels, strict=False)
        self.convs = nn.ModuleList([nn.Conv2d(i, o, (5, 1), (3, 1), padding=(2, 0)) for i, o in pairs])
        self.verdict = nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> list[Tensor]:
        whole = x.shape[2] // self.period * self.period
        x = x[:, :, :whole].reshape([x.shape[0], 1, whole // self.period, self.period])
        return _features(self, x)


class _Scale(nn.Module):
    """Sees the waveform after it was halved in rate `halvings` times."""

    def __init__(self, halvings: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.halvings = halvings
        pairs = zip((1, *channels), channels, strict=False)
        self.convs = nn.ModuleList([nn.Conv1d(i, o, 15, 4, padding=7) for i, o in pairs])
        self.verdict = nn.Conv1d(channels[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        for _ in range(self.halvings):
            x = F.avg_pool1d(x, 4, 2, 1)
        return _features(self, x)


def _features(part: _Period | _Scale, x: Tensor) -> list[Tensor]:
    features = []
    for conv in part.convs:
        x = F.leaky_relu(conv(x), SLOPE)
        features.append(x)
    return [*features, part.verdict(x)]
