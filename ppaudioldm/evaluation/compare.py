"""Objective measures of a folder of generated clips: against reference clips, and against the prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.classifier import SoundClassifier
from ppaudioldm.evaluation.embeddings import Embed
from ppaudioldm.evaluation.folders import pairs_by_name, read_clip

Progress = Callable[[int, int], None]  # called with the number of clips done, and of all


@dataclass(frozen=True)
class ClipFeatures:
    """Features of n clips: embeddings (n, size), probabilities (n, labels) or None, coarse_mels (n, 4096)."""

    embeddings: np.ndarray
    probabilities: np.ndarray | None
    coarse_mels: np.ndarray


def extract_features(
    files: Sequence[Path], embed: Embed, classifier: SoundClassifier | None = None, progress: Progress | None = None
) -> ClipFeatures:
    """The features of all `files`. Raises ValueError or OSError for the first that cannot be read as audio."""
    embeddings, probabilities, coarse_mels = [], [], []
    for done, path in enumerate(files, 1):
        waveform = read_clip(path)
        embeddings.append(embed(waveform))
        coarse_mels.append(distances.coarse_mel(log_mel(waveform)))
        if classifier is not None:
            probabilities.append(classifier.probabilities(waveform))
        if progress is not None:
            progress(done, len(files))
    stacked = np.stack(probabilities) if classifier is not None else None
    return ClipFeatures(np.stack(embeddings), stacked, np.stack(coarse_mels))


def measure(
    generated: ClipFeatures,
    reference: ClipFeatures | None,
    pairs: Sequence[tuple[int, int]] = (),
    prompt_embeddings: np.ndarray | None = None,
) -> dict[str, float]:
    """Measures of `generated` by name; the distances need `reference`, the CLAP score needs `prompt_embeddings`.

    pairs: indices into generated and reference of clips that correspond, for the KL divergence.
    prompt_embeddings: (n, size), CLAP's unit embeddings of the prompts, in the order of the clips.
    """
    measures: dict[str, float] = {"clips": len(generated.coarse_mels)}
    if prompt_embeddings is not None:
        measures["clap_score"] = float(np.mean(np.sum(generated.embeddings * prompt_embeddings, 1)))
    if len(generated.coarse_mels) > 1:
        measures["diversity"] = distances.diversity(generated.embeddings)
        measures["nearest_among_themselves"] = float(distances.nearest_distances(generated.coarse_mels).min())
    if reference is None:
        return measures
    measures["reference_clips"] = len(reference.coarse_mels)
    to_reference = distances.nearest_distances(generated.coarse_mels, reference.coarse_mels)
    measures["nearest_to_reference"] = float(to_reference.min())
    if min(len(generated.coarse_mels), len(reference.coarse_mels)) > 1:
        measures["frechet_distance"] = distances.frechet_distance(generated.embeddings, reference.embeddings)
        measures["reference_diversity"] = distances.diversity(reference.embeddings)
    if pairs and generated.probabilities is not None and reference.probabilities is not None:
        first, second = np.array(pairs).T
        measures["pairs"] = len(pairs)
        measures["kl"] = distances.kl_divergence(reference.probabilities[second], generated.probabilities[first])
    return measures


def compare_folders(
    generated: Sequence[Path],
    reference: Sequence[Path],
    embed: Embed,
    classifier: SoundClassifier | None = None,
    prompt_embeddings: np.ndarray | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """`measure` for files; `reference` may be empty."""
    generated_features = extract_features(generated, embed, classifier, progress)
    reference_features = extract_features(reference, embed, classifier, progress) if reference else None
    return measure(generated_features, reference_features, pairs_by_name(generated, reference), prompt_embeddings)
