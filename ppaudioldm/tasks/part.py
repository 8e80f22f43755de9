"""A stretch of a recording that is generated at once: as the network gets it, and joined with what comes of it."""

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

TELLING = 0.1  # seconds of what is kept, at least, to tell a level; else all of the part does
FAMILIAR = 1.0  # seconds of what is kept, at least, to repeat for AudioMAE: less would become a tone
FLOOR = 2e-4  # of the recording's peak: what is never louder has no level (74 dB below)


@dataclass(frozen=True)
class Part:
    """samples: (n, channels) at `rate`. spans: what of them is made anew. bands: of the spans, in Hz; None is all.

    config: of the checkpoint that does it, which hears them as `mono`.
    """

    samples: np.ndarray
    rate: int
    spans: Sequence[Span]
    bands: Sequence[Band] | None
    config: ModelConfig

    @cached_property
    def centred(self) -> np.ndarray:
        """The samples without their mean, float32."""
        return (self.samples - self._kept(self.samples, self.rate).mean(0)).astype(np.float32)

    @cached_property
    def mono(self) -> np.ndarray:
        """What of them the network hears, (samples,) float32 at its rate and level, as long as the shortest clip."""
        rate = self.config.sample_rate
        count = max(int(np.ceil(MIN_DURATION * rate)), round(len(self.samples) * rate / self.rate))
        return resampled(downmixed(self.centred), self.rate, rate, count).astype(np.float32)

    @cached_property
    def scale(self) -> float:
        """What the networks' level is above the recording's; what is made anew has no say in it."""
        return scale_for_networks(self._kept(self.mono, self.config.sample_rate))

    @property
    def duration(self) -> float:
        """Seconds of what the network hears."""
        return len(self.mono) / self.config.sample_rate

    @property
    def waveform(self) -> np.ndarray:
        """What the network hears, at its level."""
        return np.clip(self.scale * self.mono, -1, 1)

    @property
    def familiar(self) -> np.ndarray:
        """What is kept, again and again until AudioMAE's ear is full: it would take the rest for silence."""
        rate = self.config.sample_rate
        sound = self._kept(self.waveform, rate)
        if len(sound) < FAMILIAR * rate:
            return sound
        assert self.config.audiomae
        heard = round((self.config.audiomae.frames * HOP_LENGTH / SAMPLE_RATE + 1) * rate)
        return np.tile(sound, -(-heard // len(sound)))[:heard]

    @property
    def keep(self) -> np.ndarray:
        """(T, bands) float32, 1 = keep; of the latents every one that has a share in what is made anew is 0."""
        config = self.config
        frames = latent_frames(config, len(self.mono))
        per_frame = config.samples_per_latent * self.rate / config.sample_rate
        held = np.ones(config.latent_bands, bool)
        if self.bands is not None:
            held = latent_bands(self.bands, mel_config(config), config.vae.downsampling)
        keep = np.ones((frames, config.latent_bands), np.float32)
        for start, end in self.spans:
            # Behind the end of the recording the network may go on as it likes, if it may up to there.
            last = frames if end >= len(self.samples) else int(np.ceil(end / per_frame))
            keep[int(start / per_frame) : last, held] = 0
        return keep

    def _kept(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """What of `samples`, which are ours at `rate`, stays at all frequencies; all where next to nothing does."""
        factor = rate / self.rate
        spans = [(round(start * factor), min(len(samples), round(end * factor))) for start, end in self.spans]
        rest = [samples[start:end] for start, end in complement(spans, len(samples))]
        return np.concatenate(rest) if sum(map(len, rest)) >= TELLING * rate else samples

    def join(self, made: np.ndarray, samples: np.ndarray, fade: int) -> None:
        """Put what the network made, (n,) as `waveform` is, into the spans of `samples`, which are ours so far."""
        old = self.centred
        mono = resampled(made, self.config.sample_rate, self.rate, len(old)) / self.scale
        new = np.repeat(mono[:, None], old.shape[1], 1)
        floor = FLOOR * NETWORK_PEAK / self.scale
        gains = self._gains_beside(old, new, floor)
        if self.bands is not None:
            taps = band_filter(self.bands, self.rate)
            old, new = filtered(old, taps), filtered(new, taps)
        if gains is None:
            # What the checkpoint's rate cannot hold has no part in the comparison.
            shared = filtered(old, band_filter([(0, self.config.sample_rate / 2)], self.rate))
            gains = gains_at_joins(shared, new, self.spans, round(COMPARED_S * self.rate), floor)
        for span, pair in zip(self.spans, gains, strict=True):
            join(samples, old, new, span, fade, pair)

    def _gains_beside(
        self, old: np.ndarray, new: np.ndarray, floor: float
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Where all of the time is made anew, levels are compared in the bands beside; None where it is not."""
        if self.bands is None or complement(self.spans, len(old)):
            return None
        beside = neighbours(self.bands, self.rate / 2)
        if not beside:
            return None
        taps = band_filter(beside, self.rate)
        found = gain(filtered(old, taps), filtered(new, taps), floor)
        even = np.ones(old.shape[1]) if found is None else found
        return [(even, even)] * len(self.spans)
