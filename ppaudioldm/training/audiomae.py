"""Pre-training AudioMAE, whose encoder gives GPT-2 its targets: guess the patches of a sound that were covered.

Audio-MAE, arXiv:2207.06405. The encoder sees a quarter of the patches, a small decoder fills in the others and is then
thrown away: what the encoder knows of a whole sound from parts of it is what is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.framework import F, Linear, Tensor, constant, nn, xp
from ppaudioldm.models.audiomae import NORM_EPS, AudioMAE, Layer
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.clips import Clips, SynthesisedClips, generator_of, held_out_of
from ppaudioldm.training.initialise import trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range

HELD_OUT = 64  # clips


@dataclass(frozen=True)
class MaskedConfig:
    """AudioMAE and the decoder of its training."""

    encoder: AudioMAEConfig = tiny.AUDIOMAE
    decoder_size: int = 96
    decoder_layers: int = 2
    decoder_heads: int = 3

    @property
    def patches(self) -> int:
        return self.encoder.frames * self.encoder.n_mels // self.encoder.patch_size**2


@dataclass(frozen=True)
class AudioMAESettings:
    """Defaults train the small model's."""

    kinds: tuple[str, ...] = ()
    duration: float = tiny.CLIP_SECONDS
    covered: float = 0.75  # of the patches
    batch_size: int = 16
    network: MaskedConfig = field(default_factory=MaskedConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, warmup=100, decay_steps=1200))
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=1200))

    def __post_init__(self) -> None:
        if not 0 < self.covered < 1:
            raise ValueError(f"covered is {self.covered}, allowed: a share between 0 and 1")
        check_range(self, 1, LARGEST, "batch_size")
        check_range(self, 0, LARGEST, "seed")
        check_range(self, 0, 1, "ema")

    @property
    def seen(self) -> int:
        """Patches that are not covered."""
        return min(self.network.patches - 1, max(1, round((1 - self.covered) * self.network.patches)))


@dataclass(frozen=True)
class Filterbanks:
    """Batches: fbank (B, frames, 128), normalised, also cut into patches (B, patches, patch_size^2), and order.

    order (B, patches): the patches of each clip shuffled; the first are seen, the others covered.
    """

    clips: Clips
    settings: AudioMAESettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, config = self.settings, self.settings.network
        size = settings.batch_size
        generator = generator_of(settings.seed, index)
        waveforms = [self.clips(number).waveform for number in range(index * size, (index + 1) * size)]
        fbank = np.stack([audiomae_fbank(waveform, config.encoder.frames) for waveform in waveforms])
        return {
            "fbank": fbank,
            "patches": cut(fbank, config.encoder.patch_size),
            "order": np.stack([generator.permutation(config.patches) for _ in waveforms]),
        }


