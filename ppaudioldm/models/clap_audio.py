"""CLAP's audio encoder: the embedding of a recording in the joint space of audio and text.

HTSAT (arXiv:2202.00874), a Swin transformer (arXiv:2103.14030) over a mel spectrogram that is folded into a square,
with CLAP's projection (arXiv:2211.06687).
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.config import ClapAudioConfig
from ppaudioldm.framework import F, Linear, Tensor, attention, constant, nn, unflatten, xp
from ppaudioldm.models.batch_norm import FrozenBatchNorm

NORM_EPS = 1e-5
MASKED_SCORE = -100.0  # added to the scores of pairs that are in one window only because of the cyclic shift


class ClapAudio(nn.Module):
    """Log-mel spectrogram -> unit vector in CLAP's joint space."""

    def __init__(self, config: ClapAudioConfig) -> None:
        super().__init__()
        if config.spec_size % config.n_mels:
            raise ValueError(f"spec_size {config.spec_size} must be a multiple of n_mels {config.n_mels}")
        self.folds = config.spec_size // config.n_mels
        self.segment = config.spec_size
        self.patch_size = config.patch_size
        self.input_norm = FrozenBatchNorm(config.n_mels)
        self.patch_embed = nn.Conv2d(1, config.hidden_size, config.patch_size, stride=config.patch_size)
        self.patch_norm = nn.LayerNorm(config.hidden_size, eps=NORM_EPS)
        self.stages = nn.ModuleList([_Stage(config, index) for index in range(len(config.depths))])
        size = config.hidden_size * 2 ** (len(config.depths) - 1)
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.projection_in = Linear(size, config.projection_dim)
        self.projection_out = Linear(config.projection_dim, config.projection_dim)

    def forward(self, log_mel: Tensor) -> Tensor:
        """The L2-normalised embedding (B, 512) of `log_mel`.

        log_mel: (B, 1, spec_size * spec_size / n_mels = 1024, 64) in dB, from `audio.clap_mel.clap_log_mel`.
        Raises ValueError on another number of frames or mels.
        """
        expected = (1, self.folds * self.segment, self.segment // self.folds)
        if tuple(log_mel.shape[1:]) != expected:
            raise ValueError(f"log_mel must be (batch, {', '.join(map(str, expected))}), got {list(log_mel.shape)}")
        x = self._fold(self.input_norm(log_mel.squeeze(1)))
        x = self.patch_norm(self.patch_embed(x).permute(0, 2, 3, 1))
        for stage in self.stages:
            x = stage(x)
        pooled = self.norm(x).flatten(1, 2).mean(1)
        return F.normalize(self.projection_out(F.relu(self.projection_in(pooled))))

    def _fold(self, x: Tensor) -> Tensor:
        """(B, frames, mels) -> (B, 1, spec_size, spec_size): segments in time stacked along the frequency axis."""
        return unflatten(x, 1, (self.folds, self.segment)).transpose(2, 3).flatten(1, 2).unsqueeze(1)


class _Stage(nn.Module):
    """Blocks at one resolution; every stage but the last then halves it."""

    def __init__(self, config: ClapAudioConfig, index: int) -> None:
        super().__init__()
        size, width = config.hidden_size * 2**index, config.spec_size // config.patch_size // 2**index
        window = min(config.window_size, width)
        if width % window:
            raise ValueError(f"window_size {config.window_size} must divide the map of stage {index}, {width} wide")
        blocks = []
        for number in range(config.depths[index]):
            shift = window // 2 if number % 2 and width > window else 0
            blocks.append(_Block(size, config.num_heads[index], width, window, shift))
        self.blocks = nn.ModuleList(blocks)
        self.downsample = _Downsample(size) if index + 1 < len(config.depths) else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class _Block(nn.Module):
    """Pre-norm transformer block with attention within each window of the (B, width, width, size) map."""

    def __init__(self, size: int, heads: int, width: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, size // heads
        self.windows, self.window, self.shift = width // window, window, shift
        self.norm1 = nn.LayerNorm(size, eps=NORM_EPS)
        self.query = Linear(size, size)
        self.key = Linear(size, size)
        self.value = Linear(size, size)
        self.attention_out = Linear(size, size)
        self.norm2 = nn.LayerNorm(size, eps=NORM_EPS)
        self.feed_forward_in = Linear(size, 4 * size)
        self.feed_forward_out = Linear(4 * size, size)
        self.relative_bias = nn.Parameter(xp.empty([(2 * window - 1) ** 2, heads]))
        self.bias_rows = relative_bias_rows(window)
        self.shift_mask = shift_mask(width, window, shift)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._shifted_attention(self.norm1(x))
        return x + self.feed_forward_out(F.gelu(self.feed_forward_in(self.norm2(x))))

    def _shifted_attention(self, x: Tensor) -> Tensor:
        x = xp.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        query, key, value = (self._split(f(x)) for f in (self.query, self.key, self.value))
        x = self.attention_out(self._merge(attention(query, key, value, self._bias(x))))
        return xp.roll(x, (self.shift, self.shift), (1, 2)) if self.shift else x

    def _split(self, x: Tensor) -> Tensor:
        """(B, width, width, heads * D) -> (B, windows^2 * heads, window^2, D): heads and windows separated."""
        x = x.reshape([-1, self.windows, self.window, self.windows, self.window, self.heads, self.head_dim])
        x = x.permute(0, 1, 3, 5, 2, 4, 6)
        return x.reshape([-1, self.windows**2 * self.heads, self.window**2, self.head_dim])

    def _merge(self, x: Tensor) -> Tensor:
        """The inverse of `_split`."""
        x = x.reshape([-1, self.windows, self.windows, self.heads, self.window, self.window, self.head_dim])
        x = x.permute(0, 1, 4, 2, 5, 3, 6)
        width = self.windows * self.window
        return x.reshape([-1, width, width, self.heads * self.head_dim])

    def _bias(self, x: Tensor) -> Tensor:
        """Relative position bias and shift mask, added to the scores: (windows^2 * heads, window^2, window^2)."""
        by_distance = F.embedding(constant(self.bias_rows, x), self.relative_bias).permute(2, 0, 1)
        return (by_distance.unsqueeze(0) + constant(self.shift_mask, x).to(x.dtype)).flatten(0, 1)


def relative_bias_rows(window: int) -> np.ndarray:
    """Row of the bias table for each (query, key) of a window, (window^2, window^2) int64: by distance along y, x."""
    y, x = np.divmod(np.arange(window**2), window)
    return (y[:, None] - y + window - 1) * (2 * window - 1) + (x[:, None] - x + window - 1)


def shift_mask(width: int, window: int, shift: int) -> np.ndarray:
    """The mask of a cyclic shift, added to the scores: (windows^2, 1, window^2, window^2) float32, 0 or MASKED_SCORE.

    The shift brings opposite edges of the map into one window, whose positions must not attend to each other.
    """
    position = np.arange(width)
    # Along one axis: all windows but the last, the rows of the last that were there before, and those wrapped around.
    segment = np.where(position < width - window, 0, np.where(position < width - shift, 1, 2))
    region = (segment[:, None] * 3 + segment).reshape(width // window, window, width // window, window)
    region = region.transpose(0, 2, 1, 3).reshape(-1, 1, window**2, 1)
    return np.where(region == region.transpose(0, 1, 3, 2), 0, MASKED_SCORE).astype(np.float32)


class _Downsample(nn.Module):
    """Four neighbours concatenated and projected to twice the channels: (B, W, W, C) -> (B, W/2, W/2, 2 C)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * size, eps=NORM_EPS)
        self.reduction = Linear(4 * size, 2 * size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        x = unflatten(unflatten(x, 1, (half, 2)), 3, (half, 2))
        # Channels in the order (y, x) = (0, 0), (1, 0), (0, 1), (1, 1): y is the faster.
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))
