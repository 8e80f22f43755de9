"""A folder of generated clips against a folder of references, and against their prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.classifier import Judge
from ppaudioldm.evaluation.folders import heard, pairs_by_name
from ppaudioldm.evaluation.hearing import Hear

Told = Callable[[int, int], None]  # clips done, of how many


@dataclass(frozen=True)
class Heard:
    """What was heard of n clips: embeddings (n, size), probabilities (n, labels) or None, outlines (n, 4096)."""

    embeddings: np.ndarray
    probabilities: np.ndarray | None
    outlines: np.ndarray


def listen(files: Sequence[Path], hear: Hear, judge: Judge | None = None, told: Told | None = None) -> Heard:
    """Hear every one of `files`. Raises ValueError or OSError for the first that is no sound."""
    embeddings, probabilities, outlines = [], [], []
    for done, path in enumerate(files, 1):
        waveform = heard(path)
        embeddings.append(hear(waveform))
        outlines.append(distances.outline(log_mel(waveform)))
        if judge is not None:
            probabilities.append(judge.probabilities(waveform))
        if told is not None:
            told(done, len(files))
    return Heard(np.stack(embeddings), np.stack(probabilities) if judge is not None else None, np.stack(outlines))


def compared(
    generated: Heard, reference: Heard | None, pairs: Sequence[tuple[int, int]] = (), texts: np.ndarray | None = None
) -> dict[str, float]:
    """Measures by name, of `generated`; with `reference` the distances to it; with `texts`, CLAP's embeddings (n, size)
    of their prompts, the CLAP score. pairs: places in generated and reference that belong together, for the KL.
    """
    found: dict[str, float] = {"clips": len(generated.outlines)}
    if texts is not None:
        found["clap_score"] = float(np.mean(np.sum(generated.embeddings * texts, 1)))
    if len(generated.outlines) > 1:
        found["diversity"] = distances.diversity(generated.embeddings)
        found["nearest_among_themselves"] = float(distances.nearest(generated.outlines).min())
    if reference is None:
        return found
    found["reference_clips"] = len(reference.outlines)
    found["nearest_to_reference"] = float(distances.nearest(generated.outlines, reference.outlines).min())
    if min(len(generated.outlines), len(reference.outlines)) > 1:
        found["frechet_distance"] = distances.frechet_distance(generated.embeddings, reference.embeddings)
        found["reference_diversity"] = distances.diversity(reference.embeddings)
    if pairs and generated.probabilities is not None and reference.probabilities is not None:
        first, second = np.array(pairs).T
        found["pairs"] = len(pairs)
        found["kl"] = distances.kl_divergence(reference.probabilities[second], generated.probabilities[first])
    return found


def compare_folders(
    generated: Sequence[Path],
    reference: Sequence[Path],
    hear: Hear,
    judge: Judge | None = None,
    texts: np.ndarray | None = None,
    told: Told | None = None,
) -> dict[str, float]:
    """`compared` for files; `reference` may be empty."""
    ours = listen(generated, hear, judge, told)
    theirs = listen(reference, hear, judge, told) if reference else None
    return compared(ours, theirs, pairs_by_name(generated, reference), texts)
