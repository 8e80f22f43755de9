"""An independent judge: a small convolutional network that names the kind of a sound.

It hears log-mel spectrograms and is trained on synthesised clips only (`training.classifier`), never on generated ones.
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
from ppaudioldm.audio.mel import MEL_16K, log_mel
from ppaudioldm.errors import naming
from ppaudioldm.framework import F, Linear, Tensor, nn, xp

FORMAT = "ppaudioldm sound classifier"
MEL_MEAN, MEL_DEVIATION = -5.5, 3.0  # of log-mel spectrograms, about
DEFAULT_FILE = "judge.safetensors"  # beside this module
GROUPS = 8  # of channels that are normalised together
LARGEST_LAYER = 4096  # values that a file may claim for any size
LARGEST_FILE = 1 << 26  # bytes


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


class Classifier(nn.Module):
    """Log-mel spectrogram -> a score for each label."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        sizes = (1, *config.channels)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes)])
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, size) for size in config.channels])
        bands = config.n_mels // 2 ** len(config.channels)
        self.out = Linear(2 * bands * config.channels[-1], len(config.labels))

    def features(self, mel: Tensor) -> Tensor:
        """What is heard, wherever in time: (B, features) of a natural-log mel spectrogram (B, frames, n_mels)."""
        x = ((mel - MEL_MEAN) / MEL_DEVIATION).unsqueeze(1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        # Mean and maximum over time. Frequency stays: what is high and what is low tells kinds apart.
        return xp.concat([x.mean(2), xp.amax(x, 2)], 1).flatten(1)

    def forward(self, mel: Tensor) -> Tensor:
        """Scores (B, labels) before softmax, of a natural-log mel spectrogram (B, frames >= 16, n_mels)."""
        return self.out(self.features(mel))


class Judge:
    """A trained classifier with its labels, for NumPy arrays."""

    def __init__(self, config: ClassifierConfig, weights: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        self.labels = config.labels
        self._device = device
        with framework.empty_weights():
            self._network = Classifier(config)
        framework.assign_weights(self._network, weights.items(), device)

    def probabilities(self, waveform: np.ndarray) -> np.ndarray:
        """(labels,) of `waveform` (samples,) at 16 kHz. Raises ValueError as `audio.mel.log_mel` does."""
        scores = self._run(self._network, waveform)
        scores = np.exp(scores - scores.max())
        return scores / scores.sum()

    def features(self, waveform: np.ndarray) -> np.ndarray:
        """What the network hears in `waveform` (samples,) at 16 kHz, (features,) of length 1."""
        found = self._run(self._network.features, waveform)
        return found / max(1e-9, float(np.linalg.norm(found)))

    def name(self, waveform: np.ndarray, among: Sequence[str] = ()) -> str:
        """The most probable label of `waveform`, of all or `among` some. Raises ValueError for an unknown one."""
        unknown = [label for label in among if label not in self.labels]
        if unknown:
            raise ValueError(f"the classifier does not know {unknown[0]!r}, it knows {', '.join(self.labels)}")
        found = self.probabilities(waveform)
        allowed = among or self.labels
        return max(allowed, key=lambda label: found[self.labels.index(label)])

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


def open_classifier(path: str | Path, device: str = "cpu") -> Judge:
    """The classifier in `path`. Raises CheckpointError for a file that is missing, damaged or something else."""
    from safetensors import SafetensorError, safe_open

    with naming(path):
        if Path(path).stat().st_size > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE >> 20} MB: no classifier")
        try:
            with safe_open(str(path), "numpy") as file:
                config = _config(file.metadata() or {})
                weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
            return Judge(config, weights, device)
        except SafetensorError as error:
            raise ValueError(error) from error
        except KeyError as error:
            raise ValueError(f"it has a parameter that a classifier lacks: {error}") from error


def default_classifier(device: str = "cpu") -> Judge:
    """The classifier that comes with the package: of all single kinds of `training.sounds`."""
    return open_classifier(Path(__file__).with_name(DEFAULT_FILE), device)


def _config(metadata: Mapping[str, str]) -> ClassifierConfig:
    if metadata.get("format") != FORMAT:
        raise ValueError("not a sound classifier of this project")
    values = json.loads(metadata.get("config", "null"))
    try:
        labels, channels = tuple(map(str, values["labels"])), tuple(map(int, values["channels"]))
        return ClassifierConfig(labels, channels, int(values["n_mels"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"its configuration is not complete: {error}") from error
