"""The training stage `audiomae`: a masked autoencoder, whose encoder gives the target LOA tokens for GPT-2.

Audio-MAE, arXiv:2207.06405. The encoder sees a quarter of the patches of a filter bank, a small decoder predicts the
masked ones. After training only the encoder is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.framework import F, Linear, Tensor, constant, nn, xp
from ppaudioldm.models.audiomae import NORM_EPS, AudioMAE, Layer
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.dataset import (
    SPOKEN_CLIPS,
    Dataset,
    check_synthesised,
    held_out_of,
    seeded_rng,
    synthesised_clips,
)
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.samples import Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.weights.config_check import check_network

HELD_OUT = 64  # clips
FBANK_LEVELS = (-1.3, 1.0)  # of normalised filter banks: silence, and what is loud


@dataclass(frozen=True)
class MaskedAutoencoderConfig:
    """AudioMAE's encoder, and the decoder that only training uses."""

    encoder: AudioMAEConfig = tiny.AUDIOMAE
    decoder_size: int = 96
    decoder_layers: int = 2
    decoder_heads: int = 3

    def __post_init__(self) -> None:
        check_range(self, 1, 16384, "decoder_size", "decoder_layers", "decoder_heads")
        if self.decoder_size % self.decoder_heads or self.decoder_size % 4:
            raise ValueError(
                f"decoder_size is {self.decoder_size}, allowed: multiples of 4 and of the {self.decoder_heads} heads"
            )

    @property
    def patches(self) -> int:
        return self.encoder.frames * self.encoder.n_mels // self.patch_values

    @property
    def patch_values(self) -> int:
        """Values of a patch."""
        frames, mels = self.encoder.patch
        return frames * mels


@dataclass(frozen=True)
class AudioMAESettings:
    """Settings of the stage; the defaults train the network of the checkpoint `tiny`."""

    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    covered: float = 0.75  # share of the patches that are masked
    batch_size: int = 16
    network: MaskedAutoencoderConfig = field(default_factory=MaskedAutoencoderConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, warmup=100, decay_steps=1200))
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=1200))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        if not 0 < self.covered < 1:
            raise ValueError(f"covered is {self.covered}, allowed: a share above 0 and below 1")
        check_range(self, 1, LARGEST, "batch_size")
        check_range(self, 0, LARGEST, "seed")
        check_range(self, 0, 1, "ema")
        check_network("audiomae", self.network.encoder)

    @property
    def visible(self) -> int:
        """The number of visible patches, which are not masked."""
        return min(self.network.patches - 1, max(1, round((1 - self.covered) * self.network.patches)))


@dataclass(frozen=True)
class MaskedFilterbanks:
    """Batches: fbank (B, frames, 128), normalised; its patches (B, patches, values); order (B, patches).

    order: a random permutation of the patches of each clip; the first are visible, the others masked.
    """

    clips: Dataset
    settings: AudioMAESettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, config = self.settings, self.settings.network
        size = settings.batch_size
        generator = seeded_rng(settings.seed, index)
        waveforms = [self.clips(number).waveform for number in range(index * size, (index + 1) * size)]
        fbank = np.stack([audiomae_fbank(waveform, config.encoder.frames) for waveform in waveforms])
        return {
            "fbank": fbank,
            "patches": patchify(fbank, config.encoder.patch),
            "order": np.stack([generator.permutation(config.patches) for _ in waveforms]),
        }


