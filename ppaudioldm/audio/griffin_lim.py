"""A vocoder without a network: fast Griffin-Lim from a log-mel spectrogram.

Fast Griffin-Lim (Perraudin, Balazs, Sondergaard, WASPAA 2013) estimates the phases. Unlike in the paper, the magnitudes
are not fixed, because only their mel bands are known: every iteration corrects those of the current waveform by bands.

What the bands do not tell, such as harmonics closer to each other than bands are, thus stays as in the initial
waveform: pulses at the mel's pitch where it has one, else noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from ppaudioldm.audio.limiter import limited
from ppaudioldm.audio.mel_filters import MEL_16K, MelConfig, mel_filters
from ppaudioldm.audio.mel_pitch import mel_pitch

ITERATIONS = 64
MOMENTUM = 0.99  # 0 is plain Griffin-Lim
SPREADING_STEPS = 30
# Between these, pulses and noise are mixed.
VOICED = 0.35, 0.6  # score of the pitch
PULSES_HZ = 2500.0, 5500.0
GROUND_DB = -50.0, -40.0  # of a band against the loudest of its frame
MAX_CORRECTION = 4.0  # factor on a band in one iteration, up or down
BLOCK_FRAMES = 128  # computed at once: they fit into a core's cache
REPORT_S = 0.05  # from one report to the next, at least
MAX_LOG_MEL = 20.0  # more is too large for a waveform
SMALL = np.float32(1e-9)


def griffin_lim(
    log_mel: np.ndarray,
    config: MelConfig = MEL_16K,
    seed: int = 0,
    iterations: int = ITERATIONS,
    on_step: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """A waveform (frames * hop_length,) float32 in [-1, 1] whose spectrogram is near `log_mel` (frames, n_mels).

    log_mel: natural logarithms, frame i centred on sample i * hop_length, as `audio.mel.log_mel` returns it. The
    initial noise is drawn with `seed`; the same arguments give the same waveform. on_step(done, total): called some 20
    times a second; what it raises ends the work. Raises ValueError for another shape, or for values that are not finite
    or too large for a waveform.
    """
    log_mel = np.asarray(log_mel)
    if log_mel.ndim != 2 or log_mel.shape[1] != config.n_mels or not len(log_mel):
        raise ValueError(f"expected a log-mel spectrogram (frames, {config.n_mels}), got shape {list(log_mel.shape)}")
    if not has_waveform(log_mel):
        raise ValueError(f"the log-mel spectrogram holds values that are not finite or above {MAX_LOG_MEL:g}")
    mel = np.exp(log_mel.astype(np.float32))
    bands, frames = _Bands(config), _Frames(len(mel), config)
    step = _counter(on_step, (2 + iterations) * len(list(frames.blocks())))
    waveform = _start(mel, config, bands, frames, seed, step)
    last = np.zeros((len(mel), config.n_fft // 2 + 1), np.complex64)
    for _ in range(iterations):
        following = frames.silence()
        for block in frames.blocks():
            spectrum = frames.spectrum(waveform, block)
            accelerated = spectrum + MOMENTUM * (spectrum - last[block])
            last[block] = spectrum
            magnitudes = np.abs(spectrum)
            magnitudes *= bands.gains(magnitudes, mel[block])
            frames.add(following, block, accelerated * (magnitudes / np.maximum(np.abs(accelerated), SMALL)))
            step()
        waveform = following / frames.weight
    # Estimated phases produce peaks beyond full scale.
    return limited(frames.inner(waveform), config.hop_length)


def has_waveform(log_mel: np.ndarray) -> bool:
    """Whether `griffin_lim` takes these values: finite, and not too large for a waveform."""
    return bool(np.isfinite(log_mel).all() and log_mel.max() <= MAX_LOG_MEL)


def _start(
    mel: np.ndarray, config: MelConfig, bands: _Bands, frames: _Frames, seed: int, step: Callable[[], None]
) -> np.ndarray:
    """The waveform to start from: pulses where the mel has a pitch, and noise."""
    random, pitch = np.random.default_rng(seed), mel_pitch(config)
    noise = np.empty((len(mel), config.n_fft // 2 + 1), np.complex64)
    scores = []
    for block in frames.blocks():
        magnitudes = bands.spread(mel[block])
        scores.append(pitch.scores(mel[block], magnitudes))
        phases = random.random(magnitudes.shape, np.float32) * np.float32(2 * np.pi)
        noise[block] = magnitudes * np.exp(1j * phases)
        step()
    hertz, score = pitch.track(np.concatenate(scores))
    voiced = _faded_in(score, *VOICED)[:, None]
    below = 1 - _faded_in(np.linspace(0, config.sample_rate / 2, noise.shape[1]), *PULSES_HZ)
    pulses = frames.pulses(hertz, voiced[:, 0] > 0, config.sample_rate)
    waveform = frames.silence()
    for block in frames.blocks():
        spectrum = frames.spectrum(pulses, block)
        gains = bands.gains(np.abs(spectrum), mel[block], np.inf)
        floored = np.maximum(mel[block], SMALL)
        level = 20 * np.log10(floored / floored.max(1, keepdims=True))  # a recording's ground is noise
        loud = _faded_in(level, *GROUND_DB) @ bands.shares
        share = np.clip(voiced[block] * below * loud, 0, 1).astype(np.float32)  # of the power
        frames.add(waveform, block, np.sqrt(share) * gains * spectrum + np.sqrt(1 - share) * noise[block])
        step()
    return waveform / frames.weight


def _faded_in(x: np.ndarray, none: float, all_of_it: float) -> np.ndarray:
    return np.clip((x - none) / (all_of_it - none), 0, 1)


def _counter(on_step: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    """A function to call after each of `total` steps, which reports them to `on_step`: not all, but the last."""
    done, reported = 0, time.perf_counter()

    def step() -> None:
        nonlocal done, reported
        done += 1
        now = time.perf_counter()
        if on_step is not None and (done == total or now >= reported + REPORT_S):
            reported = now
            on_step(done, total)

    return step


class _Bands:
    """Fits magnitudes (frames, bins) to mel bands (frames, n_mels), neither of them logarithmic."""

    def __init__(self, config: MelConfig) -> None:
        self.filters = mel_filters(config).astype(np.float32)
        coverage = self.filters.sum(0)
        # The weight of each band's correction in a bin; 0 in bins that no band covers, at 0 Hz and above `f_max`.
        self.shares = self.filters / np.where(coverage > 0, coverage, 1)

    def spread(self, mel: np.ndarray) -> np.ndarray:
        """Magnitudes from the mel alone: each band evenly over its bins, then Richardson-Lucy iterations.

        These work with ratios, so that loud and soft bands are fitted alike; least squares would neglect the soft ones.
        """
        magnitudes = (mel / self.filters.sum(1)) @ self.shares
        for _ in range(SPREADING_STEPS):
            magnitudes *= (mel / np.maximum(magnitudes @ self.filters.T, SMALL)) @ self.shares
        return magnitudes

    def gains(self, magnitudes: np.ndarray, mel: np.ndarray, largest: float = MAX_CORRECTION) -> np.ndarray:
        """Factors of each bin that bring the bands of `magnitudes` nearer to `mel`, from 1 / largest to largest."""
        ratios = mel / np.maximum(magnitudes @ self.filters.T, SMALL)
        return np.clip(ratios, 1 / largest, largest) @ self.shares


class _Frames:
    """The STFT and its inverse, for a waveform padded by half a frame before the first frame and after the last."""

    def __init__(self, count: int, config: MelConfig) -> None:
        self.count, self.hop, self.size = count, config.hop_length, config.n_fft
        self.window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / self.size)).astype(np.float32)
        weight = self.silence()
        for block in self.blocks():
            self._overlap_add(weight, block, np.broadcast_to(self.window**2, (block.stop - block.start, self.size)))
        self.weight = np.maximum(weight, np.float32(1e-3))  # close to 0 at the outer ends, which `inner` cuts off

    def blocks(self) -> Iterator[slice]:
        for start in range(0, self.count, BLOCK_FRAMES):
            yield slice(start, min(start + BLOCK_FRAMES, self.count))

    def silence(self) -> np.ndarray:
        return np.zeros((self.count - 1) * self.hop + self.size, np.float32)

    def pulses(self, hertz: np.ndarray, voiced: np.ndarray, sample_rate: int) -> np.ndarray:
        """Pulses at `hertz` (frames,), of which only those count that are `voiced`."""
        waveform = self.silence()
        if not voiced.any():
            return waveform
        frame = (np.arange(len(waveform)) - self.size // 2) / self.hop
        cycles = np.cumsum(np.interp(frame, np.flatnonzero(voiced), hertz[voiced]) / sample_rate)
        before = np.flatnonzero(np.diff(np.floor(cycles)))  # a pulse is between this sample and the next
        share = (np.ceil(cycles[before]) - cycles[before]) / np.diff(cycles)[before]
        waveform[before], waveform[before + 1] = 1 - share, share
        return waveform

    def spectrum(self, waveform: np.ndarray, block: slice) -> np.ndarray:
        """The spectra of the frames in `block`, (frames, bins) complex64."""
        windows = np.lib.stride_tricks.sliding_window_view(waveform, self.size)[:: self.hop]
        return np.fft.rfft(windows[block] * self.window).astype(np.complex64)

    def add(self, waveform: np.ndarray, block: slice, spectrum: np.ndarray) -> None:
        """Add the inverse transform of `spectrum`, of the frames in `block`, to `waveform`, in place."""
        self._overlap_add(waveform, block, np.fft.irfft(spectrum, self.size).astype(np.float32) * self.window)

    def _overlap_add(self, waveform: np.ndarray, block: slice, frames: np.ndarray) -> None:
        # One column of the frames, a hop wide, at a time: these do not overlap.
        target = waveform[block.start * self.hop :]
        for column in range(0, self.size, self.hop):
            width = min(self.hop, self.size - column)
            columns = np.lib.stride_tricks.sliding_window_view(target[column:], width, writeable=True)[:: self.hop]
            columns[: len(frames)] += frames[:, column : column + width]

    def inner(self, waveform: np.ndarray) -> np.ndarray:
        """The waveform from the centre of the first frame to one hop after the centre of the last."""
        start = self.size // 2
        return waveform[start : start + self.count * self.hop]
