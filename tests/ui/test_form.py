"""What the fields hold, as a request, and back."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import PhonemeEncoderConfig
from ppaudioldm.generation.options import PRESETS, Options
from ppaudioldm.serving.models import Model, ModelNotFound, Models
from ppaudioldm.serving.request import Request
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.settings import Settings
from ppaudioldm.tasks.registry import TASKS
from ppaudioldm.ui.form import form_of, preset_of, preset_values, request_of, shown_diffusion
from tests.imitation import ImitationPipeline
from tests.support import CONSISTENCYTTA
from tests.ui.examples import FORM, pipeline


@pytest.fixture
def service(tmp_path):
    stopped = Service(Models([Model("fake", pipeline())]), Settings(tmp_path))
    yield stopped
    stopped.stop()


OTHERS = {
    "generate": {
        "num_waveforms_per_prompt": 3,
        "negative_prompt": "hum",
        "seed": "9223372036854775800",
        "duration": 2.0,
        "prompt_schedule": "0.5: birds\n1.25: a dog | far",
    },
    "restyle": {"strength": 0.3, "eta": "0.5", "sampler": "ddim"},
    "inpaint": {"prompt": "", "ranges_from": "0.25", "frequencies_to": "4000", "guidance_interval_to": 0.5},
    "extend": {"duration": 4.5, "loudness": "-20", "reuse": 2},
    "vary": {"duration": "", "prompt": "", "num_waveforms_per_prompt": 2, "spacing": "karras"},
    "loop": {"duration": "2.5", "prompt": ""},
    "upscale": {"cutoff": "6000", "prompt": ""},
}


@pytest.mark.parametrize("task", OTHERS)
def test_there_and_back(service, task):
    form = {**FORM, "seed": "7", **OTHERS[task]}
    request = request_of(TASKS[task], form, service)
    again = form_of(request)
    assert request_of(TASKS[task], again, service) == request
    assert {name: again[name] for name in OTHERS[task]} == OTHERS[task]
    assert request.task == task and request.with_scores and request.model == "fake"
    assert request.keep_candidates == (task in ("generate", "vary"))


def test_values_arrive(service):
    request = request_of(TASKS["inpaint"], {**FORM, **OTHERS["inpaint"], "seed": "7"}, service)
    assert (request.task, request.prompt, request.seed) == ("inpaint", None, 7)
    assert request.parameters["ranges"] == ((0.25, None),) and request.parameters["frequencies"] == ((None, 4000.0),)
    assert request.options.guidance_interval == (0.0, 0.5)
    assert request_of(TASKS["loop"], {**FORM, "duration": 2.0}, service).options.duration == 2.0
    assert request_of(TASKS["upscale"], {**FORM, "cutoff": "6000"}, service).parameters == {"cutoff": 6000}


def test_the_first_of_prompts_over_time(service):
    form = {**FORM, "prompt": "", "prompt_schedule": "0: a bell\n\n1:rain", "duration": 2.0}
    request = request_of(TASKS["generate"], form, service)
    assert (request.prompt, request.options.prompt_schedule) == ("a bell", ((1.0, "rain"),))


def test_a_job_of_an_earlier_version(service):
    """Its request was stored with the parameters of all tasks, and a loop was a choice of the tab "Sound"."""
    stored = dataclasses.asdict(Request(model="fake", task="loop", prompt="an engine", seed=7))
    del stored["parameters"]
    others = {"text": None, "phonemes": False, "speed": 1.0, "strength": 0.5, "ranges": [], "frequencies": []}
    stored |= {**others, "cutoff": None, "duration": 2.5, "audio": False}
    form = form_of(Request.from_dict(stored, version=1))
    assert (form["prompt"], form["duration"], form["seed"]) == ("an engine", "2.5", "7")
    assert request_of(TASKS["loop"], form, service).options.duration == 2.5


def test_an_empty_seed_is_a_new_one(service):
    seeds = {request_of(TASKS["generate"], FORM, service).seed for _ in range(5)}
    assert len(seeds) == 5


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("generate", {"prompt": " \n"}, "the prompt is empty"),
        ("restyle", {"prompt": ""}, "the prompt is empty"),
        ("generate", {"seed": "12a"}, "the seed is '12a', allowed: nothing, or a whole number"),
        ("generate", {"seed": "-1"}, "the seed is '-1'"),
        ("generate", {"prompt_schedule": "birds"}, "'birds' is not a prompt with its time, allowed: SECONDS:PROMPT"),
        ("generate", {"prompt_schedule": "0.2: birds"}, "prompt_schedule has 'birds' at 0.2 seconds, but the prompt"),
        ("generate", {"seed": str(2**63)}, "the seed is"),
        ("generate", {"duration": 0.1}, "duration is 0.1, allowed: 0.3 to 600 seconds"),
        ("generate", {"num_inference_steps": 2.5}, "num_inference_steps is 2.5, allowed: a whole number"),
        ("generate", {"loudness": "loud"}, "loudness is 'loud', allowed: a number"),
        ("inpaint", {"ranges_from": "nan"}, "ranges_from is 'nan', allowed: a number"),
        ("generate", {"guidance_interval_from": 0.6, "guidance_interval_to": 0.5}, "guidance_interval is"),
    ],
)
def test_mistakes_are_one_line(service, task, changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        request_of(TASKS[task], {**FORM, **changes}, service)
    assert "\n" not in str(raised.value)


def test_no_checkpoint_speaks(service):
    with pytest.raises(ModelNotFound, match="fake does not speak"):
        request_of(TASKS["speak"], {**FORM, "text": "hello"}, service)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fill_the_fields(service, name):
    values = preset_values(name)
    assert not {"negative_prompt", "duration", "batch_size"} & set(values)
    assert values["num_waveforms_per_prompt"] == (3 if name == "original" else 1)
    request = request_of(TASKS["generate"], {**FORM, **values}, service)
    preset = PRESETS[name].changed(duration=request.options.duration)
    assert request.options == preset
    assert preset_of(form_of(request)) == name
    assert preset_of({**values, "num_inference_steps": 7}) is None


def test_the_page_of_a_consistency_model_shows_its_steps_and_its_sampler(tmp_path):
    speech = replace(UNTRAINED, phoneme_encoder=PhonemeEncoderConfig(max_phonemes=30))
    models = [Model(name, ImitationPipeline(name, config=c)) for name, c in (("c", CONSISTENCYTTA), ("s", speech))]
    service = Service(Models(models), Settings(tmp_path))
    shown = {"num_inference_steps": 1, "sampler": "consistency"}
    diffusion = shown_diffusion(service)
    values = preset_values("fast", diffusion)
    assert {name: values[name] for name in shown} == shown
    form = {**FORM, **values, "text": "hello"}
    # What is left as it is shown is each checkpoint's own default.
    for task in ("generate", "speak"):
        options = request_of(TASKS[task], form, service).options
        assert (options.num_inference_steps, options.sampler) == (None, None)
    request = request_of(TASKS["generate"], {**form, "num_inference_steps": 4}, service)
    assert request.options.num_inference_steps == 4 and not request.with_scores  # there is no CLAP
    again = form_of(request, diffusion)
    assert (again["num_inference_steps"], again["sampler"]) == (4, "consistency")
    assert preset_of(form_of(replace(request, options=Options()), diffusion), diffusion) == "fast"
    service.stop()
