"""Clips of any length: exact sample counts, and windows that nobody hears."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.decoding import latent_windows
from ppaudioldm.generation.noise_predictor import NoisePredictor, UNetSchedule
from ppaudioldm.generation.options import Progress
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.generation.test_decoding import SHORT
from tests.support import RecordingEngine, noise, relative_error

SMALL_UNET = replace(SHORT.unet, channel_mult=(1, 2), attention_levels=(1,))
# As long as the published checkpoints' clips; every network as small as can be.
SMALL = replace(SHORT, unet=SMALL_UNET, diffusion=replace(SHORT.diffusion, clip_seconds=10.24))
# Trained on 2.56 s: 64 latent frames.
SHORTER = replace(SMALL, diffusion=replace(SHORT.diffusion, clip_seconds=2.56))
ONE_STEP: dict[str, Any] = {"seed": 3, "num_inference_steps": 1, "guidance_scale": 1.0}


@cache
def engine_of(config: ModelConfig, name: str) -> Engine:
    if name == "eager":
        return RecordingEngine(random_checkpoint("small", config, seed=0))
    if config.diffusion != SMALL.diffusion:  # how long a clip is, is nothing that the networks know: translated once
        return engine_of(replace(config, diffusion=SMALL.diffusion), name)
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import Translator

    return OpenVINOEngine(Translator(random_checkpoint("small", config, seed=0)), "f32")


def input_shapes(config: ModelConfig, function: str) -> list[tuple[int, ...]]:
    """Of the first inputs of `function` since the last `pipeline`."""
    made = engine_of(config, "eager")
    assert isinstance(made, RecordingEngine)
    return [tuple(inputs[0].shape) for inputs, _ in made.of(function)]


def pipeline(config: ModelConfig, engine: str = "eager") -> AudioLDM:
    made = engine_of(config, engine)
    if isinstance(made, RecordingEngine):
        made.calls.clear()
    return AudioLDM(random_checkpoint("small", config, seed=0), made)


@pytest.mark.parametrize("engine", ["eager", "openvino"])
@pytest.mark.parametrize(
    "config,duration,samples",
    [(SMALL, 0.3, 4800), (SMALL, 10.24, 163840), (SMALL, 10.3, 164800), (SHORTER, 7.9, 126400)],
    ids=["part of a window", "a window", "two windows", "several windows"],
)
def test_durations_are_exact(config, duration, samples, engine):
    if engine == "openvino" and framework.NAME != "paddle":
        pytest.skip("only Paddle's programs are translated")
    waveforms = pipeline(config, engine).generate("Rain", duration=duration, **ONE_STEP).waveforms
    assert waveforms.shape == (1, samples) and waveforms.dtype == np.float32
    assert np.isfinite(waveforms).all() and np.abs(waveforms[0, -100:]).max() > 0


def test_engines_make_the_same_long_clip():
    if framework.NAME != "paddle":
        pytest.skip("only Paddle's programs are translated")
    settings = {**ONE_STEP, "duration": 6.0, "num_inference_steps": 3}
    eager, openvino = (pipeline(SHORTER, engine).generate("Rain", **settings) for engine in ("eager", "openvino"))
    assert relative_error(openvino.waveforms, eager.waveforms) < 1e-3


def test_a_clip_of_the_trained_length_is_made_at_once():
    made = pipeline(SMALL)
    made.generate("Rain", duration=10.24, **ONE_STEP)
    for function, shape in (
        ("unet_step", (1, 8, 256, 16)),
        ("vae_decoder", (1, 8, 256, 16)),
        ("vocoder", (1, 1024, 64)),
    ):
        assert input_shapes(SMALL, function) == [shape]


@pytest.mark.parametrize("duration", [2.6, 4.0, 9.0])
def test_a_longer_one_in_windows_of_one_shape(duration):
    made = pipeline(SHORTER)
    made.generate("Rain", duration=duration, **ONE_STEP)
    for function, shape in (("unet_step", (1, 8, 64, 16)), ("vae_decoder", (1, 8, 64, 16)), ("vocoder", (1, 256, 64))):
        shapes = input_shapes(SHORTER, function)
        assert len(shapes) > 1 and set(shapes) == {shape}


def latents_of(**settings: Any) -> np.ndarray:
    """The latents (channels, T, bands) before they were cut into windows for the decoder."""
    made, found = pipeline(SHORTER), []
    cut = Windows.cut
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Windows, "cut", lambda self, array, concat: found.append(array) or cut(self, array, concat))
        made.generate("Rain", **settings)
    return framework.to_numpy(found[-1])[0]


def steps_at_borders(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much the latents change from frame to frame: where a window begins or ends, and elsewhere."""
    steps = np.sqrt((np.diff(latents, axis=1) ** 2).mean((0, 2)))
    windows = latent_windows(SHORTER, latents.shape[1])
    ends = sorted({frame for start in windows.starts for frame in (start, start + windows.length)} - {0, windows.total})
    at_borders = np.isin(np.arange(1, latents.shape[1]), ends)
    assert at_borders.sum() == 2 * len(windows.starts) - 2
    return steps[at_borders], steps[~at_borders]


