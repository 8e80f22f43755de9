"""The training stage `vae`: log-mel spectrograms to latents and back (arXiv:2112.10752, without a discriminator)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.config import VAEConfig
from ppaudioldm.framework import F, Tensor, nn, xp
from ppaudioldm.models.vae import VAEDecoder, VAEEncoder
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.dataset import (
    HOP_LENGTH,
    Dataset,
    check_synthesised,
    held_out_of,
    mel_of,
    seeded_rng,
    synthesised_clips,
)
from ppaudioldm.training.initialise import build_trainable, freeze
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.samples import SOUNDS, Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.weights.config_check import check_network

MEL_MEAN, MEL_DEVIATION = -5.5, 3.0  # of log-mel spectrograms, about
SAMPLE_RATE = 16000  # Hz
SCALES = (2, 4, 8)  # frames and bins over which spectrograms are averaged, for the multi-scale loss


@dataclass(frozen=True)
class VAESettings:
    """Settings of the stage; the defaults train the networks of the checkpoint `tiny`."""

    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    crop_frames: int = 512  # as long as what is encoded later: with less, norms and attention differ on whole clips
    crops_per_clip: int = 1
    batch_size: int = 1  # crops; on a CPU many small steps beat few large ones
    gradient_weight: float = 0.25  # of the L1 of differences between neighbouring frames and bins
    scales_weight: float = 0.25  # of the L1 of averages over SCALES
    kl_weight: float = 2e-3
    start: str = ""  # folder of a run of this stage, whose averaged weights are the initial weights
    train_encoder: bool = True  # False: only the decoder, for the latents of `start`, which other stages depend on
    vae: VAEConfig = tiny.MODEL.vae
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=8e-4, warmup=100, decay_steps=6000))
    held_out: int = 24  # clips for evaluation
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=6000))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        check_range(self, 1, LARGEST, "batch_size", "crops_per_clip", "held_out")
        check_range(self, 0, LARGEST, "gradient_weight", "scales_weight", "kl_weight", "seed")
        check_range(self, 0, 1, "ema")
        check_network("vae", self.vae)
        step, frames = self.vae.downsampling, round(self.duration * SAMPLE_RATE) // HOP_LENGTH
        if self.crop_frames % step or not 0 < self.crop_frames <= frames:
            raise ValueError(
                f"crop_frames is {self.crop_frames}, allowed: multiples of {step} up to {frames}, the clip"
            )


@dataclass(frozen=True)
class MelCrops:
    """Batches: log-mel crops mel (B, crop_frames, 64), noise for the latents (B, channels, crop_frames / 4, 16)."""

    clips: Dataset
    settings: VAESettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, config = self.settings, self.settings.vae
        generator = seeded_rng(settings.seed, index)
        crops = []
        per_batch = -(-settings.batch_size // settings.crops_per_clip)
        for number in range(index * per_batch, (index + 1) * per_batch):
            mel = mel_of(self.clips(number))
            for _ in range(settings.crops_per_clip):
                start = generator.integers(0, len(mel) - settings.crop_frames + 1)
                crops.append(mel[start : start + settings.crop_frames])
        frames, bands = settings.crop_frames // config.downsampling, config.n_mels // config.downsampling
        shape = (settings.batch_size, config.latent_channels, frames, bands)
        noise = generator.standard_normal(shape, np.float32)
        return {"mel": np.stack(crops[: settings.batch_size]), "noise": noise}


class VAEStage:
    name = "vae"
    updates: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: VAESettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or synthesised_clips(settings.synthesised, settings.duration, settings.kinds)
        self.data = MelCrops(clips, settings)
        self._held_out = held_out_of(clips)
        encoder = build_trainable("vae_encoder", VAEEncoder, settings.vae, settings.seed, device)
        encoder.conv_in = NormalisedInput(encoder.conv_in)
        self.encoder: Any = encoder
        self.decoder: Any = build_trainable("vae_decoder", VAEDecoder, settings.vae, settings.seed, device)
        networks = {"vae_encoder": self.encoder, "vae_decoder": self.decoder}
        if settings.start:
            weights = averaged_weights(Path(settings.start), "vae")
            for name, network in networks.items():
                set_values(dict(network.named_parameters()), weights[name])
        if not settings.train_encoder:
            freeze(networks.pop("vae_encoder"))
        self.networks: dict[str, Any] = networks
        self.updates = {"all": tuple(networks)}
        self._device = device

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return as_values(self.settings.vae)

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """L1 of the spectrogram, of its gradients and at several scales, and the KL divergence of the posterior."""
        mel, settings = batch["mel"], self.settings
        if settings.train_encoder:
            mean, log_variance = self.encode(mel)
        else:
            with framework.no_grad():
                mean, log_variance = self.encode(mel)
        decoded = self.decoder(mean + (0.5 * log_variance).exp() * batch["noise"]).to(xp.float32)
        difference = decoded - (mel - MEL_MEAN) / MEL_DEVIATION
        l1 = difference.abs().mean()
        gradient = (difference[:, 1:] - difference[:, :-1]).abs().mean()
        gradient = gradient + (difference[:, :, 1:] - difference[:, :, :-1]).abs().mean()
        scales = sum(F.avg_pool2d(difference.unsqueeze(1), s, s).abs().mean() for s in SCALES) / len(SCALES)
        kl = 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance).mean()
        loss = l1 + settings.gradient_weight * gradient + settings.scales_weight * scales + settings.kl_weight * kl
        return loss, {"loss": loss.detach(), "mel_l1": MEL_DEVIATION * l1.detach(), "kl": kl.detach()}

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents of `mel`, in float32."""
        mean, log_variance = self.encoder(mel)
        return mean.to(xp.float32), log_variance.to(xp.float32)

    def decode(self, latents: Tensor) -> Tensor:
        """Log-mel spectrogram of `latents`."""
        return MEL_DEVIATION * self.decoder(latents).to(xp.float32) + MEL_MEAN

    def evaluate(self) -> dict[str, float]:
        """Log-mel L1 of reconstructed held-out clips; smallest and largest standard deviation of a latent channel."""
        errors, latents = [], []
        for number in range(self.settings.held_out):
            mel = mel_of(self._held_out(number))
            mean, _ = self.encode(framework.from_numpy(mel[None], self._device))
            errors.append(np.abs(framework.to_numpy(self.decode(mean))[0] - mel).mean())
            latents.append(framework.to_numpy(mean)[0])
        deviation = np.stack(latents).std((0, 2, 3))
        return {
            "held_out_mel_l1": float(np.mean(errors)),
            "latent_deviation_min": float(deviation.min()),
            "latent_deviation_max": float(deviation.max()),
        }

    def sample(self, samples: Samples) -> None:
        """A few held-out spectrograms, in a row, above their reconstructions, and sounds of the first of these."""
        mels = np.stack([mel_of(self._held_out(number)) for number in range(min(8, self.settings.held_out))])
        mean, _ = self.encode(framework.from_numpy(mels, self._device))
        reconstructed = framework.to_numpy(self.decode(mean))
        samples.spectrograms([list(mels), list(reconstructed)])
        for number, mel in enumerate(reconstructed[:SOUNDS]):
            samples.sound_of_mel(f"{number + 1}", mel)