class PatchDecoder(nn.Module):
    """Guesses covered patches from what the encoder made of the others."""

    def __init__(self, config: MaskedConfig) -> None:
        super().__init__()
        size = config.decoder_size
        self.project = Linear(config.encoder.hidden_size, size)
        self.covered_token = nn.Parameter(xp.empty([1, 1, size]))
        self.positions = nn.Parameter(xp.empty([1, 1 + config.patches, size]))
        self.layers = nn.ModuleList([Layer(size, config.decoder_heads) for _ in range(config.decoder_layers)])
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.guess = Linear(size, config.encoder.patch_size**2)

    def forward(self, encoded: Tensor, order: Tensor) -> Tensor:
        """(B, covered patches, patch_size^2), in the order of the last columns of `order` (B, patches).

        encoded: (B, 1 + seen, size), the class token and the patches of the first columns.
        """
        hidden = self.project(encoded)
        seen = hidden.shape[1] - 1
        blanks = self.covered_token.to(hidden.dtype) + xp.zeros_like(hidden[:, :1])
        blanks = blanks.expand([hidden.shape[0], order.shape[1] - seen, hidden.shape[2]])
        back_in_place = rows(xp.concat([hidden[:, 1:], blanks], 1), xp.argsort(order, 1))
        x = xp.concat([hidden[:, :1], back_in_place], 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.guess(self.norm(rows(x[:, 1:], order[:, seen:])))


def encode_some(encoder: AudioMAE, fbank: Tensor, kept: Tensor) -> Tensor:
    """(B, 1 + kept, size): the class token and the patches numbered `kept` (B, kept), which see nothing of the others.

    fbank (B, frames, n_mels), normalised. Patches are numbered time-major.
    """
    patches = encoder.patch_embed(fbank.unsqueeze(1)).flatten(2).transpose(1, 2) + encoder.positions[:, 1:]
    class_token = xp.zeros_like(patches[:, :1]) + encoder.class_token + encoder.positions[:, :1]
    x = xp.concat([class_token, rows(patches, kept)], 1)
    for layer in encoder.layers:
        x = layer(x)
    return encoder.norm(x)


def cut(fbank: np.ndarray, side: int) -> np.ndarray:
    """The patches (B, patches, side^2) of `fbank` (B, frames, n_mels), time-major."""
    batch, frames, n_mels = fbank.shape
    x = fbank.reshape(batch, frames // side, side, n_mels // side, side)
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, -1, side**2)


def rows(x: Tensor, numbers: Tensor) -> Tensor:
    """Rows `numbers` (B, K) of each item of x (B, N, D): (B, K, D)."""
    starts = constant(np.arange(x.shape[0]) * x.shape[1], numbers)
    return F.embedding(numbers + starts.unsqueeze(1), x.flatten(0, 1))


def sinusoids(grid: tuple[int, int], size: int) -> np.ndarray:
    """What the position tables begin with, (1, 1 + patches, size): nothing for the class, then where a patch is.

    One half of the features tells the row, the other the column, in sines and cosines of falling frequency.
    """
    frequencies = 10000.0 ** (-np.arange(size // 4) / (size // 4))
    angles = [np.outer(np.arange(length), frequencies) for length in grid]
    rows, columns = (np.concatenate([np.sin(a), np.cos(a)], 1) for a in angles)
    table = np.concatenate([np.repeat(rows, grid[1], 0), np.tile(columns, (grid[0], 1))], 1)
    return np.concatenate([np.zeros((1, size)), table])[None].astype(np.float32)


class AudioMAEStage:
    name = "audiomae"
    turns: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: AudioMAESettings, device: str = "cpu", clips: Clips | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or SynthesisedClips(settings.duration, settings.kinds)
        self.data = Filterbanks(clips, settings)
        self._held_out = Filterbanks(held_out_of(clips), settings)
        encoder = trainable("audiomae", AudioMAE, settings.network.encoder, settings.seed, device)
        decoder = trainable("patch_decoder", PatchDecoder, settings.network, settings.seed, device)
        tables = {"encoder": encoder.positions, "decoder": decoder.positions}
        set_values(tables, {name: sinusoids(encoder.grid, table.shape[2]) for name, table in tables.items()})
        self.networks: dict[str, Any] = {"audiomae": encoder, "patch_decoder": decoder}
        self.turns = {"all": tuple(self.networks)}
        self._device = device

    def optimizer(self, turn: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return as_values(self.settings.network)

    def loss(self, turn: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of the covered patches, over the mean variance of the values of a batch.

        1 is what guessing their mean gives. Levels are left as they are: unlike a classifier, a diffusion model needs
        to be told them.
        """
        guessed, wanted = self._guess(batch)
        loss = ((guessed - wanted) ** 2).mean() / ((wanted - wanted.mean()) ** 2).mean()
        return loss, {"loss": loss.detach()}

    def _guess(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        fbank, order, seen = batch["fbank"], batch["order"], self.settings.seen
        encoded = encode_some(self.networks["audiomae"], fbank, order[:, :seen])
        guessed = self.networks["patch_decoder"](encoded, order)
        return guessed.to(xp.float32), rows(batch["patches"], order[:, seen:])

    def evaluate(self) -> dict[str, float]:
        """The loss on held-out clips."""
        batches = -(-HELD_OUT // self.settings.batch_size)
        errors, variances = [], []
        for index in range(batches):
            batch = {name: framework.from_numpy(x, self._device) for name, x in self._held_out(index).items()}
            guessed, wanted = (framework.to_numpy(x) for x in self._guess(batch))
            errors.append(((guessed - wanted) ** 2).mean())
            variances.append(wanted.var())
        return {"held_out_loss": float(np.mean(errors) / np.mean(variances))}

    def sample(self, folder: Path, step: int) -> None:
        """Held-out spectrograms, and the same with the covered patches as guessed: (2, clips, frames, 128)."""
        arrays = self._held_out(0)
        batch = {name: framework.from_numpy(x, self._device) for name, x in arrays.items()}
        guessed, _ = (framework.to_numpy(x) for x in self._guess(batch))
        config = self.settings.network.encoder
        side, bands = config.patch_size, config.n_mels // config.patch_size
        filled = arrays["fbank"].copy()
        for clip, order in enumerate(arrays["order"]):
            for patch, values in zip(order[self.settings.seen :], guessed[clip], strict=True):
                row, column = side * (patch // bands), side * (patch % bands)
                filled[clip, row : row + side, column : column + side] = values.reshape(side, side)
        np.save(folder / f"audiomae-{step:06d}.npy", np.stack([arrays["fbank"], filled]).astype(np.float16))
