"""Text to speech on the tiny configuration, whose random weights make noise."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED, CheckpointInfo, built_in_speech_checkpoint
from ppaudioldm.cli import main
from ppaudioldm.commands.serve import _opened_models
from ppaudioldm.config import GPT2Config, LoaConfig, PhonemeEncoderConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.options import Progress
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.serving.configuration import read_settings
from ppaudioldm.tasks.speak import PAUSE_S, cut, joined, speak, trimmed
from ppaudioldm.text.phonemes import phoneme_ids
from ppaudioldm.weights import locate
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.support import RecordingEngine, relative_error
from tests.text.test_phonemes import WISH, speech

TINY_SPEECH = replace(
    UNTRAINED,
    unet=replace(UNTRAINED.unet, context_dims=(128,)),
    flan_t5=None,
    phoneme_encoder=PhonemeEncoderConfig(hidden_size=32, num_layers=2, feed_forward_size=64),
    gpt2=GPT2Config(128, 2, 2, 400),
    loa=LoaConfig((64, 32), 128, num_tokens=16),
    audiomae=None,
)
LONG = "fˈɜːst sˈɛntəns ɪz hˈɪɹ. sˈɛkənd wˈʌn kˈʌmz nˈaʊ! θˈɜːd wˈʌn, ænd ɪts ˈɛnd."


def checkpoint() -> Checkpoint:
    return random_checkpoint("tiny-speech", TINY_SPEECH, seed=0)


@cache
def untrained() -> AudioLDM:
    return AudioLDM(checkpoint(), EagerEngine(checkpoint()))


FAST: dict[str, Any] = {"duration": 0.3, "seed": 3, "num_inference_steps": 2}


def say(text: str = WISH[1], pipeline: AudioLDM | None = None, **options: Any) -> Clip:
    return (pipeline or untrained()).generate("A man speaks", phonemes=text, **{**FAST, **options})


# ---- Conditions


def test_the_phonemes_take_the_place_of_flan_t5_before_gpt2():
    engine = RecordingEngine(checkpoint())
    conditions = PromptEncoder(checkpoint(), engine).encode(["A man", "A woman speaks"], phoneme_ids(WISH[1]))
    (loa,) = conditions.contexts
    assert loa.shape == (2, 16, 128) and conditions.masks[0].all() and conditions.film is None
    assert relative_error(loa[0], loa[1]) > 1e-3  # the speakers
    states, masks = engine.of("loa")[0][0]
    assert [tuple(x.shape) for x in states] == [(1, 1, 64), (1, 310, 32)]
    mask = engine.to_numpy(masks[1])
    np.testing.assert_array_equal(mask[0], np.arange(310) < len(WISH[1]) + 1)


def test_unconditional_is_zero_tokens():
    engine = RecordingEngine(checkpoint())
    conditions = PromptEncoder(checkpoint(), engine).unconditional(2)
    np.testing.assert_array_equal(conditions.contexts[0], np.zeros((2, 16, 128), np.float32))
    np.testing.assert_array_equal(conditions.masks[0], np.ones((2, 16), np.float32))
    assert not engine.calls


# ---- generate


def test_what_is_said_decides():
    first = say()
    assert first.waveforms.shape == (1, 4800) and np.isfinite(first.waveforms).all()
    np.testing.assert_array_equal(say().waveforms, first.waveforms)
    assert relative_error(say("hæv ɐ ɡˈʊd dˈeɪ").waveforms, first.waveforms) > 1e-3
    assert say(negative_prompt="noise", num_waveforms_per_prompt=2).scores is not None


@speech
def test_words_are_read_aloud():
    clip = untrained().generate("A man speaks", transcription=WISH[0], **FAST)
    np.testing.assert_array_equal(clip.waveforms, say().waveforms)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "transcription is missing"),
        ({"transcription": "a", "phonemes": "a"}, "transcription is missing: .* and not both"),
        ({"phonemes": "..."}, "nothing to pronounce"),
        ({"phonemes": "a" * 310}, "310 phonemes, allowed: up to 309 at once"),
    ],
)
def test_what_cannot_be_said(given, message):
    with pytest.raises(ValueError, match=message):
        untrained().generate("A man speaks", **given)


@pytest.mark.parametrize("given", [{"transcription": "hello"}, {"phonemes": "a"}])
def test_other_checkpoints_do_not_speak(given):
    other = AudioLDM.from_pretrained("untrained")
    with pytest.raises(ValueError, match="transcription is for speech checkpoints: tiny-speech, audioldm2-speech-"):
        other.generate("A man speaks", **given)
    with pytest.raises(ValueError, match="untrained does not speak, choose from tiny-speech, audioldm2-speech-"):
        speak(other, "a", phonemes=True)


def test_a_checkpoint_that_knows_fewer_phonemes():
    config = replace(TINY_SPEECH, phoneme_encoder=replace(TINY_SPEECH.phoneme_encoder, vocab_size=100))
    small = random_checkpoint("small", config, 0)
    with pytest.raises(ValueError, match="phoneme 182 is needed, but the checkpoint knows 100"):
        AudioLDM(small, EagerEngine(small)).generate("A man speaks", phonemes="a")


def test_our_own_layout_keeps_it(tmp_path):
    write_native(checkpoint(), tmp_path / "speech")
    opened = open_checkpoint(tmp_path / "speech")
    assert opened.config == TINY_SPEECH
    clip = say(pipeline=AudioLDM(opened, EagerEngine(opened)))
    np.testing.assert_array_equal(clip.waveforms, say().waveforms)


# ---- speak


def test_the_command(tmp_path, capsys):
    write_native(checkpoint(), tmp_path / "speech")
    common = ["-c", str(tmp_path / "speech"), "--duration", "0.3", "--steps", "2", "--seed", "3"]
    path = tmp_path / "a.wav"
    assert main(["speak", LONG, "--phonemes", *common, "-o", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["text"], report["prompt"], report["seed"]) == (LONG, "A female reporter is speaking", 3)
    expected = speak(untrained(), LONG, phonemes=True, **FAST).waveforms[0]
    samples, rate = soundfile.read(path)
    assert rate == 16000 and report["samples"] == len(samples) == len(expected)
    np.testing.assert_allclose(samples, expected, atol=1e-4)
    assert main(["generate", "a dog", *common, "-o", str(path)]) == 2
    assert "transcription is missing" in capsys.readouterr().err


@speech
def test_the_command_finds_nothing_to_say_before_the_work(capsys):
    assert main(["speak", "..."]) == 2
    assert "nothing to pronounce" in capsys.readouterr().err


def test_a_long_text_is_said_sentence_by_sentence():
    pieces = cut(LONG, 2.0)
    assert pieces == ["fˈɜːst sˈɛntəns ɪz hˈɪɹ.", "sˈɛkənd wˈʌn kˈʌmz nˈaʊ!", "θˈɜːd wˈʌn, ænd ɪts ˈɛnd."]
    clip = speak(untrained(), LONG, phonemes=True, **FAST)
    expected = joined([said(piece) for piece in pieces])
    np.testing.assert_array_equal(clip.waveforms, expected.waveforms)
    assert clip.seeds == (3,) and clip.waveforms.shape[1] > 3 * 1000


def test_progress_counts_the_steps_of_all_pieces():
    seen = []
    speak(untrained(), LONG, phonemes=True, progress=seen.append, **FAST)
    steps = [at.done for at in seen if at.stage == "denoise" and at.done]
    assert {at.total for at in seen if at.stage == "denoise"} == {3 * 2}
    assert sorted(set(steps)) == [1, 2, 3, 4, 5, 6] and steps == sorted(steps)


@pytest.mark.parametrize("kind", [Cancelled, Interrupted])
def test_stopped_in_the_middle_it_keeps_the_pieces_that_were_complete(kind):
    def stop(at: Progress) -> bool:
        if at.stage == "denoise" and at.done == 5:
            if kind is Interrupted:
                raise KeyboardInterrupt
            return False
        return True

    with pytest.raises(kind) as caught:
        speak(untrained(), LONG, phonemes=True, progress=stop, **FAST)
    expected = joined([said(piece) for piece in cut(LONG, 0.3)[:2]])
    np.testing.assert_array_equal(caught.value.clip.waveforms, expected.waveforms)


def said(piece: str) -> Clip:
    return untrained().generate("A female reporter is speaking", phonemes=piece, **FAST)


def test_the_one_that_comes_with_the_package_speaks_by_default(tmp_path, monkeypatch, capsys):
    assert built_in_speech_checkpoint() == "tiny-speech"
    write_native(checkpoint(), tmp_path / "tiny-speech")
    monkeypatch.setattr(locate, "BUILT_IN", tmp_path)
    monkeypatch.setitem(CHECKPOINTS, "tiny-speech", CheckpointInfo("speech", TINY_SPEECH, "built-in"))
    command = ["speak", WISH[1], "--phonemes", "--duration", "0.3", "--steps", "1", "-o", str(tmp_path / "a.wav")]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == "tiny-speech"
    models = _opened_models(read_settings({"checkpoint": "untrained"}))
    assert [model.name for model in models.all] == ["untrained", "tiny-speech"] and models.speaks()
    models = _opened_models(read_settings({"checkpoint": "untrained", "speech_checkpoint": "none"}))
    assert [model.name for model in models.all] == ["untrained"]


@speech
@pytest.mark.parametrize("checked", [speak, AudioLDM.generate])
def test_each_warning_comes_once(checked, caplog):
    pytest.importorskip("py3langid")
    known = KnownSounds((Sound("woman", "a woman", "a woman is speaking"),), frozenset({"woman"}))
    pipeline = AudioLDM(replace(checkpoint(), known_sounds=known), EagerEngine(checkpoint()))
    text = "Guten Morgen. Wie geht es Ihnen heute? Das Wetter ist sehr angenehm."
    if checked is speak:
        speak(pipeline, text, speaker="a child", **FAST)
    else:
        pipeline.generate("a child", transcription=text, **FAST)
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(messages) == 2 and sum("is not English" in message for message in messages) == 1
    assert sum("trained on 1 speakers, and 'a child' names none" in message for message in messages) == 1
    caplog.clear()
    speak(pipeline, "Good morning", speaker="a young woman", **FAST)
    assert not caplog.records


@speech
def test_words():
    clip = speak(untrained(), WISH[0], **FAST)
    np.testing.assert_array_equal(clip.waveforms, joined([said(WISH[1])]).waveforms)


def test_no_seed_is_one_for_all():
    assert len(speak(untrained(), LONG, phonemes=True, **{**FAST, "seed": None}).seeds) == 1


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), 0, -1, "x"])
def test_impossible_durations(duration):
    with pytest.raises(ValueError, match="duration is"):
        speak(untrained(), LONG, phonemes=True, duration=duration)


def test_nothing_to_say():
    with pytest.raises(ValueError, match="nothing to pronounce"):
        speak(untrained(), " . ", phonemes=True)


def test_pieces_fit_time_and_encoder():
    text = " ".join(["wˈʌn"] * 500)
    assert max(map(len, cut(text, 10))) <= 140
    assert max(map(len, cut(text, 60))) <= 309
    assert max(map(len, cut(text, 60, 50))) <= 49
    assert " ".join(cut(text, 10)) == text
    assert cut("wˈʌn. . .", 10) == ["wˈʌn. . ."]


def test_silence_is_cut_off_and_words_are_not():
    rate = 16000
    tone = np.sin(np.arange(rate) / 5).astype(np.float32)
    around = np.concatenate([np.zeros(rate, np.float32), tone, np.zeros(2 * rate, np.float32)])
    short = trimmed(around, rate)
    assert rate <= len(short) <= 1.2 * rate
    np.testing.assert_allclose((short**2).sum(), (tone**2).sum())
    for whole in (tone, np.zeros(500, np.float32), tone[:10]):
        np.testing.assert_array_equal(trimmed(whole, rate), whole)


@pytest.mark.parametrize("below_db", [38, 46])
def test_faint_noise_around_the_words_is_silence_too(below_db):
    """As in the clips that built-in models are trained on; of a weak consonant at the end nothing is lost."""
    rate = 16000
    noise = np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32) * 10 ** (-below_db / 20) * 0.7
    words = np.sin(np.arange(rate) / 5).astype(np.float32)
    words[-rate // 10 :] *= 10 ** (-28 / 20)
    noise[rate : 2 * rate] += words
    short = trimmed(noise, rate)
    assert rate <= len(short) <= 1.2 * rate
    assert np.abs(short[-rate // 10 :]).max() > 0.03


def test_joined_with_pauses():
    clips = [
        Clip(np.full((1, samples), 0.5, np.float32), 1000, ("x",), (1,), (score,), {"text": 1.0})
        for samples, score in ((700, 0.2), (300, 0.4))
    ]
    clip = joined(clips)
    assert clip.waveforms.shape == (1, 1000 + round(1000 * PAUSE_S)) and clip.waveforms.dtype == np.float32
    assert clip.scores == (pytest.approx(0.3),) and clip.seconds == {"text": 2.0}
    assert not clip.waveforms[0, 700:900].any()
