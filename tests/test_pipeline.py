"""The whole pipeline on the tiny configuration, whose random weights make noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations, groupby
from typing import Any

import numpy as np
import pytest
import soundfile

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.choices import samplers_for
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.candidates import clap_scores
from ppaudioldm.generation.clip import Cancelled, Clip
from ppaudioldm.generation.options import Options, Progress
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from tests.support import RecordingEngine, load_golden, relative_error

PROMPTS = ["A dog barks in the rain", "Birds"]
GOLDEN_OPTIONS: dict[str, Any] = {
    "duration": 0.32,
    "seed": 7,
    "num_inference_steps": 5,
    "guidance_scale": 3.5,
    "sampler": "ddim",
}
DEFAULT_OPTIONS: dict[str, Any] = {"duration": 0.32, "seed": 7}  # the rest as it is by default: dpm++, 10 steps


def recorded_stages(
    engine: RecordingEngine, prompts: Sequence[str], options: dict[str, Any] = GOLDEN_OPTIONS
) -> dict[str, np.ndarray]:
    """The result of each stage for `prompts`."""
    encoder = PromptEncoder(engine.checkpoint, engine)
    conditions, unconditional = encoder.encode(prompts), encoder.unconditional(1)
    pipeline = AudioLDM(engine.checkpoint, engine)
    clip = pipeline.generate(prompts, batch_size=len(prompts), **options)
    ((latents,), mel) = engine.of("vae_decoder")[0]
    return {
        "loa": conditions.contexts[0],
        "states": conditions.contexts[1][conditions.masks[1] == 1],  # one prompt's tokens after the other's
        "empty": unconditional.contexts[1],
        "latents": engine.to_numpy(latents) * engine.checkpoint.config.vae.scale_factor,
        "mel": engine.to_numpy(mel),
        "waveform": clip.waveforms,
    }


def test_golden():
    stages = recorded_stages(RecordingEngine(open_checkpoint("untrained")), PROMPTS)
    for name, expected in load_golden("pipeline_tiny").items():
        assert relative_error(stages[name], expected) < 1e-4, name


def test_golden_of_the_default_settings():
    """Against diffusers' networks and DPM-Solver++, see tests/parity/test_pipeline.py."""
    stages = recorded_stages(RecordingEngine(open_checkpoint("untrained")), PROMPTS, DEFAULT_OPTIONS)
    for name, expected in load_golden("pipeline_default").items():
        assert relative_error(stages[name], expected) < 1e-4, name


# ---- Lengths, seeds, batches


def generate(prompt: str | list[str] = "A dog barks in the rain", **options: Any) -> Clip:
    return untrained().generate(prompt, **{"duration": 0.3, "seed": 3, "num_inference_steps": 2, **options})


@cache
def untrained() -> AudioLDM:
    return AudioLDM.from_pretrained("untrained")


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert relative_error(actual, expected) < 1e-4


def assert_differ(first: np.ndarray, second: np.ndarray) -> None:
    assert relative_error(first, second) > 1e-3


@pytest.mark.parametrize("duration,samples", [(0.3, 4800), (0.5, 8000), (1, 16000), (1.2345, 19752), (2, 32000)])
def test_duration_is_exact(duration, samples):
    clip = generate(duration=duration, num_inference_steps=1)
    assert clip.waveforms.shape == (1, samples) and clip.waveforms.dtype == np.float32
    assert clip.sample_rate == 16000
    assert np.isfinite(clip.waveforms).all() and 0 < np.abs(clip.waveforms).max() <= 1


def test_a_seed_is_one_clip():
    clip = generate()
    assert clip.seeds == (3,) and clip.scores is None and clip.prompts == ("A dog barks in the rain",)
    np.testing.assert_array_equal(generate().waveforms, clip.waveforms)
    assert_differ(generate(seed=4).waveforms, clip.waveforms)


