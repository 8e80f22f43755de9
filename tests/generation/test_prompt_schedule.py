"""Prompts over time: how they are written and checked, and that each part of a clip follows its own."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.noise_predictor import NoisePredictor
from ppaudioldm.generation.options import Options, take_options, with_defaults
from ppaudioldm.generation.prompt_schedule import Cue, changes, cues_as_text, parsed_cue, parsed_cues, split_first
from ppaudioldm.generation.run import GenerationRequest, _conditioning, _predictor, plan_of
from ppaudioldm.generation.text_condition import concatenated, padded
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.known_sounds import KnownSounds, Sound
from tests.generation.test_length import SHORTER, engine_of
from tests.support import AUDIOLDM1, RecordingEngine, noise, relative_error

CUES = [(0.3, "birds"), (0.6, "a dog")]
FAST: dict[str, Any] = {"duration": 0.9, "seed": 7, "num_inference_steps": 1}

# ---- Written and checked


@pytest.mark.parametrize("text", ["4:it brakes", " 4.0 : it brakes ", "4:  it brakes"])
def test_a_cue(text):
    assert parsed_cue(text) == Cue(4.0, "it brakes")


def test_what_a_prompt_may_hold():
    assert parsed_cue("0.5:a clock: it ticks | 3 times") == (0.5, "a clock: it ticks | 3 times")


@pytest.mark.parametrize("text", ["", "it brakes", ":it brakes", "-1:x", "1e3:x", "nan:x", "4 it brakes", "1:30:rain"])
def test_what_is_no_cue(text):
    with pytest.raises(ValueError, match="is not a prompt with its time, allowed: SECONDS:PROMPT, such as 4:birds"):
        parsed_cue(text)


@pytest.mark.parametrize("text", ["4:it brakes|6.5:a|b", "\n4: it brakes\n\n6.5: a|b\n"])
def test_several_in_one_text(text):
    assert parsed_cues(text) == [(4, "it brakes"), (6.5, "a|b")]
    assert parsed_cues(cues_as_text(Options(prompt_schedule=parsed_cues(text)).prompt_schedule)) == parsed_cues(text)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("4:x", "prompt_schedule is '4:x', allowed: a list of pairs of seconds and a prompt"),
        (4, "prompt_schedule is 4, allowed: a list of pairs"),
        ([(4, "x", 5)], r"prompt_schedule has \(4, 'x', 5\), allowed: pairs of seconds and a prompt"),
        (["4x"], "prompt_schedule has '4x', allowed: pairs"),
        ([("4", "x")], "prompt_schedule has 'x' at '4', allowed: seconds from the start"),
        ([(-1, "x")], "prompt_schedule has 'x' at -1, allowed: seconds from the start"),
        ([(math.nan, "x")], "prompt_schedule has 'x' at nan, allowed"),
        ([(True, "x")], "prompt_schedule has 'x' at True, allowed"),
        ([(4, " ")], "prompt_schedule is '', allowed: a text that is not empty"),
        ([(4, None)], "prompt_schedule is None, allowed: a text"),
        ([(4, "x" * 100_001)], "prompt_schedule has 100001 characters, allowed: up to 100000"),
        ([(4, "x"), (4, "y")], "prompt_schedule has 'y' at 4 seconds, after 4, allowed: 0.3 seconds later or more"),
        ([(4, "x"), (3, "y")], "prompt_schedule has 'y' at 3 seconds, after 4"),
        ([(i, "x") for i in range(33)], "prompt_schedule has 33 prompts, allowed: up to 32"),
    ],
)
def test_schedules_that_are_not_allowed(schedule, message):
    with pytest.raises(ValueError, match=message):
        Options(prompt_schedule=schedule)


def test_times_are_within_the_clip():
    assert Options(duration=4.3, prompt_schedule=[(3.7, "x"), (4.0, "y")]).prompt_schedule[1] == (4.0, "y")
    message = "prompt_schedule has 'y' at 4.1 seconds, allowed: up to 4 in a clip of 4.3 seconds"
    with pytest.raises(ValueError, match=message):
        Options(duration=4.3, prompt_schedule=[(3.7, "x"), (4.1, "y")])


def test_plain_values_give_it_again():
    options = Options(prompt_schedule=[[np.float32(0.5), " birds "], (2, "a dog")])
    assert options.prompt_schedule == (Cue(0.5, "birds"), Cue(2.0, "a dog"))
    again = Options(**json.loads(json.dumps(dataclasses.asdict(options))))
    assert again == options and hash(again) == hash(options)


def test_the_first_prompt():
    schedule = (Cue(2.0, "a"), Cue(3.0, "b"))
    assert split_first(None, schedule) == ("a", schedule[1:])
    assert split_first("x", schedule) == ("x", schedule)
    assert split_first(None, ()) == (None, ())
    with pytest.raises(ValueError, match="prompt_schedule has 'a' at 0 seconds, but the prompt holds from the start"):
        split_first("x", (Cue(0.0, "a"),))


def test_a_prompt_that_holds_already_changes_nothing():
    assert changes("a", (Cue(1, "a"), Cue(2, "b"), Cue(3, "b"), Cue(4, "a"))) == (Cue(2, "b"), Cue(4, "a"))


def test_tasks_that_start_from_a_recording_do_not_take_it():
    with pytest.raises(ValueError, match="prompt_schedule is set, but only the task generate takes prompts over time"):
        take_options({"prompt_schedule": CUES})


# ---- Clips


@pytest.fixture(scope="module")
def pipeline() -> AudioLDM:
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    return AudioLDM(checkpoint, RecordingEngine(checkpoint))


@pytest.fixture(scope="module")
def scheduled(pipeline) -> np.ndarray:
    """The clip of "rain" and then CUES."""
    return pipeline.generate("rain", prompt_schedule=CUES, **FAST).waveforms


def counted(pipeline: AudioLDM, *prompts: str, **settings: Any) -> tuple[np.ndarray, dict[str, int]]:
    """The clip with CUES, and how often each function of the UNet was called."""
    pipeline.engine.calls.clear()
    waveforms = pipeline.generate(list(prompts) or "rain", prompt_schedule=CUES, **FAST | settings).waveforms
    return waveforms, {name: count for name, count in pipeline.engine.counts().items() if name.startswith("unet_")}


def test_equal_prompts_are_one(pipeline):
    alone = pipeline.generate("rain", **FAST).waveforms
    again = pipeline.generate("rain", prompt_schedule=[(0.3, "rain"), (0.6, " rain")], **FAST).waveforms
    np.testing.assert_array_equal(again, alone)


def test_order_counts(pipeline, scheduled):
    assert scheduled.shape == (1, 14400) and np.isfinite(scheduled).all()
    for first, cues in (("birds", [(0.3, "rain"), (0.6, "a dog")]), ("rain", CUES[:1])):
        other = pipeline.generate(first, prompt_schedule=cues, **FAST).waveforms
        assert relative_error(other, scheduled) > 1e-4
    same = pipeline.generate(prompt_schedule=[(0, "rain"), *CUES], **FAST).waveforms
    np.testing.assert_array_equal(same, scheduled)


@pytest.mark.parametrize("duration", [0.61, 2.0, 3.17])
def test_length_is_exact(pipeline, duration):
    made = pipeline.generate(
        "rain", prompt_schedule=[(duration / 2, "birds")], **{**FAST, "duration": duration}
    ).waveforms
    assert made.shape == (1, round(duration * 16000)) and np.isfinite(made).all()


def engines() -> list[str]:
    return ["eager", "openvino"] if framework.NAME == "paddle" else ["eager"]


def prediction(pipeline: AudioLDM, latents: np.ndarray, texts: list[str], seconds: list[float]) -> tuple[Any, Any]:
    """The guided prediction for `latents` with prompts over time, and the sections of these."""
    cues = list(zip(seconds, texts[1:], strict=True))
    options = Options(duration=latents.shape[2] / 25, guidance_scale=3.5, prompt_schedule=cues)
    request = GenerationRequest(with_defaults(options, pipeline.config.diffusion), texts[:1], ["hum"], [[7]])
    plan = plan_of(pipeline._components, request)
    (batch,) = plan.batches
    both = _conditioning(pipeline._components, request, True, lambda: None)
    predict = _predictor(pipeline._components, request, plan, batch, *both, lambda: None)
    timestep = batch.schedules[0].timesteps[0]
    return pipeline.engine.to_numpy(predict(pipeline.engine.asarray(latents), timestep, 0)), batch


@pytest.mark.parametrize("engine", engines())
def test_each_part_is_predicted_from_its_own_prompt(engine):
    """Of a clip longer than those of training, on small networks."""
    held: Engine = engine_of(SHORTER, engine)
    pipeline = AudioLDM(random_checkpoint("small", SHORTER, seed=0), held)
    latents, texts = noise(1, 8, 160, 16), ["rain", "birds", "a dog"]
    predicted, batch = prediction(pipeline, latents, texts, [3.2, 4.8])
    encoder = pipeline._prompt_encoder
    sections = batch.sections.sections
    assert [section.end - section.begin for section in sections] == [85, 50, 45]
    negative = encoder.encode(["hum"])
    for index, (section, schedule, text) in enumerate(zip(sections, batch.schedules, texts, strict=True)):
        conditioning = padded(concatenated(negative, encoder.encode([text])))
        alone = NoisePredictor(held, SHORTER, conditioning, schedule, lambda: None)
        part = held.asarray(latents[:, :, section.first : section.first + section.windows.total])
        expected = held.to_numpy(alone(part, schedule.timesteps[0], 0))
        # Where neither neighbour is cross-faded in.
        begin = sections[index - 1].end if index else 0
        end = sections[index + 1].begin if index + 1 < len(sections) else section.end
        inside = slice(begin - section.first, end - section.first)
        assert end - begin >= 30
        assert relative_error(predicted[:, :, begin:end], expected[:, :, inside]) < 1e-4


@pytest.mark.parametrize("config", [UNTRAINED, AUDIOLDM1], ids=["audioldm2", "audioldm1"])
def test_settings_hold_for_each_part(config):
    checkpoint = random_checkpoint("x", config, 0)
    pipeline = AudioLDM(checkpoint, RecordingEngine(checkpoint))
    shared = {"unet_time_embedding": 3, **({"unet_contexts": 3} if config.contexts else {})}
    two = {"num_inference_steps": 2}
    guided, calls = counted(pipeline, **two)
    assert calls == {**shared, "unet_guided_step": 6}
    rough, calls = counted(pipeline, reuse=2, **two)
    assert calls == {**shared, "unet_guided_deep": 3, "unet_guided_shallow": 6}
    plain, calls = counted(pipeline, guidance_scale=1.0, **two)
    assert calls == {**shared, "unet_step": 6}
    negative, _ = counted(pipeline, negative_prompt="hum", **two)
    for other in (rough, plain, negative):
        assert np.isfinite(other).all() and not np.array_equal(other, guided)


@pytest.mark.parametrize("sampler", ["ddim", "plms", "ddpm"])
def test_every_sampler(pipeline, scheduled, sampler):
    made, _ = counted(pipeline, sampler=sampler)
    assert np.isfinite(made).all() and made.shape == scheduled.shape


def test_a_batch_makes_the_same_clips(pipeline, scheduled):
    """Also of a prompt that the schedule goes on with: it changes once less."""
    together, calls = counted(pipeline, "rain", "wind", "birds", batch_size=4)
    assert calls["unet_guided_step"] == 3 + 2
    assert relative_error(together[:1], scheduled) < 1e-4
    birds = pipeline.generate("birds", prompt_schedule=CUES[1:], **FAST).waveforms
    assert relative_error(together[2:], birds) < 1e-4


def test_candidates_are_scored_part_by_part(pipeline):
    clip = pipeline.generate("rain", prompt_schedule=CUES, num_waveforms_per_prompt=2, keep_candidates=True, **FAST)
    starts = [0, round(0.3 * 16000), round(0.6 * 16000), 14400]
    texts = pipeline.embed_text(["rain", "birds", "a dog"])
    for waveform, score in zip(clip.candidates[0], clip.candidate_scores[0], strict=True):
        parts = [pipeline.embed_audio(waveform[a:b], 16000) for a, b in itertools.pairwise(starts)]
        fits = [part @ text for part, text in zip(parts, texts, strict=True)]
        assert score == pytest.approx(np.mean(fits), abs=1e-5)
    assert clip.scores[0] == max(clip.candidate_scores[0])


def test_progress_counts_every_part(pipeline):
    reports: list[Any] = []
    pipeline.generate("rain", prompt_schedule=CUES, progress=reports.append, **FAST)
    ends = {report.stage: (report.done, report.total) for report in reports}
    assert ends["denoise"] == (3, 3) and ends["text"][0] == ends["text"][1]


def test_each_network_is_read_once_for_all_prompts(pipeline):
    """With low memory, where one is held at a time."""
    pipeline.engine.calls.clear()
    pipeline.generate("rain", prompt_schedule=CUES, **FAST)
    networks = [network_and_method(name)[0] for name, _, _ in pipeline.engine.calls]
    in_turn = [name for name, _ in itertools.groupby(networks)]
    # FLAN-T5 encodes the empty prompt of the unconditional half, too.
    assert in_turn == ["flan_t5", "clap_text", "loa", "gpt2", "unet", "vae_decoder", "vocoder"]


def test_unknown_prompts_are_named_one_by_one(pipeline, caplog):
    known = KnownSounds((Sound("rain", "rain", "light rain"),), frozenset(("rain",)))
    choosy = AudioLDM(dataclasses.replace(pipeline.checkpoint, known_sounds=known), pipeline.engine)
    with caplog.at_level("WARNING", "ppaudioldm"):
        choosy.generate("rain", prompt_schedule=CUES, **FAST)
    messages = [record.message for record in caplog.records]
    assert len(messages) == 2 and "'birds' names none" in messages[0] and "'a dog' names none" in messages[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"audio_condition": AudioCondition(circular=True)}, "prompt_schedule is set, allowed for a loop: one prompt"),
        (
            {"audio_condition": AudioCondition(loa=np.zeros((8, 64), np.float32))},
            "prompt_schedule is set, but embeddings or a recording take the place of prompts",
        ),
        ({"prompt_schedule": [(0.1, "birds")]}, "prompt_schedule has 'birds' at 0.1 seconds, but the prompt holds"),
        ({"prompt_schedule": [(0.7, "birds")]}, "prompt_schedule has 'birds' at 0.7 seconds, allowed: up to 0.6"),
    ],
)
def test_what_does_not_go_together(pipeline, settings, message):
    with pytest.raises(ValueError, match=message):
        pipeline.generate("rain", **{"prompt_schedule": CUES, **FAST, **settings})
