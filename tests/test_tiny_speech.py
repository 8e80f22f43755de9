"""The trained checkpoint in the package that speaks."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm import AudioLDM
from ppaudioldm.audio.pitch import median_pitch
from ppaudioldm.checkpoints import CHECKPOINTS, TINY_SPEECH, built_in_speech_checkpoint
from ppaudioldm.cli import main
from ppaudioldm.commands.serve import _opened_models
from ppaudioldm.evaluation.speaker_classifier import SpeakerClassifier
from ppaudioldm.serving.configuration import read_settings
from ppaudioldm.sounds.speech.clips import LEVEL
from ppaudioldm.sounds.speech.speakers import SPEAKERS
from ppaudioldm.tasks.registry import SPEAKER
from ppaudioldm.tasks.speak import PAUSE_S, speak, trimmed
from ppaudioldm.training.chain import ChainSettings
from ppaudioldm.training.settings import read_settings as read_training_settings
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.locate import BUILT_IN
from tests.text.test_phonemes import speech

MOST_MB = 40
# "Good evening everybody." and "Welcome to London.", of the kind that it was trained on.
SENTENCES = "ɡˈʊd ˈiːvnɪŋ ˈɛvɹɪbˌɑːdi.", "wˈɛlkʌm tə lˈʌndən."
QUICK: dict[str, Any] = {"seed": 1, "num_inference_steps": 5}


@pytest.fixture(scope="module")
def pipeline():
    return AudioLDM.from_pretrained("tiny-speech", engine="eager", precision="f32")


@pytest.fixture(scope="module")
def voices(pipeline):
    """The same sentence by each of the four speakers, without the silence around it."""
    captions = [speaker.held_out[0] for speaker in SPEAKERS.values()]
    clip = pipeline.generate(captions, phonemes=SENTENCES[0], **{**QUICK, "seed": [1] * len(captions)})
    return {name: trimmed(waveform, 16000) for name, waveform in zip(SPEAKERS, clip.waveforms, strict=True)}


def test_it_is_what_the_table_says_and_small():
    checkpoint = open_checkpoint("tiny-speech")
    assert checkpoint.config == TINY_SPEECH
    assert checkpoint.known_sounds is not None
    assert [sound.name for sound in checkpoint.known_sounds.sounds] == list(SPEAKERS)
    assert checkpoint.known_sounds.named_in(SPEAKER), "the default description is of a speaker that it knows"
    files = [file for file in (BUILT_IN / "tiny-speech").rglob("*") if file.is_file()]
    assert round(sum(file.stat().st_size for file in files) / 1e6) <= MOST_MB
    assert json.loads((BUILT_IN / "tiny-speech" / "config.json").read_text("utf-8"))["name"] == "tiny-speech"


def test_the_recipe_trains_this_model(tmp_path):
    recipe = read_training_settings(Path(__file__).parents[1] / "recipes" / "tiny-speech.toml", ChainSettings())
    model = recipe.of_run("joint", tmp_path).model
    assert replace(model, vocoder=TINY_SPEECH.vocoder) == TINY_SPEECH


def test_the_notices_of_its_voices_are_kept():
    notice = (Path(__file__).parents[1] / "assets" / "VOICES.md").read_text("utf-8")
    assert all(f"`{speaker.voice}`" in notice for speaker in SPEAKERS.values())
    assert "Carnegie Mellon University" in notice and "must retain the above copyright notice" in notice
    assert built_in_speech_checkpoint() == "tiny-speech" and CHECKPOINTS["tiny-speech"].licence == "Apache-2.0"


def test_a_sentence_has_its_length_and_level(voices):
    for name, waveform in voices.items():
        assert 0.8 < len(waveform) / 16000 < 2.3, name  # 24 letters at 15.5 to 19 a second
        level = float(np.sqrt(np.mean(waveform**2)))
        assert LEVEL / 2.5 < level < LEVEL * 2, name


def test_each_description_has_its_voice(voices):
    pitch = {name: median_pitch(voices[name]) for name in ("man", "woman", "scottish")}
    assert 80 < pitch["man"] < 115 < pitch["scottish"] < 155 < pitch["woman"] < 220
    if shutil.which("flite") is None:
        pytest.skip("the classifier of speakers is trained on clips of the program flite")
    classifier = SpeakerClassifier.trained()
    assert [classifier.classify(waveform) for waveform in voices.values()] == list(SPEAKERS)


def test_the_command_speaks_a_longer_text_in_pieces_with_pauses(tmp_path, capsys, pipeline):
    """Without -c. A duration in which one sentence fits cuts the text in two."""
    path = tmp_path / "a.wav"
    command = ["speak", " ".join(SENTENCES), "--phonemes", "--duration", "2.56", "--steps", "5", "--seed", "1"]
    assert main([*command, "--engine", "eager", "--precision", "f32", "-o", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["checkpoint"] == "tiny-speech" and "warning" not in captured.err
    samples, rate = soundfile.read(path)
    parts = [
        trimmed(pipeline.generate(SPEAKER, phonemes=x, duration=2.56, **QUICK).waveforms[0], rate) for x in SENTENCES
    ]
    pause = round(PAUSE_S * rate)
    assert len(samples) == sum(map(len, parts)) + pause
    assert not samples[len(parts[0]) : len(parts[0]) + pause].any()
    assert np.abs(samples[: len(parts[0])] - parts[0]).max() < 0.01


@speech
def test_a_text_that_is_not_english_gets_one_warning(pipeline, caplog):
    pytest.importorskip("py3langid")
    speak(pipeline, "Guten Morgen, wie geht es Ihnen heute?", duration=2.56, seed=1, num_inference_steps=1)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1 and "is not English" in warnings[0]


@speech
def test_the_server_and_the_page_offer_it():
    models = _opened_models(read_settings({}))
    assert [model.name for model in models.all] == ["tiny", "tiny-speech"]
    assert models.of("speak").name == "tiny-speech" and models.of("generate").name == "tiny"
