"""A segment of a recording that is generated in one go: the networks' inputs, and how the result is joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ppaudioldm.audio.bands import Band, band_filter, filtered, latent_bands, neighbours
from ppaudioldm.audio.fbank import HOP_LENGTH, SAMPLE_RATE
from ppaudioldm.audio.joins import COMPARED_S, Span, complement, gain, gains_at_joins, join
from ppaudioldm.audio.recording import NETWORK_PEAK, downmixed, resampled, scale_for_networks
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.decoding import latent_frames, mel_config
from ppaudioldm.generation.options import MIN_DURATION

SHORTEST_LEVEL_S = 0.1  # seconds of kept samples from which a level can be measured; with less, all samples count
SHORTEST_REPEAT_S = 1.0  # seconds of kept samples that can be repeated for AudioMAE: less would become a tone
FLOOR = 2e-4  # of the recording's peak, -74 dB: what is never louder has no level


@dataclass(frozen=True)
class Segment:
    """samples: (n, channels) at `rate` Hz. spans: of samples, to regenerate. bands: of the spans, in Hz; None is all.

    config: of the checkpoint that regenerates them.
    """

    samples: np.ndarray
    rate: int
    spans: Sequence[Span]
    bands: Sequence[Band] | None
    config: ModelConfig

    @cached_property
    def centred(self) -> np.ndarray:
        """The samples without the mean of the kept ones, float32."""
        return (self.samples - self._kept(self.samples, self.rate).mean(0)).astype(np.float32)

    @cached_property
    def mono(self) -> np.ndarray:
        """All channels as one, (samples,) float32 at the checkpoint's rate, no shorter than the shortest clip."""
        rate = self.config.sample_rate
        count = max(int(np.ceil(MIN_DURATION * rate)), round(len(self.samples) * rate / self.rate))
        return resampled(downmixed(self.centred), self.rate, rate, count).astype(np.float32)

    @cached_property
    def scale(self) -> float:
        """The gain from the recording's level to that of the networks, measured on the kept samples only."""
        return scale_for_networks(self._kept(self.mono, self.config.sample_rate))

    @property
    def duration(self) -> float:
        """Seconds of `mono`."""
        return len(self.mono) / self.config.sample_rate

    @property
    def waveform(self) -> np.ndarray:
        """What the VAE encodes: `mono` at the networks' level."""
        return np.clip(self.scale * self.mono, -1, 1)

    @property
    def repeated(self) -> np.ndarray:
        """What AudioMAE encodes: the kept samples, repeated to its input length; the rest would count as silence."""
        rate = self.config.sample_rate
        sound = self._kept(self.waveform, rate)
        if len(sound) < SHORTEST_REPEAT_S * rate:
            return sound
        assert self.config.audiomae
        length = round((self.config.audiomae.frames * HOP_LENGTH / SAMPLE_RATE + 1) * rate)
        return np.tile(sound, -(-length // len(sound)))[:length]

    @property
    def keep_mask(self) -> np.ndarray:
        """(T, bands) float32, 1 = keep; 0 for every latent that any regenerated sample depends on."""
        config = self.config
        frames = latent_frames(config, len(self.mono))
        samples_per_frame = config.samples_per_latent * self.rate / config.sample_rate
        regenerated = np.ones(config.latent_bands, bool)
        if self.bands is not None:
            regenerated = latent_bands(self.bands, mel_config(config), config.vae.downsampling)
        mask = np.ones((frames, config.latent_bands), np.float32)
        for start, end in self.spans:
            # A span up to the end of the recording includes the latents behind it: nothing constrains the sound there.
            last = frames if end >= len(self.samples) else int(np.ceil(end / samples_per_frame))
            mask[int(start / samples_per_frame) : last, regenerated] = 0
        return mask

    def join(self, generated: np.ndarray, samples: np.ndarray, fade: int) -> None:
        """Write `generated` (n,), at the networks' rate and level, into the spans of `samples`, this segment's own.

        fade: samples before and behind each span over which one gives way to the other.
        """
        old = self.centred
        mono = resampled(generated, self.config.sample_rate, self.rate, len(old)) / self.scale
        new = np.repeat(mono[:, None], old.shape[1], 1)
        floor = FLOOR * NETWORK_PEAK / self.scale
        gains = self._gains_beside(old, new, floor)
        if self.bands is not None:
            taps = band_filter(self.bands, self.rate)
            old, new = filtered(old, taps), filtered(new, taps)
        if gains is None:
            # Frequencies above what the checkpoint's rate can hold are left out of the comparison.
            shared = filtered(old, band_filter([(0, self.config.sample_rate / 2)], self.rate))
            gains = gains_at_joins(shared, new, self.spans, round(COMPARED_S * self.rate), floor)
        for span, pair in zip(self.spans, gains, strict=True):
            join(samples, old, new, span, fade, pair)

    def _kept(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The part of `samples`, this segment at `rate`, outside all spans; all of it where that is next to nothing."""
        factor = rate / self.rate
        spans = [(round(start * factor), min(len(samples), round(end * factor))) for start, end in self.spans]
        rest = [samples[start:end] for start, end in complement(spans, len(samples))]
        return np.concatenate(rest) if sum(map(len, rest)) >= SHORTEST_LEVEL_S * rate else samples

    def _gains_beside(
        self, old: np.ndarray, new: np.ndarray, floor: float
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Gains by the levels in the neighbouring bands, if the spans cover all of the time; else None."""
        if self.bands is None or complement(self.spans, len(old)):
            return None
        beside = neighbours(self.bands, self.rate / 2)
        if not beside:
            return None
        taps = band_filter(beside, self.rate)
        measured = gain(filtered(old, taps), filtered(new, taps), floor)
        even = np.ones(old.shape[1]) if measured is None else measured
        return [(even, even)] * len(self.spans)
