"""A segment of a recording that is generated in one go: the networks' inputs, and how the result is joined to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ppaudioldm.audio.bands import Band, band_filter, filtered, latent_bands, neighbours
from ppaudioldm.audio.clap_mel import CLAP_MAX_SAMPLES, CLAP_SAMPLE_RATE
from ppaudioldm.audio.fbank import HOP_LENGTH, SAMPLE_RATE
from ppaudioldm.audio.joins import COMPARED_S, Span, complement, gain, gain_ramp, gains_at_joins, join
from ppaudioldm.audio.levels import channel_loudness, gain_to_loudness, limiter_block
from ppaudioldm.audio.loudness import ABSOLUTE_GATE
from ppaudioldm.audio.recording import NETWORK_PEAK, downmixed, resampled, scale_for_networks
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.decoding import latent_frames, mel_config
from ppaudioldm.generation.options import MIN_DURATION

SHORTEST_LEVEL_S = 0.1  # seconds of kept samples from which a level can be measured; with less, all samples count
SHORTEST_REPEAT_S = 1.0  # seconds of kept samples that can be repeated for AudioMAE: less would become a tone
FLOOR = 2e-4  # of the recording's peak, -74 dB: what is never louder has no level
# LU by which a generated part may be louder or softer than what it replaces, or than its surroundings where it replaces
# silence. Within these, its level at the joins decides.
REPLACED_LU = 1.5
SURROUNDINGS_LU = 2.5


@dataclass(frozen=True)
class Segment:
    """samples: (n, channels) at `rate` Hz. spans: of samples, to regenerate. bands: of the spans, in Hz; None is all.

    config: of the checkpoint that regenerates them. absent: the recording has nothing in these bands yet, but for what
    a filter's transition band holds.
    """

    samples: np.ndarray
    rate: int
    spans: Sequence[Span]
    bands: Sequence[Band] | None
    config: ModelConfig
    absent: bool = False

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
        """What AudioMAE or CLAP encodes: the kept samples, repeated to its input length; the rest would count as
        silence."""
        rate = self.config.sample_rate
        sound = self._kept(self.waveform, rate)
        if len(sound) < SHORTEST_REPEAT_S * rate:
            return sound
        mae = self.config.audiomae
        seconds = mae.frames * HOP_LENGTH / SAMPLE_RATE if mae else CLAP_MAX_SAMPLES / CLAP_SAMPLE_RATE
        length = round((seconds + 1) * rate)
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

    def join(self, generated: np.ndarray, samples: np.ndarray, fade: int, limit: float) -> None:
        """Write `generated` (n,), at the networks' rate and level, into the spans of `samples`, this segment's own.

        In each channel it gets the loudness of what it replaces, see `_loudness_range`. fade: samples before and behind
        each span over which one gives way to the other. limit: the largest amplitude of the result.
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
        for index, (span, pair) in enumerate(zip(self.spans, gains, strict=True)):
            matched = self._matched(index, old, new, samples, pair, limit)
            join(samples, old, new, span, fade, matched, limit, limiter_block(self.rate))

    def _matched(
        self,
        index: int,
        old: np.ndarray,
        new: np.ndarray,
        samples: np.ndarray,
        gains: tuple[np.ndarray, np.ndarray],
        limit: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`gains` of `new` at the start and the end of span `index`, corrected to the loudness that it should have.

        old, new, samples, limit: as for `joins.join`.
        """
        inside = slice(*self.spans[index])
        lowest, highest = self._loudness_range(index, old)
        added = new[inside] * gain_ramp(self.spans[index], self.spans[index], gains)
        rest = samples[inside] - old[inside]
        factors = [
            gain_to_loudness(added[:, channel], rest[:, channel], lowest[channel], highest[channel], self.rate, limit)
            for channel in range(added.shape[1])
        ]
        return gains[0] * factors, gains[1] * factors

    def _loudness_range(self, index: int, old: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest loudness in LUFS, (channels,) each, that a sound in span `index` may have.

        old: the bands of the recording that are replaced. The range lies around the loudness of what is replaced; where
        that is silent or `absent`, of what surrounds it: the same bands beside the span, then the neighbouring bands
        within it, then the same bands of all that is kept. Where all of these are silent, the generated sound has the
        level of the network's training data, but a band is no louder than all that is kept.
        """
        start, end = self.spans[index]
        rest = complement(self.spans, len(old))
        compared = round(COMPARED_S * self.rate)
        beside = [
            old[max(a, start - compared) : min(b, end + compared)] for a, b in rest if start in (b, a) or end in (a, b)
        ]
        neighbouring = neighbours(self.bands, self.rate / 2) if self.bands is not None else []

        def candidates() -> Iterator[tuple[np.ndarray, float]]:
            if not self.absent:
                yield old[start:end], REPLACED_LU
            yield np.concatenate([*beside, old[:0]]), SURROUNDINGS_LU
            if neighbouring:
                taps = band_filter(neighbouring, self.rate)
                yield filtered(self.centred, taps)[start:end], SURROUNDINGS_LU
            yield np.concatenate([*(old[a:b] for a, b in rest), old[:0]]), SURROUNDINGS_LU

        for sound, tolerance in candidates():
            found = channel_loudness(sound, self.rate)
            if found.max() > -np.inf:
                audible = np.where(found > -np.inf, ABSOLUTE_GATE, -np.inf)
                return np.maximum(found - tolerance, audible), found + tolerance
        most = channel_loudness(self.centred, self.rate) if self.bands is not None else np.full(old.shape[1], -np.inf)
        unbounded = np.full(old.shape[1], np.inf)
        return -unbounded, most if most.max() > -np.inf else unbounded

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
