"""Training HiFi-GAN: log-mel spectrogram to waveform.

First by spectra alone (log-mel and multi-resolution STFT), which sets levels and pitches; at the end, in a run of its
own, also against discriminators, which make it crisp. Source: HiFi-GAN, arXiv:2010.05646; plain weights, without weight
normalisation, so that what is trained is what is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.audio.mel import log_mel as log_mel_of
from ppaudioldm.audio.pitch import pitch_track
from ppaudioldm.config import HifiGanConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.framework import F, Tensor, nn, xp
from ppaudioldm.models.hifigan import HifiGan
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.clips import Clip, Clips, SynthesisedClips, generator_of, held_out_of, mel_of
from ppaudioldm.training.discriminators import DiscriminatorConfig, Discriminators
from ppaudioldm.training.initialise import trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.parts import trained
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.stft_loss import log_mel, multi_resolution_stft_loss
from ppaudioldm.training.vae import MEL_DEVIATION, MEL_MEAN

HELD_OUT = 24  # clips
STEADY = 0.5  # of the frames of a clip whose pitch can be measured


@dataclass(frozen=True)
class VocoderSettings:
    """Defaults train the small model's by spectra alone.

    adversarial: also against discriminators. start: a run whose averaged vocoder this one begins with.
    """

    kinds: tuple[str, ...] = ()
    duration: float = tiny.CLIP_SECONDS
    crop_frames: int = 48
    crops_per_clip: int = 2
    batch_size: int = 8  # crops
    adversarial: bool = False
    start: str = ""
    mel_weight: float = 1.0
    stft_weight: float = 0.5
    features_weight: float = 0.1  # of what the discriminators see on their way to a verdict
    verdict_weight: float = 0.05
    vocoder: HifiGanConfig = tiny.MODEL.vocoder
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(rate=5e-4, warmup=100, beta1=0.8, weight_decay=0.0)
    )
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=40000))

    def __post_init__(self) -> None:
        frames = int(self.duration * self.vocoder.sample_rate) // self.vocoder.hop_length
        if not 4 <= self.crop_frames <= frames:
            raise ValueError(f"crop_frames is {self.crop_frames}, allowed: 4 to the {frames} of a clip")
        check_range(self, 1, LARGEST, "batch_size", "crops_per_clip")
        check_range(self, 0, LARGEST, "mel_weight", "stft_weight", "features_weight", "verdict_weight", "seed")
        check_range(self, 0, 1, "ema")


@dataclass(frozen=True)
class Crops:
    """Batches: mel (B, crop_frames, n_mels) and the waveform (B, crop_frames * hop_length) that it is of."""

    clips: Clips
    settings: VocoderSettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, hop = self.settings, self.settings.vocoder.hop_length
        generator = generator_of(settings.seed, index)
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
    turns: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: VocoderSettings, device: str = "cpu", clips: Clips | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or SynthesisedClips(settings.duration, settings.kinds)
        self.data = Crops(clips, settings)
        self._held_out = held_out_of(clips)
        vocoder = trainable("vocoder", HifiGan, settings.vocoder, settings.seed, device)
        vocoder.conv_in = NormalisedInput(vocoder.conv_in)
        if settings.start:
            before = trained(Path(settings.start), "vocoder")
            try:
                set_values(dict(vocoder.named_parameters()), before.get("vocoder", {}))
            except ValueError as error:
                raise CheckpointError(f"{settings.start}: not a run of this vocoder: {error}") from error
        self.networks: dict[str, Any] = {"vocoder": vocoder}
        self.turns = {"vocoder": ("vocoder",)}
        if settings.adversarial:
            judges = trainable("discriminators", Discriminators, settings.discriminators, settings.seed, device)
            self.networks["discriminators"] = judges
            # The discriminators' turn is first: they judge what they have learnt to tell.
            self.turns = {"discriminators": ("discriminators",), **self.turns}
        self._device = device
        self._yardstick: dict[str, float] = {}

    def optimizer(self, turn: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        judges = as_values(self.settings.discriminators) if self.settings.adversarial else None
        return {"vocoder": as_values(self.settings.vocoder), "discriminators": judges}

    def loss(self, turn: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Of the vocoder: how far its spectra are from those wanted, and what discriminators make of it."""
        if turn == "discriminators":
            with framework.no_grad():
                made = self._made(batch["mel"])
            return self._judges_loss(batch["waveform"], made)
        settings, wanted = self.settings, batch["waveform"]
        made = self._made(batch["mel"])
        mel_l1 = (log_mel(made) - log_mel(wanted)).abs().mean()
        stft = multi_resolution_stft_loss(made, wanted)
        loss = settings.mel_weight * mel_l1 + settings.stft_weight * stft
        logged = {"mel_l1": mel_l1.detach(), "stft": stft.detach()}
        if settings.adversarial:
            with framework.no_grad():
                real = self.networks["discriminators"](wanted)
            judged = self.networks["discriminators"](made)
            verdict = sum(((part[-1].to(xp.float32) - 1) ** 2).mean() for part in judged) / len(judged)
            features = _distance(real, judged)
            loss = loss + settings.verdict_weight * verdict + settings.features_weight * features
            logged.update({"verdict": verdict.detach(), "features": features.detach()})
        return loss, {"loss": loss.detach(), **logged}

    def _judges_loss(self, wanted: Tensor, made: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Least squares: a recording is to be judged 1, what the vocoder made 0."""
        judges = self.networks["discriminators"]
        loss = sum(
            ((real[-1].to(xp.float32) - 1) ** 2).mean() + (false[-1].to(xp.float32) ** 2).mean()
            for real, false in zip(judges(wanted), judges(made), strict=True)
        ) / len(judges.parts)
        return loss, {"judges_loss": loss.detach()}

    def _made(self, mel: Tensor) -> Tensor:
        """The waveform (B, frames * hop_length) of `mel`."""
        waveform = self.networks["vocoder"](mel).to(xp.float32)
        return waveform[:, : mel.shape[1] * self.settings.vocoder.hop_length]

    def evaluate(self) -> dict[str, float]:
        """On held-out clips, for the vocoder and for Griffin-Lim: log-mel L1, and the pitch error in per cent.

        The pitch error is the median over time and over the clips that have a pitch for most of their time.
        """
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        if not self._yardstick:
            found = _measured(clips, [griffin_lim(mel_of(clip)) for clip in clips])
            self._yardstick = {f"griffin_lim_{name}": value for name, value in found.items()}
        return {**_measured(clips, [self._vocoded(clip) for clip in clips]), **self._yardstick}

    def _vocoded(self, clip: Clip) -> np.ndarray:
        made = self._made(framework.from_numpy(mel_of(clip)[None], self._device))
        return framework.to_numpy(made)[0]

    def sample(self, folder: Path, step: int) -> None:
        """A few held-out clips, one after the other, each first as it is and then as the vocoder makes it."""
        from ppaudioldm.audio.write import write_audio

        clips = [self._held_out(number) for number in range(6)]
        waveforms = [waveform for clip in clips for waveform in (clip.waveform, self._vocoded(clip))]
        write_audio(folder / f"vocoder-{step:06d}.wav", np.concatenate(waveforms), self.settings.vocoder.sample_rate)


def _distance(real: list[list[Tensor]], judged: list[list[Tensor]]) -> Tensor:
    """Mean L1 of the features of all layers but the verdicts."""
    terms = [
        (a.to(xp.float32) - b.to(xp.float32)).abs().mean()
        for layers, other in zip(real, judged, strict=True)
        for a, b in zip(layers[:-1], other[:-1], strict=True)
    ]
    return sum(terms) / len(terms)


def _measured(clips: list[Clip], waveforms: list[np.ndarray]) -> dict[str, float]:
    distances, pitch_errors = [], []
    for clip, waveform in zip(clips, waveforms, strict=True):
        wanted = mel_of(clip)
        distances.append(np.abs(log_mel_of(waveform)[: len(wanted)] - wanted).mean())
        track, hertz = pitch_track(clip.waveform), pitch_track(waveform).hertz
        # What beats or drips has a pitch for moments only: too little to measure it on.
        if track.voiced().mean() > STEADY:
            ratios = hertz[: len(track.hertz)] / track.hertz
            pitch_errors.append(np.median(np.abs(ratios[track.voiced()] - 1)))
    found = {"held_out_mel_l1": float(np.mean(distances))}
    return {**found, "pitch_error": 100 * float(np.median(pitch_errors))} if pitch_errors else found


class NormalisedInput(nn.Module):
    """The first convolution, of log-mel spectrograms as if they had mean 0 and deviation 1.

    The same function as the plain one with the parameters of `exported`, borders included, but one that learns faster.
    """

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, mel: Tensor) -> Tensor:
        weight = self.weight / MEL_DEVIATION
        return F.conv1d(mel, weight, self.bias - MEL_MEAN * weight.sum([1, 2]), padding=weight.shape[2] // 2)


def exported(vocoder: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of a plain HiFi-GAN from those trained here: the same function."""
    found = dict(vocoder)
    found["conv_in.weight"] = found["conv_in.weight"] / np.float32(MEL_DEVIATION)
    found["conv_in.bias"] = found["conv_in.bias"] - np.float32(MEL_MEAN) * found["conv_in.weight"].sum((1, 2))
    return found
