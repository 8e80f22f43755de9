"""A recording's LOA tokens on tiny configurations, whose random weights hear something of every sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soxr

from ppaudioldm import framework
from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.checkpoints import UNTRAINED, audiomae_names
from ppaudioldm.config import AudioMAEConfig, ModelConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.loa import encode_loa
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import noise, relative_error

SPEECH = replace(UNTRAINED, audiomae=replace(UNTRAINED.audiomae, pooling=1), loa=replace(UNTRAINED.loa, num_tokens=512))
SHORT = replace(UNTRAINED, audiomae=replace(UNTRAINED.audiomae, frames=256, pooling=4))  # reads 2.575 s
WIDE = replace(UNTRAINED, vocoder=replace(UNTRAINED.vocoder, sample_rate=48000))
SIREN = np.sin(2000 * np.sin(np.arange(40000) / 4000)).astype(np.float32) / 3


def loa_of(waveform: np.ndarray, config: ModelConfig = UNTRAINED) -> np.ndarray:
    checkpoint = random_checkpoint("some", config, 0)
    return encode_loa(checkpoint, EagerEngine(checkpoint, "cpu"), waveform)


@pytest.mark.parametrize("config, tokens", [(UNTRAINED, 8), (SPEECH, 512)], ids=["general", "speech"])
def test_is_audiomae_of_the_filter_bank(config, tokens):
    checkpoint = random_checkpoint("some", config, 0)
    engine = EagerEngine(checkpoint, "cpu")
    expected = engine.run_numpy("audiomae", audiomae_fbank(SIREN)[None])[0]
    found = encode_loa(checkpoint, engine, SIREN)
    assert found.shape == (tokens, 128) and found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    assert set(engine._networks) == {"audiomae"}  # no other network is read for it


def test_time_is_in_the_order_of_the_tokens():
    """The second half of the sound is in the second half of the tokens."""
    longer = np.concatenate([SIREN] * 4)
    changed = longer.copy()
    changed[len(longer) // 2 :] = 0.1 * noise(len(longer) // 2)
    distances = np.linalg.norm(loa_of(changed) - loa_of(longer), axis=1)
    assert distances[4:].min() > 1.5 * distances[:4].max()


def test_a_checkpoint_of_another_rate_hears_the_same():
    wide = soxr.resample(SIREN, 16000, 48000)
    assert relative_error(loa_of(wide, WIDE), loa_of(SIREN)) < 1e-2
    assert relative_error(loa_of(wide), loa_of(SIREN)) > 1e-1


@pytest.mark.parametrize(
    "config, seconds", [(UNTRAINED, 10.255), (WIDE, 10.255), (SHORT, 2.575)], ids=["16 kHz", "48 kHz", "short"]
)
def test_hears_the_beginning(config, seconds):
    long = 0.1 * noise(13 * config.sample_rate)
    expected = loa_of(long, config)
    assert expected.shape == (8, 128)
    assert relative_error(loa_of(long[: round((seconds + 0.1) * config.sample_rate)], config), expected) < 1e-2
    assert relative_error(loa_of(long[: round((seconds - 0.5) * config.sample_rate)], config), expected) > 1e-2


@pytest.mark.parametrize("samples", [1, 399, 16000])
def test_short_ones_and_silence(samples):
    assert np.isfinite(loa_of(np.zeros(samples, np.float32))).all()


def test_a_checkpoint_without_audiomae():
    with pytest.raises(ValueError, match="^some has no AudioMAE, which encodes recordings: .* tiny, .*-full, "):
        loa_of(SIREN, replace(UNTRAINED, audiomae=None))
    assert "audioldm_48k" not in audiomae_names()


@pytest.mark.parametrize(
    "waveform, message",
    [
        (np.zeros(0, np.float32), "the waveform is empty"),
        (np.full(9, np.nan, np.float32), "not finite"),
        (np.zeros(9, np.int16), "floating-point waveform, got int16"),
        (np.zeros((2, 9), np.float32), r"1-D .* of shape \(2, 9\)"),
    ],
)
def test_refuses(waveform, message):
    with pytest.raises(ValueError, match=message):
        loa_of(waveform)


@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
@pytest.mark.parametrize("config", [UNTRAINED, SPEECH], ids=["general", "speech"])
def test_openvino_hears_the_same(config):
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import Translator

    checkpoint = random_checkpoint("some", config, 0)
    found = encode_loa(checkpoint, OpenVINOEngine(Translator(checkpoint), "f32"), SIREN)
    assert relative_error(found, loa_of(SIREN, config)) < 1e-5


def test_published_sizes():
    assert AudioMAEConfig().num_tokens == 8 and AudioMAEConfig(pooling=1).num_tokens == 512
