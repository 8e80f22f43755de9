"""The stage `distill`: a checkpoint with the guidance scale as an input, or an adapter, both sampled by `lcm`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm import AudioLDM, framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.training import loop
from ppaudioldm.training.assemble import assemble_checkpoint
from ppaudioldm.training.captioned import CaptionContexts
from ppaudioldm.training.distill import (
    DistillSettings,
    DistillStage,
    distilled_model,
    settings_for,
    write_distilled_adapter,
)
from ppaudioldm.training.lora import LoraSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.roles import STUDENT, TARGET, TEACHER
from ppaudioldm.training.settings import RunConfig, read_settings, with_overrides
from ppaudioldm.training.state import load_state, read_log
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.convert import write_native
from ppaudioldm.weights.lora import read_adapter
from ppaudioldm.weights.lora_sampling import Sampling
from tests.support import relative_error
from tests.training.support import NoiseClips, assert_resuming_changes_nothing

SAMPLES = 8 * 640  # 8 latent frames
BASE = "untrained"
LORA = LoraSettings(2)
STEPS = 6


def stage_of(settings: DistillSettings) -> DistillStage:
    return DistillStage(settings, clips=NoiseClips(SAMPLES))


@pytest.fixture(scope="module", params=["checkpoint", "adapter"])
def run(request, tmp_path_factory):
    """Folder, stage and settings of a run of a few steps; what the stage predicted and lost before.

    A checkpoint that predicts v is distilled whole, and an adapter of one that predicts the noise.
    """
    folder = tmp_path_factory.mktemp("run")
    is_adapter = request.param == "adapter"
    base = BASE if is_adapter else str(v_checkpoint(folder / "v"))
    settings = replace(
        settings_for(base, LORA if is_adapter else None),
        encoded=str(folder / "encoded"),
        duration=SAMPLES / 16000,
        clips=2,
        batch_size=2,
        held_out=2,
        skip=200,
        ema=0.0,
        target_decay=0.98,
        optimizer=OptimizerConfig(rate=3e-3 if is_adapter else 1e-4, warmup=2),
        run=RunConfig(steps=STEPS, log_every=1, evaluate_every=100, precision="f32", recompute=True),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppaudioldm.training.distill.EVERY", 25)
        patch.setattr("ppaudioldm.training.distill.EVALUATED", (0, 1))
        stage = stage_of(settings)
        drawn = stage.data
        patch.setattr(stage, "data", lambda index: drawn(index % 2), raising=False)
        before = {role: prediction(stage, role) for role in (STUDENT, TARGET, TEACHER)}, loss(stage)
        loop.train(stage, settings.run, folder)
        yield folder, stage, settings, before


def v_checkpoint(folder):
    """The folder of BASE, as if it predicted v."""
    model = replace(UNTRAINED, diffusion=replace(UNTRAINED.diffusion, prediction="v"))
    write_native(random_checkpoint("v", model, 0), folder, "float32")
    return folder


def batch_of(stage: DistillStage, index: int) -> dict:
    return {name: framework.from_numpy(x) for name, x in stage.data(index).items()}


def loss(stage: DistillStage) -> float:
    """On the batches that are trained on."""
    with framework.no_grad():
        return sum(float(stage.loss("all", batch_of(stage, index))[0]) for index in (0, 1))


def prediction(stage: DistillStage, role: str, scale: float = 2.0) -> np.ndarray:
    batch = batch_of(stage, 7)
    contexts, masks = ([batch[f"{part}_{i}"][2:] for i in range(2)] for part in ("context", "mask"))
    has_input = stage.settings.has_guidance_input and role != TEACHER
    scales = framework.from_numpy(np.full((2, 1), scale, np.float32)) if has_input else None
    with framework.no_grad(), stage._roles.acting(role) as unet:
        output = unet(batch["latents"], batch["start_features"], contexts, masks, None, scales)
    return framework.to_numpy(output)


def test_student_and_target_begin_as_the_teacher(run):
    *_, (before, _) = run
    for role in (STUDENT, TARGET):
        np.testing.assert_allclose(before[role], before[TEACHER], rtol=1e-5, atol=1e-6)


def test_the_loss_falls_and_the_target_follows(run):
    folder, stage, settings, (before, loss_before) = run
    assert loss(stage) < 0.97 * loss_before
    np.testing.assert_array_equal(prediction(stage, TEACHER), before[TEACHER])
    change = relative_error(prediction(stage, STUDENT), before[STUDENT])
    assert 0 < relative_error(prediction(stage, TARGET), before[TARGET]) != change > 0.001
    state = load_state(folder)
    (name,) = stage.networks
    student, target, frequencies = state.section("weights"), state.section("target"), f"{name}.guidance.weight"
    assert set(target) == set(student) - {frequencies}
    assert {"end_error_999", "end_error_499", "end_error_mean"} <= read_log(folder)[-1].keys()
    samples = folder / "samples"
    assert (samples / f"distill-{STEPS:06}.png").exists() and list(samples.glob("*.wav"))
    if settings.has_guidance_input:
        assert relative_error(prediction(stage, STUDENT, 5.0), prediction(stage, STUDENT, 1.5)) > 1e-6
        assert np.std(student[frequencies]) == pytest.approx(0.1, rel=0.3)


def test_resuming_changes_nothing(run, tmp_path):
    _, _, settings, _ = run
    assert_resuming_changes_nothing(lambda: stage_of(settings), settings.run, tmp_path, (1, 2))


def test_the_expected_latents_are_those_of_a_guided_step(run):
    """By hand: two predictions of the teacher, guidance, a step of DDIM, the target's clean latents there."""
    _, stage, settings, _ = run
    batch = batch_of(stage, 3)
    arrays = {name: framework.to_numpy(x) for name, x in batch.items()}
    noisy = arrays["start_signal"] * arrays["latents"] + arrays["start_sigma"] * arrays["noise"]
    with framework.no_grad():
        found = framework.to_numpy(stage._teacher_step(batch, framework.from_numpy(noisy)))
        halves = []
        for half in (slice(0, 2), slice(2, 4)):
            contexts, masks = ([batch[f"{part}_{i}"][half] for i in range(2)] for part in ("context", "mask"))
            with stage._roles.acting(TEACHER) as unet:
                output = unet(framework.from_numpy(noisy), batch["start_features"], contexts, masks)
            halves.append(framework.to_numpy(output))
    guided = halves[0] + arrays["scale"][:, :, None, None] * (halves[1] - halves[0])
    signal, sigma = arrays["start_signal"], arrays["start_sigma"]
    if settings.lora.rank:
        epsilon, x0 = guided, (noisy - sigma * guided) / signal
    else:  # v
        epsilon, x0 = signal * guided + sigma * noisy, signal * noisy - sigma * guided
    assert relative_error(found, arrays["end_signal"] * x0 + arrays["end_sigma"] * epsilon) < 1e-4
    assert (settings.guidance_min <= arrays["scale"]).all() and (arrays["scale"] <= settings.guidance_max).all()


