"""Latents to sound and sound to latents, of any length: in chunks where that is longer than a checkpoint's own clips.

The VAE normalises over all frames and attends to all of them, so what it makes of overlapping chunks is cross-faded.
The vocoder's reach is finite: a chunk with enough around it is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ppaudioldm.audio.griffin_lim import griffin_lim, limited
from ppaudioldm.audio.mel import MEL_16K, MEL_48K, MelConfig, log_mel
from ppaudioldm.config import HifiGanConfig, ModelConfig
from ppaudioldm.diffusion.noise import POSTERIOR, gaussian
from ppaudioldm.diffusion.windows import Windows, windows_over
from ppaudioldm.engines.engine import Array, Engine

LOOP_FADE = 32  # mel frames

Report = Callable[[int, int], None]  # how many chunks are done, of how many


def latent_frames(config: ModelConfig, num_samples: int, circular: bool = False) -> int:
    """How many latent frames `num_samples` samples need, rounded up to what the UNet can halve.

    Not so for circular latents: windows go around their end, and it is those that are halved.
    """
    unit = 1 if circular else config.unet.downsampling
    return unit * math.ceil(math.ceil(num_samples / config.samples_per_latent) / unit)


def latent_windows(config: ModelConfig, frames: int, circular: bool = False) -> Windows:
    """The windows over `frames` latent frames, none longer than the clips that the checkpoint was trained on."""
    unit = config.unet.downsampling
    return windows_over(frames, min(config.window_frames, unit * math.ceil(frames / unit)), circular)


def encode(engine: Engine, config: ModelConfig, mel: np.ndarray, seed: int | None = None) -> np.ndarray:
    """Latents (channels, T, bands) float32, scaled, of a log-mel spectrogram (T * vae.downsampling, n_mels).

    The mean of the VAE's posterior; a sample of it with a seed.
    """
    factor = config.vae.downsampling
    windows = windows_over(len(mel) // factor, config.window_frames)
    chunks = windows.scaled(factor).cut(mel[None], np.concatenate)
    made = [[engine.to_numpy(x) for x in engine.run("vae_encoder", engine.asarray(chunk))] for chunk in chunks]
    mean, log_variance = (windows.blend(arrays, np.asarray, np.concatenate) for arrays in zip(*made, strict=True))
    if seed is not None:
        mean = mean + np.exp(0.5 * log_variance) * gaussian(mean.shape[1:], [seed], POSTERIOR)
    return config.vae.scale_factor * mean[0]


def decode(
    engine: Engine, config: ModelConfig, latents: Array, circular: bool = False, report: Report | None = None
) -> Array:
    """The log-mel spectrogram (B, T * vae.downsampling, n_mels) of scaled latents (B, channels, T, bands)."""
    latents = latents / config.vae.scale_factor
    windows = latent_windows(config, latents.shape[2], circular)
    chunks = windows.cut(latents, engine.concat)
    made = []
    for done, chunk in enumerate(chunks, 1):
        made.append(engine.run("vae_decoder", chunk))
        if report is not None:
            report(done, len(chunks))
    return windows.scaled(config.vae.downsampling).blend(made, engine.asarray, engine.concat)


def vocode(
    engine: Engine, config: ModelConfig, mel: Array, circular: bool = False, report: Report | None = None
) -> np.ndarray:
    """The waveform (B, frames * hop_length) float32 of a log-mel spectrogram (B, frames, n_mels)."""
    if config.vocoder.method == "griffin-lim":
        return _without_network(config, engine.to_numpy(mel), circular)
    hop, context = config.vocoder.hop_length, reach(config.vocoder)
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
        made = engine.to_numpy(engine.run("vocoder", mel[:, start : start + length]))
        waveform[:, first * hop : end * hop] = made[:, (first - start) * hop : (end - start) * hop]
        if report is not None:
            report(done, len(chunks))
    return waveform[:, begin : begin + count]


def _without_network(config: ModelConfig, mel: np.ndarray, circular: bool) -> np.ndarray:
    """What `vocode` returns, by Griffin-Lim."""
    hop, frames, mels = config.vocoder.hop_length, mel.shape[1], mel_config(config)
    if not circular:
        return np.stack([griffin_lim(item, mels) for item in mel])
    # The end is made twice, also as what goes before the start, and fades from the one to the other.
    faded = min(LOOP_FADE, frames)
    around = np.arange(-2 * faded, frames + faded) % frames
    made = np.stack([griffin_lim(item[around], mels) for item in mel])
    waveform = made[:, 2 * faded * hop :][:, : frames * hop].copy()
    share = np.linspace(0, np.pi / 2, faded * hop, dtype=np.float32)
    before = made[:, faded * hop : 2 * faded * hop]
    # The two are different waveforms of the same sound: it is their power that is to stay the same.
    waveform[:, -faded * hop :] = np.cos(share) * waveform[:, -faded * hop :] + np.sin(share) * before
    # Where they agree they add up to more than either: the peaks are looked after again, around the end.
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


def reach(vocoder: HifiGanConfig) -> int:
    """How many mel frames to either side a sample may depend on."""
    samples = 3  # at the rate of the layer that is looked at, from the last one back; its kernel has 7
    widest = max(vocoder.resblock_kernels) // 2
    for rate, kernel in zip(reversed(vocoder.upsample_rates), reversed(vocoder.upsample_kernels), strict=True):
        samples += sum(widest * dilation + widest for dilation in vocoder.resblock_dilations)
        samples = math.ceil((samples + kernel) / rate)
    return samples + 3


def mel_of(config: ModelConfig, waveform: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram of `waveform` (samples,) at the checkpoint's rate, with silence up to whole latents."""
    frames = latent_frames(config, len(waveform))
    padded = np.pad(waveform, (0, frames * config.samples_per_latent - len(waveform)))
    return log_mel(padded, mel_config(config))[: frames * config.vae.downsampling]


def mel_config(config: ModelConfig) -> MelConfig:
    """The front-end that the checkpoint was trained with. Raises ValueError where it is none of the published ones."""
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