class PatchDecoder(nn.Module):
    """Predicts the masked patches from the encoded visible ones."""

    def __init__(self, config: MaskedAutoencoderConfig) -> None:
        super().__init__()
        size = config.decoder_size
        self.project = Linear(config.encoder.hidden_size, size)
        self.covered_token = nn.Parameter(xp.empty([1, 1, size]))
        self.positions = nn.Parameter(xp.empty([1, 1 + config.patches, size]))
        self.layers = nn.ModuleList([Layer(size, config.decoder_heads) for _ in range(config.decoder_layers)])
        self.norm = nn.LayerNorm(size, eps=NORM_EPS)
        self.guess = Linear(size, config.patch_values)

    def forward(self, encoded: Tensor, order: Tensor) -> Tensor:
        """The masked patches (B, masked, values), in the order of the last columns of `order` (B, patches).

        encoded: (B, 1 + visible, size), the class token and the patches of the first columns.
        """
        hidden = self.project(encoded)
        visible = hidden.shape[1] - 1
        mask_tokens = self.covered_token.to(hidden.dtype) + xp.zeros_like(hidden[:, :1])
        mask_tokens = mask_tokens.expand([hidden.shape[0], order.shape[1] - visible, hidden.shape[2]])
        in_place = gather_rows(xp.concat([hidden[:, 1:], mask_tokens], 1), xp.argsort(order, 1))
        x = xp.concat([hidden[:, :1], in_place], 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.guess(self.norm(gather_rows(x[:, 1:], order[:, visible:])))


def encode_visible(encoder: AudioMAE, fbank: Tensor, visible: Tensor) -> Tensor:
    """(B, 1 + K, size): class token and encoded patches of the indices `visible` (B, K), which do not see the others.

    fbank (B, frames, n_mels), normalised. Patches are numbered time-major.
    """
    patches = encoder.patch_embed(fbank.unsqueeze(1)).flatten(2).transpose(1, 2) + encoder.positions[:, 1:]
    class_token = xp.zeros_like(patches[:, :1]) + encoder.class_token + encoder.positions[:, :1]
    x = xp.concat([class_token, gather_rows(patches, visible)], 1)
    for layer in encoder.layers:
        x = layer(x)
    return encoder.norm(x)


def patchify(fbank: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """The patches (B, patches, values) of `fbank` (B, frames, n_mels), time-major. patch: frames and mel bins."""
    batch, frames, n_mels = fbank.shape
    x = fbank.reshape(batch, frames // patch[0], patch[0], n_mels // patch[1], patch[1])
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, -1, patch[0] * patch[1])


def gather_rows(x: Tensor, indices: Tensor) -> Tensor:
    """Rows `indices` (B, K) of each item of x (B, N, D): (B, K, D)."""
    starts = constant(np.arange(x.shape[0]) * x.shape[1], indices)
    return F.embedding(indices + starts.unsqueeze(1), x.flatten(0, 1))


def sinusoidal_positions(grid: tuple[int, int], size: int) -> np.ndarray:
    """Initial position embeddings (1, 1 + patches, size): zeros for the class token, then sinusoids of each patch.

    One half of the features encodes the row, the other the column, in sines and cosines of falling frequency.
    """
    frequencies = 10000.0 ** (-np.arange(size // 4) / (size // 4))
    angles = [np.outer(np.arange(length), frequencies) for length in grid]
    rows, columns = (np.concatenate([np.sin(a), np.cos(a)], 1) for a in angles)
    table = np.concatenate([np.repeat(rows, grid[1], 0), np.tile(columns, (grid[0], 1))], 1)
    return np.concatenate([np.zeros((1, size)), table])[None].astype(np.float32)


class AudioMAEStage:
    name = "audiomae"
    updates: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: AudioMAESettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or synthesised_clips(settings.synthesised, settings.duration, settings.kinds, SPOKEN_CLIPS)
        self.data = MaskedFilterbanks(clips, settings)
        self._held_out = MaskedFilterbanks(held_out_of(clips), settings)
        encoder = build_trainable("audiomae", AudioMAE, settings.network.encoder, settings.seed, device)
        decoder = build_trainable("patch_decoder", PatchDecoder, settings.network, settings.seed, device)
        tables = {"encoder": encoder.positions, "decoder": decoder.positions}
        set_values(tables, {name: sinusoidal_positions(encoder.grid, table.shape[2]) for name, table in tables.items()})
        self.networks: dict[str, Any] = {"audiomae": encoder, "patch_decoder": decoder}
        self.updates = {"all": tuple(self.networks)}
        self._device = device

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return as_values(self.settings.network)

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of the masked patches, divided by the variance of their values in the batch.

        Predicting their mean gives 1. Patches are not normalised one by one, as in the paper: unlike a classifier, a
        diffusion model needs their levels.
        """
        predicted, target = self._predict(batch)
        loss = ((predicted - target) ** 2).mean() / ((target - target.mean()) ** 2).mean()
        return loss, {"loss": loss.detach()}

    def _predict(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The masked patches (B, masked, values), predicted and true."""
        fbank, order, visible = batch["fbank"], batch["order"], self.settings.visible
        encoded = encode_visible(self.networks["audiomae"], fbank, order[:, :visible])
        predicted = self.networks["patch_decoder"](encoded, order)
        return predicted.to(xp.float32), gather_rows(batch["patches"], order[:, visible:])

    def evaluate(self) -> dict[str, float]:
        """The loss on held-out clips."""
        batches = -(-HELD_OUT // self.settings.batch_size)
        errors, variances = [], []
        for index in range(batches):
            batch = {name: framework.from_numpy(x, self._device) for name, x in self._held_out(index).items()}
            predicted, target = (framework.to_numpy(x) for x in self._predict(batch))
            errors.append(((predicted - target) ** 2).mean())
            variances.append(target.var())
        return {"held_out_loss": float(np.mean(errors) / np.mean(variances))}

    def sample(self, samples: Samples) -> None:
        """Held-out filter banks, in a row, above the same with the masked patches as predicted."""
        arrays = self._held_out(0)
        batch = {name: framework.from_numpy(x, self._device) for name, x in arrays.items()}
        predicted, _ = (framework.to_numpy(x) for x in self._predict(batch))
        config = self.settings.network.encoder
        (frames, mels), bands = config.patch, config.n_mels // config.patch[1]
        filled = arrays["fbank"].copy()
        for clip, order in enumerate(arrays["order"]):
            for patch, values in zip(order[self.settings.visible :], predicted[clip], strict=True):
                row, column = frames * (patch // bands), mels * (patch % bands)
                filled[clip, row : row + frames, column : column + mels] = values.reshape(frames, mels)
        samples.spectrograms([list(arrays["fbank"]), list(filled)], FBANK_LEVELS)


def normalise_tokens(
    audiomae: Mapping[str, np.ndarray], mean: np.ndarray, deviation: np.ndarray
) -> dict[str, np.ndarray]:
    """The parameters of AudioMAE whose tokens, of `mean` and `deviation` by channel, have mean 0 and deviation 1.

    Exact: after the last normalisation, which is changed, there are only means, and maxima over places.
    """
    folded = dict(audiomae)
    folded["norm.weight"] = (audiomae["norm.weight"] / deviation).astype(np.float32)
    folded["norm.bias"] = ((audiomae["norm.bias"] - mean) / deviation).astype(np.float32)
    return folded