def test_what_is_assembled_says_how_it_is_sampled(run, tmp_path):
    """And its UNet predicts what was trained: the same clip, four calls without guidance."""
    folder, _, settings, _ = run
    write_native(assemble_checkpoint(folder, name="fast"), tmp_path / "fast", "float32")
    pipeline = AudioLDM.from_pretrained(tmp_path / "fast", engine="eager", precision="f32")
    diffusion = pipeline.config.diffusion
    scale = 3.5 if settings.has_guidance_input else 1.0
    assert (diffusion.sampler, diffusion.num_inference_steps, diffusion.guidance_scale) == ("lcm", 4, scale)
    clip = pipeline.generate("a bell", duration=0.32, seed=3)
    options = clip.provenance[0].settings["options"]
    assert (options["sampler"], options["num_inference_steps"], options["guidance_scale"]) == ("lcm", 4, scale)
    assert pipeline.config.unet.guidance_dim == (256 if settings.has_guidance_input else None)
    with pytest.raises(ValueError, match="sampler is 'ddim', allowed for this checkpoint: lcm"):
        pipeline.generate("a bell", duration=0.32, sampler="ddim")
    if settings.has_guidance_input:
        with pytest.raises(ValueError, match="width of a guidance scale that is an input is 256"):
            settings_for(str(tmp_path / "fast"))
    if settings.lora.rank:  # the base checkpoint with the adapter makes the same clip by default
        write_distilled_adapter(folder, tmp_path / "adapter", settings)
        assert read_adapter(tmp_path / "adapter").sampling == Sampling("lcm", 4, 1.0)
        base = AudioLDM.from_pretrained(BASE, engine="eager", precision="f32")
        adapted = base.generate("a bell", duration=0.32, seed=3, lora=str(tmp_path / "adapter"))
        np.testing.assert_allclose(adapted.waveforms, clip.waveforms, atol=1e-5)
        chosen = {"num_inference_steps": 2, "guidance_scale": 2.0, "sampler": "dpm++"}
        own = base.generate("a bell", duration=0.32, lora=str(tmp_path / "adapter"), **chosen)
        assert chosen.items() <= own.provenance[0].settings["options"].items()
        plain = base.generate("a bell", duration=0.32, lora=f"{tmp_path / 'adapter'}:0")
        assert plain.provenance[0].settings["options"]["sampler"] == "dpm++"


