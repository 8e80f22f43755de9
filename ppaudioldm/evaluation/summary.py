"""Figures of what was recognised in many clips: accuracy, confusions, regularity, variety, distance from real clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.choices import JUDGED_FROM
from ppaudioldm.evaluation.kinds import RecognisedClip
from ppaudioldm.evaluation.sound_sets import SoundSet


@dataclass(frozen=True)
class Summary:
    """All figures of the clips of one stage.

    nearest: of `TrainingClips.nearest`. variety: of `variety`, and where there are real clips, their `frechet_ratio`.
    papers: of `papers.PaperNetworks.measures` against the real clips, where its networks are at hand.
    """

    clips: Sequence[RecognisedClip]
    single_kinds: frozenset[str]
    nearest: Mapping[str, float]
    variety: Mapping[str, float]
    papers: Mapping[str, float] = field(default_factory=dict)

    @property
    def by_kind(self) -> dict[str, float]:
        """Requested kind -> the share of its clips in which it was recognised."""
        return accuracy_by(lambda clip: clip.kind, self.clips)

    @property
    def totals(self) -> dict[str, float]:
        """Accuracy over the single kinds, each of which counts as much, and the lowest of a kind; that over pairs."""
        single = [share for kind, share in self.by_kind.items() if kind in self.single_kinds]
        pairs = [share for kind, share in self.by_kind.items() if kind not in self.single_kinds]
        totals = {"accuracy": float(np.mean(single)), "lowest_of_a_kind": min(single)} if single else {}
        return totals | ({"accuracy_of_pairs": float(np.mean(pairs))} if pairs else {})

    @property
    def by_language(self) -> dict[str, float]:
        """Language of the caption -> accuracy, of single kinds, where there is more than one."""
        single = [clip for clip in self.clips if clip.kind in self.single_kinds]
        found = accuracy_by(lambda clip: clip.language, single)
        return found if len(found) > 1 else {}

    def measures(self) -> dict[str, Any]:
        """All of it as plain values, as JSON has them."""
        regularity = median_regularity(self.clips)
        return {
            **self.totals,
            "by_kind": self.by_kind,
            **({"by_language": self.by_language} if self.by_language else {}),
            "right": accuracy_by_check(self.clips),
            "confusions": confusions(self.clips),
            "regularity": {name: None if share == 0 else median for name, (median, share) in regularity.items()},
            "regularity_measured": {name: share for name, (_, share) in regularity.items()},
            "nearest_to_training_by_kind": dict(self.nearest),
            **self.variety,
            **self.papers,
        }


def accuracy_by(key: Callable[[RecognisedClip], str], clips: Sequence[RecognisedClip]) -> dict[str, float]:
    """Each value of `key` -> the share of its clips in which the requested kind was recognised."""
    groups: dict[str, list[bool]] = {}
    for clip in clips:
        groups.setdefault(key(clip), []).append(clip.recognised == clip.kind)
    return {name: float(np.mean(right)) for name, right in groups.items()}


def accuracy_by_check(clips: Sequence[RecognisedClip]) -> dict[str, float]:
    """Check -> the share of the clips that pass it, among those to which it applies."""
    names = dict.fromkeys(name for clip in clips for name in clip.checks)
    return {name: float(np.mean([clip.checks[name] for clip in clips if name in clip.checks])) for name in names}


def not_judged(real: Summary) -> list[str]:
    """The single kinds that the classifier does not recognise in real clips often enough to judge others by it."""
    return [kind for kind, share in real.by_kind.items() if kind in real.single_kinds and share < JUDGED_FROM]


def median_regularity(clips: Sequence[RecognisedClip]) -> dict[str, tuple[float, float]]:
    """Measure of regularity -> its median over the clips of which it is a number, and the share of those.

    A clock with two ticks has no intervals to compare: a median of few clips says little.
    """
    values: dict[str, list[float]] = {}
    for clip in clips:
        for name, value in clip.regularity.items():
            values.setdefault(name, []).append(value)
    medians = {}
    for name, found in values.items():
        numbers = [value for value in found if not math.isnan(value)]
        medians[name] = float(np.median(numbers)) if numbers else math.nan, len(numbers) / len(found)
    return medians


def frechet_ratio(
    clips: Sequence[RecognisedClip], real: Sequence[RecognisedClip], more_real: Sequence[RecognisedClip]
) -> float:
    """The Fréchet distance of `clips` and `more_real`, in units of that of `real` and `more_real`: 1 if they are alike.

    All three have the same number of clips of each kind. Of the classifier's embeddings, which had no part in the
    training of what is evaluated.
    """
    embeddings = [np.stack([clip.embedding for clip in found]) for found in (clips, real, more_real)]
    return distances.frechet_distance(embeddings[0], embeddings[2]) / distances.frechet_distance(*embeddings[1:])


def confusions(clips: Sequence[RecognisedClip]) -> dict[str, dict[str, int]]:
    """The confusion matrix, without its zeros: requested kind -> recognised kind -> number of clips."""
    matrix: dict[str, dict[str, int]] = {}
    for clip in clips:
        row = matrix.setdefault(clip.kind, {})
        row[clip.recognised] = row.get(clip.recognised, 0) + 1
    return matrix


class TrainingClips:
    """The first training clips of each kind of `sounds`, made when they are first needed, for all stages."""

    def __init__(self, sounds: SoundSet, duration: float, per_kind: int = 20) -> None:
        self._sounds, self._duration, self._per_kind = sounds, duration, per_kind
        self._coarse_mels: dict[str, np.ndarray] = {}

    def nearest(self, clips: Sequence[RecognisedClip]) -> dict[str, float]:
        """Kind -> the smallest of `distances.nearest_distances` of its clips to training clips."""
        nearest = {}
        for kind in dict.fromkeys(clip.kind for clip in clips):
            found = np.stack([distances.coarse_mel(clip.mel) for clip in clips if clip.kind == kind])
            nearest[kind] = float(distances.nearest_distances(found, self._of(kind)).min())
        return nearest

    def _of(self, kind: str) -> np.ndarray:
        if kind not in self._coarse_mels:
            numbers = range(self._per_kind)
            clips = (self._sounds.example(number, (kind,), self._duration, "train") for number in numbers)
            self._coarse_mels[kind] = np.stack([distances.coarse_mel(log_mel(clip.waveform)) for clip in clips])
        return self._coarse_mels[kind]


def variety(clips: Sequence[RecognisedClip], nearest: Mapping[str, float]) -> dict[str, float]:
    """How different the clips of one kind are: from each other, and from training clips of that kind.

    nearest: of `TrainingClips.nearest`. diversity: mean cosine distance of the classifier's embeddings.
    nearest_...: the smallest of `distances.nearest_distances`.
    """
    diversities, among_themselves = [], []
    for kind in dict.fromkeys(clip.kind for clip in clips):
        generated = [clip for clip in clips if clip.kind == kind]
        if len(generated) > 1:
            coarse_mels = np.stack([distances.coarse_mel(clip.mel) for clip in generated])
            diversities.append(distances.diversity(np.stack([clip.embedding for clip in generated])))
            among_themselves.append(distances.nearest_distances(coarse_mels).min())
    measures = {"nearest_to_training": min(nearest.values())}
    if diversities:
        measures["diversity"] = float(np.mean(diversities))
        measures["nearest_among_themselves"] = float(np.min(among_themselves))
    return measures
