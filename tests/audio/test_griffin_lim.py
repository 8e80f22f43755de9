"""Griffin-Lim recovers pitch, level and mel spectrogram of the sound behind a log-mel spectrogram."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.audio.mel import log_mel
from ppaudioldm.audio.mel_filters import MEL_16K, MEL_48K, MelConfig
from tests.support import noise

SAMPLES = 24000


def tone(hertz: float, config: MelConfig = MEL_16K) -> np.ndarray:
    """A tone with overtones and vibrato, over a noise floor at -60 dB."""
    time = np.arange(SAMPLES) / config.sample_rate
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.005 * np.sin(2 * np.pi * 5 * time))) / config.sample_rate
    noise = np.random.default_rng(0).standard_normal(SAMPLES)
    return sum(np.sin(k * phase) / k for k in (1, 2, 3)) * 0.2 + 0.001 * noise


def loudest(waveform: np.ndarray, sample_rate: int) -> float:
    """Frequency of the loudest partial in Hz: the centre of the spectrum's peak."""
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    hertz = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    near = np.abs(hertz - hertz[power.argmax()]) < 0.06 * hertz[power.argmax()]
    return float((hertz[near] * power[near]).sum() / power[near].sum())


def round_trip(waveform: np.ndarray, config: MelConfig = MEL_16K, **options: int) -> tuple[np.ndarray, float]:
    """Griffin-Lim of the mel of `waveform`, and the mean absolute difference of the two mels (natural log)."""
    mel = log_mel(waveform, config)[:-1]
    again = griffin_lim(mel, config, **options)
    assert again.shape == (len(mel) * config.hop_length,) and again.dtype == np.float32
    return again, float(np.abs(log_mel(again, config)[:-1] - mel).mean())


@pytest.mark.parametrize("hertz", [330.0, 880.0, 2500.0])
def test_pitch_and_level_are_kept(hertz):
    waveform = tone(hertz)
    again, distance = round_trip(waveform)
    assert abs(loudest(again, 16000) / loudest(waveform, 16000) - 1) < 0.01
    # High bands are wide: how a band's magnitude is shared out within it, and so its energy, is not known.
    assert abs(np.std(again) / np.std(waveform) - 1) < (0.1 if hertz < 1000 else 0.35)
    assert distance < 0.16


def test_noise_bursts():
    random = np.random.default_rng(1)
    bursts = random.standard_normal(SAMPLES) * np.where(np.arange(SAMPLES) % 4000 < 1500, 0.1, 0.0005)
    _, distance = round_trip(bursts)
    assert distance < 0.12


def periodicity(waveform: np.ndarray, lag: int) -> float:
    """The correlation of what `waveform` has between 2 and 4 kHz with itself `lag` samples later."""
    spectrum = np.fft.rfft(waveform)
    hertz = np.fft.rfftfreq(len(waveform), 1 / 16000)
    band = np.fft.irfft(np.where((hertz > 2000) & (hertz < 4000), spectrum, 0))
    return float(np.corrcoef(band[lag:], band[:-lag])[0, 1])


def test_harmonics_closer_than_bands_stay_harmonics_and_noise_noise():
    """At 2 kHz bands are 95 Hz apart, at 4 kHz 190 Hz: that the pitch is 125 Hz is to be seen below 1 kHz only."""
    time = np.arange(SAMPLES) / 16000
    voice = sum(np.sin(2 * np.pi * 125 * k * time + k * k) for k in range(1, 40)) * 0.02
    noisy = 0.1 * np.random.default_rng(2).standard_normal(SAMPLES)
    for waveform, least, most in ((voice + 1e-3 * noisy, 0.9, 1.0), (noisy, -0.3, 0.3)):
        again, distance = round_trip(waveform)
        assert least <= periodicity(again[4000:20000], 128) <= most
        assert distance < 0.12


def test_48_khz():
    _, distance = round_trip(tone(1000.0, MEL_48K), MEL_48K)
    assert distance < 0.2


def test_more_iterations_come_nearer():
    assert round_trip(tone(440.0), iterations=24)[1] < 0.8 * round_trip(tone(440.0), iterations=4)[1]


def test_same_seed_same_waveform():
    """Another seed draws other noise; of what has a pitch, there is hardly any."""
    pitched, mel = (log_mel(waveform)[:50] for waveform in (tone(440.0), 0.1 * noise(8000)))
    first, other = (griffin_lim(pitched, seed=seed, iterations=4) for seed in (0, 1))
    assert np.corrcoef(first, other)[0, 1] > 0.99
    first, again, other = (griffin_lim(mel, seed=seed, iterations=4) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.9
    assert np.abs(log_mel(first) - log_mel(other)).mean() < 0.5


def test_blocks_leave_no_steps():
    mel = np.concatenate([log_mel(tone(440.0))[:-1]] * 2)
    waveform = griffin_lim(mel)
    jumps = np.abs(np.diff(waveform))
    borders = np.arange(128, len(mel), 128) * 160
    assert max(jumps[b - 80 : b + 80].max() for b in borders) <= 1.2 * np.quantile(jumps, 0.999)


def test_too_loud_is_made_softer_around_its_peaks_and_not_cut():
    mel = log_mel(tone(500.0))[:100]
    normal, loud = griffin_lim(mel), griffin_lim(mel + 3)
    assert np.abs(loud).max() <= 1
    assert np.corrcoef(normal, loud)[0, 1] > 0.95


def test_silence_stays_silent():
    silence = griffin_lim(np.full((40, 64), np.log(1e-5), np.float32))
    assert np.abs(silence).max() < 1e-4


@pytest.mark.parametrize("frames", [1, 2, 7, 129])
def test_length_is_exact(frames):
    assert griffin_lim(np.full((frames, 64), -4.0), iterations=2).shape == (frames * 160,)


@pytest.mark.parametrize(
    "mel", [np.zeros((0, 64)), np.zeros((4, 80)), np.zeros(64), np.full((4, 64), np.nan), np.full((4, 64), 30.0)]
)
def test_what_is_no_log_mel_is_refused(mel):
    with pytest.raises(ValueError, match="log-mel"):
        griffin_lim(mel)
