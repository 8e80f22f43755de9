"""Sounds of the server carry tags, from which it makes them again; no tag makes it open or download anything."""

from __future__ import annotations

import io
import json

import pytest
import soundfile

from ppaudioldm.audio.tagging.files import tags_in
from ppaudioldm.audio.tagging.xmp import GENERATED
from ppaudioldm.audio.write import encode_audio
from ppaudioldm.generation.provenance import SETTINGS
from ppaudioldm.weights import hub
from tests.serving.examples import answering, finished, sound_of

BODY = {"prompt": "a dog barks", "duration": 0.5, "num_inference_steps": 3, "seed": 5, "loudness": -30}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with answering(tmp_path_factory.mktemp("jobs")) as server:
        yield server


def downloaded(server, body: dict, **query: str) -> bytes:
    done = finished(server.client, server.client.post("/v1/generations", json=body).json())
    return server.client.get(done["sounds"][0]["url"], params=query).content


def with_settings(**changes: object) -> bytes:
    settings = {"version": 1, "prompt": "x", "seed": 1, "checkpoint": "fake", **changes}
    return encode_audio(sound_of(1), 16000, "FLAC", "PCM_16", tags={SETTINGS: json.dumps(settings)})


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "opus", "mp3_44100_128"])
def test_every_format_has_them(server, format):
    tags = tags_in(io.BytesIO(downloaded(server, BODY, format=format)))
    assert tags["DIGITALSOURCETYPE"] == GENERATED and tags["MODEL"] == "fake"
    assert json.loads(tags[SETTINGS])["loudness"] == -30


def test_fewer_and_none(server):
    assert SETTINGS not in tags_in(io.BytesIO(downloaded(server, {**BODY, "tags": "marking"})))
    assert tags_in(io.BytesIO(downloaded(server, {**BODY, "tags": "none"}))) == {}
    answer = server.client.post("/v1/generations", json={**BODY, "tags": "some"})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("tags:")


def test_sound_effects_have_them(server):
    answer = server.client.post("/v1/sound-generation", json={"text": "a dog", "duration_seconds": 0.5, "seed": 3})
    assert json.loads(tags_in(io.BytesIO(answer.content))[SETTINGS])["seed"] == 3  # an MP3


def test_a_sound_is_made_again(server):
    content = downloaded(server, {**BODY, "negative_prompt": "music", "guidance_interval": [0.1, 0.9]})
    info = server.client.post("/v1/info", files={"audio": ("x.wav", content)}).json()
    assert info["marked"] and not info["recording"] and info["problem"] is None and SETTINGS not in info["tags"]
    assert info["settings"].items() >= {**BODY, "model": "fake", "negative_prompt": "music"}.items()
    assert downloaded(server, info["settings"]) == content
    for form, seed in (({}, 5), ({"seed": "6"}, 6)):
        answer = server.client.post("/v1/generations", data=form, files={"like": ("x.wav", content)})
        assert answer.status_code == 202, answer.text
        done = finished(server.client, answer.json())
        assert done["request"]["seed"] == seed and done["request"]["options"]["guidance_interval"] == [0.1, 0.9]
        again = server.client.get(done["sounds"][0]["url"]).content
        assert (again == content) == (seed == 5)


@pytest.mark.parametrize(
    ("like", "form", "status", "message"),
    [
        (with_settings(checkpoint="/etc/model"), {}, 422, "allowed: a name, and no path"),
        (with_settings(checkpoint="audioldm2-full"), {}, 404, "unknown model 'audioldm2-full', choose from fake"),
        (with_settings(options={"duration": 61}), {}, 422, "duration is 61, allowed on this server"),
        (with_settings(options={"num_inference_steps": 1000}), {}, 422, "allowed on this server: up to 200"),
        (with_settings(task="vary", recording=True), {}, 422, "which is not in it: send that as audio"),
        (with_settings(), {"preset": "fine"}, 422, "preset and like"),
        (b"no sound file", {}, 422, "like has no settings in its tags"),
    ],
)
def test_what_is_refused(server, monkeypatch, like, form, status, message):
    monkeypatch.setattr(hub, "fetch_checkpoint", lambda *_: pytest.fail("a download began"))
    jobs = len(server.service.history())
    answer = server.client.post("/v1/generations", data=form, files={"like": ("x", like)})
    assert answer.status_code == status and message in answer.json()["detail"]
    assert len(server.service.history()) == jobs


def test_info_of_other_files(server):
    for content in (b"", b"text", b"RIFF"):
        info = server.client.post("/v1/info", files={"audio": ("x", content)})
        assert info.status_code == 200 and info.json()["settings"] is None and not info.json()["marked"]
    bad = server.client.post("/v1/info", files={"audio": ("x", with_settings(seed=-1))}).json()
    assert bad["settings"] is None and "seed is -1" in bad["problem"]
    assert server.client.post("/v1/info", json={}).status_code == 422


def test_a_sound_of_an_earlier_version_is_marked(server):
    done = finished(server.client, server.client.post("/v1/generations", json=BODY).json())
    path = server.service.settings.folder / done["id"] / "sound.wav"
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, samples, rate, subtype="FLOAT")
    tags = tags_in(io.BytesIO(server.client.get(done["sounds"][0]["url"]).content))
    assert tags["DIGITALSOURCETYPE"] == GENERATED and tags["MODEL"] == "fake" and SETTINGS not in tags


def test_finished_sounds_and_variations(server):
    body = {**BODY, "loudness": None, "stereo": True, "trim": True, "normalize": True, "variations": 3}
    done = finished(server.client, server.client.post("/v1/generations", json=body).json())
    assert [sound["seed"] for sound in done["sounds"]] == [5, 6, 7] and done["sounds"][0]["channels"] == 2
    contents = [server.client.get(sound["url"]).content for sound in done["sounds"]]
    assert [json.loads(tags_in(io.BytesIO(content))[SETTINGS])["seed"] for content in contents] == [5, 6, 7]
    again = downloaded(server, server.client.post("/v1/info", files={"audio": ("x", contents[1])}).json()["settings"])
    assert again == contents[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variations": 9}, "variations is 9, allowed on this server with 1 candidates: up to 8"),
        ({"variations": 5, "num_waveforms_per_prompt": 2}, "with 2 candidates: up to 4"),
        ({"variations": 2, "keep_candidates": True}, "keep_candidates is true and variations are several"),
        ({"normalize": True}, "loudness is -30 and normalize is true, allowed: one of them"),
        ({"trim": True, "task": "loop"}, "trim is true, allowed for loop: false"),
        ({"trim": "maybe"}, "trim"),
    ],
)
def test_finishing_that_is_refused(server, wrong, message):
    answer = server.client.post("/v1/generations", json={**BODY, **wrong})
    assert answer.status_code == 422 and message in answer.json()["detail"]
