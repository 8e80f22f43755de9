"""The sound classifier of the evaluation: a small convolutional network over log-mel spectrograms.

It is independent of the models that it evaluates: trained on real clips only (`evaluation.train_classifier`),
never on generated ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.mel_filters import MEL_16K
from ppaudioldm.errors import naming
from ppaudioldm.evaluation.choices import COLLECTION, SIMPLE
from ppaudioldm.framework import F, Linear, Tensor, nn, xp
from ppaudioldm.storage.regular import open_regular

FORMAT = "ppaudioldm sound classifier"
MEL_MEAN, MEL_DEVIATION = -5.5, 3.0  # of log-mel spectrograms, about
# Sound set -> the file beside this module.
DEFAULT_FILES = {SIMPLE: "classifier.safetensors", COLLECTION: "classifier_of_collection.safetensors"}
GROUPS = 8  # of channels, in group normalisation
LARGEST_LAYER = 4096  # largest size of a layer that a file may ask for
FILE_BYTES_LIMIT = 1 << 26


@dataclass(frozen=True)
class ClassifierConfig:
    labels: tuple[str, ...]
    channels: tuple[int, ...] = (32, 64, 96, 128)  # of the convolutions, each of which halves time and frequency
    n_mels: int = MEL_16K.n_mels

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels must be one or more different names, got {list(self.labels)[:5]}")
        for size in (*self.channels, self.n_mels, len(self.labels)):
            if not 1 <= size <= LARGEST_LAYER:
                raise ValueError(f"a size of the classifier is {size}, allowed: 1 to {LARGEST_LAYER}")
        if any(size % GROUPS for size in self.channels) or self.n_mels % 2 ** len(self.channels):
            raise ValueError(f"channels {self.channels} must be multiples of {GROUPS}, and n_mels of 2 for each")


class ClassifierNetwork(nn.Module):
    """Log-mel spectrogram -> a logit for each label."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        sizes = (1, *config.channels)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes)])
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, size) for size in config.channels])
        bands = config.n_mels // 2 ** len(config.channels)
        self.out = Linear(2 * bands * config.channels[-1], len(config.labels))

    def features(self, mel: Tensor) -> Tensor:
        """Features (B, size), pooled over time, of a natural-log mel spectrogram (B, frames, n_mels)."""
        x = ((mel - MEL_MEAN) / MEL_DEVIATION).unsqueeze(1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        # Mean and maximum over time. Frequency is not pooled: kinds differ in where their energy lies.
        return xp.concat([x.mean(2), xp.amax(x, 2)], 1).flatten(1)

    def forward(self, mel: Tensor) -> Tensor:
        """Logits (B, labels) of a natural-log mel spectrogram (B, frames >= 16, n_mels)."""
        return self.out(self.features(mel))


class SoundClassifier:
    """A trained classifier with its labels, on NumPy arrays."""

    def __init__(self, config: ClassifierConfig, weights: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        self.labels = config.labels
        self._device = device
        with framework.empty_weights():
            self._network = ClassifierNetwork(config)
        framework.assign_weights(self._network, weights.items(), device)

    def probabilities(self, waveform: np.ndarray, among: Sequence[str] = ()) -> np.ndarray:
        """(labels,) of `waveform` (samples,) at 16 kHz, of all labels or `among` some, in their order.

        Raises ValueError for an unknown label, and as `audio.mel.log_mel` does.
        """
        unknown = [label for label in among if label not in self.labels]
        if unknown:
            raise ValueError(f"the classifier has no label {unknown[0]!r}, choose from {', '.join(self.labels)}")
        logits = self._run(self._network, waveform)[[self.labels.index(label) for label in among or self.labels]]
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum()

    def embedding(self, waveform: np.ndarray) -> np.ndarray:
        """The network's features of `waveform` (samples,) at 16 kHz, a unit vector (size,)."""
        features = self._run(self._network.features, waveform)
        return features / max(1e-9, float(np.linalg.norm(features)))

    def recognise(self, waveform: np.ndarray, among: Sequence[str] = ()) -> str:
        """The most probable label of `waveform`, of all or `among` some. Raises ValueError for an unknown label."""
        return (among or self.labels)[int(self.probabilities(waveform, among).argmax())]

    def _run(self, function: Any, waveform: np.ndarray) -> np.ndarray:
        mel = log_mel(waveform)
        mel = np.pad(mel, ((0, max(0, 16 - len(mel))), (0, 0)), mode="edge")
        with framework.no_grad():
            return framework.to_numpy(function(framework.from_numpy(mel[None], self._device)))[0].astype(np.float64)


def save_classifier(path: Path, config: ClassifierConfig, weights: Mapping[str, np.ndarray]) -> None:
    """Write one safetensors file in half precision, all or nothing."""
    from safetensors.numpy import save_file

    from ppaudioldm.storage.atomic import atomic_path

    facts = {"format": FORMAT, "config": json.dumps(asdict(config))}
    with atomic_path(path) as temporary:
        save_file({name: np.ascontiguousarray(array, np.float16) for name, array in weights.items()}, temporary, facts)


def open_classifier(path: str | Path, device: str = "cpu") -> SoundClassifier:
    """The classifier in `path`. Raises CheckpointError for a file that is missing, damaged or no classifier."""
    from safetensors import SafetensorError, safe_open

    with naming(path):
        if Path(path).stat().st_size > FILE_BYTES_LIMIT:
            raise ValueError(f"larger than {FILE_BYTES_LIMIT >> 20} MB: no classifier")
        try:
            with open_regular(path), safe_open(str(path), "numpy") as file:
                config = _config(file.metadata() or {})
                weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
            return SoundClassifier(config, weights, device)
        except SafetensorError as error:
            raise ValueError(error) from error
        except KeyError as error:
            raise ValueError(f"it has a parameter that the classifier does not have: {error}") from error


def default_classifier(sounds: str = SIMPLE, device: str = "cpu") -> SoundClassifier:
    """The classifier that comes with the package, of all single kinds of the sound set `sounds`."""
    return open_classifier(Path(__file__).with_name(DEFAULT_FILES[sounds]), device)


def _config(metadata: Mapping[str, str]) -> ClassifierConfig:
    if metadata.get("format") != FORMAT:
        raise ValueError("not a sound classifier of this project")
    values = json.loads(metadata.get("config", "null"))
    try:
        labels, channels = tuple(map(str, values["labels"])), tuple(map(int, values["channels"]))
        return ClassifierConfig(labels, channels, int(values["n_mels"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"its configuration is not complete: {error}") from error