@pytest.mark.slow
def test_borders_of_windows_do_not_show_in_half_a_minute():
    settings = {"duration": 30.0, "seed": 1, "num_inference_steps": 4, "guidance_scale": 1.0}
    at_borders, elsewhere = steps_at_borders(latents_of(**settings))
    assert at_borders.mean() < 1.05 * elsewhere.mean()
    assert at_borders.max() <= elsewhere.max()


class FlatWindows(Windows):
    """Each counts as much at its ends as in its middle."""

    _weights = np.ones(64, np.float32)


def test_what_the_ends_of_windows_see_hardly_counts():
    """Where all frames are the same, the ends of a window are all that can make a difference."""
    made = pipeline(SHORTER)
    conditioning = PromptEncoder(made.checkpoint, made.engine).encode(["Rain"])
    latents = made.engine.asarray(np.repeat(noise(1, 8, 1, 16), 160, 2))
    smooth = latent_windows(SHORTER, 160)
    flat = FlatWindows(smooth.length, smooth.total, smooth.starts)

    def largest_step(windows: Windows) -> float:
        schedule = UNetSchedule((500,), (False,), 1, windows, windows_per_call=1)
        predict = NoisePredictor(made.engine, SHORTER, conditioning, schedule, lambda: None)
        predicted = framework.to_numpy(predict(latents, 500, 0))
        return float(np.abs(np.diff(predicted, axis=2))[:, :, 10:-10].max())  # at its ends the clip has ends to see

    assert largest_step(smooth) < 0.5 * largest_step(flat)


def test_windows_in_a_batch_make_the_same_clip():
    settings = {**ONE_STEP, "duration": 6.0, "guidance_scale": 3.5, "num_inference_steps": 2}
    alone = pipeline(SHORTER).generate("Rain", **settings)
    together = pipeline(SHORTER).generate("Rain", batch_size=5, **settings)
    # 152 frames are 3 windows.
    assert set(input_shapes(SHORTER, "unet_guided_step")) == {(3, 8, 64, 16)}
    assert relative_error(together.waveforms, alone.waveforms) < 1e-4
    two = pipeline(SHORTER).generate(["Rain", "Birds"], batch_size=6, **settings)
    assert relative_error(two.waveforms[:1], alone.waveforms) < 1e-4
    birds = pipeline(SHORTER).generate("Birds", **settings)
    assert relative_error(two.waveforms[1:], birds.waveforms) < 1e-4


def test_progress_goes_on_within_a_step():
    reports: list[Progress] = []
    pipeline(SHORTER).generate("Rain", duration=6.0, progress=reports.append, **ONE_STEP)
    for stage, total in (("denoise", 3), ("decode", 3)):
        assert [(r.done, r.total) for r in reports if r.stage == stage][-total:] == [
            (done, total) for done in range(1, total + 1)
        ]


def test_a_checkpoint_says_how_long_its_clips_are():
    saved = json.loads(json.dumps(SHORTER.to_dict()))
    assert ModelConfig.from_dict(saved).window_frames == 64
    del saved["diffusion"]["clip_seconds"]  # as in files of before
    assert ModelConfig.from_dict(saved).window_frames == 256
