"""What the fields hold, as a request, and back."""

from __future__ import annotations

import pytest

from ppaudioldm.generation.options import PRESETS
from ppaudioldm.serving.models import Model, ModelNotFound, Models
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.settings import Settings
from ppaudioldm.ui.form import form_of, preset_of, preset_values, request_of, tab_of
from tests.ui.examples import FORM, pipeline


@pytest.fixture
def service(tmp_path):
    made = Service(Models([Model("fake", pipeline())]), Settings(tmp_path))
    yield made
    made.stop()


OTHERS = {
    "generate": {"num_waveforms_per_prompt": 3, "negative_prompt": "hum", "seed": "9223372036854775800"},
    "restyle": {"strength": 0.3, "eta": 0.5, "sampler": "ddim"},
    "inpaint": {"prompt": "", "start": 0.25, "end": None, "lowest": None, "highest": 4000.0, "guided_to": 0.5},
    "extend": {"duration": 4.5, "loudness": -20.0, "reuse": 2},
    "vary": {"duration": None, "prompt": "", "num_waveforms_per_prompt": 2, "spacing": "karras"},
}


@pytest.mark.parametrize("tab", OTHERS)
def test_there_and_back(service, tab):
    request = request_of(tab, {**FORM, "seed": "7", **OTHERS[tab]}, service)
    again = request_of(tab, form_of(request), service)
    assert again == request
    assert tab_of(request.task) == tab
    assert request.with_scores and request.model == "fake"
    assert request.keep_candidates == (tab in ("generate", "vary"))


def test_values_arrive(service):
    request = request_of("inpaint", {**FORM, **OTHERS["inpaint"], "seed": "7"}, service)
    assert (request.task, request.prompt, request.seed) == ("inpaint", None, 7)
    assert request.parameters["ranges"] == ((0.25, None),) and request.parameters["frequencies"] == ((None, 4000.0),)
    assert request.options.guidance_interval == (0.0, 0.5)
    assert request_of("generate", {**FORM, "loop": True, "duration": 2.0}, service).options.duration == 2.0
    assert request_of("generate", {**FORM, "loop": True}, service).task == "loop"


def test_an_empty_seed_is_a_new_one(service):
    seeds = {request_of("generate", FORM, service).seed for _ in range(5)}
    assert len(seeds) == 5


@pytest.mark.parametrize(
    ("tab", "changes", "told"),
    [
        ("generate", {"prompt": " \n"}, "the prompt is empty"),
        ("restyle", {"prompt": ""}, "the prompt is empty"),
        ("generate", {"seed": "12a"}, "the seed is '12a', allowed: nothing, or a whole number"),
        ("generate", {"seed": "-1"}, "the seed is '-1'"),
        ("generate", {"seed": str(2**63)}, "the seed is"),
        ("generate", {"duration": 0.1}, "duration is 0.1, allowed: 0.3 to 600 seconds"),
        ("generate", {"num_inference_steps": 2.5}, "num_inference_steps is 2.5, allowed: a whole number"),
        ("generate", {"loudness": "loud"}, "loudness is 'loud', allowed: a number"),
        ("inpaint", {"start": "nan"}, "start is 'nan', allowed: a number"),
        ("generate", {"guided_from": 0.6, "guided_to": 0.5}, "guidance_interval is"),
    ],
)
def test_mistakes_are_told(service, tab, changes, told):
    with pytest.raises(ValueError, match=told) as raised:
        request_of(tab, {**FORM, **changes}, service)
    assert "\n" not in str(raised.value)


def test_no_checkpoint_speaks(service):
    with pytest.raises(ModelNotFound, match="fake does not speak"):
        request_of("speak", {**FORM, "text": "hello"}, service)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fill_the_fields(service, name):
    values = preset_values(name)
    options = request_of("generate", {**FORM, **values}, service).options
    assert options.eta == (float(values["eta"]) if values["eta"] else None)  # a text, which may be empty
    others = set(values) - {"eta"}
    assert {field: getattr(options, field) or "" for field in others} == {
        field: values[field] or "" for field in others
    }
    assert preset_of(form_of(request_of("generate", {**FORM, **values}, service))) == name
    assert preset_of({**values, "num_inference_steps": 7}) is None