@pytest.mark.parametrize(
    "batch_size,options", [(2, {}), (3, {}), (2, {"sampler": "ddim", "eta": 1.0})], ids=["dpm++ 2", "dpm++ 3", "ddim 2"]
)
def test_neither_the_batch_nor_the_other_prompts_matter(batch_size, options):
    prompts = ["Birds", "A dog barks in the rain", "A man speaks while a crowd applauds in a large hall"]
    clip = generate(prompts, batch_size=batch_size, **options)  # 2 leaves a batch of 1
    assert clip.seeds == (3, 3, 3)
    for prompt, waveform in zip(prompts, clip.waveforms, strict=True):
        assert_same(waveform, generate(prompt, **options).waveforms[0])


def test_a_seed_for_each_prompt():
    prompts = ["Birds", "A dog barks in the rain"]
    clip = generate(prompts, seed=[5, 9], num_waveforms_per_prompt=2, batch_size=3)
    for prompt, seed, waveform, chosen in zip(prompts, (5, 9), clip.waveforms, clip.seeds, strict=True):
        alone = generate(prompt, seed=seed, num_waveforms_per_prompt=2)
        assert alone.seeds == (chosen,) and chosen in (seed, seed + 1)
        assert_same(waveform, alone.waveforms[0])
    with pytest.raises(ValueError, match="3 seeds for 2 prompts, allowed: one for all, or one for each"):
        generate(prompts, seed=[1, 2, 3])


def test_a_single_candidate_is_scored_on_request():
    scored = generate(with_scores=True)
    np.testing.assert_array_equal(scored.waveforms, generate().waveforms)
    assert generate().scores is None and scored.scores is not None and -1 <= scored.scores[0] <= 1


def test_without_a_seed_every_clip_is_new():
    first, second = generate(seed=None), generate(seed=None)
    assert first.seeds != second.seeds
    assert_same(generate(seed=first.seeds[0]).waveforms, first.waveforms)


# ---- Conditions and guidance


def test_prompt_and_negative_prompt_matter():
    clip = generate()
    assert_differ(generate("Birds").waveforms, clip.waveforms)
    negative = generate(negative_prompt="music")
    assert_differ(negative.waveforms, clip.waveforms)
    assert_differ(generate(negative_prompt="a much longer text than the prompt is").waveforms, negative.waveforms)


def test_negative_prompt_like_the_prompt_leaves_nothing_to_guide():
    same = generate("Birds", negative_prompt="Birds")
    assert_same(same.waveforms, generate("Birds", guidance_scale=1).waveforms)


def test_guidance_scale_0_does_not_hear_the_prompt():
    assert_same(generate("Birds", guidance_scale=0).waveforms, generate("A siren", guidance_scale=0).waveforms)


@pytest.mark.parametrize("guidance_scale,items,prompts", [(3.5, 2, 2), (1, 1, 1)])
def test_guidance_scale_1_runs_no_unconditional_half(guidance_scale, items, prompts):
    engine = RecordingEngine(open_checkpoint("untrained"))
    pipeline = AudioLDM(engine.checkpoint, engine)
    pipeline.generate("Birds", duration=0.3, seed=3, num_inference_steps=1, guidance_scale=guidance_scale)
    predictions = [output for name, _, output in engine.calls if name.startswith("unet") and name.endswith("step")]
    assert [len(output) for output in predictions] == [items]
    assert len(engine.of("flan_t5")) == prompts


def test_every_sampler_makes_its_own_clip():
    waveforms = [generate(sampler=sampler, num_inference_steps=3).waveforms for sampler in samplers_for("dpm++")]
    assert np.isfinite(waveforms).all()
    for first, second in combinations(waveforms, 2):
        assert_differ(first, second)


T5_ONLY = replace(UNTRAINED, unet=replace(UNTRAINED.unet, context_dims=(160,)), gpt2=None, loa=None)
FILM = replace(
    UNTRAINED, unet=replace(UNTRAINED.unet, context_dims=(None,), film_dim=64), flan_t5=None, gpt2=None, loa=None
)


@pytest.mark.parametrize("config", [T5_ONLY, FILM], ids=["FLAN-T5 alone", "FiLM"])
def test_other_conditions(config):
    checkpoint = random_checkpoint("variant", config, seed=0)
    pipeline = AudioLDM(checkpoint, EagerEngine(checkpoint))
    options = {"duration": 0.3, "seed": 3, "num_inference_steps": 1}
    both = pipeline.generate(["Birds", "A dog barks"], batch_size=2, **options).waveforms
    assert_same(pipeline.generate("A dog barks", **options).waveforms[0], both[1])
    assert_differ(both[0], both[1])
    assert_differ(pipeline.generate("Birds", guidance_scale=1, **options).waveforms[0], both[0])


