"""The pitch of a sound over time, from its mel spectrogram alone.

Two signs are multiplied: the fit of a comb of harmonics to the fine structure of the bands, which knows the octave, and
the autocorrelation of the magnitudes behind them, which is exact. The pitch is the best path (Viterbi). Below some
90 Hz, twice the distance of the lowest bands, neither is reliable.
"""

from __future__ import annotations

import functools

import numpy as np

from ppaudioldm.audio.mel_filters import MelConfig, mel_edges, mel_filters

LOWEST_HZ, HIGHEST_HZ = 60.0, 1300.0
STEPS_PER_OCTAVE = 48
COMB_HZ, AUTOCORRELATION_HZ = 2000.0, 3000.0  # above, bands are too wide for harmonics
ENVELOPE_HZ = 100.0  # to either side: what is wider is no fine structure
OCTAVE_BONUS = 0.02  # for each octave: a sound with a period has one of twice the length too
SHARES_OF_STEP = 8  # pitches are rounded to these, so that rounding errors of the mel do not change them
LARGEST_STEP = 4  # candidates from one frame to the next, each of which costs STEP_COST; any jump costs JUMP_COST
STEP_COST, JUMP_COST = 0.01, 0.5


class MelPitch:
    """Finds pitches in mel spectrograms with the parameters `config`."""

    def __init__(self, config: MelConfig) -> None:
        lowest = max(LOWEST_HZ, 2.1 * config.sample_rate / config.n_fft)  # two periods in a frame
        octaves = np.log2(HIGHEST_HZ / lowest)
        self.hertz = lowest * 2 ** (np.arange(octaves * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)
        edges = mel_edges(config)
        self._radius = max(1, round(ENVELOPE_HZ / (edges[1] - edges[0])))  # bands
        self._bands = int((edges[1:-1] < COMB_HZ).sum())
        bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
        self._below = np.clip((AUTOCORRELATION_HZ - bins) / 500 + 0.5, 0, 1)
        self._lags = config.sample_rate / self.hertz
        # The autocorrelation of frames falls with the lag, as that of their window does.
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
        self._taper = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * config.n_fft)) ** 2)[: config.n_fft // 2]
        self._combs = self._fine_structure(_combs(self.hertz, bins) @ mel_filters(config).T)
        self._combs /= np.linalg.norm(self._combs, axis=1, keepdims=True)

    def scores(self, mel: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """How well each of the pitches `hertz` fits, (frames, candidates), at most about 1.

        mel (frames, n_mels), not logarithmic; magnitudes (frames, bins): an estimate of those behind it.
        """
        structure = self._fine_structure(mel)
        combs = structure @ self._combs.T / (np.linalg.norm(structure, axis=1, keepdims=True) + 0.3)
        correlation = np.fft.irfft(magnitudes.astype(np.float64) ** 2 * self._below)[:, : len(self._taper)]
        correlation = correlation / (correlation[:, :1] + 1e-9) / (self._taper / self._taper[0])
        below = self._lags.astype(int)
        share = self._lags - below
        periodicity = (1 - share) * correlation[:, below] + share * correlation[:, below + 1]
        periodicity += OCTAVE_BONUS * np.log2(self.hertz / self.hertz[0])
        return np.sqrt(np.maximum(combs, 0) * np.maximum(periodicity, 0)).astype(np.float32)

    def track(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pitch in Hz of each frame, (frames,), and its score."""
        frames, count = scores.shape
        candidates = np.arange(count)
        steps = np.arange(-LARGEST_STEP, LARGEST_STEP + 1)[:, None]
        sources = np.clip(candidates + steps, 0, count - 1)
        came_from = np.empty((frames, count), np.int16)
        best = scores[0]
        for i in range(1, frames):
            reached = best[sources] - STEP_COST * np.abs(steps)
            step = reached.argmax(0)
            gained, jump = reached[step, candidates], best.argmax()
            is_jump = best[jump] - JUMP_COST > gained
            came_from[i] = np.where(is_jump, jump, sources[step, candidates])
            best = scores[i] + np.where(is_jump, best[jump] - JUMP_COST, gained)
        path = np.full(frames, best.argmax())
        for i in range(frames - 1, 0, -1):
            path[i - 1] = came_from[i, path[i]]
        path, rows = np.clip(path, 1, count - 2), np.arange(frames)
        left, middle, right = (scores[rows, path + k] for k in (-1, 0, 1))
        # The vertex of a parabola.
        offset = np.clip((right - left) / (2 * np.maximum(2 * middle - left - right, 1e-9)), -0.5, 0.5)
        path = np.round((path + offset) * SHARES_OF_STEP) / SHARES_OF_STEP
        return self.hertz[0] * np.exp2(path / STEPS_PER_OCTAVE), middle

    def _fine_structure(self, mel: np.ndarray) -> np.ndarray:
        """The logarithms of the lowest bands without their envelope, (frames, bands), each of mean 0."""
        radius, low = self._radius, mel[:, : self._bands + self._radius]
        logs = np.log(low + 1e-3 * low.max(1, keepdims=True) + 1e-7)
        sums = np.pad(logs, ((0, 0), (radius + 1, radius)), "edge").cumsum(1)
        width = 2 * radius + 1
        fine = (logs - (sums[:, width:] - sums[:, :-width]) / width)[:, : self._bands]
        return fine - fine.mean(1, keepdims=True)


mel_pitch = functools.lru_cache(maxsize=2)(MelPitch)


def _combs(hertz: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Magnitudes (pitches, bins) of harmonics of one level under a Hann window."""
    harmonic = np.maximum(np.round(bins / hertz[:, None]), 1)
    distance = (bins - harmonic * hertz[:, None]) / bins[1]  # in bins
    return np.abs(np.sinc(distance) + 0.5 * np.sinc(distance - 1) + 0.5 * np.sinc(distance + 1))
