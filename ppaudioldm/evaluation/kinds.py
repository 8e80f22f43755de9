"""Recognition of clips that were generated from captions of known kinds of sound: is each what was asked for?

The captions are held out from training. A classifier recognises the kind; what it does not see, such as the direction
of a sweep or the number of knocks, is measured by signal processing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ppaudioldm.audio import pitch
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.onsets import count_onsets
from ppaudioldm.evaluation.attributes import AttributeJudge
from ppaudioldm.evaluation.choices import COLLECTION, SIMPLE
from ppaudioldm.evaluation.classifier import SoundClassifier
from ppaudioldm.evaluation.regularity import regularity
from ppaudioldm.evaluation.sound_sets import LabelledExample, SoundSet

NOT_RECOGNISED = "something else"  # for a clip of two sounds that are not the requested ones
# Generates a clip (samples,) at 16 kHz, for the caption of an example and a seed.
GenerateClip = Callable[[LabelledExample, int], np.ndarray]
# (waveform, request) -> attribute -> whether the clip has it, for those that are measured of the request.
CheckClip = Callable[[np.ndarray, LabelledExample], dict[str, bool]]

# Simple kind -> the attribute that is measured besides it, and whether a waveform has the value of the parameters.
CHECKS: dict[str, tuple[str, Callable[[np.ndarray, dict], bool]]] = {
    "tone": ("low or high", lambda w, p: pitch.pitch_height(w) == p["pitch"]),
    "sweep": ("rising or falling", lambda w, p: pitch.pitch_direction(w) == p["direction"]),
    "note": ("note within half a semitone", lambda w, p: pitch.semitones_off(w, p["hertz"]) < 0.5),
    "beeps": ("number of beeps", lambda w, p: count_onsets(w) == p["count"]),
    "knocks": ("number of knocks", lambda w, p: count_onsets(w) == p["count"]),
}
ORDER, BOTH = "order of two sounds", "both of two sounds"
# Of so many most probable kinds the two of a clip of both have to be; by chance they are in 0.1 and 0.3 %. Real
# ones of the collection are among the first two in 43 %, among the first five in 75 %.
MOST_PROBABLE = {SIMPLE: 2, COLLECTION: 5}
SWITCHES = (0.4, 0.45, 0.5, 0.55, 0.6)  # of a clip, where one sound may follow another


@dataclass(frozen=True)
class RecognisedClip:
    """A generated clip: the kind requested by its caption, the kind recognised in it, and the checks it passed.

    checks: attributes, ORDER or BOTH that apply to the request -> whether the clip is as requested.
    """

    kind: str
    caption: str
    language: str
    seed: int
    recognised: str
    checks: dict[str, bool]
    regularity: dict[str, float]  # of `regularity.regularity`
    mel: np.ndarray  # (frames, bands), natural logarithms
    embedding: np.ndarray  # (size,), the classifier's


def held_out_examples(
    kinds: Sequence[str], per_kind: int, duration: float, sounds: SoundSet, first: int = 0
) -> Iterator[tuple[LabelledExample, int]]:
    """Held-out examples, `per_kind` of every one of `kinds`, each with its number, which is also its seed.

    duration: seconds. first: added to the number of the first clip of each kind.
    """
    for kind in kinds:
        start = sounds.first_numbers[kind] + first
        for number in range(start, start + per_kind):
            yield sounds.example(number, (kind,), duration, "test"), number


def simple_checks(waveform: np.ndarray, request: LabelledExample) -> dict[str, bool]:
    """Of the simple sounds: the one of CHECKS that belongs to the kind of `request`, if any."""
    if request.kind not in CHECKS:
        return {}
    name, check = CHECKS[request.kind]
    return {name: check(waveform, dict(request.parameters))}


class Judge:
    """Says of clips of `sounds`, `duration` seconds long, which kind they are and whether they are as requested.

    A kind is recognised among the single kinds of `sounds`, one of a pair among these too.
    """

    def __init__(self, classifier: SoundClassifier, sounds: SoundSet, duration: float) -> None:
        """Raises ValueError for a classifier of other sounds."""
        missing = [kind for kind in sounds.single_kinds if kind not in classifier.labels]
        if missing:
            raise ValueError(
                f"the classifier does not know {missing[0]!r} of the sounds {sounds.name!r}: "
                "name another with --classifier"
            )
        self.sounds, self.duration = sounds, duration
        self._classifier = classifier
        self._check: CheckClip = AttributeJudge(duration) if sounds.name == COLLECTION else simple_checks

    def __call__(self, waveform: np.ndarray, request: LabelledExample, seed: int) -> RecognisedClip:
        """What is recognised in `waveform` (samples,) at 16 kHz, generated for `request` with `seed`."""
        checks = self._check(waveform, request)
        if request.kind in self.sounds.single_kinds:
            recognised = self._classifier.recognise(waveform, self.sounds.single_kinds)
        else:
            check, is_right, is_recognised = self._judge_pair(waveform, request)
            checks[check] = is_right
            recognised = request.kind if is_recognised else NOT_RECOGNISED
        return RecognisedClip(
            request.kind,
            request.caption,
            request.language,
            seed,
            recognised,
            checks,
            regularity(waveform, request),
            log_mel(waveform),
            self._classifier.embedding(waveform),
        )

    def _judge_pair(self, waveform: np.ndarray, request: LabelledExample) -> tuple[str, bool, bool]:
        """ORDER or BOTH, whether the clip passes it, and whether both sounds are recognised."""
        pair = [self.sounds.single_kinds.index(request.parameters[place]) for place in ("first", "second")]
        if request.kind == "sequence":
            before, after = at_switch(waveform, self._probabilities, pair)
            is_right = in_order(before, after, pair[0], pair[1])
            return ORDER, is_right, [int(before.argmax()), int(after.argmax())] == pair
        most_probable = np.argsort(self._probabilities(waveform))[-MOST_PROBABLE[self.sounds.name] :]
        both = set(pair) <= set(most_probable.tolist())
        return BOTH, both, both

    def _probabilities(self, waveform: np.ndarray) -> np.ndarray:
        """(single kinds,) of the set: those of the classifier, without other labels."""
        return self._classifier.probabilities(waveform, self.sounds.single_kinds)


def recognise_clips(
    generate: GenerateClip,
    judge: Judge,
    kinds: Sequence[str],
    per_kind: int,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[RecognisedClip]:
    """Generate a clip for each of `held_out_examples` and judge it.

    progress: called with the number of clips done, and of all. Raises ValueError for an unknown kind.
    """
    judge.sounds.check(kinds)
    clips = []
    for request, seed in held_out_examples(kinds, per_kind, judge.duration, judge.sounds, first):
        clips.append(judge(generate(request, seed), request, seed))
        if progress is not None:
            progress(len(clips), per_kind * len(kinds))
    return clips


def at_switch(
    waveform: np.ndarray, probabilities: Callable[[np.ndarray], np.ndarray], pair: Sequence[int]
) -> list[np.ndarray]:
    """The `probabilities` (labels,) of what is before and after the likeliest one of SWITCHES.

    The likeliest for the two labels of `pair` in either order, so that the wrong one is not at a disadvantage.
    """

    def halves(share: float) -> list[np.ndarray]:
        middle = round(share * len(waveform))
        return [probabilities(half) for half in (waveform[:middle], waveform[middle:])]

    def likelihood(found: list[np.ndarray]) -> float:
        return max(float(found[0][a] * found[1][b]) for a, b in (pair, pair[::-1]))

    return max((halves(share) for share in SWITCHES), key=likelihood)


def in_order(first_half: np.ndarray, second_half: np.ndarray, first: int, second: int) -> bool:
    """Whether label `first` comes before label `second`: from the probabilities (labels,) of the halves of a clip."""
    halves = np.log(np.stack([first_half, second_half]) + 1e-9)
    return bool(halves[0, first] + halves[1, second] > halves[0, second] + halves[1, first])