# ---- Candidates


def test_the_best_candidate_is_kept_and_can_be_made_again():
    prompts = ["A dog barks in the rain", "Birds"]
    clip = generate(prompts, num_waveforms_per_prompt=3, batch_size=2)
    engine = EagerEngine(open_checkpoint("untrained"))
    embeddings = PromptEncoder(engine.checkpoint, engine).embed_text(prompts)
    for prompt, embedding, waveform, seed, score in zip(
        prompts, embeddings, clip.waveforms, clip.seeds, clip.scores, strict=True
    ):
        candidates = np.concatenate([generate(prompt, seed=3 + i).waveforms for i in range(3)])
        scores = clap_scores(engine, embedding, candidates, clip.sample_rate)
        assert seed == 3 + scores.argmax()
        assert score == pytest.approx(scores.max(), abs=1e-4)
        assert_same(waveform, candidates[scores.argmax()])


# ---- Progress


def test_progress():
    reports: list[Progress] = []
    clip = generate(["Birds", "A siren"], num_waveforms_per_prompt=2, batch_size=2, progress=reports.append)
    stages = [stage for stage, _ in groupby(report.stage for report in reports)]
    assert stages == ["load", "text", *["denoise", "decode", "vocoder", "rank"] * 2]
    assert set(clip.seconds) == set(stages) and all(seconds >= 0 for seconds in clip.seconds.values())
    for stage in set(stages):
        reached = [report.done / report.total for report in reports if report.stage == stage]
        assert reached[0] == 0 and reached[-1] == 1
    steps = [report.done for report in reports if report.stage == "denoise"]
    assert steps == sorted(steps) and steps[-1] == 4  # 2 steps of 2 batches


@pytest.mark.parametrize("stage,done", [("load", 0), ("text", 1), ("denoise", 0), ("denoise", 2), ("vocoder", 0)])
def test_progress_can_stop_the_run(stage, done):
    reports: list[Progress] = []

    def stop(report: Progress) -> bool:
        reports.append(report)
        return not (report.stage == stage and report.done == done)

    with pytest.raises(Cancelled, match=f"stopped during {stage}"):
        generate(num_inference_steps=4, progress=stop)
    assert (reports[-1].stage, reports[-1].done) == (stage, done)  # nothing was reported after it
    assert np.isfinite(generate().waveforms).all()  # and the pipeline can go on


# ---- What is refused


