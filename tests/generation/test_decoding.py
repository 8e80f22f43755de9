"""Sound to latents and back in chunks: as long as it should be, and without seams."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import HifiGanConfig, ModelConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.decoding import latent_frames, latent_windows, mel_config, receptive_field, spans
from ppaudioldm.models.hifigan import HifiGan
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import noise, random_network, relative_error, run

# Clips of 1.28 s are the longest that are made at once: 32 latent frames.
SHORT = replace(
    UNTRAINED,
    diffusion=replace(UNTRAINED.diffusion, clip_seconds=1.28),
    vae=replace(UNTRAINED.vae, channel_mult=(1, 1, 1)),
    vocoder=replace(UNTRAINED.vocoder, initial_channels=32, resblock_kernels=(3,), resblock_dilations=(1,)),
)
AT_ONCE = replace(SHORT.diffusion, clip_seconds=60.0)
WHOLE = replace(SHORT, diffusion=AT_ONCE)
# A wider VAE: the narrower, the more the attention of random weights is to a single frame, wherever that is.
WIDE = replace(SHORT, vae=UNTRAINED.vae)
WIDE_WHOLE = replace(WIDE, diffusion=AT_ONCE)
VOCODERS = {
    "16 kHz": HifiGanConfig(initial_channels=32),
    "48 kHz": HifiGanConfig(256, 48000, (6, 5, 4, 2, 2), (12, 10, 8, 4, 4), 64, resblock_dilations=(1, 3)),
}


@cache
def pipeline(config: ModelConfig, engine: str = "eager") -> AudioLDM:
    checkpoint = random_checkpoint("short", config, seed=0)
    made: Engine
    if engine == "eager":
        made = EagerEngine(checkpoint)
    else:
        from ppaudioldm.openvino_engine.engine import OpenVINOEngine
        from ppaudioldm.openvino_engine.translator import Translator

        made = OpenVINOEngine(Translator(checkpoint), "f32")
    return AudioLDM(checkpoint, made)


@pytest.fixture(params=["eager", "openvino"])
def engine(request):
    if request.param == "openvino" and framework.NAME != "paddle":
        pytest.skip("only Paddle's programs are translated")
    return request.param


def latents_of(seconds: float, batch: int = 1) -> np.ndarray:
    return noise(batch, 8, round(seconds * 25), 16)


# ---- The vocoder


@pytest.mark.parametrize("total,length,context", [(10, 20, 3), (100, 20, 3), (20, 20, 5), (21, 20, 5), (333, 64, 31)])
def test_spans_hold_every_frame_once_with_what_is_around_it(total, length, context):
    reached = 0
    for start, first, end in spans(total, length, context):
        assert first == reached < end and start >= 0
        stop = min(total, start + length)
        assert stop - start == min(total, length)
        assert start in (0, first - context) or (stop == total and first - start >= context)
        assert end == total or end + context <= stop
        reached = end
    assert reached == total


@pytest.mark.parametrize("config", VOCODERS.values(), ids=VOCODERS)
def test_a_sample_depends_on_no_frame_beyond_the_reach(config):
    vocoder, frames, changed = random_network("vocoder", HifiGan, config), 161, 80
    mel = noise(1, frames, config.n_mels)
    before = run(vocoder, mel)[0]
    mel[0, changed] += 1
    places = np.flatnonzero(run(vocoder, mel)[0] != before) / config.hop_length - changed
    assert -receptive_field(config) <= places.min() and places.max() <= receptive_field(config) + 1
    assert places.max() > receptive_field(config) / 2  # nor is the reach far too long


@pytest.mark.parametrize("seconds", [1.3, 4.0, 5.27])
def test_the_vocoder_is_exact_in_chunks(seconds, engine):
    mel_frames = 4 * latent_frames(SHORT, round(16000 * seconds))
    mel = noise(1, mel_frames, 64)
    from ppaudioldm.generation.decoding import vocode

    made = [vocode(pipeline(c, engine).engine, c, pipeline(c, engine).engine.asarray(mel)) for c in (SHORT, WHOLE)]
    assert made[0].shape == (1, 160 * mel_frames)
    assert np.abs(made[0] - made[1]).max() < 1e-6


# ---- Decoding


@pytest.mark.parametrize("frames", [1, 7, 32, 60])
def test_decoded_latents_have_exact_lengths(frames, engine):
    made = pipeline(SHORT, engine).decode_latents(noise(2, 8, frames, 16))
    assert made.shape == (2, 640 * frames) and made.dtype == np.float32 and np.isfinite(made).all()


def test_decoding_in_chunks_is_near_decoding_at_once():
    """Not exact: the VAE normalises over what it is given, and attends to it."""
    latents = latents_of(4.0)
    made, whole = (pipeline(config).decode_latents(latents) for config in (WIDE, WIDE_WHOLE))
    assert relative_error(made, whole) < 0.1
    clip = latents[:, :, :32]
    np.testing.assert_array_equal(pipeline(SHORT).decode_latents(clip), pipeline(WHOLE).decode_latents(clip))


def test_a_border_between_chunks_is_like_any_other_place(engine):
    latents, windows = latents_of(12.0), latent_windows(SHORT, 300)
    wave = pipeline(SHORT, engine).decode_latents(latents)[0]
    steps = np.abs(np.diff(wave))
    ends = [frame for start in windows.starts for frame in (start, start + windows.length) if 0 < frame < 300]
    at_borders = np.stack([steps[640 * frame - 320 : 640 * frame + 320] for frame in ends])
    assert at_borders.mean() < 1.1 * steps.mean()
    assert at_borders.max() <= steps.max()


def test_engines_decode_and_encode_alike():
    if framework.NAME != "paddle":
        pytest.skip("only Paddle's programs are translated")
    latents, wave = latents_of(3.0), 0.1 * noise(48000)
    eager, openvino = pipeline(SHORT), pipeline(SHORT, "openvino")
    assert relative_error(openvino.decode_latents(latents), eager.decode_latents(latents)) < 1e-4
    assert relative_error(openvino.encode_audio(wave), eager.encode_audio(wave)) < 1e-4


@pytest.mark.parametrize("frames", [10, 48])
def test_a_decoded_circle_has_no_beginning(frames):
    latents = noise(1, 8, frames, 16)
    windows = latent_windows(SHORT, frames, circular=True)
    turn = frames // len(windows.starts)
    wave = pipeline(SHORT).decode_latents(latents, circular=True)
    turned = pipeline(SHORT).decode_latents(np.roll(latents, turn, 2), circular=True)
    assert wave.shape == (1, 640 * frames)
    np.testing.assert_allclose(turned, np.roll(wave, 640 * turn, 1), atol=1e-5)
    seam = abs(wave[0, 0] - wave[0, -1])
    assert seam <= np.percentile(np.abs(np.diff(wave[0])), 99.9)


@pytest.mark.parametrize("shape", [(8, 10, 16), (1, 4, 10, 16), (1, 8, 10, 8), (1, 8, 0, 16)])
def test_other_latents_are_refused(shape):
    with pytest.raises(ValueError, match="latents have shape .* expected"):
        pipeline(SHORT).decode_latents(np.zeros(shape, np.float32))


# ---- Encoding


@pytest.mark.parametrize("samples", [1, 159, 4800, 20480, 20481, 50_001])
def test_encoded_recordings_have_exact_lengths(samples, engine):
    latents = pipeline(SHORT, engine).encode_audio(0.1 * noise(samples))
    assert latents.shape == (8, pipeline(SHORT).latent_frames(samples / 16000), 16)
    assert latents.dtype == np.float32 and np.isfinite(latents).all()


def test_encoding_in_chunks_is_near_encoding_at_once():
    wave = 0.1 * noise(64000)
    made, whole = (pipeline(config).encode_audio(wave) for config in (WIDE, WIDE_WHOLE))
    assert relative_error(made, whole) < 0.3
    steps = np.sqrt((np.diff(made, axis=1) ** 2).mean((0, 2)))
    windows = latent_windows(WIDE, made.shape[1])
    at_borders = [
        steps[frame - 1] for start in windows.starts for frame in (start, start + 32) if 0 < frame < len(steps)
    ]
    assert np.mean(at_borders) < 1.1 * steps.mean() and max(at_borders) <= steps.max()


def test_a_seed_is_one_sample_of_the_posterior():
    wave = 0.1 * noise(32000)
    mean, first = pipeline(SHORT).encode_audio(wave), pipeline(SHORT).encode_audio(wave, seed=1)
    np.testing.assert_array_equal(pipeline(SHORT).encode_audio(wave, seed=1), first)
    assert relative_error(first, mean) > 1e-3
    assert relative_error(pipeline(SHORT).encode_audio(wave, seed=2), first) > 1e-3


def test_latents_are_scaled():
    other = replace(SHORT, vae=replace(SHORT.vae, scale_factor=0.25))
    wave = 0.1 * noise(16000)
    half = pipeline(other).encode_audio(wave)
    np.testing.assert_allclose(2 * half, pipeline(SHORT).encode_audio(wave), atol=1e-6)
    np.testing.assert_allclose(
        pipeline(other).decode_latents(half[None]), pipeline(SHORT).decode_latents(2 * half[None]), atol=1e-6
    )


@pytest.mark.parametrize(
    "waveform,message",
    [
        (np.zeros(0, np.float32), "the waveform is empty"),
        (np.full(100, np.nan, np.float32), "not finite"),
        (np.zeros((2, 100), np.float32), "expected a 1-D floating-point waveform"),
        (np.zeros(100, np.int16), "expected a 1-D floating-point waveform"),
        (np.zeros(9_600_001, np.float32), "the recording lasts 600.0 seconds, allowed: up to 600"),
    ],
)
def test_other_recordings_are_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        pipeline(SHORT).encode_audio(waveform)


def test_each_checkpoint_has_its_front_end():
    assert mel_config(UNTRAINED) == MEL_16K
    assert mel_config(replace(UNTRAINED, vocoder=VOCODERS["48 kHz"])) == MEL_48K
    with pytest.raises(ValueError, match="a checkpoint of 80 mel bands, 160 samples a frame, 16000 Hz; allowed"):
        mel_config(replace(UNTRAINED, vocoder=replace(UNTRAINED.vocoder, n_mels=80)))


def test_published_checkpoints_make_ten_seconds_at_once():
    assert ModelConfig().window_frames == 256 and len(latent_windows(ModelConfig(), 256).starts) == 1
    assert len(latent_windows(ModelConfig(), 264).starts) == 2
    assert latent_windows(ModelConfig(), 20, circular=True).length == 24
