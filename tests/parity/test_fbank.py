"""Against Kaldi's own arithmetic (kaldi-native-fbank), and transformers' feature extractor for AST.

That has AudioMAE's front end but for the statistics. Kaldi's refuses its 128 bands, because one of them is empty.
"""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
import pytest
import transformers

from ppaudioldm.audio.fbank import MEAN, SPREAD, audiomae_fbank, log_fbank
from tests.audio.test_fbank import LONGEST, log_units
from tests.audio.test_mel import waveform
from tests.support import save_golden


def kaldi_log_fbank(samples: np.ndarray, n_mels: int) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = n_mels
    options.use_energy = False
    options.htk_compat = True
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(16000, samples.tolist())
    computer.input_finished()
    return np.array([computer.get_frame(index) for index in range(computer.num_frames_ready)])


def reference_fbank(samples: np.ndarray) -> np.ndarray:
    extractor = transformers.ASTFeatureExtractor(mean=MEAN, std=SPREAD / 2)
    return extractor(samples - samples.mean(), sampling_rate=16000, return_tensors="np")["input_values"][0]


@pytest.mark.parametrize("n_mels", [80, 124])
@pytest.mark.parametrize("samples", [400, 16000])
def test_log_fbank(n_mels, samples):
    samples = waveform(samples)
    expected = kaldi_log_fbank(samples, n_mels)
    actual = log_fbank(samples.astype(np.float64), n_mels)
    assert actual.shape == expected.shape
    error = np.abs(actual - expected).max()
    print(f"log_fbank: largest error {error:.1e}")
    assert error <= 1e-3  # Kaldi's single precision shows where a band has hardly any weight


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize("samples", [400, 4000, LONGEST + 50000])
def test_audiomae_fbank(samples, request):
    expected = reference_fbank(waveform(samples))
    actual = audiomae_fbank(waveform(samples))
    assert actual.shape == expected.shape
    error = np.abs(log_units(actual) - log_units(expected)).max()
    print(f"audiomae_fbank: largest error {error:.1e}")
    assert error <= 1e-3
    if samples == 4000 and request.config.getoption("--write-golden"):
        save_golden("fbank", log_fbank=log_units(expected[:24:4]).astype(np.float32))
