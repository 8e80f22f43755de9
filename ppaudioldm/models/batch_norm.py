"""Batch normalisation by stored statistics, as trained networks use it."""

from __future__ import annotations

from ppaudioldm.framework import Tensor, nn, xp

EPS = 1e-5


class FrozenBatchNorm(nn.Module):
    """Normalises each of `size` channels, which are followed by `trailing` axes."""

    def __init__(self, size: int, trailing: int = 0) -> None:
        super().__init__()
        self.trailing = trailing
        self.weight = nn.Parameter(xp.empty([size]))
        self.bias = nn.Parameter(xp.empty([size]))
        self.running_mean = nn.Parameter(xp.empty([size]))
        self.running_var = nn.Parameter(xp.empty([size]))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self._over_axes(self.running_mean), self._over_axes(self.running_var)
        return (x - mean) * xp.rsqrt(variance + EPS) * self._over_axes(self.weight) + self._over_axes(self.bias)

    def _over_axes(self, values: Tensor) -> Tensor:
        """`values` (size,) with the trailing axes, of size 1."""
        for _ in range(self.trailing):
            values = values.unsqueeze(-1)
        return values
