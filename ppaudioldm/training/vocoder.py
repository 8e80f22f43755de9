"""The training stage `vocoder`: HiFi-GAN, log-mel spectrograms to waveforms (arXiv:2010.05646).

First with spectral losses alone (log-mel and multi-resolution STFT), which is enough for levels and pitches; then, in a
second run, also with adversarial losses, for detail. Without weight normalisation: the trained weights are the stored
ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.pitch import pitch_track
from ppaudioldm.config import HifiGanConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.framework import Tensor, xp
from ppaudioldm.models.hifigan import HifiGan
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.dataset import (
    CaptionedClip,
    Dataset,
    check_synthesised,
    held_out_of,
    mel_of,
    seeded_rng,
    synthesised_clips,
)
from ppaudioldm.training.discriminators import DiscriminatorConfig, Discriminators
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.samples import Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.stft_loss import differentiable_log_mel, multi_resolution_stft_loss
from ppaudioldm.training.vae import MEL_DEVIATION, MEL_MEAN, NormalisedInput
from ppaudioldm.weights.config_check import check_network

HELD_OUT = 24  # clips
PITCHED_SHARE = 0.5  # of the frames of a clip, for its pitch to be compared


@dataclass(frozen=True)
class VocoderSettings:
    """Settings of the stage; the defaults train the vocoder of the checkpoint `tiny` with spectral losses alone.

    adversarial: add adversarial losses. start: folder of a run of this stage, whose averaged weights are the initial
    weights.
    """

    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    crop_frames: int = 48
    crops_per_clip: int = 2
    batch_size: int = 8  # crops
    adversarial: bool = False
    start: str = ""
    mel_weight: float = 1.0
    stft_weight: float = 0.5
    features_weight: float = 0.1  # of the feature matching loss
    verdict_weight: float = 0.05  # of the adversarial loss
    vocoder: HifiGanConfig = tiny.MODEL.vocoder
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(rate=5e-4, warmup=100, beta1=0.8, weight_decay=0.0)
    )
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=40000))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        frames = int(self.duration * self.vocoder.sample_rate) // self.vocoder.hop_length
        if not 4 <= self.crop_frames <= frames:
            raise ValueError(f"crop_frames is {self.crop_frames}, allowed: 4 to the {frames} of a clip")
        check_range(self, 1, LARGEST, "batch_size", "crops_per_clip")
        check_range(self, 0, LARGEST, "mel_weight", "stft_weight", "features_weight", "verdict_weight", "seed")
        check_range(self, 0, 1, "ema")
        check_network("vocoder", self.vocoder)


@dataclass(frozen=True)
class Crops:
    """Batches: mel (B, crop_frames, n_mels) and waveform (B, crop_frames * hop_length) of the same crop."""

    clips: Dataset
    settings: VocoderSettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, hop = self.settings, self.settings.vocoder.hop_length
        generator = seeded_rng(settings.seed, index)
        mels, waveforms = [], []
        per_batch = -(-settings.batch_size // settings.crops_per_clip)
        for number in range(index * per_batch, (index + 1) * per_batch):
            clip = self.clips(number)
            mel = mel_of(clip)
            for _ in range(settings.crops_per_clip):
                start = int(generator.integers(0, len(mel) - settings.crop_frames + 1))
                mels.append(mel[start : start + settings.crop_frames])
                waveforms.append(clip.waveform[start * hop : (start + settings.crop_frames) * hop])
        size = settings.batch_size
        return {"mel": np.stack(mels[:size]), "waveform": np.stack(waveforms[:size])}


class VocoderStage:
    name = "vocoder"
    updates: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: VocoderSettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or synthesised_clips(settings.synthesised, settings.duration, settings.kinds)
        self.data = Crops(clips, settings)
        self._held_out = held_out_of(clips)
        vocoder = build_trainable("vocoder", HifiGan, settings.vocoder, settings.seed, device)
        vocoder.conv_in = NormalisedInput(vocoder.conv_in)
        if settings.start:
            weights = averaged_weights(Path(settings.start), "vocoder")
            try:
                set_values(dict(vocoder.named_parameters()), weights.get("vocoder", {}))
            except ValueError as error:
                raise CheckpointError(f"{settings.start}: not a run of this vocoder: {error}") from error
        self.networks: dict[str, Any] = {"vocoder": vocoder}
        self.updates = {"vocoder": ("vocoder",)}
        if settings.adversarial:
            discriminators = build_trainable(
                "discriminators", Discriminators, settings.discriminators, settings.seed, device
            )
            self.networks["discriminators"] = discriminators
            # The discriminators are updated first, as in the paper.
            self.updates = {"discriminators": ("discriminators",), **self.updates}
        self._device = device
        self._griffin_lim_measures: dict[str, float] = {}

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        discriminators = as_values(self.settings.discriminators) if self.settings.adversarial else None
        return {"vocoder": as_values(self.settings.vocoder), "discriminators": discriminators}

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminators' loss, or the vocoder's: spectral, adversarial and feature matching losses."""
        if update == "discriminators":
            with framework.no_grad():
                generated = self._generate(batch["mel"])
            return self._discriminator_loss(batch["waveform"], generated)
        settings, target = self.settings, batch["waveform"]
        generated = self._generate(batch["mel"])
        mel_l1 = (differentiable_log_mel(generated) - differentiable_log_mel(target)).abs().mean()
        stft = multi_resolution_stft_loss(generated, target)
        loss = settings.mel_weight * mel_l1 + settings.stft_weight * stft
        logged = {"mel_l1": mel_l1.detach(), "stft": stft.detach()}
        if settings.adversarial:
            with framework.no_grad():
                real = self.networks["discriminators"](target)
            fake = self.networks["discriminators"](generated)
            adversarial = sum(((outputs[-1].to(xp.float32) - 1) ** 2).mean() for outputs in fake) / len(fake)
            features = _feature_matching_loss(real, fake)
            loss = loss + settings.verdict_weight * adversarial + settings.features_weight * features
            logged.update({"verdict": adversarial.detach(), "features": features.detach()})
        return loss, {"loss": loss.detach(), **logged}

    def _discriminator_loss(self, target: Tensor, generated: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Least squares (arXiv:1611.04076): the score of a real waveform is to be 1, of a generated one 0."""
        discriminators = self.networks["discriminators"]
        loss = sum(
            ((real[-1].to(xp.float32) - 1) ** 2).mean() + (fake[-1].to(xp.float32) ** 2).mean()
            for real, fake in zip(discriminators(target), discriminators(generated), strict=True)
        ) / len(discriminators.parts)
        return loss, {"judges_loss": loss.detach()}

    def _generate(self, mel: Tensor) -> Tensor:
        """The waveform (B, frames * hop_length) of `mel`."""
        waveform = self.networks["vocoder"](mel).to(xp.float32)
        return waveform[:, : mel.shape[1] * self.settings.vocoder.hop_length]

    def evaluate(self) -> dict[str, float]:
        """Log-mel L1 and pitch error in per cent on held-out clips, for the vocoder and for Griffin-Lim.

        The pitch error is the median over time, and over the clips that have a pitch most of the time.
        """
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        if not self._griffin_lim_measures:
            measures = _measure(clips, [griffin_lim(mel_of(clip)) for clip in clips])
            self._griffin_lim_measures = {f"griffin_lim_{name}": value for name, value in measures.items()}
        return {**_measure(clips, [self._vocoded(clip) for clip in clips]), **self._griffin_lim_measures}

    def _vocoded(self, clip: CaptionedClip) -> np.ndarray:
        waveform = self._generate(framework.from_numpy(mel_of(clip)[None], self._device))
        return framework.to_numpy(waveform)[0]

    def sample(self, samples: Samples) -> None:
        """A few held-out clips, each followed by its reconstruction: one after the other as one sound, and in a row."""
        clips = [self._held_out(number) for number in range(6)]
        waveforms = [waveform for clip in clips for waveform in (clip.waveform, self._vocoded(clip))]
        samples.sound("", np.concatenate(waveforms), self.settings.vocoder.sample_rate)
        samples.spectrograms([[log_mel(waveform) for waveform in waveforms]])


def _feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Mean L1 between the outputs of all layers but the last of all discriminators."""
    terms = [
        (a.to(xp.float32) - b.to(xp.float32)).abs().mean()
        for real_outputs, fake_outputs in zip(real, fake, strict=True)
        for a, b in zip(real_outputs[:-1], fake_outputs[:-1], strict=True)
    ]
    return sum(terms) / len(terms)


def _measure(clips: list[CaptionedClip], waveforms: list[np.ndarray]) -> dict[str, float]:
    distances, pitch_errors = [], []
    for clip, waveform in zip(clips, waveforms, strict=True):
        target = mel_of(clip)
        distances.append(np.abs(log_mel(waveform)[: len(target)] - target).mean())
        track, hertz = pitch_track(clip.waveform), pitch_track(waveform).hertz
        # Percussive sounds have a pitch for moments only, too short to measure it.
        if track.voiced().mean() > PITCHED_SHARE:
            ratios = hertz[: len(track.hertz)] / track.hertz
            pitch_errors.append(np.median(np.abs(ratios[track.voiced()] - 1)))
    measures = {"held_out_mel_l1": float(np.mean(distances))}
    return {**measures, "pitch_error": 100 * float(np.median(pitch_errors))} if pitch_errors else measures


def fold_normalisation(vocoder: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of a plain HiFi-GAN that computes the same function as the trained one."""
    folded = dict(vocoder)
    folded["conv_in.weight"] = folded["conv_in.weight"] / np.float32(MEL_DEVIATION)
    folded["conv_in.bias"] = folded["conv_in.bias"] - np.float32(MEL_MEAN) * folded["conv_in.weight"].sum((1, 2))
    return folded
