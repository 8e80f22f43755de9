from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import HifiGanConfig
from ppaudioldm.models.hifigan import HifiGan
from tests.support import load_golden, noise, random_network, relative_error, run

# The published rates and kernels, which decide about lengths, with few channels.
REDUCED = HifiGanConfig(n_mels=6, initial_channels=64)
REDUCED_48K = replace(CHECKPOINTS["audioldm_48k"].config.vocoder, n_mels=6, initial_channels=64)
CONFIGS = {"16k": REDUCED, "48k": REDUCED_48K}
FRAMES = 5


def make_network(config: HifiGanConfig) -> HifiGan:
    return random_network("vocoder", HifiGan, config)


def make_mel(config: HifiGanConfig, frames: int = FRAMES) -> np.ndarray:
    return noise(2, frames, config.n_mels)


@pytest.mark.parametrize("name", CONFIGS)
def test_matches_the_public_reference(name):
    waveform = run(make_network(CONFIGS[name]), make_mel(CONFIGS[name]))
    assert relative_error(waveform, load_golden(f"hifigan_{name}")["waveform"]) < 1e-5


@pytest.mark.parametrize("frames", [1, 4, 11])
@pytest.mark.parametrize("name,hop,more", [("16k", 160, 32), ("48k", 480, 16)])
def test_length(name, hop, more, frames):
    config = CONFIGS[name]
    waveform = run(make_network(config), make_mel(config, frames))
    assert config.hop_length == hop
    assert waveform.shape == (2, hop * frames + more)
    assert np.abs(waveform).max() <= 1


def test_items_of_a_batch_do_not_meet():
    network, mel = make_network(REDUCED), make_mel(REDUCED)
    together = run(network, mel)
    for i in range(2):
        np.testing.assert_allclose(run(network, mel[i : i + 1]), together[i : i + 1], atol=1e-5)