def test_captions_are_encoded_once_and_alone():
    asked = []

    def encode(captions):
        asked.extend(captions)
        length = 1 + len(captions[0])
        states = framework.from_numpy(np.full((1, length, 2), length, np.float32))
        return [states], [framework.from_numpy(np.ones((1, length), np.float32))]

    contexts = CaptionContexts(encode, most=2)
    found = contexts(["", "ab", "ab"])
    assert found["context_0"][:, :, 0].tolist() == [[1, 0, 0], [3, 3, 3], [3, 3, 3]]
    assert found["mask_0"].tolist() == [[1, 0, 0], [1, 1, 1], [1, 1, 1]]
    contexts(["x", "ab"])
    assert asked == ["", "ab", "x"] and contexts([""]) and asked[-1] == ""


def test_the_command(tmp_path, capsys):
    values = {"duration": 1.28, "clips": 2, "held_out": 1, "batch_size": 1, "encoded": str(tmp_path / "encoded")}
    (tmp_path / "settings.json").write_text(json.dumps(values | {"kinds": ["bell"], "run": {"evaluate_every": 100}}))
    command = ["train", "distill", "-c", BASE, "--config", str(tmp_path / "settings.json"), "--steps", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppaudioldm.training.distill.EVERY", 25)
        patch.setattr("ppaudioldm.training.distill.EVALUATED", (0,))
        assert main([*command, "--lora-rank", "1", "-o", str(tmp_path / "run")]) == 0
    assert f"{tmp_path / 'run' / 'adapter'}  (for --lora, and for peft)" in capsys.readouterr().out
    assert read_adapter(tmp_path / "run" / "adapter").sampling == Sampling("lcm", 4, 1.0)


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["distill"], "checkpoint is missing: -c names what the stage distill distills"),
        (["distill", "--lora-rank", "2"], "need --checkpoint"),
        (["distill", "-c", BASE, "--lora-rank", "0"], "--lora-rank is 0, allowed: 1 and more"),
        (["vae", "-c", BASE], "--checkpoint is for the stages joint and distill, not for vae"),
    ],
)
def test_mistakes(arguments, message, tmp_path, capsys):
    assert main(["train", *arguments, "-o", str(tmp_path / "run"), "--steps", "1"]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error


@pytest.mark.parametrize(
    "values,message",
    [
        ({"guidance_min": 5.0, "guidance_max": 4.0}, "guidance_min is 5, allowed: 0 to 4"),
        ({"loss": "l1"}, "loss is 'l1', allowed: huber, l2"),
        ({"num_inference_steps": 51}, "num_inference_steps is 51, allowed: 1 to 50"),
        ({"guidance_dim": 3}, "guidance_dim is 3, allowed: even numbers"),
        ({"skip": 0}, "skip is 0, allowed: 1 to"),
        ({"teacher": "x"}, "unknown setting 'teacher', allowed: checkpoint, lora, guidance_min"),
    ],
)
def test_settings_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        with_overrides(DistillSettings(), values)


def test_the_recipe():
    path = Path(__file__).parents[2] / "recipes" / "tiny-distill.toml"
    settings = read_settings(path, DistillSettings(checkpoint="tiny"))
    assert (settings.skip, settings.run.steps) == (100, settings.optimizer.decay_steps)


def test_a_scale_beyond_what_is_distilled_is_not_the_default():
    settings = DistillSettings(checkpoint=BASE, guidance_max=2.0)
    assert distilled_model(UNTRAINED, settings).diffusion.guidance_scale == 2.0
