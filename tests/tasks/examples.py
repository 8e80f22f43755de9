"""Recordings, the smallest pipeline, and a pipeline whose sound is known beforehand."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.clip import Cancelled, Clip
from ppaudioldm.generation.decoding import OnChunk, latent_frames
from ppaudioldm.generation.options import Options, Progress, with_defaults
from ppaudioldm.generation.provenance import Source
from ppaudioldm.pipeline import AudioLDM

FAST: dict[str, Any] = {"num_inference_steps": 1, "seed": 3}


@cache
def untrained() -> AudioLDM:
    return AudioLDM.from_pretrained("untrained")


def sound(seconds: float, rate: int = 16000, channels: int = 1, level: float = 0.05, seed: int = 0) -> np.ndarray:
    """Noise (n, channels) float32, the same in all channels but for a little."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((round(seconds * rate), 1))
    own = rng.standard_normal((len(common), channels))
    return (level * (common + 0.1 * own)).astype(np.float32)


class KnownPipeline:
    """Gives back what it was given where that is to be kept, and other noise elsewhere; both times `loudness`."""

    def __init__(
        self, config: ModelConfig = UNTRAINED, loudness: float | np.ndarray = 1.0, name: str = "known"
    ) -> None:
        self.config = config
        self.checkpoint = SimpleNamespace(name=name)
        self.source = Source(name)
        self.loudness = loudness
        self.encoded: list[np.ndarray] = []
        self.conditions: list[AudioCondition] = []
        self.calls: list[dict[str, Any]] = []

    def with_defaults(self, options: Options) -> Options:
        return with_defaults(options, self.config.diffusion)

    def encode_audio(self, waveform: np.ndarray, on_chunk: OnChunk | None = None) -> np.ndarray:
        assert waveform.dtype == np.float32 and np.abs(waveform).max() <= 1.001
        self.encoded.append(waveform)
        frames = latent_frames(self.config, len(waveform))
        return np.zeros((self.config.vae.latent_channels, frames, self.config.latent_bands), np.float32)

    def encode_loa(self, waveform: np.ndarray) -> np.ndarray:
        self.ear = waveform
        return np.zeros((8, self.config.loa.hidden_size), np.float32)

    condition_like, no_condition = AudioLDM.condition_like, AudioLDM.no_condition

    def generate(
        self, prompt: str | None, options: Options, *, audio_condition: AudioCondition, **settings: Any
    ) -> Clip:
        condition = audio_condition
        self.conditions.append(condition)
        self.calls.append({"prompt": prompt, **asdict(options), **settings})
        waveform = self.encoded[-1].copy()
        assert len(waveform) == round(options.duration * self.config.sample_rate)
        if condition.keep_mask is not None:
            assert condition.keep_mask.shape == condition.init_latents.shape[1:]
            anew = np.repeat(condition.keep_mask.min(1) == 0, self.config.samples_per_latent)[: len(waveform)]
            level = waveform[~anew].std() if (~anew).any() else waveform.std()
            waveform[anew] = np.random.default_rng(settings["seed"]).normal(0, level, anew.sum())
        for done in (1, 2) if settings.get("progress") else ():
            if not settings["progress"](Progress("denoise", done, 2)):
                raise Cancelled("stopped during denoise")
        waveforms = (self.loudness * waveform)[None].astype(np.float32)
        seed, rate = settings["seed"], self.config.sample_rate
        return Clip(waveforms, rate, (prompt or "",), (seed,), None, {"denoise": 1.0})


def decibels(ratio: np.ndarray) -> np.ndarray:
    return 20 * np.log10(ratio)
