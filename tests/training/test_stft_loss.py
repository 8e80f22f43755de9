"""Spectra that a gradient passes through are those of the NumPy front-end."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.audio import mel
from ppaudioldm.training import stft_loss
from tests.support import noise, relative_error


def tensors(*arrays: np.ndarray):
    return [framework.from_numpy(array) for array in arrays]


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (1024, 160), (1024, 256)])
def test_magnitudes_are_those_of_numpy(n_fft, hop):
    waveform = noise(2, 3000)
    (x,) = tensors(waveform)
    actual = framework.to_numpy(stft_loss.stft_magnitude(stft_loss.pad_by_reflection(x, n_fft), n_fft, hop))
    expected = np.stack([mel.stft_magnitude(row.astype(np.float64), n_fft, hop) for row in waveform])
    assert relative_error(actual, expected) < 1e-4


def test_log_mel_is_that_of_numpy():
    waveform = noise(2, 4000) * 0.1
    waveform[1, 2000:] = 0
    actual = framework.to_numpy(stft_loss.differentiable_log_mel(*tensors(waveform)))
    assert np.abs(actual - np.stack([mel.log_mel(row) for row in waveform])).max() < 5e-3


def loss_by_definition(predicted: np.ndarray, target: np.ndarray) -> float:
    """Spectral convergence and log-magnitude L1 (arXiv:1910.11480), by NumPy's Fourier transform."""
    terms = []
    for n_fft, hop in stft_loss.RESOLUTIONS:
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        starts = range(0, target.shape[1] - n_fft + 1, hop)
        p, t = (
            np.abs(np.fft.rfft(np.stack([x[:, s : s + n_fft] for s in starts]) * window)) for x in (predicted, target)
        )
        logs = [np.log(np.maximum(x, 1e-3)) for x in (p, t)]
        terms.append(np.linalg.norm(p - t) / np.linalg.norm(t) + np.abs(logs[0] - logs[1]).mean())
    return float(np.mean(terms))


def test_loss_is_as_defined():
    predicted, target = 0.5 * noise(2, 4096), noise(2, 4096, seed=1)
    loss = float(stft_loss.multi_resolution_stft_loss(*tensors(predicted, target)))
    assert loss == pytest.approx(loss_by_definition(predicted, target), rel=1e-3)
    swapped = float(stft_loss.multi_resolution_stft_loss(*tensors(target, predicted)))
    assert swapped == pytest.approx(loss_by_definition(target, predicted), rel=1e-3) and swapped > 1.2 * loss
    assert float(stft_loss.multi_resolution_stft_loss(*tensors(target, target))) < 1e-4


def test_the_level_of_noise_matters_more_than_its_phase():
    a, other, loud = tensors(noise(2, 4096), noise(2, 4096, seed=1), 8 * noise(2, 4096, seed=1))
    loss = stft_loss.multi_resolution_stft_loss
    assert float(loss(loud, a)) > 2 * float(loss(other, a))


def test_a_silent_clip_in_a_batch_does_not_explode():
    wanted = noise(2, 4096)
    wanted[1] = 0
    actual = wanted + 1e-3 * noise(2, 4096, seed=1)
    assert float(stft_loss.multi_resolution_stft_loss(*tensors(actual, wanted))) < 3


def test_gradients_are_finite_in_silence_and_point_downhill():
    wanted = noise(1, 2048) * 0.1
    for start in (np.zeros((1, 2048), np.float32), noise(1, 2048, seed=1) * 0.3):
        (x,) = tensors(start)
        x.stop_gradient = False
        if framework.NAME == "torch":
            x.requires_grad_(True)
        loss = stft_loss.multi_resolution_stft_loss(x, framework.from_numpy(wanted), ((512, 128),))
        loss.backward()
        gradient, before = framework.to_numpy(x.grad), float(loss.detach())
        assert np.isfinite(gradient).all()
    step = framework.from_numpy(start - 0.02 * gradient / np.abs(gradient).max())
    assert float(stft_loss.multi_resolution_stft_loss(step, framework.from_numpy(wanted), ((512, 128),))) < before


def test_a_waveform_shorter_than_a_frame_is_refused():
    with pytest.raises(ValueError, match="100 samples"):
        stft_loss.stft_magnitude(*tensors(noise(1, 100)), 256, 64)
