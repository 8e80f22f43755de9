from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ppaudioldm import framework
from ppaudioldm.audio.sheet import GAP
from ppaudioldm.config import VAEConfig
from ppaudioldm.models.vae import VAEDecoder, VAEEncoder
from ppaudioldm.training import loop
from ppaudioldm.training.dataset import mel_of
from ppaudioldm.training.initialise import initial_weights
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import load_state, read_log
from ppaudioldm.training.vae import VAESettings, VAEStage, fold_normalisation
from tests.support import noise, relative_error, run
from tests.training.support import NoiseClips, stop_after

SETTINGS = VAESettings(
    crop_frames=16,
    held_out=2,
    batch_size=2,
    crops_per_clip=1,
    vae=VAEConfig(channels=32, channel_mult=(1, 1), num_res_blocks=1),
    optimizer=OptimizerConfig(rate=5e-3, warmup=2),
    run=RunConfig(steps=12, log_every=1, evaluate_every=12, precision="f32"),
)


def trained_stage(folder, settings=SETTINGS):
    stage = VAEStage(settings, clips=NoiseClips(7680))
    loop.train(stage, settings.run, folder)
    return stage


def test_the_loss_falls_and_resuming_changes_nothing(tmp_path):
    trained_stage(tmp_path / "whole")
    lines = read_log(tmp_path / "whole")
    losses = [line["mel_l1"] for line in lines if "mel_l1" in line]
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    assert 0 < lines[-1]["held_out_mel_l1"] < 6
    samples = tmp_path / "whole" / "samples"
    with Image.open(samples / "vae-000012.png") as picture:  # two clips above their reconstructions
        assert picture.size == (2 * (48 + GAP) - GAP, 2 * (128 + GAP) - GAP)
    assert len(list(samples.glob("vae-000012-*.wav"))) == 2
    for _ in range(2):
        stage = VAEStage(SETTINGS, clips=NoiseClips(7680))
        loop.train(stage, SETTINGS.run, tmp_path / "stopped", should_stop=stop_after(2))
    again = [line["mel_l1"] for line in read_log(tmp_path / "stopped") if "mel_l1" in line]
    assert again == losses[:4]


def test_loss_is_as_defined():
    stage = VAEStage(SETTINGS, clips=NoiseClips(7680))
    batch = {name: framework.from_numpy(array) for name, array in stage.data(0).items()}
    with framework.no_grad():
        loss, logged = stage.loss("all", batch)
        mean, log_variance = (framework.to_numpy(x) for x in stage.encode(batch["mel"]))
        latents = mean + np.exp(log_variance / 2) * framework.to_numpy(batch["noise"])
        difference = (
            framework.to_numpy(stage.decode(framework.from_numpy(latents))) - framework.to_numpy(batch["mel"])
        ) / 3
    gradient = np.abs(np.diff(difference, axis=1)).mean() + np.abs(np.diff(difference, axis=2)).mean()
    scales = [
        np.abs(difference.reshape(len(mean), 16 // size, size, 64 // size, size).mean((2, 4))).mean()
        for size in (2, 4, 8)
    ]
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean()
    expected = np.abs(difference).mean() + 0.25 * gradient + 0.25 * np.mean(scales) + 2e-3 * kl
    assert float(loss) == pytest.approx(expected, rel=1e-4) and float(logged["kl"]) == pytest.approx(kl, rel=1e-3)


def test_a_decoder_is_trained_on_for_latents_that_stay_as_they_are(tmp_path):
    trained_stage(tmp_path / "vae", replace(SETTINGS, run=replace(SETTINGS.run, steps=2)))
    settings = replace(SETTINGS, start=str(tmp_path / "vae"), train_encoder=False, run=replace(SETTINGS.run, steps=2))
    stage = VAEStage(settings, clips=NoiseClips(7680))
    average = load_state(tmp_path / "vae").section("average")
    assert np.array_equal(framework.to_numpy(stage.encoder.quant_conv.weight), average["vae_encoder.quant_conv.weight"])
    loop.train(stage, settings.run, tmp_path / "decoder")
    assert np.array_equal(framework.to_numpy(stage.encoder.quant_conv.weight), average["vae_encoder.quant_conv.weight"])
    found = load_state(tmp_path / "decoder").section("weights")
    assert not any(name.startswith("vae_encoder") for name in found)
    assert not np.array_equal(found["vae_decoder.conv_in.weight"], average["vae_decoder.conv_in.weight"])


def test_normalisation_is_folded_exactly():
    stage = VAEStage(SETTINGS, clips=NoiseClips(7680))
    config = SETTINGS.vae
    parts = {
        name: {key: framework.to_numpy(p) for key, p in network.named_parameters()}
        for name, network in (("encoder", stage.encoder), ("decoder", stage.decoder))
    }
    mean, deviation = np.linspace(-1, 1, 8), np.linspace(0.5, 2, 8)
    plain = []
    for network_class, weights in zip(
        (VAEEncoder, VAEDecoder), fold_normalisation(parts["encoder"], parts["decoder"], mean, deviation), strict=True
    ):
        with framework.empty_weights():
            network = network_class(config)
        framework.assign_weights(network, weights.items())
        plain.append(network)
    mel = np.stack([mel_of(NoiseClips()(i))[:48] for i in range(2)])
    latents, log_variance = run(plain[0], mel)
    with framework.no_grad():
        expected_mean, expected_variance = (framework.to_numpy(x) for x in stage.encode(framework.from_numpy(mel)))
        expected = framework.to_numpy(stage.decode(framework.from_numpy(expected_mean)))
    shape = (1, -1, 1, 1)
    assert relative_error(latents, (expected_mean - mean.reshape(shape)) / deviation.reshape(shape)) < 1e-5
    assert relative_error(log_variance + 2 * np.log(deviation).reshape(shape), expected_variance) < 1e-5
    assert relative_error(run(plain[1], latents), expected) < 1e-5


@pytest.mark.parametrize("network_class", [VAEEncoder, VAEDecoder])
def test_initial_weights_depend_on_the_seed_alone_and_keep_signals_near_unit_size(network_class):
    config = SETTINGS.vae
    with framework.empty_weights():
        network = network_class(config)
    weights = dict(initial_weights("vae", network, 1))
    assert all(np.array_equal(weights[key], value) for key, value in initial_weights("vae", network, 1))
    assert not np.array_equal(weights["conv_in.weight"], dict(initial_weights("vae", network, 2))["conv_in.weight"])
    framework.assign_weights(network, weights.items())
    shape = (1, 16, 64) if network_class is VAEEncoder else (1, 8, 4, 32)
    outputs = run(network, noise(*shape))
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    assert 0.02 < first.std() < 3
