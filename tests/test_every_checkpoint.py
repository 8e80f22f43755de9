"""Every published checkpoint, made small but of the same build: written in its layout, loaded, and made to sound.

`benchmarks/every_checkpoint.py` does it at full size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.config import LoaConfig, ModelConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.loa import encode_loa
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights import convert
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from tests.support import relative_error

WIDTHS = {768: 128, 1024: 160, None: None}  # of what the UNet listens to -> in the small ones
SECONDS = 0.32
PUBLISHED = [name for name, info in CHECKPOINTS.items() if info.layout not in ("random", "built-in")]


def small(config: ModelConfig) -> ModelConfig:
    """`config` with narrow layers and few of them: its conditions, transformers, rates and counts of tokens stay."""
    phonemes, loa, audiomae = config.phoneme_encoder, config.loa, config.audiomae
    contexts = tuple(WIDTHS[dim] for dim in config.unet.context_dims)
    film = 64 if config.unet.film_dim else None
    guided = config.unet.guidance_dim is not None
    return replace(
        config,
        unet=replace(
            config.unet,
            channel_mult=(1, 2),
            num_res_blocks=1,
            attention_levels=(1,),
            context_dims=contexts,
            film_dim=film,
            **({"model_channels": 64, "guidance_dim": 32} if guided else {"model_channels": 32, "head_dim": 32}),
        ),
        vae=replace(config.vae, channels=32, num_res_blocks=1),
        vocoder=replace(config.vocoder, initial_channels=64),
        clap_text=config.clap_text and UNTRAINED.clap_text,
        clap_audio=config.clap_audio and replace(UNTRAINED.clap_audio, short_input=config.clap_audio.short_input),
        flan_t5=config.flan_t5 and replace(UNTRAINED.flan_t5, max_tokens=config.flan_t5.max_tokens),
        phoneme_encoder=phonemes and replace(phonemes, hidden_size=32, num_layers=2, feed_forward_size=64),
        gpt2=config.gpt2 and replace(UNTRAINED.gpt2, num_layers=1, max_positions=1024),
        loa=loa and LoaConfig((64, 32 if phonemes else 160), 128, loa.num_tokens),
        audiomae=audiomae and replace(audiomae, hidden_size=128, num_layers=3, num_heads=2),
    )


SMALL = {name: small(CHECKPOINTS[name].config) for name in PUBLISHED}
# One of those that differ in nothing but the name; and one of each build: a diffusers folder is built as its published
# file, but has no AudioMAE, and of AudioLDM 1 no audio branch of CLAP.
DIFFERENT = list({(config, CHECKPOINTS[name].layout): name for name, config in reversed(SMALL.items())}.values())
BUILDS = list(
    {
        replace(config, audiomae=None): name
        for name, config in reversed(SMALL.items())
        if CHECKPOINTS[name].layout != "diffusers"
    }.values()
)


@cache
def from_its_file(name: str) -> tuple[Checkpoint, np.ndarray, np.ndarray | None]:
    """The small checkpoint of `name` from a file or folder in its layout, its clip, and that clip's LOA tokens."""
    info = CHECKPOINTS[name]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, name, replace(info, config=SMALL[name]))
        patch.setattr(convert, "read_manifest", lambda name: {})  # it has the sizes of the published files
        path = Path(folder) / ("file.pth" if info.layout == "original" else "folder")
        convert.write_random(name, path, info.layout, seed=0)
        checkpoint = open_checkpoint(path, ema=False)  # the averaged UNet is another one
        engine = EagerEngine(checkpoint, "cpu")
        waveforms = sound(checkpoint, engine)
        loa = encode_loa(checkpoint, engine, waveforms[0]) if checkpoint.config.audiomae else None
        return checkpoint, waveforms, loa


def sound(checkpoint: Checkpoint, engine: Any, candidates: int = 2) -> np.ndarray:
    """The better of two clips, or the only one where there is no CLAP to rank them."""
    count = candidates if checkpoint.config.clap_audio else 1
    settings = {"duration": SECONDS, "seed": 1, "num_inference_steps": 1, "num_waveforms_per_prompt": count}
    if checkpoint.config.phoneme_encoder:
        settings["phonemes"] = "wˈɪʃ juː"
    return AudioLDM(checkpoint, engine).generate("A dog barks", **settings).waveforms


@pytest.mark.parametrize("name", DIFFERENT)
def test_loads_strictly_and_sounds(name):
    checkpoint, waveforms, loa = from_its_file(name)
    assert checkpoint.config == SMALL[name] and checkpoint.layout == CHECKPOINTS[name].layout
    assert checkpoint.config.sample_rate == (48000 if name == "audioldm_48k" else 16000)
    assert waveforms.shape == (1, round(SECONDS * checkpoint.config.sample_rate))
    assert np.isfinite(waveforms).all() and np.abs(waveforms).max() > 0
    if checkpoint.layout == "diffusers":  # the seed is the same, so the networks are
        clap = checkpoint.config.clap_audio
        built_alike = next(n for n in BUILDS if replace(SMALL[n], audiomae=None, clap_audio=clap) == SMALL[name])
        expected = from_its_file(built_alike)[1]
        if clap is None:
            whole = random_checkpoint(built_alike, SMALL[built_alike], 0)
            expected = sound(whole, EagerEngine(whole, "cpu"), candidates=1)
        np.testing.assert_array_equal(waveforms, expected)
    elif checkpoint.config.audiomae:
        assert loa.shape == (512 if "speech" in name else 8, 128)


@pytest.mark.slow
@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
@pytest.mark.parametrize("name", BUILDS)
def test_sounds_the_same_through_openvino(name):
    checkpoint = random_checkpoint(name, SMALL[name], 0)
    assert relative_error(sound(checkpoint, SharedOpenVINO(SMALL[name])), from_its_file(name)[1]) < 1e-4


class SharedOpenVINO:
    """Translates and compiles a function once for all configurations with the same network: that takes most time."""

    engines: ClassVar[dict[Any, Any]] = {}

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def prepare(self, function: str) -> None:
        self.engine_of(function)

    def run(self, function: str, *inputs: Any) -> Any:
        return self.engine_of(function).run(function, *inputs)

    def start(self, function: str) -> Any:
        return self.engine_of(function).start(function)

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self.run(function, *inputs)

    def asarray(self, array: np.ndarray) -> np.ndarray:
        return array

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def concat(self, arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
        return np.concatenate(list(arrays), axis)

    def engine_of(self, function: str) -> Any:
        from ppaudioldm.openvino_engine.engine import OpenVINOEngine
        from ppaudioldm.openvino_engine.translator import Translator

        field = NETWORKS[network_and_method(function)[0]][1]
        key = (field, getattr(self.config, field), self.config.latent_bands)
        if key not in self.engines:
            self.engines[key] = OpenVINOEngine(Translator(random_checkpoint("small", self.config, 0)), "f32")
        return self.engines[key]
