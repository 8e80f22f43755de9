"""Whether a model makes the kinds of sound that it is asked for, in words that training did not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ppaudioldm.audio import pitch
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.classifier import Judge
from ppaudioldm.sounds import KINDS, LEVEL_A, LEVEL_B, SINGLE_KINDS, Example, example

LEVELS = {"a": LEVEL_A, "b": LEVEL_B}
# Makes what an example asks for, with this seed: (samples,) at 16 kHz.
Make = Callable[[Example, int], np.ndarray]

# Kind -> what can be measured of it besides what it is, and how.
CHECKS: dict[str, tuple[str, Callable[[np.ndarray, dict], bool]]] = {
    "tone": ("low or high", lambda w, p: pitch.pitch_height(w) == p["pitch"]),
    "sweep": ("rising or falling", lambda w, p: pitch.pitch_direction(w) == p["direction"]),
    "note": ("note within half a semitone", lambda w, p: pitch.semitones_off(w, p["hertz"]) < 0.5),
    "beeps": ("number of beeps", lambda w, p: count_onsets(w) == p["count"]),
    "knocks": ("number of knocks", lambda w, p: count_onsets(w) == p["count"]),
}
ORDER, BOTH = "order of two sounds", "both of two sounds"


@dataclass(frozen=True)
class Judged:
    """One clip: what was asked for, and what the judge heard. right: by what was checked, whether it is so."""

    kind: str
    caption: str
    seed: int
    heard: str
    right: dict[str, bool]
    mel: np.ndarray  # (frames, bands)
    features: np.ndarray  # (size,)


def asked(kinds: Sequence[str], per_kind: int, duration: float) -> Iterator[tuple[Example, int]]:
    """Held-out examples and the seed for each: `per_kind` of every one of `kinds`."""
    for kind in kinds:
        for number in range(per_kind):
            yield example(number, (kind,), duration, "test"), number


def judged(
    make: Make,
    judge: Judge,
    kinds: Sequence[str],
    per_kind: int,
    duration: float,
    told: Callable[[int, int], None] | None = None,
) -> list[Judged]:
    """Make and judge every clip that is `asked` for. Raises ValueError for a kind that there is not."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind of sound {unknown[0]!r}, choose from {', '.join(KINDS)}")
    found = []
    for wanted, seed in asked(kinds, per_kind, duration):
        found.append(_judge(make(wanted, seed), wanted, seed, judge, kinds))
        if told is not None:
            told(len(found), per_kind * len(kinds))
    return found


def _judge(waveform: np.ndarray, wanted: Example, seed: int, judge: Judge, kinds: Sequence[str]) -> Judged:
    among = [kind for kind in kinds if kind in SINGLE_KINDS] or list(judge.labels)
    right = {}
    if wanted.kind in CHECKS:
        name, check = CHECKS[wanted.kind]
        right[name] = check(waveform, wanted.parameters)
    if wanted.kind in SINGLE_KINDS:
        heard = judge.name(waveform, among)
    else:
        pair = [judge.labels.index(wanted.parameters[place]) for place in ("first", "second")]
        if wanted.kind == "sequence":
            middle = len(waveform) // 2
            halves = [judge.probabilities(half) for half in (waveform[:middle], waveform[middle:])]
            right[ORDER] = in_order(halves[0], halves[1], pair[0], pair[1])
            is_heard = [int(half.argmax()) for half in halves] == pair
        else:
            is_heard = set(np.argsort(judge.probabilities(waveform))[-2:]) == set(pair)
            right[BOTH] = is_heard
        heard = wanted.kind if is_heard else "something else"
    return Judged(wanted.kind, wanted.caption, seed, heard, right, log_mel(waveform), judge.features(waveform))


def in_order(first_half: np.ndarray, second_half: np.ndarray, first: int, second: int) -> bool:
    """Whether label `first` comes before label `second`: from the probabilities (labels,) of the halves of a clip."""
    halves = np.log(np.stack([first_half, second_half]) + 1e-9)
    return bool(halves[0, first] + halves[1, second] > halves[0, second] + halves[1, first])


def accuracies(clips: Sequence[Judged]) -> dict[str, float]:
    """For each kind the share of its clips that were recognised."""
    kinds = dict.fromkeys(clip.kind for clip in clips)
    return {kind: _share([clip.heard == kind for clip in clips if clip.kind == kind]) for kind in kinds}


def checks(clips: Sequence[Judged]) -> dict[str, float]:
    """For each thing that was measured the share of clips in which it is right."""
    names = dict.fromkeys(name for clip in clips for name in clip.right)
    return {name: _share([clip.right[name] for clip in clips if name in clip.right]) for name in names}


def confusions(clips: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """asked -> heard -> how often."""
    found: dict[str, dict[str, int]] = {}
    for clip in clips:
        row = found.setdefault(clip.kind, {})
        row[clip.heard] = row.get(clip.heard, 0) + 1
    return found


def variety(clips: Sequence[Judged], duration: float, per_kind: int = 20) -> dict[str, float]:
    """How different clips of one kind are, and how far from others and from the first training clips of their kind.

    diversity: mean cosine distance of the judge's features. nearest_...: smallest `distances.nearest` that there is.
    """
    diversities, among, training = [], [], []
    for kind in dict.fromkeys(clip.kind for clip in clips):
        ours = [clip for clip in clips if clip.kind == kind]
        outlines = np.stack([distances.outline(clip.mel) for clip in ours])
        trained = [log_mel(example(number, (kind,), duration).waveform) for number in range(per_kind)]
        training.append(distances.nearest(outlines, np.stack([distances.outline(mel) for mel in trained])).min())
        if len(ours) > 1:
            diversities.append(distances.diversity(np.stack([clip.features for clip in ours])))
            among.append(distances.nearest(outlines).min())
    found = {"nearest_to_training": float(np.min(training))}
    if diversities:
        found |= {"diversity": float(np.mean(diversities)), "nearest_among_themselves": float(np.min(among))}
    return found


def _share(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
