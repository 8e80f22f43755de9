"""LoRA adapters over HTTP: the owner names them, requests choose among the names, no path comes from a request."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ppaudioldm.generation.options import Options
from ppaudioldm.serving.adapters import check_fit_any, named_adapters
from ppaudioldm.serving.app import create_app
from ppaudioldm.serving.configuration import read_settings
from ppaudioldm.serving.models import Model, Models
from ppaudioldm.serving.request import Request
from ppaudioldm.ui.field import setting_fields
from ppaudioldm.ui.form import preset_values
from tests.imitation import ImitationPipeline
from tests.serving.examples import service_of
from tests.weights.lora_examples import QUERY, keys_of, matrices, write_file, write_peft

PAIRS = matrices((QUERY,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two adapters, of which one fits the checkpoints of these tests."""
    folder = tmp_path_factory.mktemp("adapters")
    write_file(folder / "bells.safetensors", keys_of(matrices((QUERY,), config=ImitationPipeline().config)))
    write_peft(folder / "rain", PAIRS)
    (folder / "notes.txt").write_text("of no interest")
    return folder


@pytest.fixture
def client(tmp_path):
    with service_of(tmp_path, ImitationPipeline(adapters=("bells", "rain"))) as service:
        yield TestClient(create_app(service), "http://localhost")


def post(client: TestClient, lora: object):
    body = {"prompt": "a dog barks", "duration": 0.5, "lora": lora}
    return client.post("/v1/generations", json=body)


def test_requests_choose_by_name(client):
    assert client.get("/v1/models").json()["data"][0]["lora"] == ["bells", "rain"]
    for lora, stored in (("bells:0.8", ["bells:0.8"]), (["bells", "rain:.5"], ["bells", "rain:0.5"]), (None, [])):
        answer = post(client, lora)
        assert answer.status_code == 202, answer.text
        assert answer.json()["request"]["options"]["lora"] == stored
    form = [(name, (None, value)) for name, value in (("prompt", "a"), ("lora", "rain"), ("lora", "bells:2"))]
    answer = client.post("/v1/generations", files=form)
    assert answer.status_code == 202 and answer.json()["request"]["options"]["lora"] == ["rain", "bells:2.0"]


@pytest.mark.parametrize(
    "lora,message",
    [
        ("/etc/passwd", "lora is '/etc/passwd', allowed: bells, rain"),
        ("../bells", "lora is '../bells', allowed: bells, rain"),
        ("https://example.com/bells.safetensors:1", "allowed: bells, rain"),
        ("bells:1e9", "the scale of 'bells' is 1e+09, allowed: -10 to 10"),
        ("bells:nan", "the scale of 'bells' is nan, allowed: -10 to 10"),
        (["bells", "bells"], "lora holds 'bells' twice"),
        (["bells"] * 9, "lora"),
        (7, "lora"),
        ("bells\n", None),
        ("be\nlls", "allowed: PATH[:SCALE]"),
    ],
)
def test_what_a_request_may_not_choose(client, lora, message):
    answer = post(client, lora)
    if message is None:
        assert answer.status_code == 202
        return
    assert answer.status_code == 422 and message in answer.text


def test_jobs_with_other_adapters_are_no_batch():
    first, second = (Request(prompt="a", options=Options(lora=lora)) for lora in ("bells", "bells:0.5"))
    assert first.batch_key() != second.batch_key()
    assert first.batch_key() == Request(prompt="a", options=Options(lora=["bells:1.0"])).batch_key()
    assert Request.from_dict(first.to_dict()).options.lora == ("bells",)


def test_the_field_of_the_page():
    field = setting_fields()["lora"]
    assert field.read({"lora": " bells:0.80; rain "}) == ("bells:0.8", "rain")
    assert field.read(field.write(("bells:0.8", "rain"))) == ("bells:0.8", "rain")
    assert field.read({"lora": ""}) == () and field.write(()) == {"lora": ""}
    with pytest.raises(ValueError, match="the scale of 'bells' is 100"):
        field.read({"lora": "bells:100"})
    assert "lora" not in preset_values("fast")  # a preset does not change what is chosen


# ---- What the owner of the server says


def test_names_and_folders(folder, tmp_path):
    assert named_adapters([str(folder)]) == {"bells": folder / "bells.safetensors", "rain": folder / "rain"}
    assert named_adapters([f"big={folder / 'rain'}"]) == {"big": folder / "rain"}
    assert named_adapters([str(folder / "rain")]) == {"rain": folder / "rain"}
    settings = read_settings({"lora": f"a={folder / 'rain'},{folder}", "data": str(tmp_path)}, None)
    assert settings.lora == (f"a={folder / 'rain'}", str(folder))


@pytest.mark.parametrize(
    "values,message",
    [
        (["absent"], "lora is 'absent', allowed: NAME=PATH, or a folder of adapters"),
        (["a=absent"], "'absent': no such LoRA adapter"),
        (["a b=FOLDER/rain"], "the name 'a b' is not allowed"),
        (["rain=FOLDER/rain", "FOLDER"], "rain is both"),
    ],
)
def test_what_they_may_not_say(folder, values, message):
    with pytest.raises(ValueError, match="^") as error:
        named_adapters([value.replace("FOLDER", str(folder)) for value in values])
    assert message in str(error.value)


def test_an_adapter_that_fits_no_checkpoint_is_found_at_the_start(folder):
    models = Models([Model("fake", ImitationPipeline())])
    adapters = named_adapters([str(folder)])
    check_fit_any({"bells": adapters["bells"]}, models)
    with pytest.raises(ValueError, match="an adapter of another model"):
        check_fit_any(adapters, models)
