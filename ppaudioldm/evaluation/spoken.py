"""How well a checkpoint speaks: held-out sentences in four voices, judged by a speech recogniser, by who speaks, and by
DNSMOS where it is installed.

The same sentences as flite speaks them, whose voices the model was trained on, are the upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ppaudioldm.evaluation.choices import GENERATED, REAL, ROUND_TRIP, SENTENCE_SETS, VOCODED
from ppaudioldm.evaluation.dnsmos import Dnsmos, Opinion
from ppaudioldm.evaluation.pipeline_stages import resampled, stage_functions
from ppaudioldm.evaluation.recogniser import BIGRAM, CHOICE, SAMPLE_RATE, Recogniser, word_errors, words_of
from ppaudioldm.evaluation.speaker_classifier import SpeakerClassifier
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.sounds.speech.clips import LEAD_S, TAIL_S, placed, synthesise
from ppaudioldm.sounds.speech.held_out import COMMANDS, HARVARD
from ppaudioldm.sounds.speech.speakers import SPEAKERS, Delivery
from ppaudioldm.tasks.speak import speak, trimmed

SENTENCES = dict(zip(SENTENCE_SETS, (COMMANDS, HARVARD), strict=True))


@dataclass(frozen=True)
class Utterance:
    """A sentence to be spoken. speaker: a key of SPEAKERS; caption: its description, one that is held out.

    waveform: the sentence as flite speaks it, (samples,) float32 at 16 kHz.
    """

    text: str
    speaker: str
    caption: str
    waveform: np.ndarray


@dataclass(frozen=True)
class JudgedUtterance:
    """An utterance as it was understood. errors: wrong words. is_chosen: whether it was chosen among all.

    opinion: DNSMOS's; None where it is not installed.
    """

    text: str
    speaker: str
    understood: str
    errors: int
    is_chosen: bool
    recognised_speaker: str
    opinion: Opinion | None = None

    @property
    def words(self) -> int:
        return len(words_of(self.text))


SpeechStage = Callable[[Utterance, int], np.ndarray]  # (samples,) at 16 kHz, of an utterance and a seed


def utterances(name: str, count: int, duration: float) -> list[Utterance]:
    """The first `count` sentences of SENTENCES[name], each by every speaker of flite, in clips of `duration` seconds.

    A sentence that takes longer makes a longer clip. Raises ValueError without the program flite.
    """
    found = []
    for number, text in enumerate(SENTENCES[name][:count]):
        for speaker, facts in SPEAKERS.items():
            caption = facts.held_out[number % len(facts.held_out)]
            speech = synthesise(text, Delivery(speaker, caption)).waveform
            seconds = max(duration, LEAD_S + len(speech) / SAMPLE_RATE + TAIL_S)
            waveform = placed(speech, seconds, np.random.default_rng(number))
            found.append(Utterance(text, speaker, caption, waveform))
    return found


def speech_stages(pipeline: AudioLDM | None, duration: float, **settings: Any) -> dict[str, SpeechStage]:
    """Each of `choices.STAGES` -> the function that returns its clip of an utterance; without a checkpoint, only REAL.

    settings: keywords of `AudioLDM.generate`.
    """

    def flite(utterance: Utterance, seed: int) -> np.ndarray:
        return utterance.waveform

    if pipeline is None:
        return {REAL: flite}

    def generated(utterance: Utterance, seed: int) -> np.ndarray:
        clip = speak(pipeline, utterance.text, speaker=utterance.caption, seed=seed, duration=duration, **settings)
        return resampled(clip.waveforms[0], clip.sample_rate, SAMPLE_RATE)

    functions: dict[str, Any] = stage_functions(pipeline, duration)
    return {REAL: flite, VOCODED: functions[VOCODED], ROUND_TRIP: functions[ROUND_TRIP], GENERATED: generated}


class SpeechJudge:
    """The recognisers for the first `count` sentences of SENTENCES[name], and the classifier of their speakers.

    Raises ValueError without the extra `recognition`, or without the program flite.
    """

    def __init__(self, name: str, count: int) -> None:
        sentences = SENTENCES[name][:count]
        self._words, self._choice = Recogniser(sentences, BIGRAM), Recogniser(sentences, CHOICE)
        self._speakers = SpeakerClassifier.trained()
        self._dnsmos = Dnsmos() if Dnsmos.is_available() else None

    def judge(self, utterance: Utterance, waveform: np.ndarray) -> JudgedUtterance:
        """waveform: (samples,) at 16 kHz, in which the utterance is spoken; silence around it is removed first."""
        waveform = trimmed(waveform, SAMPLE_RATE)  # in seconds of faint noise, the recogniser would find words
        said, understood = words_of(utterance.text), self._words.understand(waveform)
        return JudgedUtterance(
            utterance.text,
            utterance.speaker,
            " ".join(understood),
            word_errors(said, understood),
            self._choice.understand(waveform) == said,
            self._speakers.classify(waveform),
            self._dnsmos.judge(waveform) if self._dnsmos else None,
        )


def summary(judged: Sequence[JudgedUtterance]) -> dict[str, float]:
    """Word error rate, and the shares of sentences without an error, of those chosen and of speakers recognised.

    Everything from 0 to 1, but a word error rate may be above where words are inserted. `word_error_rate_NAME` is that
    of one speaker. Beside these, where DNSMOS is installed, its mean opinions from 1 to 5: `dnsmos_signal` and so on.
    """
    found = {"word_error_rate": _error_rate(judged)}
    for name in dict.fromkeys(one.speaker for one in judged):
        found[f"word_error_rate_{name}"] = _error_rate([one for one in judged if one.speaker == name])
    found |= {
        "exact_sentences": float(np.mean([not one.errors for one in judged])),
        "chosen_sentences": float(np.mean([one.is_chosen for one in judged])),
        "recognised_speakers": float(np.mean([one.recognised_speaker == one.speaker for one in judged])),
    }
    if opinions := [asdict(one.opinion) for one in judged if one.opinion]:
        found |= {f"dnsmos_{key}": float(np.mean([one[key] for one in opinions])) for key in opinions[0]}
    return found


def speech_report(by_stage: Mapping[str, Sequence[JudgedUtterance]]) -> str:
    """`summary` of each stage as a Markdown table, and what was misunderstood in the last one."""
    measures = {name: summary(judged) for name, judged in by_stage.items()}
    keys = list(next(iter(measures.values())))
    lines = [f"| | {' | '.join(measures)} |", f"|---|{'---|' * len(measures)}"]
    for key in keys:
        cells = " | ".join(_cell(key, measures[name][key]) for name in measures)
        lines.append(f"| {key.replace('_', ' ')} | {cells} |")
    last, judged = list(by_stage.items())[-1]
    wrong = [f"- {one.speaker}: {one.text!r} as {one.understood!r}" for one in judged if one.errors]
    return "\n".join([*lines, *(["", f"Misunderstood, {last}:", "", *wrong] if wrong else []), ""])


def _cell(key: str, value: float) -> str:
    return f"{value:.2f}" if key.startswith("dnsmos") else f"{100 * value:.1f} %"


def _error_rate(judged: Sequence[JudgedUtterance]) -> float:
    return sum(one.errors for one in judged) / sum(one.words for one in judged)
