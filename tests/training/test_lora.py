"""An adapter alone is trained: it begins without an effect, resumes, and is written as PEFT and we read it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import AudioLDM, framework
from ppaudioldm.audio.write import write_audio
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.training import loop
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.joint_settings import settings_for
from ppaudioldm.training.lora import ATTENTION, LoraSettings, adapter_of, write_run_adapter
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.runs import averaged_weights
from ppaudioldm.training.settings import RunConfig, with_overrides
from ppaudioldm.training.state import load_state
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.lora import CONFIG_FILE, read_adapter
from ppaudioldm.weights.lora_merge import with_adapters
from tests.support import relative_error
from tests.training.support import NoiseClips, assert_resuming_changes_nothing
from tests.weights.lora_examples import targets_of

SAMPLES = 8 * 640  # 8 latent frames
BASE = "untrained"
LORA = LoraSettings(2, alpha=4.0, targets=(*ATTENTION, "ff.net.0.proj", "proj_in", "time_emb_proj"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder, stage and settings of a run of a few steps."""
    folder = tmp_path_factory.mktemp("run")
    settings = replace(
        settings_for(BASE, LORA),
        encoded=str(folder / "encoded"),
        duration=SAMPLES / 16000,
        clips=2,
        batch_size=2,
        held_out=2,
        ema=0.0,
        optimizer=OptimizerConfig(rate=3e-2, warmup=2),
        run=RunConfig(steps=6, log_every=1, evaluate_every=100, precision="f32", recompute=True),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppaudioldm.training.joint.SAMPLE_STEPS", 2)
        stage = stage_of(settings)
        before = prediction(stage), loss(stage)
        loop.train(stage, settings.run, folder)
    return folder, stage, settings, before


def stage_of(settings) -> JointStage:
    return JointStage(settings, clips=NoiseClips(SAMPLES))


def loss(stage: JointStage) -> float:
    """On the same batches always."""
    with framework.no_grad():
        batches = [{name: framework.from_numpy(x) for name, x in stage.data(i).items()} for i in (100, 101)]
        return sum(float(stage.loss("all", batch)[1]["epsilon_error"]) for batch in batches)


def prediction(stage: JointStage) -> np.ndarray:
    noisy = framework.from_numpy(np.random.default_rng(1).standard_normal((1, 8, 8, 16), np.float32))
    with framework.no_grad():
        return framework.to_numpy(stage.predict(noisy, 500, stage.contexts(["a tone number 3"])))


def test_the_loss_falls_and_nothing_but_the_adapter_is_kept(run):
    folder, stage, _, (before, loss_before) = run
    assert loss(stage) < 0.97 * loss_before
    assert set(stage.networks) == {"lora"}
    arrays = load_state(folder).arrays
    assert {key.split("/")[0] for key in arrays} == {"weights", "average", "optimizer"}
    weights = [key for key in arrays if key.startswith("weights/")]
    assert weights and all(key.startswith("weights/lora.") for key in weights)
    assert sum(arrays[key].size for key in weights) < 0.1 * sum(
        np.prod(tensor.shape) for tensor in open_checkpoint(BASE).networks["unet"].values()
    )
    assert relative_error(prediction(stage), before) > 0.01


def test_it_begins_without_an_effect(run):
    _, _, settings, (before, _) = run
    plain = JointStage(replace(settings, lora=LoraSettings()), clips=NoiseClips(SAMPLES))
    np.testing.assert_array_equal(before, prediction(plain))


def test_what_is_written_is_what_was_trained(run, tmp_path):
    """The same predictions from the adapter's folder, merged, whose names and shapes are those of diffusers."""
    folder, stage, settings, _ = run
    write_run_adapter(folder, tmp_path / "adapter", settings.lora, settings.model, BASE)
    adapter = read_adapter(tmp_path / "adapter")
    targets = targets_of(UNTRAINED)
    for module, pair in adapter.pairs.items():
        outputs, *inputs = targets[module][0].stored_shape
        assert (pair.down.shape, pair.up.shape) == ((2, *inputs), (outputs, 2, *[1] * (len(inputs) - 1)))
        assert pair.factor == 2.0
    values = json.loads((tmp_path / "adapter" / CONFIG_FILE).read_text())
    assert values["target_modules"] == sorted(LORA.targets) and values["base_model_name_or_path"] == BASE
    merged = with_adapters(open_checkpoint(BASE), [(adapter, 1.0)])
    weights = averaged_weights(folder, "joint")["lora"]
    same = with_adapters(open_checkpoint(BASE), [(adapter_of(weights, LORA, "run"), 1.0)])
    for name in ("middle.transformers.layers.0.proj_in.weight", "middle.resnet_in.emb_proj.weight"):
        np.testing.assert_array_equal(merged.networks["unet"][name].read(), same.networks["unet"][name].read())
    unet = stage._all["unet"]
    expected = prediction(stage)
    stage._all["unet"] = merged_unet(merged)
    error = relative_error(prediction(stage), expected)
    stage._all["unet"] = unet
    assert error < 1e-5
    with pytest.raises(ValueError, match="exists and is no adapter"):
        write_run_adapter(folder, folder, settings.lora, settings.model, BASE)


def merged_unet(checkpoint):
    from ppaudioldm.models.build import build_empty

    network = build_empty("unet", checkpoint.config)
    framework.assign_weights(network, checkpoint.weights("unet"))
    return network


def test_resuming_changes_nothing(run, tmp_path):
    _, _, settings, _ = run
    assert_resuming_changes_nothing(lambda: stage_of(settings), settings.run, tmp_path, (1, 2))


def test_the_command(tmp_path, capsys):
    (tmp_path / "settings.json").write_text(
        f'{{"duration": 0.32, "clips": 2, "held_out": 2, "batch_size": 2, "encoded": "{tmp_path / "encoded"}"}}'
    )
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for number in range(3):
        clip = NoiseClips(22050)(number)
        write_audio(recordings / f"{number}.wav", clip.waveform, 22050)
        (recordings / f"{number}.txt").write_text(clip.caption)
    command = [
        "train",
        "joint",
        "-c",
        BASE,
        "--data",
        str(recordings),
        "--config",
        str(tmp_path / "settings.json"),
        "--steps",
        "2",
    ]
    assert main([*command, "--lora-rank", "2", "--lora-targets", "to_q", "to_v", "-o", str(tmp_path / "run")]) == 0
    adapter = tmp_path / "run" / "adapter"
    assert f"{adapter}  (for --lora, and for peft)" in capsys.readouterr().out
    assert all(module.endswith(("to_q", "to_v")) for module in read_adapter(adapter).pairs)
    assert main(["assemble", str(tmp_path / "run"), str(tmp_path / "mine"), "--dtype", "float32"]) == 0
    pipelines = (AudioLDM.from_pretrained(name, engine="eager") for name in (tmp_path / "mine", BASE))
    clip = {"duration": 0.32, "num_inference_steps": 1, "seed": 1}
    mine, base = (
        pipeline.generate("a bell", lora=lora, **clip).waveforms
        for pipeline, lora in zip(pipelines, ((), str(adapter)), strict=True)
    )
    np.testing.assert_allclose(mine, base, atol=1e-5)


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--lora-rank", "8"], "need --checkpoint"),
        (["-c", BASE, "--lora-targets", "to_q"], "--lora-targets needs --lora-rank"),
        (["-c", BASE, "--lora-rank", "0"], "--lora-rank is 0, allowed: 1 and more"),
        (["-c", BASE, "--lora-rank", "5000"], "rank is 5000, allowed: 0 to 4,096"),
        (
            ["-c", BASE, "--lora-rank", "2", "--lora-targets", "conv1"],
            "lora.targets has 'conv1', allowed: linear layers",
        ),
    ],
)
def test_mistakes(flags, message, tmp_path, capsys):
    assert main(["train", "joint", *flags, "-o", str(tmp_path / "run"), "--steps", "1"]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error


def test_settings_that_do_not_go_together(run):
    _, _, settings, _ = run
    for changes in ({"learned": ["unet", "gpt2"]}, {"checkpoint": "", "learned": ["unet"]}):
        with pytest.raises(ValueError, match="lora.rank is 2, allowed with a checkpoint|checkpoint and start"):
            with_overrides(settings, changes)
