"""Data for the tests of training, made by a module that imports no framework."""

from dataclasses import dataclass

import numpy as np

from ppaudioldm.training.dataset import CaptionedClip, seeded_rng


@dataclass(frozen=True)
class Rows:
    def __call__(self, index):
        return {"x": np.full(3, index)}


@dataclass(frozen=True)
class NoiseClips:
    """Noise whose level swells and fades, at a pitch of its own."""

    samples: int = 8000
    split: int = 0

    def __call__(self, number):
        generator = seeded_rng(self.split, number)
        time = np.arange(self.samples) / 16000
        swell = np.sin(2 * np.pi * generator.uniform(1, 4) * time) ** 2
        tone = np.sin(2 * np.pi * generator.uniform(200, 3000) * time)
        waveform = swell * (0.3 * tone + 0.02 * generator.standard_normal(self.samples))
        return CaptionedClip(waveform.astype(np.float32), f"a tone number {number % 7}", "tone")

    def held_out(self):
        return NoiseClips(self.samples, 1)
