"""The settings of a generation: checked when they are made, in one line that names the value and what is allowed."""

from __future__ import annotations

import math
from dataclasses import asdict, fields

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.options import PRESETS, Options, check_texts, merged_options, settings, take_options
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import AUDIOLDM1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"duration": 0.2}, "duration is 0.2, allowed: 0.3 to 600 seconds"),
        ({"duration": math.nan}, "duration is nan, allowed: 0.3 to 600 seconds"),
        ({"duration": "5"}, "duration is '5', allowed: 0.3 to 600 seconds"),
        ({"duration": True}, "duration is True, allowed: 0.3 to 600 seconds"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0, allowed: 1 to 1000"),
        ({"num_inference_steps": 2.5}, "num_inference_steps is 2.5, allowed: 1 to 1000"),
        ({"guidance_scale": math.inf}, "guidance_scale is inf, allowed: -100 to 100"),
        ({"sampler": "euler"}, "sampler is 'euler', allowed: ddim, plms, ddpm, dpm\\+\\+"),
        ({"spacing": "even"}, "spacing is 'even', allowed: leading, linear, log-snr, karras"),
        ({"eta": 0.5}, "eta is 0.5, but only the ddim sampler has one; dpm\\+\\+ does not"),
        ({"sampler": "ddim", "eta": -1.0}, "eta is -1.0, allowed: finite numbers, 0 and more"),
        ({"sampler": "ddim", "spacing": "karras"}, "spacing is 'karras', but only the dpm\\+\\+ sampler has a choice"),
        ({"num_waveforms_per_prompt": 65}, "num_waveforms_per_prompt is 65, allowed: 1 to 64"),
        ({"batch_size": 0}, "batch_size is 0, allowed: 1 to 64"),
        ({"reuse": 11}, "reuse is 11, allowed: 1 to 10"),
        ({"guidance_interval": (0.5, 0.5)}, r"guidance_interval is \(0.5, 0.5\), allowed: a start and an end"),
        ({"negative_prompt": 3}, "negative_prompt is 3, allowed: a text that is not empty"),
    ],
)
def test_a_value_that_is_not_allowed(values, message):
    with pytest.raises(ValueError, match=message):
        Options(**values)


def test_numbers_of_numpy_become_pythons():
    options = Options(duration=np.float32(2.5), num_inference_steps=np.int64(7), guidance_interval=[0.25, 1])
    assert options == Options(duration=2.5, num_inference_steps=7, guidance_interval=(0.25, 1))
    assert (type(options.duration), type(options.num_inference_steps)) == (float, int)


@pytest.mark.parametrize("blank", ["", " ", "\n", None])
def test_an_empty_negative_prompt_is_none(blank):
    assert Options(negative_prompt=blank) == Options()
    assert Options(negative_prompt="music").changed(negative_prompt=blank or "") == Options()


def test_every_field_is_a_setting():
    assert list(settings()) == [field.name for field in fields(Options)]
    assert all(setting.help and setting.flags for setting in settings().values())


def test_presets():
    assert Options.from_preset("fast") == Options()
    draft = Options.from_preset("draft", num_inference_steps=7, negative_prompt=None)
    assert (draft.reuse, draft.num_inference_steps, draft.negative_prompt) == (3, 7, None)
    original = asdict(PRESETS["original"])
    assert (original["sampler"], original["eta"], original["num_inference_steps"]) == ("ddim", 1.0, 200)
    with pytest.raises(ValueError, match="unknown preset 'best', choose from fast, fine, draft, original"):
        Options.from_preset("best")


def test_eta_and_spacing_go_with_their_sampler():
    assert Options.from_preset("original", sampler="plms").eta is None
    assert Options(spacing="karras").changed(sampler="ddim", eta=0.5) == Options(sampler="ddim", eta=0.5)


def test_options_of_keywords():
    keywords = {"preset": "fine", "duration": 2.0, "seed": 3}
    assert take_options(keywords) == Options(num_inference_steps=25, duration=2.0) and keywords == {"seed": 3}
    assert take_options({"options": Options(reuse=2), "duration": 3.0}) == Options(reuse=2, duration=3.0)
    with pytest.raises(ValueError, match="options and preset are both given"):
        merged_options(Options(), "fast", {})
    with pytest.raises(ValueError, match="options is a dict, allowed: Options"):
        merged_options({}, None, {})
    with pytest.raises(TypeError, match="unknown setting 'steps', choose from negative_prompt, duration, "):
        merged_options(None, None, {"steps": 3})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "prompt is an empty list"),
        (None, "prompt is None, allowed: a text, or a list"),
        ([" "], "prompt is ' '"),
        (["x" * 100_001], "prompt has 100001 characters"),
        (["\udcff"], "text of whole characters"),
    ],
)
def test_texts_that_are_not_allowed(texts, message):
    with pytest.raises(ValueError, match=message):
        check_texts(texts)


@pytest.mark.parametrize("config, scale", [(UNTRAINED, 3.5), (AUDIOLDM1, 2.5)], ids=["audioldm2", "audioldm1"])
def test_the_guidance_scale_is_by_default_that_of_the_published_program(config, scale):
    checkpoint = random_checkpoint("x", config, 0)
    pipeline = AudioLDM(checkpoint, EagerEngine(checkpoint, "cpu"))
    fast = {"duration": 0.32, "num_inference_steps": 1, "seed": 1}
    default, same, other = (
        pipeline.generate("rain", **fast, **chosen).waveforms
        for chosen in ({}, {"guidance_scale": scale}, {"guidance_scale": 6 - scale})
    )
    assert np.array_equal(default, same) and not np.array_equal(default, other)
