"""AudioMAE's encoder: the LOA tokens of a recording, the "language of audio" of AudioLDM 2 (arXiv:2308.05734).

Audio-MAE (arXiv:2207.06405) is a Vision Transformer (arXiv:2010.11929) over the patches of a log-mel filter bank. Its
decoder, which the published checkpoints also contain, is needed only to train it.
"""

from __future__ import annotations

from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.framework import F, Linear, Tensor, attention, merge_heads, nn, split_heads, unflatten, xp

NORM_EPS = 1e-6
AVERAGED_LAYERS = 3  # the output is the mean over the last of them


class AudioMAE(nn.Module):
    """Normalised filter bank -> LOA tokens."""

    def __init__(self, config: AudioMAEConfig) -> None:
        super().__init__()
        patch, size = config.patch, config.hidden_size
        if config.num_layers < AVERAGED_LAYERS:
            raise ValueError(f"num_layers must be {AVERAGED_LAYERS} or more, got {config.num_layers}")
        for name, side, length in (("frames", patch[0], config.frames), ("n_mels", patch[1], config.n_mels)):
            if length % (side * config.pooling):
                raise ValueError(f"{name} {length} must be a multiple of patch_size * pooling {side * config.pooling}")
        self.input_shape = (config.frames, config.n_mels)
        self.grid = (config.frames // patch[0], config.n_mels // patch[1])  # patches in time, in frequency
        self.pooling = config.pooling
        self.patch_embed = nn.Conv2d(1, size, patch, stride=patch)
        self.class_token = nn.Parameter(xp.empty([1, 1, size]))
        # A parameter rather than computed sinusoids: the network was trained with the table of the transposed grid.
        self.positions = nn.Parameter(xp.empty([1, 1 + self.grid[0] * self.grid[1], size]))
        self.layers = nn.ModuleList([Layer(size, config.num_heads) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)

    def forward(self, fbank: Tensor) -> Tensor:
        """The LOA tokens (B, 512 / pooling^2, 768) of `fbank`, time-major: 8 of them, for speech 512.

        fbank: (B, 1024, 128), normalised, from `audio.fbank.audiomae_fbank`. Raises ValueError on another number of
        frames or mels.
        """
        if tuple(fbank.shape[1:]) != self.input_shape:
            frames, n_mels = self.input_shape
            raise ValueError(f"fbank must be (batch, {frames}, {n_mels}), got {list(fbank.shape)}")
        patches = self.patch_embed(fbank.unsqueeze(1)).flatten(2).transpose(1, 2)
        # One class token per item; `zeros_like` lets the batch size be dynamic in a trace.
        class_token = xp.zeros_like(patches[:, :1]) + self.class_token
        x = xp.concat([class_token, patches], 1) + self.positions
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        # AudioLDM 2 averages the normalised outputs of the last layers, and leaves out the class token.
        last = [self.norm(x[:, 1:]) for x in outputs[-AVERAGED_LAYERS:]]
        return self._pool(sum(last) / AVERAGED_LAYERS)

    def _pool(self, x: Tensor) -> Tensor:
        """(B, patches, size) -> (B, patches / pooling^2, size): mean of average and maximum pooling over squares."""
        (time, frequency), side = self.grid, self.pooling
        x = unflatten(x, 1, (time // side, side, frequency // side, side))
        return ((x.mean([2, 4]) + xp.amax(x, [2, 4])) / 2).flatten(1, 2)


class Layer(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.query = Linear(size, size)
        self.key = Linear(size, size)
        self.value = Linear(size, size)
        self.attention_out = Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.feed_forward_in = Linear(size, 4 * size)
        self.feed_forward_out = Linear(4 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        query, key, value = (split_heads(f(normed), self.heads) for f in (self.query, self.key, self.value))
        x = x + self.attention_out(merge_heads(attention(query, key, value)))
        return x + self.feed_forward_out(F.gelu(self.feed_forward_in(self.feed_forward_norm(x))))
