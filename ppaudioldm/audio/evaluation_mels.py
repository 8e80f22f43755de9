"""The inputs of the networks that papers evaluate sounds with: VGGish and PANNs' Cnn14, in NumPy."""

from __future__ import annotations

import numpy as np

from ppaudioldm.audio.fbank import FRAME_LENGTH, HOP_LENGTH, N_FFT, htk_filters
from ppaudioldm.audio.mel import checked_waveform, stft_magnitude
from ppaudioldm.audio.mel_filters import MelConfig, mel_filters

VGGISH_SAMPLE_RATE = 16000  # Hz
N_MELS = 64
VGGISH_FRAMES = 96  # of an example: 0.96 s, the next one begins where it ends
VGGISH_RANGE_HZ = (125.0, 7500.0)
VGGISH_OFFSET = 0.01  # added to a band's magnitude before the logarithm
VGGISH_LEAST_SAMPLES = (VGGISH_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH  # of one example, 0.975 s

# Of the published variants by their sample rate in Hz; audioldm_eval has both.
MEL_CNN14 = {
    16000: MelConfig(16000, n_fft=512, hop_length=160, n_mels=N_MELS, f_min=50.0, f_max=8000.0),
    32000: MelConfig(32000, n_fft=1024, hop_length=320, n_mels=N_MELS, f_min=50.0, f_max=14000.0),
}
CNN14_LEAST_SAMPLES = 32000  # audioldm_eval fills up shorter clips with silence, at either rate


def vggish_examples(waveform: np.ndarray) -> np.ndarray:
    """VGGish's inputs (examples, 96, 64) float32 of `waveform` (samples,) at 16 kHz, floating point.

    Frames of 25 ms lie wholly inside the waveform; what is left after the last whole example is not used, so that a
    waveform of less than VGGISH_LEAST_SAMPLES has none. Raises ValueError as `audio.mel.log_mel` does.
    """
    waveform = checked_waveform(waveform)
    if len(waveform) < VGGISH_LEAST_SAMPLES:
        return np.zeros((0, VGGISH_FRAMES, N_MELS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME_LENGTH)[::HOP_LENGTH]
    frames = frames[: len(frames) // VGGISH_FRAMES * VGGISH_FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH)
    mel = np.abs(np.fft.rfft(frames * window, N_FFT)) @ htk_filters(N_MELS, *VGGISH_RANGE_HZ).T
    return np.log(mel + VGGISH_OFFSET).astype(np.float32).reshape(-1, VGGISH_FRAMES, N_MELS)


def cnn14_log_mel(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cnn14's input (frames, 64) float32, in dB, for `waveform` (samples,) at `sample_rate`, a key of MEL_CNN14.

    As in audioldm_eval the mean is subtracted, and a waveform of less than CNN14_LEAST_SAMPLES is filled up with
    silence. Raises ValueError as `audio.mel.log_mel` does.
    """
    waveform = checked_waveform(waveform)
    waveform = np.pad(waveform - waveform.mean(), (0, max(0, CNN14_LEAST_SAMPLES - len(waveform))))
    config = MEL_CNN14[sample_rate]
    power = stft_magnitude(waveform, config.n_fft, config.hop_length) ** 2
    return (10 * np.log10(np.maximum(power @ mel_filters(config).T, 1e-10))).astype(np.float32)
