"""Recognition accuracy: does a classifier recognise the kind of sound that each generated clip was prompted for?

The prompts are held out from training. What a classifier does not see, such as the direction of a sweep or the number
of knocks, is measured by signal processing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ppaudioldm.audio import pitch
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.choices import LEVELS
from ppaudioldm.evaluation.classifier import SoundClassifier
from ppaudioldm.sounds import KINDS, LEVEL_A, LEVEL_B, SINGLE_KINDS, Example, example

KINDS_OF_LEVEL = dict(zip(LEVELS, (LEVEL_A, LEVEL_B), strict=True))
NOT_RECOGNISED = "something else"  # for a clip of two sounds that are not the requested ones
# Generates a clip (samples,) at 16 kHz, for the caption of an example and a seed.
GenerateClip = Callable[[Example, int], np.ndarray]

# Kind -> the attribute that is measured besides the kind, and whether a waveform has the value of the parameters.
CHECKS: dict[str, tuple[str, Callable[[np.ndarray, dict], bool]]] = {
    "tone": ("low or high", lambda w, p: pitch.pitch_height(w) == p["pitch"]),
    "sweep": ("rising or falling", lambda w, p: pitch.pitch_direction(w) == p["direction"]),
    "note": ("note within half a semitone", lambda w, p: pitch.semitones_off(w, p["hertz"]) < 0.5),
    "beeps": ("number of beeps", lambda w, p: count_onsets(w) == p["count"]),
    "knocks": ("number of knocks", lambda w, p: count_onsets(w) == p["count"]),
}
ORDER, BOTH = "order of two sounds", "both of two sounds"


@dataclass(frozen=True)
class RecognisedClip:
    """A generated clip: the kind requested by its caption, the kind recognised in it, and the checks it passed.

    checks: the names of CHECKS, ORDER or BOTH that apply to the requested kind -> whether the clip is as requested.
    """

    kind: str
    caption: str
    seed: int
    recognised: str
    checks: dict[str, bool]
    mel: np.ndarray  # (frames, bands), natural logarithms
    embedding: np.ndarray  # (size,), the classifier's


def held_out_examples(kinds: Sequence[str], per_kind: int, duration: float) -> Iterator[tuple[Example, int]]:
    """Held-out examples, `per_kind` of every one of `kinds`, each with its seed. duration: seconds."""
    for kind in kinds:
        for number in range(per_kind):
            yield example(number, (kind,), duration, "test"), number


def recognise_clips(
    generate: GenerateClip,
    classifier: SoundClassifier,
    kinds: Sequence[str],
    per_kind: int,
    duration: float,
    progress: Callable[[int, int], None] | None = None,
) -> list[RecognisedClip]:
    """Generate a clip for each of `held_out_examples` and classify it. Raises ValueError for an unknown kind.

    progress: called with the number of clips done, and of all.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind of sound {unknown[0]!r}, choose from {', '.join(KINDS)}")
    clips = []
    for request, seed in held_out_examples(kinds, per_kind, duration):
        clips.append(_recognise(generate(request, seed), request, seed, classifier, kinds))
        if progress is not None:
            progress(len(clips), per_kind * len(kinds))
    return clips


def _recognise(
    waveform: np.ndarray, request: Example, seed: int, classifier: SoundClassifier, kinds: Sequence[str]
) -> RecognisedClip:
    among = [kind for kind in kinds if kind in SINGLE_KINDS] or list(classifier.labels)
    checks = {}
    if request.kind in CHECKS:
        name, check = CHECKS[request.kind]
        checks[name] = check(waveform, request.parameters)
    if request.kind in SINGLE_KINDS:
        recognised = classifier.recognise(waveform, among)
    else:
        pair = [classifier.labels.index(request.parameters[place]) for place in ("first", "second")]
        if request.kind == "sequence":
            middle = len(waveform) // 2
            halves = [classifier.probabilities(half) for half in (waveform[:middle], waveform[middle:])]
            checks[ORDER] = in_order(halves[0], halves[1], pair[0], pair[1])
            is_recognised = [int(half.argmax()) for half in halves] == pair
        else:
            is_recognised = set(np.argsort(classifier.probabilities(waveform))[-2:]) == set(pair)
            checks[BOTH] = is_recognised
        recognised = request.kind if is_recognised else NOT_RECOGNISED
    embedding = classifier.embedding(waveform)
    return RecognisedClip(request.kind, request.caption, seed, recognised, checks, log_mel(waveform), embedding)


def in_order(first_half: np.ndarray, second_half: np.ndarray, first: int, second: int) -> bool:
    """Whether label `first` comes before label `second`: from the probabilities (labels,) of the halves of a clip."""
    halves = np.log(np.stack([first_half, second_half]) + 1e-9)
    return bool(halves[0, first] + halves[1, second] > halves[0, second] + halves[1, first])


def accuracy_by_kind(clips: Sequence[RecognisedClip]) -> dict[str, float]:
    """Requested kind -> the share of its clips in which it was recognised."""
    kinds = dict.fromkeys(clip.kind for clip in clips)
    return {kind: _share([clip.recognised == kind for clip in clips if clip.kind == kind]) for kind in kinds}


def accuracy_by_check(clips: Sequence[RecognisedClip]) -> dict[str, float]:
    """Check -> the share of the clips that pass it, among those to which it applies."""
    names = dict.fromkeys(name for clip in clips for name in clip.checks)
    return {name: _share([clip.checks[name] for clip in clips if name in clip.checks]) for name in names}


def confusions(clips: Sequence[RecognisedClip]) -> dict[str, dict[str, int]]:
    """The confusion matrix, without its zeros: requested kind -> recognised kind -> number of clips."""
    matrix: dict[str, dict[str, int]] = {}
    for clip in clips:
        row = matrix.setdefault(clip.kind, {})
        row[clip.recognised] = row.get(clip.recognised, 0) + 1
    return matrix


def variety(clips: Sequence[RecognisedClip], duration: float, per_kind: int = 20) -> dict[str, float]:
    """How different the clips of one kind are: from each other, and from training clips of that kind.

    diversity: mean cosine distance of the classifier's embeddings. nearest_...: the smallest of
    `distances.nearest_distances`; for the training set, to the first `per_kind` clips of each kind.
    """
    diversities, among_themselves, to_training = [], [], []
    for kind in dict.fromkeys(clip.kind for clip in clips):
        generated = [clip for clip in clips if clip.kind == kind]
        coarse_mels = np.stack([distances.coarse_mel(clip.mel) for clip in generated])
        training_mels = [log_mel(example(number, (kind,), duration).waveform) for number in range(per_kind)]
        training = np.stack([distances.coarse_mel(mel) for mel in training_mels])
        to_training.append(distances.nearest_distances(coarse_mels, training).min())
        if len(generated) > 1:
            diversities.append(distances.diversity(np.stack([clip.embedding for clip in generated])))
            among_themselves.append(distances.nearest_distances(coarse_mels).min())
    measures = {"nearest_to_training": float(np.min(to_training))}
    if diversities:
        measures["diversity"] = float(np.mean(diversities))
        measures["nearest_among_themselves"] = float(np.min(among_themselves))
    return measures


def _share(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
