"""AudioMAE learns to guess the patches of a sound that are covered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ppaudioldm import framework
from ppaudioldm.audio.sheet import GAP
from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.training.audiomae import (
    AudioMAESettings,
    AudioMAEStage,
    MaskedAutoencoderConfig,
    MaskedFilterbanks,
    PatchDecoder,
    encode_visible,
    patchify,
    sinusoidal_positions,
)
from ppaudioldm.training.average import set_values
from ppaudioldm.training.dataset import SynthesisedClips
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.loop import train
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig
from ppaudioldm.training.state import read_log
from tests.support import noise, run
from tests.training.support import assert_resuming_changes_nothing

CONFIG = AudioMAEConfig(frames=128, hidden_size=32, num_layers=3, num_heads=2, pooling=4)
SETTINGS = AudioMAESettings(
    kinds=("bell", "rain"),
    duration=1.0,
    batch_size=8,
    network=MaskedAutoencoderConfig(CONFIG, decoder_size=32, decoder_layers=1, decoder_heads=2),
    optimizer=OptimizerConfig(rate=3e-3, warmup=2),
    ema=0.8,
)


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch):
    monkeypatch.setattr("ppaudioldm.training.audiomae.HELD_OUT", 8)


def test_loss_falls_below_that_of_guessing_the_mean(tmp_path):
    train(AudioMAEStage(SETTINGS), RunConfig(steps=40, log_every=1, evaluate_every=40), tmp_path)
    log = read_log(tmp_path)
    losses = [line["loss"] for line in log if "loss" in line]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert log[-1]["held_out_loss"] < 0.8
    with Image.open(tmp_path / "samples" / "audiomae-000040.png") as picture:
        assert picture.size == (8 * (128 + GAP) - GAP, 2 * (256 + GAP) - GAP)
        real, filled = (np.asarray(picture)[top : top + 256] for top in (0, 256 + GAP))
    assert 0.5 < (real != filled).any(2).mean() <= 0.75  # the masked patches, but for equal colours


def test_resuming_gives_the_same_weights(tmp_path):
    settings = replace(SETTINGS, batch_size=2)
    assert_resuming_changes_nothing(lambda: AudioMAEStage(settings), RunConfig(precision="f32"), tmp_path, (2, 3))


def test_covered_patches_are_not_seen():
    network = build_trainable("audiomae", AudioMAE, CONFIG, 0)
    fbank = noise(1, 128, 128)
    kept = np.arange(1, 64, 2)[None]
    covered = fbank.copy()
    covered[:, :, :16] += 1  # the patches 0, 8, 16, ...
    tensors = [[framework.from_numpy(x) for x in (array, kept)] for array in (fbank, covered)]
    with framework.no_grad():
        before, after = (framework.to_numpy(encode_visible(network, *pair)) for pair in tensors)
    assert np.array_equal(before, after)


def test_seeing_all_patches_is_the_forward_pass_of_the_model():
    """The model averages its last three layers: two that do nothing make that the output of the first."""
    network = build_trainable("audiomae", AudioMAE, replace(CONFIG, pooling=1), 0)
    for layer in list(network.layers)[1:]:
        ends = {"attention": layer.attention_out.weight, "feed_forward": layer.feed_forward_out.weight}
        set_values(ends, {name: np.zeros(tuple(end.shape), np.float32) for name, end in ends.items()})
    fbank, order = noise(2, 128, 128), np.tile(np.arange(64), (2, 1))
    with framework.no_grad():
        seen = framework.to_numpy(encode_visible(network, framework.from_numpy(fbank), framework.from_numpy(order)))
    assert np.allclose(run(network, fbank), seen[:, 1:], atol=1e-5)


def test_patches_are_numbered_as_the_model_does():
    fbank = np.arange(128 * 128, dtype=np.float32).reshape(1, 128, 128)
    patches = patchify(fbank, (16, 16))
    assert patches.shape == (1, 64, 256)
    assert np.array_equal(patches[0, 9].reshape(16, 16), fbank[0, 16:32, 16:32])


def test_positions_encode_the_row_and_then_the_column():
    table = sinusoidal_positions((4, 8), 32)
    assert table.shape == (1, 33, 32) and not table[0, 0].any()
    frequencies = 10000.0 ** (-np.arange(8) / 8)
    for row, column in ((0, 0), (1, 0), (0, 1), (3, 7)):
        angles = row * frequencies, column * frequencies
        expected = np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)])
        assert np.allclose(table[0, 1 + 8 * row + column], expected, atol=1e-6)


def test_the_decoder_puts_visible_patches_and_mask_tokens_in_their_places():
    """The input of its first layer, of random numbers: nothing else shows where a patch is."""
    decoder = build_trainable("patch_decoder", PatchDecoder, SETTINGS.network, 0)
    inputs = []
    decoder.layers[0].forward = lambda x: inputs.append(framework.to_numpy(x)) or x
    patches, visible = SETTINGS.network.patches, 5
    order = np.stack([np.random.default_rng(seed).permutation(patches) for seed in (0, 1)])
    encoded = noise(2, 1 + visible, SETTINGS.network.encoder.hidden_size)
    projected, token = run(decoder.project, encoded), framework.to_numpy(decoder.covered_token)[0, 0]
    outputs = run(decoder, encoded, order)
    content = inputs[0] - framework.to_numpy(decoder.positions)
    assert np.allclose(content[:, 0], projected[:, 0], atol=1e-5)
    for item in range(2):
        assert np.allclose(content[item, 1 + order[item, :visible]], projected[item, 1:], atol=1e-5)
        assert np.allclose(content[item, 1 + order[item, visible:]], token, atol=1e-5)
        masked = inputs[0][item, 1 + order[item, visible:]]
        with framework.no_grad():
            expected = framework.to_numpy(decoder.guess(decoder.norm(framework.from_numpy(masked))))
        assert np.allclose(outputs[item], expected, atol=1e-5)


def test_loss_is_the_error_of_the_masked_patches_over_their_variance():
    stage = AudioMAEStage(SETTINGS)
    arrays = stage.data(0)
    batch = {name: framework.from_numpy(array) for name, array in arrays.items()}
    masked = arrays["order"][:, SETTINGS.visible :]
    target = np.take_along_axis(arrays["patches"], masked[:, :, None], 1)
    with framework.no_grad():
        loss, _ = stage.loss("all", batch)
        predicted, _ = stage._predict(batch)
    error = ((framework.to_numpy(predicted) - target) ** 2).mean()
    assert float(loss) == pytest.approx(error / target.var(), rel=1e-4)


def test_batches_depend_on_their_number_alone():
    data = MaskedFilterbanks(SynthesisedClips(1.0, ("bell",)), SETTINGS)
    first, again, other = data(3), data(3), data(4)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["order"], other["order"]) and not np.array_equal(first["fbank"], other["fbank"])
    assert all(sorted(order) == list(range(64)) for order in first["order"])


def test_settings_that_cannot_be():
    for covered in (0.0, 1.0, 2.0):
        with pytest.raises(ValueError, match="covered is"):
            replace(SETTINGS, covered=covered)
    assert replace(SETTINGS, covered=0.999).visible >= 1 and replace(SETTINGS, covered=0.001).visible < 64
