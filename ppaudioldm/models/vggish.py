"""VGGish: the embedding of 0.96 s of sound that the Fréchet audio distance of papers is of.

Hershey et al., "CNN architectures for large-scale audio classification", arXiv:1609.09430, as defined by
github.com/tensorflow/models (research/audioset/vggish) and github.com/harritaylor/torchvggish. It judges sounds and
generates none, so it is none of `models.build.NETWORKS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ppaudioldm.framework import F, Linear, Tensor, nn

POOLED_AFTER = (0, 1, 3, 5)  # convolutions after which time and frequency are halved


@dataclass(frozen=True)
class VGGishConfig:
    """The defaults are the published sizes; tests have smaller ones."""

    channels: tuple[int, ...] = (64, 128, 256, 256, 512, 512)  # of the convolutions
    hidden_sizes: tuple[int, ...] = (4096, 4096)
    embedding_size: int = 128
    frames: int = 96  # of an example, 10 ms each
    n_mels: int = 64

    @property
    def flat_size(self) -> int:
        """The values that are left of an example after the convolutions."""
        halvings = 2 ** len(POOLED_AFTER)
        return self.frames // halvings * (self.n_mels // halvings) * self.channels[-1]


class VGGish(nn.Module):
    """Log-mel spectrogram of one example -> its embedding."""

    def __init__(self, config: VGGishConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((1, *config.channels))])
        sizes = (config.flat_size, *config.hidden_sizes, config.embedding_size)
        self.layers = nn.ModuleList([Linear(a, b) for a, b in pairwise(sizes)])

    def forward(self, log_mel: Tensor) -> Tensor:
        """The embedding (B, 128) of `log_mel` (B, 96, 64), from `audio.evaluation_mels.vggish_examples`.

        That of audioldm_eval: before the last ReLU, and without the whitening and quantisation of AudioSet's release.
        """
        x = log_mel.unsqueeze(1)
        for index, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            if index in POOLED_AFTER:
                x = F.max_pool2d(x, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # channels last, as TensorFlow has them
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
