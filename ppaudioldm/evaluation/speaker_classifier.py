"""Which of flite's speakers a clip has: linear discriminant analysis of statistics of its log-mel spectrogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.sounds.speech.clips import spoken_clip
from ppaudioldm.sounds.speech.speakers import SPEAKERS

CLIPS_PER_SPEAKER = 25  # of the training split
CLIP_S = 3.0
LOUD = 4.0  # frames up to so far below the loudest count, in natural logarithms of the mean over bands
SHRINKAGE = 0.1  # share of the identity in the covariance, which so few clips do not determine


@dataclass(frozen=True)
class SpeakerClassifier:
    """names: of speakers. means: (speakers, features). precision: (features, features), the inverse covariance."""

    names: tuple[str, ...]
    means: np.ndarray
    precision: np.ndarray

    @classmethod
    def fit(cls, clips: dict[str, list[np.ndarray]]) -> SpeakerClassifier:
        """From clips (samples,) at 16 kHz of each speaker."""
        features = {name: np.stack([speaker_features(clip) for clip in waveforms]) for name, waveforms in clips.items()}
        means = np.stack([rows.mean(0) for rows in features.values()])
        residuals = np.concatenate([rows - rows.mean(0) for rows in features.values()])
        covariance = residuals.T @ residuals / len(residuals)
        identity = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
        precision = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * identity)
        return cls(tuple(features), means, precision)

    @classmethod
    def trained(cls) -> SpeakerClassifier:
        """From clips of all SPEAKERS. Raises ValueError without the program flite."""
        return cls.fit(
            {
                name: [spoken_clip(number, CLIP_S, speakers=(name,)).waveform for number in range(CLIPS_PER_SPEAKER)]
                for name in SPEAKERS
            }
        )

    def classify(self, waveform: np.ndarray) -> str:
        """The name of the speaker of `waveform` (samples,) at 16 kHz."""
        difference = self.means - speaker_features(waveform)
        return self.names[int(np.einsum("sf,fg,sg->s", difference, self.precision, difference).argmin())]


def speaker_features(waveform: np.ndarray) -> np.ndarray:
    """Mean and deviation of every mel band in the loud frames, (128,); the level of the clip does not matter."""
    mel = log_mel(waveform.astype(np.float32))
    level = mel.mean(1)
    loud = mel[level > level.max() - LOUD]
    return np.concatenate([loud.mean(0) - loud.mean(), loud.std(0)]).astype(np.float64)