@pytest.mark.parametrize(
    "options,message",
    [
        ({"duration": 0}, "duration is 0, allowed: 0.3 to 600 seconds"),
        ({"duration": -1}, "duration is -1, allowed"),
        ({"duration": 0.29}, "duration is 0.29, allowed"),
        ({"duration": 600.1}, "duration is 600.1, allowed"),
        ({"duration": math.nan}, "duration is nan, allowed"),
        ({"duration": math.inf}, "duration is inf, allowed"),
        ({"duration": "10"}, "duration is '10', allowed"),
        ({"duration": True}, "duration is True, allowed"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0, allowed: 1 to 1000"),
        ({"num_inference_steps": 1001}, "num_inference_steps is 1001, allowed: 1 to 1000"),
        ({"num_inference_steps": 2.5}, "num_inference_steps is 2.5, allowed"),
        ({"guidance_scale": math.nan}, "guidance_scale is nan, allowed: -100 to 100"),
        ({"guidance_scale": 101}, "guidance_scale is 101, allowed"),
        ({"num_waveforms_per_prompt": 0}, "num_waveforms_per_prompt is 0, allowed: 1 to 64"),
        ({"num_waveforms_per_prompt": 65}, "num_waveforms_per_prompt is 65, allowed"),
        ({"batch_size": 0}, "batch_size is 0, allowed: 1 to 64"),
        ({"batch_size": True}, "batch_size is True, allowed"),
        ({"seed": -1}, "seed is -1, allowed: whole numbers from 0 to 9223372036854775807"),
        ({"seed": 2**63}, "seed is 9223372036854775808, allowed"),
        (
            {"seed": 2**63 - 1, "num_waveforms_per_prompt": 2},
            "seed is 9223372036854775807, allowed with 2 candidates: up to 9223372036854775806",
        ),
        ({"seed": 1.5}, "seed is 1.5, allowed"),
        ({"preset": "slow"}, "unknown preset 'slow', choose from fast, fine, draft, original"),
        ({"sampler": "euler"}, "sampler is 'euler', allowed: ddim, plms, ddpm, dpm"),
        ({"sampler": "dpm++", "eta": 0.5}, "eta is 0.5, but only the ddim sampler has one"),
        ({"eta": 0.5}, "eta is 0.5, but only the ddim sampler has one"),
        ({"sampler": "ddim", "eta": -1}, "eta is -1, allowed"),
        ({"sampler": "ddim", "spacing": "karras"}, "spacing is 'karras', but only the dpm"),
        ({"spacing": "even"}, "spacing is 'even', allowed"),
        ({"negative_prompt": 5}, "negative_prompt is 5, allowed"),
        ({"prompt": "a \udcff"}, r"prompt is 'a \\udcff', allowed: text of whole characters"),
        ({"prompt": ""}, "prompt is '', allowed: a text that is not empty"),
        ({"prompt": " \n"}, r"prompt is ' \\n', allowed"),
        ({"prompt": []}, "prompt is an empty list, allowed: one text or more"),
        ({"prompt": 5}, "prompt is 5, allowed: a text, or a list of texts"),
        ({"prompt": None}, "prompt is None, allowed: a text, or a list of texts"),
        ({"prompt": ["Birds", ""]}, "prompt is '', allowed"),
        ({"prompt": ["Birds", None]}, "prompt is None, allowed"),
        ({"prompt": "a" * 100_001}, "prompt has 100001 characters, allowed: up to 100000"),
    ],
)
def test_refused(options, message):
    reports: list[Progress] = []
    with pytest.raises(ValueError, match=message) as error:
        generate(**{**options, "progress": reports.append})
    assert "\n" not in str(error.value)
    assert not reports  # before any work


def test_presets():
    original = Options.from_preset("original")
    assert (original.sampler, original.num_inference_steps, original.eta) == ("ddim", 200, 1.0)
    assert original.num_waveforms_per_prompt == 3
    assert Options.from_preset("original", eta=0.0).eta == 0.0
    other = Options.from_preset("original", sampler="dpm++")  # which has no eta
    assert other.eta is None and other.num_inference_steps == 200
    assert Options.from_preset("fast") == Options()


def test_unknown_checkpoint():
    with pytest.raises(ValueError, match="unknown checkpoint 'nothing': not a file or folder, nor one of tiny"):
        AudioLDM.from_pretrained("nothing")


def test_unknown_device():
    with pytest.raises(ValueError, match="device 'tpu:0' is not available"):
        AudioLDM.from_pretrained("untrained", device="tpu:0")


# ---- Clip


def make_clip(count: int) -> Clip:
    waveforms = np.linspace(-0.5, 0.5, count * 800, dtype=np.float32).reshape(count, 800)
    return Clip(waveforms, 16000, ("Birds",) * count, tuple(range(count)))


def test_save_one(tmp_path):
    assert make_clip(1).save(tmp_path / "birds.wav") == [tmp_path / "birds.wav"]
    samples, rate = soundfile.read(tmp_path / "birds.wav")
    assert rate == 16000
    np.testing.assert_allclose(samples, make_clip(1).waveforms[0], atol=1e-4)


def test_save_several(tmp_path):
    names = [path.name for path in make_clip(3).save(str(tmp_path / "new folder" / "my.birds.flac"))]
    assert names == ["my.birds_0.flac", "my.birds_1.flac", "my.birds_2.flac"]
    for i, name in enumerate(names):
        samples, _ = soundfile.read(tmp_path / "new folder" / name)
        np.testing.assert_allclose(samples, make_clip(3).waveforms[i], atol=1e-4)


def test_save_refuses_an_unknown_format(tmp_path):
    with pytest.raises(ValueError, match="unknown extension '.xyz'"):
        make_clip(2).save(tmp_path / "birds.xyz")
    assert not list(tmp_path.iterdir())
