"""Latents to log-mel spectrogram to waveform: in chunks for what is longer than a training clip.

The VAE's group norms and attention cover all frames, so its results for overlapping chunks are cross-faded. The
vocoder's receptive field is finite: a chunk with enough context around it is exact. `encoding.py` is the inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ppaudioldm.audio.griffin_lim import ITERATIONS, griffin_lim, has_waveform
from ppaudioldm.audio.limiter import limited
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, MelConfig
from ppaudioldm.config import HifiGanConfig, ModelConfig
from ppaudioldm.diffusion.schedule import Array
from ppaudioldm.diffusion.windows import Windows, windows_over

if TYPE_CHECKING:
    from ppaudioldm.engines.engine import Engine

LOOP_FADE = 32  # mel frames

OnChunk = Callable[[int, int], None]  # called with how many chunks are done, and of how many


def latent_frames(config: ModelConfig, num_samples: int, circular: bool = False) -> int:
    """How many latent frames `num_samples` samples need, rounded up to what the UNet can downsample.

    Circular latents are not rounded up: their windows go around the end, and the UNet downsamples the windows.
    """
    unit = 1 if circular else config.unet.downsampling
    return unit * math.ceil(math.ceil(num_samples / config.samples_per_latent) / unit)


def latent_windows(config: ModelConfig, frames: int, circular: bool = False) -> Windows:
    """The windows over `frames` latent frames, none longer than the clips that the checkpoint was trained on."""
    unit = config.unet.downsampling
    return windows_over(frames, min(config.window_frames, unit * math.ceil(frames / unit)), circular)


def decode(
    engine: Engine, config: ModelConfig, latents: Array, circular: bool = False, on_chunk: OnChunk | None = None
) -> Array:
    """The log-mel spectrogram (B, T * vae.downsampling, n_mels) of scaled latents (B, channels, T, bands)."""
    latents = latents / config.vae.scale_factor
    windows = latent_windows(config, latents.shape[2], circular)
    chunks = windows.cut(latents, engine.concat)
    mels = []
    for done, chunk in enumerate(chunks, 1):
        mels.append(engine.run("vae_decoder", chunk))
        if on_chunk is not None:
            on_chunk(done, len(chunks))
    return windows.scaled(config.vae.downsampling).blend(mels, engine.asarray, engine.concat)


def vocode(
    engine: Engine,
    config: ModelConfig,
    mel: Array,
    circular: bool = False,
    on_chunk: OnChunk | None = None,
    iterations: int = ITERATIONS,
) -> np.ndarray:
    """The waveform (B, frames * hop_length) float32 of a log-mel spectrogram (B, frames, n_mels).

    NaN for an item that is not finite, which leaves the others as they are. iterations: of Griffin-Lim, where there is
    no network.
    """
    if config.vocoder.method == "griffin-lim":
        return _without_network(config, engine.to_numpy(mel), circular, on_chunk, iterations)
    hop, context = config.vocoder.hop_length, receptive_field(config.vocoder)
    begin, count = 0, mel.shape[1] * hop
    if circular:
        around = np.arange(-context, mel.shape[1] + context) % mel.shape[1]
        mel = engine.asarray(engine.to_numpy(mel)[:, around])
        begin = context * hop
    # As long as the mel of a whole clip, which is compiled already.
    length = max(config.window_frames * config.vae.downsampling, 4 * context)
    chunks = list(spans(mel.shape[1], length, context))
    waveform = np.empty((mel.shape[0], mel.shape[1] * hop), np.float32)
    for done, (start, first, end) in enumerate(chunks, 1):
        output = engine.to_numpy(engine.run("vocoder", mel[:, start : start + length]))
        waveform[:, first * hop : end * hop] = output[:, (first - start) * hop : (end - start) * hop]
        if on_chunk is not None:
            on_chunk(done, len(chunks))
    return waveform[:, begin : begin + count]


def _without_network(
    config: ModelConfig, mel: np.ndarray, circular: bool, on_chunk: OnChunk | None, iterations: int
) -> np.ndarray:
    """`vocode` by Griffin-Lim."""
    hop, frames, mels = config.vocoder.hop_length, mel.shape[1], mel_config(config)

    def synthesised_items(mel: np.ndarray) -> np.ndarray:
        made = np.full((len(mel), mel.shape[1] * hop), np.nan, np.float32)
        for index, item in enumerate(mel):

            def on_step(done: int, total: int, before: int = index) -> None:
                if on_chunk is not None:
                    on_chunk(before * total + done, len(mel) * total)

            if has_waveform(item):
                made[index] = griffin_lim(item, mels, iterations=iterations, on_step=on_step)
        return made

    if not circular:
        return synthesised_items(mel)
    # The end is synthesised twice, the second time as what precedes the start, and cross-fades from one to the other.
    faded = min(LOOP_FADE, frames)
    around = np.arange(-2 * faded, frames + faded) % frames
    synthesised = synthesised_items(mel[:, around])
    waveform = synthesised[:, 2 * faded * hop :][:, : frames * hop].copy()
    share = np.linspace(0, np.pi / 2, faded * hop, dtype=np.float32)
    before = synthesised[:, faded * hop : 2 * faded * hop]
    # The two have the same spectrum but not the same phases: a fade that keeps power, not amplitude.
    waveform[:, -faded * hop :] = np.cos(share) * waveform[:, -faded * hop :] + np.sin(share) * before
    # Where their phases agree the sum is louder than either: peaks are limited again, around the end.
    return np.stack([limited(np.tile(item, 3), hop)[len(item) : 2 * len(item)] for item in waveform])


def spans(total: int, length: int, context: int) -> Iterator[tuple[int, int, int]]:
    """Chunks of `length` frames over `total` as (start, first, end): the frames from `first` to `end` are to be kept.

    These have `context` frames around them in the chunk, but for the ends of the whole; together they are all frames.
    """
    first = 0
    while first < total:
        start = max(0, min(first - context, total - length))
        end = total if start + length >= total else start + length - context
        yield start, first, end
        first = end


def receptive_field(vocoder: HifiGanConfig) -> int:
    """The vocoder's receptive field: how many mel frames to either side a sample may depend on."""
    samples = 3  # at the rate of the current layer, from the last one back, whose kernel has 7
    widest = max(vocoder.resblock_kernels) // 2
    for rate, kernel in zip(reversed(vocoder.upsample_rates), reversed(vocoder.upsample_kernels), strict=True):
        samples += sum(widest * dilation + widest for dilation in vocoder.resblock_dilations)
        samples = math.ceil((samples + kernel) / rate)
    return samples + 3


def mel_config(config: ModelConfig) -> MelConfig:
    """The mel front-end that the checkpoint was trained with. Raises ValueError for one that was never published."""
    vocoder = config.vocoder
    for known in (MEL_16K, MEL_48K):
        if (known.sample_rate, known.hop_length, known.n_mels) == (
            vocoder.sample_rate,
            vocoder.hop_length,
            vocoder.n_mels,
        ):
            return known
    raise ValueError(
        f"a checkpoint of {vocoder.n_mels} mel bands, {vocoder.hop_length} samples a frame, {vocoder.sample_rate} Hz;"
        " allowed for recordings: 64, 160 and 16000, or 256, 480 and 48000"
    )
