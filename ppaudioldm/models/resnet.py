"""The residual block that the UNet and the VAE share."""

from __future__ import annotations

from ppaudioldm.framework import F, Linear, Tensor, nn

NORM_GROUPS = 32


def group_norm(channels: int, eps: float) -> nn.GroupNorm:
    return nn.GroupNorm(NORM_GROUPS, channels, eps=eps)


class ResBlock(nn.Module):
    """Two 3x3 convolutions after group norms, with a skip connection; the embedding `emb` is added between the two."""

    def __init__(self, in_channels: int, out_channels: int, eps: float, emb_dim: int | None = None) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.emb_proj = Linear(emb_dim, out_channels) if emb_dim else None
        self.norm2 = group_norm(out_channels, eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """x (B, in_channels, H, W), emb (B, emb_dim). Returns (B, out_channels, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        if self.emb_proj is not None:
            h = h + self.emb_proj(F.silu(emb)).unsqueeze(-1).unsqueeze(-1)
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))
