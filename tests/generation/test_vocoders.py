"""A checkpoint's vocoder network or Griffin-Lim, by choice; a checkpoint may have only the latter."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.cli import main
from ppaudioldm.config import ModelConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.evaluation.speed import Settings, measure
from ppaudioldm.generation.decoding import vocode
from ppaudioldm.models.build import network_names
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from ppaudioldm.weights.config_check import check_config
from ppaudioldm.weights.convert import write_native
from tests.support import noise

WITHOUT = replace(UNTRAINED, vocoder=replace(UNTRAINED.vocoder, method="griffin-lim"))


@cache
def pipeline(vocoder: str | None, config: ModelConfig = UNTRAINED) -> AudioLDM:
    checkpoint = random_checkpoint("small", config, seed=0)
    return AudioLDM(checkpoint, EagerEngine(checkpoint), vocoder)


def test_griffin_lim_makes_what_the_mel_says():
    one = pipeline("griffin-lim")
    mel = np.stack([log_mel(0.1 * noise(8000, seed=seed) * np.linspace(0.01, 1, 8000))[:50] for seed in (0, 1)])
    made = vocode(one.engine, one.config, one.engine.asarray(mel))
    assert made.shape == (2, 8000)
    assert np.abs(np.stack([log_mel(waveform)[:50] for waveform in made]) - mel).mean() < 0.15


def test_latents_are_decoded_by_the_vocoder_of_choice():
    latents = noise(2, 8, 24, 16)
    network, griffin_lim, again = (pipeline(v).decode_latents(latents) for v in (None, "griffin-lim", "griffin-lim"))
    assert network.shape == griffin_lim.shape == (2, 24 * 640)
    assert np.array_equal(griffin_lim, again) and not np.allclose(network, griffin_lim, atol=1e-3)


def test_a_loop_ends_where_it_begins():
    """The step from the last sample to the first is one as between any two others."""
    loop = pipeline("griffin-lim").decode_latents(noise(1, 8, 20, 16), circular=True)[0]
    assert loop.shape == (20 * 640,) and np.abs(loop).max() <= 1
    steps = np.abs(np.diff(loop))
    assert abs(loop[0] - loop[-1]) < np.quantile(steps, 0.99)
    rolled = np.roll(loop, len(loop) // 2)
    middle = log_mel(rolled)[10:-10]
    seam = np.abs(np.diff(middle, axis=0)).mean(1)
    assert seam[28:34].max() < 1.5 * np.quantile(seam, 0.99)


def test_a_checkpoint_without_a_vocoder_network(tmp_path):
    assert "vocoder" not in network_names(WITHOUT)
    write_native(random_checkpoint("small", WITHOUT, seed=0), tmp_path / "small")
    assert not (tmp_path / "small" / "vocoder.safetensors").exists()
    assert open_checkpoint(tmp_path / "small").config == WITHOUT
    settings = {"duration": 0.5, "seed": 1, "num_inference_steps": 1}
    clip = AudioLDM.from_pretrained(tmp_path / "small", engine="eager").generate("rain", **settings)
    assert np.array_equal(clip.waveforms, pipeline("griffin-lim").generate("rain", **settings).waveforms)
    with pytest.raises(ValueError, match="small has no vocoder network"):
        AudioLDM.from_pretrained(tmp_path / "small", engine="eager", vocoder="network")


def test_bench_measures_griffin_lim(tmp_path):
    write_native(random_checkpoint("small", WITHOUT, seed=0), tmp_path / "small")
    (found,) = measure(Settings(str(tmp_path / "small"), engine="eager", duration=0.5, num_inference_steps=1), 1, 0.0)
    assert found["seconds"]["vocoder"] > 0


def test_only_vocoders_that_there_are():
    with pytest.raises(ValueError, match=r"unknown vocoder 'wavenet', choose from network, griffin-lim"):
        pipeline("wavenet")
    with pytest.raises(ValueError, match=r"vocoder.method is 'wavenet', expected network or griffin-lim"):
        check_config(replace(UNTRAINED, vocoder=replace(UNTRAINED.vocoder, method="wavenet")))
    check_config(WITHOUT)


def test_on_the_command_line(tmp_path, capsys):
    for vocoder in ("network", "griffin-lim"):
        arguments = [
            "--checkpoint",
            "untrained",
            "--duration",
            "0.5",
            "--steps",
            "1",
            "--seed",
            "3",
            "--vocoder",
            vocoder,
        ]
        assert main(["generate", "rain", *arguments, "-o", str(tmp_path / f"{vocoder}.wav")]) == 0
    network, griffin_lim = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("network", "griffin-lim"))
    assert network.shape == griffin_lim.shape == (8000,) and not np.allclose(network, griffin_lim, atol=1e-3)
