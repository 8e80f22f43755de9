"""The evaluation of speech: who speaks, what was understood, and the command."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ppaudioldm.cli import main
from ppaudioldm.evaluation import speaker_classifier, spoken
from ppaudioldm.evaluation.dnsmos import Dnsmos, Opinion
from ppaudioldm.evaluation.speaker_classifier import SpeakerClassifier
from ppaudioldm.evaluation.spoken import JudgedUtterance, speech_report, summary
from ppaudioldm.weights.convert import write_native
from tests.sounds.speech.support import install_stand_in
from tests.tasks.test_speak import checkpoint


def test_speakers_are_classified_by_their_sound_not_their_level():
    def voice(pitch, seed):
        times = np.arange(8000) / 16000
        tone = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 12))
        return (0.1 * tone + 0.001 * np.random.default_rng(seed).standard_normal(8000)).astype(np.float32)

    pitches = {"low": 90, "middle": 150, "high": 260}
    clips = {name: [voice(pitch * (1 + 0.01 * seed), seed) for seed in range(6)] for name, pitch in pitches.items()}
    classifier = SpeakerClassifier.fit(clips)
    for name, pitch in pitches.items():
        assert classifier.classify(3 * voice(1.025 * pitch, 50)) == name


JUDGED = [
    JudgedUtterance("stop the music", "man", "stop the music", 0, True, "man"),
    JudgedUtterance("open the front door", "man", "open the door", 1, True, "woman"),
    JudgedUtterance("stop the music", "woman", "", 3, False, "woman"),
]


def test_the_summary_counts_words_sentences_and_speakers():
    assert summary(JUDGED) == pytest.approx(
        {
            "word_error_rate": 4 / 10,
            "word_error_rate_man": 1 / 7,
            "word_error_rate_woman": 1.0,
            "exact_sentences": 1 / 3,
            "chosen_sentences": 2 / 3,
            "recognised_speakers": 2 / 3,
        }
    )
    report = speech_report({"real": JUDGED[:1], "generated": JUDGED[1:]})
    assert "| word error rate | 0.0 % | 57.1 % |" in report.splitlines()[2]
    assert "- man: 'open the front door' as 'open the door'" in report and "stop the music' as 'stop" not in report


def test_the_summary_has_the_mean_opinions_where_there_are_any():
    judged = [replace(one, opinion=Opinion(3.0, 4.0, 2.0 + k)) for k, one in enumerate(JUDGED[:2])]
    assert summary(judged)["dnsmos_overall"] == 2.5 and summary(judged)["dnsmos_background"] == 4.0
    assert "| dnsmos overall | 2.50 |" in speech_report({"real": judged}).splitlines()


def test_silence_around_the_words_is_not_judged(monkeypatch):
    lengths = []

    class Understanding:
        def __init__(self, *arguments):
            pass

        def understand(self, waveform):
            lengths.append(len(waveform))
            return ["stop"]

    monkeypatch.setattr(spoken, "Recogniser", Understanding)
    monkeypatch.setattr(SpeakerClassifier, "trained", lambda: SimpleNamespace(classify=lambda waveform: "man"))
    monkeypatch.setattr(Dnsmos, "is_available", lambda: False)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    noise[16000:24000] += 0.1
    utterance = spoken.Utterance("stop the music", "man", "a man", noise)
    judged = spoken.SpeechJudge("commands", 2).judge(utterance, noise)
    assert (judged.errors, judged.is_chosen, judged.recognised_speaker) == (2, False, "man")
    assert all(8000 <= length < 12000 for length in lengths) and len(lengths) == 2


def test_the_command(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("phonemizer")
    install_stand_in(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(speaker_classifier, "CLIPS_PER_SPEAKER", 2)
    monkeypatch.setattr(Dnsmos, "is_available", lambda: True)
    monkeypatch.setattr(Dnsmos, "__init__", lambda self: None)
    monkeypatch.setattr(Dnsmos, "judge", lambda self, waveform: Opinion(3.0, 2.0, 1.0))
    write_native(checkpoint(), tmp_path / "model")
    command = ["evaluate-speech", "commands", "--count", "2", "-c", str(tmp_path / "model"), "--duration", "0.3"]
    output = ["--steps", "1", "--stages", "real,generated", "-o", str(tmp_path / "report"), "--json"]
    assert main([*command, *output]) == 0
    measures = json.loads(capsys.readouterr().out)
    assert measures == json.loads((tmp_path / "report/report.json").read_text())
    assert measures["real"]["word_error_rate"] == 1.0, "tones are no words"
    assert measures["generated"]["dnsmos_signal"] == 3.0
    files = sorted(path.name for path in (tmp_path / "report/generated").iterdir())
    assert len(files) == 8 and files[0] == "000-man-turn_on_the_kitchen_light.wav"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--stages", "vae"], "--stages is vae, allowed without a checkpoint: real"),
        (["--stages", "real,all"], "--stages has 'all', allowed: real, vocoder, vae, generated"),
        (["--count", "1"], "--count is 1, allowed: 2 or more"),
        (["-c", "untrained"], "untrained does not speak"),
    ],
)
def test_the_command_refuses_what_cannot_be(arguments, message, capsys):
    assert main(["evaluate-speech", "commands", *arguments]) == 2
    assert message in capsys.readouterr().err