class NormalisedInput(nn.Module):
    """The first convolution of a network, which normalises log-mel spectrograms to mean 0 and deviation 1.

    The same function as a plain convolution with the parameters of `fold_normalisation`, zero padding included, but it
    learns faster.
    """

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, mel: Tensor) -> Tensor:
        weight = self.weight / MEL_DEVIATION
        bias = self.bias - MEL_MEAN * weight.sum(list(range(1, weight.ndim)))
        convolve = F.conv1d if weight.ndim == 3 else F.conv2d
        return convolve(mel, weight, bias, padding=weight.shape[-1] // 2)


def fold_normalisation(
    encoder: Mapping[str, np.ndarray], decoder: Mapping[str, np.ndarray], mean: np.ndarray, deviation: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The parameters of plain networks that compute the same function, with all normalisation folded in.

    encoder, decoder: trained parameters. mean, deviation: of each latent channel. The latents of the plain encoder have
    mean 0 and deviation 1; spectrograms are natural logarithms.
    """
    encoder, decoder = dict(encoder), dict(decoder)
    encoder["conv_in.weight"] = encoder["conv_in.weight"] / MEL_DEVIATION
    encoder["conv_in.bias"] = encoder["conv_in.bias"] - MEL_MEAN * encoder["conv_in.weight"].sum((1, 2, 3))
    decoder["conv_out.weight"] = MEL_DEVIATION * decoder["conv_out.weight"]
    decoder["conv_out.bias"] = MEL_DEVIATION * decoder["conv_out.bias"] + MEL_MEAN
    return normalise_latents(encoder, decoder, mean, deviation)


def normalise_latents(
    encoder: Mapping[str, np.ndarray], decoder: Mapping[str, np.ndarray], mean: np.ndarray, deviation: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The parameters of a plain VAE, changed so that latents of `mean` and `deviation` have mean 0 and deviation 1."""
    encoder, decoder = dict(encoder), dict(decoder)
    channels = len(mean)
    gain = np.concatenate([1 / deviation, np.ones(channels)])  # the second half is the log variance, only shifted
    shift = np.concatenate([-mean / deviation, -2 * np.log(deviation)])
    encoder["quant_conv.weight"] = encoder["quant_conv.weight"] * gain[:, None, None, None]
    encoder["quant_conv.bias"] = encoder["quant_conv.bias"] * gain + shift
    weight = decoder["post_quant_conv.weight"]
    decoder["post_quant_conv.bias"] = decoder["post_quant_conv.bias"] + weight[:, :, 0, 0] @ mean
    decoder["post_quant_conv.weight"] = weight * deviation[None, :, None, None]
    as_float32 = [{name: value.astype(np.float32) for name, value in network.items()} for network in (encoder, decoder)]
    return as_float32[0], as_float32[1]
