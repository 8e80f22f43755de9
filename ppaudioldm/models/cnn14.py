"""Cnn14 of PANNs: the embedding of a sound, and logits of AudioSet's 527 classes.

Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern recognition", arXiv:1912.10211, as
defined by github.com/qiuqiangkong/audioset_tagging_cnn and its package panns_inference. It judges sounds and generates
none, so it is none of `models.build.NETWORKS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ppaudioldm.framework import F, Linear, Tensor, nn, xp
from ppaudioldm.models.batch_norm import FrozenBatchNorm


@dataclass(frozen=True)
class Cnn14Config:
    """The defaults are the published sizes; tests have smaller ones."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)  # of the blocks
    embedding_size: int = 2048
    num_classes: int = 527
    n_mels: int = 64


class Cnn14(nn.Module):
    """Log-mel spectrogram of a clip -> its embedding, and a logit for each class."""

    def __init__(self, config: Cnn14Config) -> None:
        super().__init__()
        self.input_norm = FrozenBatchNorm(config.n_mels)
        self.blocks = nn.ModuleList([_Block(a, b) for a, b in pairwise((1, *config.channels))])
        self.embedding = Linear(config.channels[-1], config.embedding_size)
        self.classes = Linear(config.embedding_size, config.num_classes)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (B, 2048) and logits (B, 527) of `log_mel` (B, frames >= 32, 64) in dB, from
        `audio.evaluation_mels.cnn14_log_mel`."""
        x = self.input_norm(log_mel).unsqueeze(1)
        for block in self.blocks[:-1]:
            x = F.avg_pool2d(block(x), 2)
        x = self.blocks[-1](x).mean(3)
        embedding = F.relu(self.embedding(xp.amax(x, 2) + x.mean(2)))
        return embedding, self.classes(embedding)


class _Block(nn.Module):
    """Two convolutions, each with its norm; the resolution stays."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _Conv(in_channels, channels), FrozenBatchNorm(channels, trailing=2)
        self.conv2, self.norm2 = _Conv(channels, channels), FrozenBatchNorm(channels, trailing=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class _Conv(nn.Module):
    """A 3x3 convolution without bias, for which Paddle's and PyTorch's layers take different arguments."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(xp.empty([channels, in_channels, 3, 3]))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, None, 1, 1)
