"""Against transformers' filter bank, and PyTorch's STFT and bicubic interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers.audio_utils

from ppaudioldm.audio.clap_mel import CLAP_FRAMES, MEL_CLAP, clap_log_mel
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, MelConfig, mel_filters
from tests.audio.test_mel import waveform
from tests.support import relative_error, save_golden


def reference_filters(config: MelConfig) -> np.ndarray:
    return transformers.audio_utils.mel_filter_bank(
        config.n_fft // 2 + 1, config.n_mels, config.f_min, config.f_max, config.sample_rate, "slaney", "slaney"
    ).T


def reference_magnitude(samples: np.ndarray, config: MelConfig) -> torch.Tensor:
    window = torch.hann_window(config.n_fft, dtype=torch.float64)
    spectrum = torch.stft(
        torch.from_numpy(samples).double(), config.n_fft, config.hop_length, window=window, return_complex=True
    )
    return spectrum.abs()


def reference_log_mel(samples: np.ndarray, config: MelConfig) -> np.ndarray:
    mel = torch.from_numpy(reference_filters(config)) @ reference_magnitude(samples, config)
    return mel.clamp(min=1e-5).log().T.numpy()


def reference_clap_log_mel(samples: np.ndarray) -> np.ndarray:
    power = torch.from_numpy(reference_filters(MEL_CLAP)) @ reference_magnitude(samples, MEL_CLAP) ** 2
    decibels = 10 * power.clamp(min=1e-10).log10().T[None, None]
    size = (CLAP_FRAMES, MEL_CLAP.n_mels)
    return torch.nn.functional.interpolate(decibels, size, mode="bicubic", align_corners=True)[0].numpy()


@pytest.mark.parametrize("config", [MEL_16K, MEL_48K, MEL_CLAP])
def test_filters(config):
    np.testing.assert_allclose(mel_filters(config), reference_filters(config), atol=1e-9)


@pytest.mark.parametrize("config", [MEL_16K, MEL_48K])
def test_log_mel(config):
    samples = waveform(50000)
    error = relative_error(log_mel(samples, config), reference_log_mel(samples, config))
    print(f"log_mel: relative error {error:.1e}")
    assert error <= 1e-5


@pytest.mark.parametrize("samples", [600, 50000, 480000])
def test_clap_log_mel(samples):
    samples = waveform(samples)
    error = relative_error(clap_log_mel(samples), reference_clap_log_mel(samples))
    print(f"clap_log_mel: relative error {error:.1e}")
    assert error <= 1e-5


def test_golden_input(request):
    samples = waveform(4000)
    golden = {
        "mel_16k": reference_log_mel(samples, MEL_16K),
        "mel_48k": reference_log_mel(samples, MEL_48K),
        "clap": reference_clap_log_mel(samples)[0, ::64],
    }
    assert relative_error(clap_log_mel(samples)[0, ::64], golden["clap"]) <= 1e-5
    if request.config.getoption("--write-golden"):
        save_golden("mel", **{name: array.astype(np.float32) for name, array in golden.items()})
