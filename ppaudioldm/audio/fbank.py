"""The input of AudioMAE: Kaldi's log-mel filter bank, in NumPy."""

from __future__ import annotations

import functools

import numpy as np

from ppaudioldm.audio.mel import checked_waveform

SAMPLE_RATE = 16000  # Hz
FRAMES = 1024  # 10.255 s, in the published checkpoints
N_MELS = 128
FRAME_LENGTH = 400  # samples, 25 ms
HOP_LENGTH = 160  # samples, 10 ms
N_FFT = 512
F_MIN = 20.0  # Hz, where the lowest band starts; the highest ends at the Nyquist frequency
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)  # of a band's power
# Mean, and twice the standard deviation, of AudioMAE's training data.
MEAN = -4.2677393
SPREAD = 2 * 4.5689974


def audiomae_fbank(waveform: np.ndarray, frames: int = FRAMES) -> np.ndarray:
    """AudioMAE's input (frames, 128) float32, normalised, for `waveform` (samples,) at 16 kHz, floating point.

    Only the first (10 * frames + 15) ms are used, 10.255 s. A shorter recording is padded with frames of log-power 0,
    far above silence, because AudioMAE was trained so. Raises ValueError as `audio.mel.log_mel` does.
    """
    waveform = checked_waveform(waveform)
    fbank = log_fbank((waveform - waveform.mean())[: (frames - 1) * HOP_LENGTH + FRAME_LENGTH], N_MELS)
    padded = np.pad(fbank, ((0, frames - len(fbank)), (0, 0)))
    return ((padded - MEAN) / SPREAD).astype(np.float32)


def log_fbank(waveform: np.ndarray, n_mels: int) -> np.ndarray:
    """Kaldi's natural-log mel powers (frames, n_mels) of `waveform` (samples,) at 16 kHz.

    Frames lie wholly inside the waveform, so there are (samples - 400) // 160 + 1. A waveform shorter than one frame,
    for which Kaldi gives none, is padded with silence.
    """
    waveform = np.pad(waveform, (0, max(0, FRAME_LENGTH - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME_LENGTH)[::HOP_LENGTH]
    frames = frames - frames.mean(1, keepdims=True)
    # Kaldi applies the pre-emphasis to each frame alone: its first sample is its own predecessor.
    previous = np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    power = np.abs(np.fft.rfft((frames - PRE_EMPHASIS * previous) * np.hanning(FRAME_LENGTH), N_FFT)) ** 2
    return np.log(np.maximum(power @ htk_filters(n_mels).T, FLOOR))


@functools.lru_cache(maxsize=8)
def htk_filters(n_mels: int, f_min: float = F_MIN, f_max: float = SAMPLE_RATE / 2) -> np.ndarray:
    """Triangular filters (n_mels, 257): linear and evenly spaced on HTK's mel scale, with peaks of 1.

    By default Kaldi's. Of 128, the lowest are narrower than the spacing of the spectrum's bins; one that contains no
    bin is all zeros. f_min, f_max: Hz, where the lowest starts and the highest ends.
    """
    edges = np.linspace(_hertz_to_htk_mel(f_min), _hertz_to_htk_mel(f_max), n_mels + 2)
    start, peak, end = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = _hertz_to_htk_mel(np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1))
    triangles = np.minimum((bins - start) / (peak - start), (end - bins) / (end - peak))
    filters = np.maximum(triangles, 0)
    filters.setflags(write=False)  # shared by every caller
    return filters


def _hertz_to_htk_mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127 * np.log1p(np.asarray(hertz) / 700)
