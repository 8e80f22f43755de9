"""Log-mel spectrogram -> waveform without a network: the yardstick that a trained vocoder must beat.

The mel bands are spread over the bins of a spectrum, whose phases fast Griffin-Lim (Perraudin, Balazs, Sondergaard,
WASPAA 2013) then finds. Unlike there, the magnitudes are not fixed: only their mel bands are known, so every iteration
takes those that the waveform has and corrects them band by band. It brings the result twice as near to the mel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppaudioldm.audio.mel import MEL_16K, MelConfig, mel_filters

ITERATIONS = 64
MOMENTUM = 0.99  # 0 is plain Griffin-Lim
SPREADING_STEPS = 30
MAX_CORRECTION = 4.0  # of a band in one iteration, up or down
BLOCK = 128  # frames computed at a time: as many as a core's cache holds, and memory stays small for long clips
SMALL = np.float32(1e-9)


def griffin_lim(
    log_mel: np.ndarray, config: MelConfig = MEL_16K, seed: int = 0, iterations: int = ITERATIONS
) -> np.ndarray:
    """A waveform (frames * hop_length,) float32 in [-1, 1] whose spectrogram is near `log_mel` (frames, n_mels).

    log_mel is natural, its frame i centred on sample i * hop_length, as `audio.mel.log_mel` makes it. The first phases
    are drawn by `seed`; the same arguments give the same waveform. Raises ValueError on another shape, or on values
    that are not finite or too large for a waveform.
    """
    log_mel = np.asarray(log_mel)
    if log_mel.ndim != 2 or log_mel.shape[1] != config.n_mels or not len(log_mel):
        raise ValueError(f"expected a log-mel spectrogram (frames, {config.n_mels}), got shape {list(log_mel.shape)}")
    if not np.isfinite(log_mel).all() or log_mel.max() > 20:
        raise ValueError("the log-mel spectrogram holds values that are not finite or above 20")
    mel = np.exp(log_mel.astype(np.float32))
    bands, frames = _Bands(config), _Frames(len(mel), config)
    waveform = frames.silence()
    random = np.random.default_rng(seed)
    for part in frames.blocks():
        magnitudes = bands.spread(mel[part])
        phases = random.random(magnitudes.shape, np.float32) * np.float32(2 * np.pi)
        frames.add(waveform, part, magnitudes * np.exp(1j * phases))
    waveform /= frames.weight
    last = np.zeros((len(mel), config.n_fft // 2 + 1), np.complex64)
    for _ in range(iterations):
        following = frames.silence()
        for part in frames.blocks():
            spectrum = frames.spectrum(waveform, part)
            guess = spectrum + MOMENTUM * (spectrum - last[part])
            last[part] = spectrum
            magnitudes = bands.corrected(np.abs(spectrum), mel[part])
            frames.add(following, part, guess * (magnitudes / np.maximum(np.abs(guess), SMALL)))
        waveform = following / frames.weight
    return limited(frames.inner(waveform), config.hop_length)


def limited(waveform: np.ndarray, block: int) -> np.ndarray:
    """`waveform` made softer around what is above 1, so that nothing is: found phases have peaks of their own.

    To cut them off would be heard, and so would all of a clip being softer. The gain changes over two blocks.
    """
    padded = np.pad(np.abs(waveform), (block, block - len(waveform) % block + block))
    peaks = padded[: len(padded) // block * block].reshape(-1, block).max(1)
    # Every block's gain is low enough for its neighbours too, and so is any that lies between two of them.
    gains = 1 / np.maximum(1, np.maximum(peaks[1:-1], np.maximum(peaks[:-2], peaks[2:])))
    centres = block * (np.arange(len(gains)) + 0.5)
    softer = waveform * np.interp(np.arange(len(waveform)), centres, gains)
    return softer.clip(-1, 1).astype(np.float32)  # rounding may leave a peak a hair above


class _Bands:
    """Magnitudes (frames, bins) that agree with mel bands (frames, n_mels), neither of them logarithmic."""

    def __init__(self, config: MelConfig) -> None:
        self.filters = mel_filters(config).astype(np.float32)
        heard = self.filters.sum(0)
        # How much of a band's correction reaches a bin; none where no band listens, at 0 Hz and above `f_max`.
        self.shares = self.filters / np.where(heard > 0, heard, 1)

    def spread(self, mel: np.ndarray) -> np.ndarray:
        """Magnitudes from the mel alone: each band evenly over its bins, then moved to where all bands agree it is.

        By ratios (Richardson-Lucy), which serve loud and soft bands alike: least squares would sacrifice the soft ones.
        """
        magnitudes = (mel / self.filters.sum(1)) @ self.shares
        for _ in range(SPREADING_STEPS):
            magnitudes *= (mel / np.maximum(magnitudes @ self.filters.T, SMALL)) @ self.shares
        return magnitudes

    def corrected(self, magnitudes: np.ndarray, mel: np.ndarray) -> np.ndarray:
        """`magnitudes` with their bands brought nearer to `mel`."""
        ratios = mel / np.maximum(magnitudes @ self.filters.T, SMALL)
        return magnitudes * (np.clip(ratios, 1 / MAX_CORRECTION, MAX_CORRECTION) @ self.shares)


class _Frames:
    """Short-time Fourier transform of a waveform that reaches half a frame beyond the first and the last frame."""

    def __init__(self, count: int, config: MelConfig) -> None:
        self.count, self.hop, self.size = count, config.hop_length, config.n_fft
        self.window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / self.size)).astype(np.float32)
        weight = self.silence()
        for part in self.blocks():
            self._overlap_add(weight, part, np.broadcast_to(self.window**2, (part.stop - part.start, self.size)))
        self.weight = np.maximum(weight, np.float32(1e-3))  # hardly any at the outer ends, which `inner` leaves out

    def blocks(self) -> Iterator[slice]:
        for start in range(0, self.count, BLOCK):
            yield slice(start, min(start + BLOCK, self.count))

    def silence(self) -> np.ndarray:
        return np.zeros((self.count - 1) * self.hop + self.size, np.float32)

    def spectrum(self, waveform: np.ndarray, part: slice) -> np.ndarray:
        """(frames of `part`, bins) complex64."""
        windows = np.lib.stride_tricks.sliding_window_view(waveform, self.size)[:: self.hop]
        return np.fft.rfft(windows[part] * self.window).astype(np.complex64)

    def add(self, waveform: np.ndarray, part: slice, spectrum: np.ndarray) -> None:
        """Add to `waveform` what the frames of `part` sound like with `spectrum`."""
        self._overlap_add(waveform, part, np.fft.irfft(spectrum, self.size).astype(np.float32) * self.window)

    def _overlap_add(self, waveform: np.ndarray, part: slice, frames: np.ndarray) -> None:
        # A column of samples one hop wide at a time: in each the frames do not overlap.
        target = waveform[part.start * self.hop :]
        for column in range(0, self.size, self.hop):
            width = min(self.hop, self.size - column)
            places = np.lib.stride_tricks.sliding_window_view(target[column:], width, writeable=True)[:: self.hop]
            places[: len(frames)] += frames[:, column : column + width]

    def inner(self, waveform: np.ndarray) -> np.ndarray:
        """The waveform from the centre of the first frame to one hop after the centre of the last."""
        start = self.size // 2
        return waveform[start : start + self.count * self.hop]
