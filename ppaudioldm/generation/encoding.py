"""A waveform to log-mel spectrogram to latents: in chunks for what is longer than a training clip, as `decoding.py`."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.mel import log_mel
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.noise import POSTERIOR, gaussian
from ppaudioldm.diffusion.windows import windows_over
from ppaudioldm.engines.engine import Engine
from ppaudioldm.generation.decoding import OnChunk, latent_frames, mel_config


def padded_log_mel(config: ModelConfig, waveform: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram of `waveform` (samples,) at the checkpoint's rate, with silence up to whole latents."""
    frames = latent_frames(config, len(waveform))
    padded = np.pad(waveform, (0, frames * config.samples_per_latent - len(waveform)))
    return log_mel(padded, mel_config(config))[: frames * config.vae.downsampling]


def encode(
    engine: Engine,
    config: ModelConfig,
    mel: np.ndarray,
    seed: int | None = None,
    on_chunk: OnChunk | None = None,
) -> np.ndarray:
    """Latents (channels, T, bands) float32, scaled, of a log-mel spectrogram (T * vae.downsampling, n_mels).

    The mean of the VAE's posterior; a sample of it with a seed.
    """
    factor = config.vae.downsampling
    windows = windows_over(len(mel) // factor, config.window_frames)
    chunks = windows.scaled(factor).cut(mel[None], np.concatenate)
    outputs = []
    for done, chunk in enumerate(chunks, 1):
        outputs.append([engine.to_numpy(x) for x in engine.run("vae_encoder", engine.asarray(chunk))])
        if on_chunk is not None:
            on_chunk(done, len(chunks))
    mean, log_variance = (windows.blend(arrays, np.asarray, np.concatenate) for arrays in zip(*outputs, strict=True))
    if seed is not None:
        mean = mean + np.exp(0.5 * log_variance) * gaussian(mean.shape[1:], [seed], POSTERIOR)
    return config.vae.scale_factor * mean[0]
