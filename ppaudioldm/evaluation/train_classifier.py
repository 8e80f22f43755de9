"""The training stage `classifier`: the sound classifier of the evaluation, on clips of a sound set only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.evaluation.choices import SIMPLE
from ppaudioldm.evaluation.classifier import ClassifierConfig, ClassifierNetwork, save_classifier
from ppaudioldm.evaluation.sound_sets import sound_set
from ppaudioldm.framework import F, Tensor, xp
from ppaudioldm.sounds import SAMPLE_RATE
from ppaudioldm.training.dataset import Dataset, seeded_rng
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.samples import Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range

HELD_OUT = 10  # clips a kind


@dataclass(frozen=True)
class ClassifierSettings:
    """sounds: the name of a sound set. kinds: the labels, () for all single kinds of it.

    durations: seconds, one a batch, for evaluated clips may be short.
    """

    sounds: str = SIMPLE
    kinds: tuple[str, ...] = ()
    durations: tuple[float, ...] = (2.56, 1.28, 2.56, 1.92)
    channels: tuple[int, ...] = (32, 64, 96, 128)
    batch_size: int = 32
    one_pair_in: int = 4  # one clip in so many mixes two kinds
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=2e-3, warmup=50, decay_steps=1200))
    ema: float = 0.99
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=1200, evaluate_every=250))

    def __post_init__(self) -> None:
        check_range(self, 1, LARGEST, "batch_size", "one_pair_in")
        check_range(self, 0, LARGEST, "seed")
        check_range(self, 0, 1, "ema")
        if not self.durations or any(not 1 <= duration <= 60 for duration in self.durations):
            raise ValueError(f"durations are {list(self.durations)}, allowed: one or more of 1 to 60 seconds")
        known = sound_set(self.sounds).single_kinds
        unknown = [kind for kind in self.kinds if kind not in known]
        if unknown:
            raise ValueError(f"kinds has {unknown[0]!r}, choose from {', '.join(known)}")

    def config(self) -> ClassifierConfig:
        return ClassifierConfig(self.kinds or sound_set(self.sounds).single_kinds, self.channels)

    @property
    def duration(self) -> float:
        """Seconds of the longest clips."""
        return max(self.durations)

    def is_mixture(self, index: int) -> bool:
        """Whether the clip at `index` of a batch mixes two kinds. Only with all labels: a mixture may be of any two."""
        return not self.kinds and index % self.one_pair_in == 0


@dataclass(frozen=True)
class LabelledClips:
    """Batches: mel (B, frames, 64) and target (B, labels) float32, probabilities: 1/2 each for a mixture of two."""

    settings: ClassifierSettings

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings = self.settings
        labels = settings.config().labels
        duration = settings.durations[index % len(settings.durations)]
        mels = []
        targets = np.zeros((settings.batch_size, len(labels)), np.float32)
        for row in range(settings.batch_size):
            number = index * settings.batch_size + row
            kinds_of_clip = ("together",) if settings.is_mixture(row) else labels
            clip = sound_set(settings.sounds).example(number, kinds_of_clip, duration, "train")
            is_mixture = clip.kind == "together"
            kinds = [clip.parameters[name] for name in ("first", "second")] if is_mixture else [clip.kind]
            for kind in kinds:
                targets[row, labels.index(kind)] = 1 / len(kinds)
            waveform = degrade(seeded_rng(settings.seed, number), clip.waveform)
            mels.append(log_mel(waveform))
        return {"mel": np.stack(mels), "target": targets}


def degrade(rng: np.random.Generator, waveform: np.ndarray) -> np.ndarray:
    """Augmentation of `waveform` (samples,): random level, spectral tilt and white noise."""
    spectrum = np.fft.rfft(waveform)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE), 50) / 1000)
    decibels = rng.uniform(-8, 4) + rng.uniform(-1.5, 1.5) * octaves
    waveform = np.fft.irfft(spectrum * 10 ** (decibels / 20), len(waveform))
    noise = 10 ** (rng.uniform(-70, -35) / 20) * rng.standard_normal(len(waveform))
    return waveform + noise


class ClassifierStage:
    name = "classifier"
    updates: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: ClassifierSettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        if clips is not None:
            raise ValueError("the classifier is trained on clips of the package only: recordings have no labels")
        self.settings = settings
        self.ema = settings.ema
        self.data = LabelledClips(settings)
        network = build_trainable("classifier", ClassifierNetwork, settings.config(), settings.seed, device)
        self.networks: dict[str, Any] = {"classifier": network}
        self.updates = {"all": ("classifier",)}
        self._device = device

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return as_values(self.settings.config())

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy."""
        logits = self.networks["classifier"](batch["mel"]).to(xp.float32)
        loss = -(batch["target"] * F.log_softmax(logits, 1)).sum(1).mean()
        accuracy = (logits.argmax(1) == batch["target"].argmax(1)).to(xp.float32).mean()
        return loss, {"loss": loss.detach(), "accuracy": accuracy.detach()}

    def evaluate(self, count: int = HELD_OUT) -> dict[str, float]:
        """Accuracy on held-out clips, `count` a kind: the mean over kinds, and that of the worst kind."""
        accuracies = []
        sounds = sound_set(self.settings.sounds)
        for label in self.settings.config().labels:
            clips = [sounds.example(number, (label,), self.settings.duration, "test") for number in range(count)]
            mels = np.stack([log_mel(clip.waveform) for clip in clips])
            logits = framework.to_numpy(self.networks["classifier"](framework.from_numpy(mels, self._device)))
            accuracies.append(np.mean(logits.argmax(1) == self.settings.config().labels.index(label)))
        return {"held_out_accuracy": float(np.mean(accuracies)), "lowest_of_a_kind": float(np.min(accuracies))}

    def sample(self, samples: Samples) -> None:
        """The classifier as a file for `evaluate --classifier`."""
        network = self.networks["classifier"]
        weights = {name: framework.to_numpy(parameter) for name, parameter in network.named_parameters()}
        save_classifier(samples.path(".safetensors"), self.settings.config(), weights)
