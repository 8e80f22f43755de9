"""The clients of ElevenLabs and OpenAI, with nothing changed but the address of the server."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from elevenlabs.client import ElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.types import VoiceSettings
from openai import NotFoundError, OpenAI, UnprocessableEntityError

from ppaudioldm import AudioLDM
from ppaudioldm.serving.formats import encode
from ppaudioldm.serving.result import Sound
from ppaudioldm.tasks.speak import speak
from tests.serving.examples import CHECKPOINT, PATIENCE, assert_same_sound
from tests.tasks.test_speak import untrained as tiny_speech
from tests.text.test_phonemes import speech

PROMPT = "A dog barks"
SPOKEN = "Wish you have a good day."


@pytest.fixture
def elevenlabs(server) -> ElevenLabs:
    return ElevenLabs(api_key="whatever", base_url=server.url, timeout=PATIENCE)


@pytest.fixture
def openai(server) -> OpenAI:
    return OpenAI(api_key="whatever", base_url=f"{server.url}/v1", timeout=PATIENCE, max_retries=0)


def read(content: bytes) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(content), dtype="float32")


def alone(seed: int, duration: float = 0.5, influence: float = 0.3) -> Sound:
    """What the pipeline makes of the same request."""
    pipeline = AudioLDM.from_pretrained(CHECKPOINT, engine="eager")
    scale = 1 + 25 / 3 * influence
    clip = pipeline.generate(PROMPT, duration=duration, seed=seed, num_inference_steps=1, guidance_scale=scale)
    return Sound(clip.waveforms[0], clip.sample_rate, seed)


# ---- ElevenLabs


def test_sound_effects(elevenlabs):
    content = b"".join(
        elevenlabs.text_to_sound_effects.convert(text=PROMPT, duration_seconds=0.5, prompt_influence=0.3)
    )
    samples, rate = read(content)  # MP3
    assert rate == 44100 and samples.ndim == 1 and 22050 <= len(samples) <= 22050 + 2304
    assert np.isfinite(samples).all() and np.abs(samples).max() > 0


def test_sound_effects_with_everything(elevenlabs):
    content = b"".join(
        elevenlabs.text_to_sound_effects.convert(
            text=PROMPT,
            duration_seconds=0.5,
            prompt_influence=0.6,
            loop=False,
            model_id="eleven_text_to_sound_v2",
            output_format="pcm_16000",
            request_options={"additional_body_parameters": {"seed": 7}},
        )
    )
    assert_same_sound(content, encode(alone(7, influence=0.6), "pcm_16000"))
    looped = b"".join(
        elevenlabs.text_to_sound_effects.convert(
            text=PROMPT, duration_seconds=0.5, loop=True, output_format="wav_16000"
        )
    )
    assert len(read(looped)[0]) == 8000


def test_the_default_duration_is_the_checkpoints(elevenlabs):
    content = b"".join(elevenlabs.text_to_sound_effects.convert(text=PROMPT, output_format="wav_8000"))
    native = AudioLDM.from_pretrained(CHECKPOINT, engine="eager").config.diffusion.clip_seconds
    assert len(read(content)[0]) == 8000 * min(1, native)  # the server's limit is 1


@pytest.mark.parametrize("wrong", [{"text": ""}, {"duration_seconds": 31}, {"prompt_influence": 2}, {"text": " "}])
def test_sound_effects_that_are_refused(elevenlabs, wrong):
    with pytest.raises(ApiError) as caught:
        b"".join(elevenlabs.text_to_sound_effects.convert(**{"text": PROMPT, "duration_seconds": 0.5, **wrong}))
    assert caught.value.status_code == 422 and isinstance(caught.value.body["detail"], str)


def test_voices_and_models(elevenlabs):
    voices = elevenlabs.voices.get_all().voices
    assert {"reporter", "alloy", "onyx"} <= {voice.voice_id for voice in voices}
    assert elevenlabs.voices.get("reporter").description == "A female reporter is speaking"
    assert [model.can_do_text_to_speech for model in elevenlabs.models.list()] == [False, True]


@speech
@pytest.mark.parametrize("method", ["convert", "stream"])
def test_text_to_speech(elevenlabs, method):
    content = b"".join(
        getattr(elevenlabs.text_to_speech, method)(
            voice_id="reporter",
            text=SPOKEN,
            model_id="eleven_multilingual_v2",
            output_format="wav_16000",
            seed=3,
        )
    )
    expected = speak(tiny_speech(), SPOKEN, duration=1.0, seed=3, num_inference_steps=1).waveforms[0]
    samples, rate = read(content)
    assert rate == 16000
    np.testing.assert_allclose(samples, expected, atol=1e-4)
    half = b"".join(
        elevenlabs.text_to_speech.convert(
            voice_id="reporter",
            text=SPOKEN,
            output_format="wav_16000",
            seed=3,
            voice_settings=VoiceSettings(speed=2.0),
        )
    )
    assert len(read(half)[0]) == round(len(samples) / 2)


@speech
def test_an_unknown_voice(elevenlabs):
    with pytest.raises(ApiError) as caught:
        b"".join(elevenlabs.text_to_speech.convert(voice_id="21m00Tcm4TlvDq8ikWAM", text=SPOKEN))
    assert caught.value.status_code == 404
    assert caught.value.body["detail"].startswith("unknown voice '21m00Tcm4TlvDq8ikWAM', choose from reporter, ")


# ---- OpenAI


@speech
@pytest.mark.parametrize(("name", "rate"), [("mp3", 16000), ("opus", 48000), ("flac", 16000), ("wav", 16000)])
def test_speech(openai, name, rate):
    answer = openai.audio.speech.create(
        model="gpt-4o-mini-tts", voice="onyx", input=SPOKEN, response_format=name, extra_body={"seed": 3}
    )
    samples, found = read(answer.content)
    expected = speak(
        tiny_speech(), SPOKEN, speaker="A man speaks in a deep voice", duration=1.0, seed=3, num_inference_steps=1
    )
    assert found == rate
    assert 0 <= len(samples) / rate - expected.waveforms.shape[1] / 16000 < 0.15
    if name in ("flac", "wav"):
        np.testing.assert_allclose(samples, expected.waveforms[0], atol=1e-4)


@speech
def test_speech_by_instructions_streamed(openai, tmp_path):
    arguments = {
        "model": "tts-1",
        "voice": {"id": "alloy"},
        "input": SPOKEN,
        "instructions": "A man speaks slowly",
        "speed": 0.5,
        "extra_body": {"seed": 3},
    }
    with openai.audio.speech.with_streaming_response.create(response_format="pcm", **arguments) as answer:
        content = b"".join(answer.iter_bytes(1000))
        assert answer.headers["content-type"] == "audio/pcm"
    expected = speak(tiny_speech(), SPOKEN, speaker="A man speaks slowly", duration=1.0, seed=3, num_inference_steps=1)
    assert len(content) == pytest.approx(2 * 24000 * 2 * expected.waveforms.shape[1] / 16000, abs=8)
    with openai.audio.speech.with_streaming_response.create(
        response_format="pcm", stream_format="sse", **arguments
    ) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == content
    path = tmp_path / "speech.wav"
    with openai.audio.speech.with_streaming_response.create(response_format="wav", **arguments) as answer:
        answer.stream_to_file(path)
    assert soundfile.info(path).duration == pytest.approx(len(content) / 48000, abs=1e-3)


@speech
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"voice": "nobody"}, "unknown voice 'nobody', choose from reporter, alloy"),
        ({"response_format": "aac"}, "response_format: Input should be 'mp3', 'opus', 'flac', 'wav' or 'pcm'"),
        ({"speed": 5}, "speed: Input should be less than or equal to 4"),
        ({"input": ""}, "input: "),
        ({"input": "..."}, "which has nothing to pronounce"),
    ],
)
def test_speech_that_is_refused(openai, wrong, message):
    with pytest.raises(UnprocessableEntityError) as caught:
        openai.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": SPOKEN, **wrong})
    assert message in caught.value.body["detail"]


def test_models(openai):
    assert [model.id for model in openai.models.list()] == [CHECKPOINT, "tiny-speech"]


def test_a_model_that_cannot_run_the_task(openai):
    with pytest.raises(NotFoundError, match=f"{CHECKPOINT} does not speak"):
        openai.audio.speech.create(model=CHECKPOINT, voice="alloy", input=SPOKEN)
