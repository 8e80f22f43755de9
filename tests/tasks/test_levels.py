"""No result exceeds full scale or its recording's peak, and what is generated is as loud as what it replaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppaudioldm.audio.bands import band_filter, filtered
from ppaudioldm.audio.loudness import loudness
from ppaudioldm.generation.clip import Clip
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.extend import extend
from ppaudioldm.tasks.inpaint import inpaint
from ppaudioldm.tasks.loop import loop
from ppaudioldm.tasks.restyle import restyle
from ppaudioldm.tasks.upscale import upscale
from tests.tasks.examples import FAST, KnownPipeline

SECONDS = 1.0
MAX_DIFFERENCE = 3.0  # LU
KINDS = ("tone", "two tones", "noise", "clicks", "speech", "silence", "silence in the middle")

recordings = st.tuples(
    st.sampled_from(KINDS), st.sampled_from([16000, 44100]), st.sampled_from([1, 2]), st.sampled_from([0.02, 0.3, 1.0])
)
errors_db = st.floats(-30, 30)
few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


class MisjudgingPipeline(KnownPipeline):
    """What is to be kept comes back by `kept_db` too loud, and the rest, noise, by `generated_db`."""

    def __init__(self, kept_db: float, generated_db: float) -> None:
        super().__init__()
        self.kept, self.generated = 10 ** (kept_db / 20), 10 ** (generated_db / 20)

    def generate(self, *args: Any, **settings: Any) -> Clip:
        clip, condition = super().generate(*args, **settings), settings["audio_condition"]
        count = clip.waveforms.shape[1]
        noise = self.generated * np.random.default_rng(settings["seed"]).normal(0, 0.1, count)
        is_kept = np.zeros(count, bool)
        if condition.keep_mask is not None:
            is_kept = np.repeat(condition.keep_mask.min(1) == 1, self.config.samples_per_latent)[:count]
        clip.waveforms[0] = np.where(is_kept, self.kept * clip.waveforms[0], noise)
        return clip


def recorded(kind: str, rate: int, channels: int, peak: float) -> np.ndarray:
    """(n, channels) float32; the second channel is softer."""
    rng, time = np.random.default_rng(1), np.arange(round(SECONDS * rate)) / rate
    noise = rng.normal(size=len(time))
    mono = {
        "tone": np.sin(2 * np.pi * 440 * time),
        "two tones": np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 1000 * time),
        "noise": noise,
        "clicks": (np.arange(len(time)) % (rate // 10) == rate // 20).astype(float),
        "speech": noise * np.maximum(0, np.sin(2 * np.pi * 4 * time)) ** 2,
        "silence": np.zeros(len(time)),
        "silence in the middle": np.where(np.abs(time - SECONDS / 2) < 0.3, 0, noise),
    }[kind]
    mono = peak * mono / max(1e-9, np.abs(mono).max())
    return (mono[:, None] * [1, 0.5][:channels]).astype(np.float32)


def check_peak(clip: Clip, recording: np.ndarray) -> None:
    assert np.isfinite(clip.waveforms).all()
    assert np.abs(clip.waveforms).max() <= max(1, np.abs(recording).max())


def check_loudness(generated: np.ndarray, rate: int, *references: np.ndarray) -> None:
    """Within MAX_DIFFERENCE of the first of `references` that is not silent."""
    expected = [found for found in (loudness(sound, rate) for sound in references) if found > -np.inf]
    if expected:
        assert abs(loudness(generated, rate) - expected[0]) <= MAX_DIFFERENCE


def check_kept(clip: Any, recording: np.ndarray) -> None:
    for start, end in clip.kept:
        assert clip.waveforms[0].reshape(-1, recording.shape[1])[start:end].tobytes() == recording[start:end].tobytes()


@few
@given(recordings, errors_db, errors_db, st.sampled_from([(0.4, 0.8), (0, 0.3), (0.5, 0.6), (0.7, SECONDS)]))
def test_inpaint(recording, kept_db, generated_db, span):
    samples, rate = recorded(*recording), recording[1]
    clip = inpaint(MisjudgingPipeline(kept_db, generated_db), (samples, rate), "rain", ranges=[span], **FAST)
    check_peak(clip, samples)
    check_kept(clip, samples)
    start, end = round(span[0] * rate), round(span[1] * rate)
    beside = np.concatenate([samples[max(0, start - rate // 2) : start], samples[end : end + rate // 2]])
    rest = np.concatenate([samples[:start], samples[end:]])
    check_loudness(clip.waveforms[0][start:end], rate, samples[start:end], beside, rest)


@few
@given(recordings, errors_db, errors_db, st.sampled_from([(), [(0.3, 0.9)]]))
def test_inpaint_of_frequencies(recording, kept_db, generated_db, ranges):
    samples, rate = recorded(*recording), recording[1]
    clip = inpaint(
        MisjudgingPipeline(kept_db, generated_db),
        (samples, rate),
        "rain",
        ranges=ranges,
        frequencies=[(300, 4000)],
        **FAST,
    )
    check_peak(clip, samples)
    check_kept(clip, samples)
    if np.abs(clip.waveforms).max() < 1:  # else the limiter has changed the other frequencies as well
        inside = slice(round(0.3 * rate), round(0.9 * rate)) if ranges else slice(None)
        band = band_filter([(300, 4000)], rate)
        made = clip.waveforms[0].reshape(samples.shape).astype(np.float64)
        check_loudness(filtered(made, band)[inside], rate, filtered(samples, band)[inside])


@few
@given(recordings, errors_db, errors_db, st.sampled_from([1.5, 3.0]))
def test_extend(recording, kept_db, generated_db, duration):
    samples, rate = recorded(*recording), recording[1]
    clip = extend(MisjudgingPipeline(kept_db, generated_db), (samples, rate), "rain", duration=duration, **FAST)
    check_peak(clip, samples)
    check_kept(clip, samples)
    new = clip.waveforms[0][len(samples) :]
    check_loudness(new, rate, samples[-len(new) :], samples)


@few
@given(recordings, errors_db, errors_db)
def test_loop(recording, kept_db, generated_db):
    samples, rate = recorded(*recording), recording[1]
    clip = loop(MisjudgingPipeline(kept_db, generated_db), "rain", (samples, rate), **FAST)
    check_peak(clip, samples)
    ((start, end),) = clip.kept
    fade, half = round(clip.fade * rate), samples.shape[0] // 4
    seam = np.concatenate([clip.waveforms[0][end + fade :], clip.waveforms[0][: start - fade]])
    check_loudness(seam, rate, np.concatenate([samples[-half:], samples[:half]]), samples)


@few
@given(recordings, errors_db, errors_db)
def test_upscale(recording, kept_db, generated_db):
    kind, _, channels, peak = recording
    samples, rate = recorded(kind, 8000, channels, peak), 16000
    clip = upscale(MisjudgingPipeline(kept_db, generated_db), (samples, 8000), "rain", cutoff=3000, **FAST)
    check_peak(clip, samples)
    if np.abs(clip.waveforms).max() < 1 and kind != "silence":
        made = clip.waveforms[0].reshape(-1, channels).astype(np.float64)
        below = filtered(made, band_filter([(1500, 3000)], rate))
        above = filtered(made, band_filter([(3000, 8000)], rate))
        if loudness(below, rate) > -70:
            check_loudness(above, rate, below)
        else:
            assert loudness(above, rate) <= loudness(samples, 8000) + 1


@few
@given(recordings, errors_db)
def test_restyle(recording, generated_db):
    samples, rate = recorded(*recording), recording[1]
    clip = restyle(MisjudgingPipeline(0, generated_db), (samples, rate), "rain", **FAST)
    check_peak(clip, samples)
    # Of a stereo recording each channel is compared with the mono clip.
    expected = loudness(samples, rate) - 10 * np.log10(samples.shape[1])
    if expected > -np.inf:
        assert abs(loudness(clip.waveforms[0], clip.sample_rate) - expected) <= MAX_DIFFERENCE


def test_a_recording_beyond_full_scale_may_stay_so():
    samples = recorded("noise", 16000, 1, 1.8)
    clip = inpaint(MisjudgingPipeline(30, 30), (samples, 16000), "rain", ranges=[(0.4, 0.8)], **FAST)
    check_peak(clip, samples)
    check_kept(clip, samples)


@pytest.fixture(scope="module")
def tiny() -> AudioLDM:
    return AudioLDM.from_pretrained("tiny")


QUICK = {"num_inference_steps": 2, "seed": 0}


@pytest.mark.parametrize("hertz", [(440,), (440, 1000)])
def test_tiny_inpaints_and_loops_tones(tiny, hertz):
    time = np.arange(16000) / 16000
    tone = sum(0.3 * np.sin(2 * np.pi * f * time) for f in hertz).astype(np.float32)[:, None]
    clip = inpaint(tiny, (tone, 16000), "heavy rain", ranges=[(0.4, 0.8)], **QUICK)
    check_peak(clip, tone)
    check_loudness(clip.waveforms[0][6400:12800], 16000, tone[6400:12800])
    clip = loop(tiny, "heavy rain", (tone, 16000), **QUICK)
    check_peak(clip, tone)
    check_loudness(clip.waveforms[0], 16000, tone)


def test_tiny_upscales_and_restyles_noise(tiny):
    noise = recorded("noise", 8000, 1, 0.4)
    clip = upscale(tiny, (noise, 8000), "heavy rain", **QUICK)
    check_peak(clip, noise)
    above = filtered(clip.waveforms[0][:, None].astype(np.float64), band_filter([(clip.cutoff, 8000)], 16000))
    check_loudness(above, 16000, filtered(clip.waveforms[0][:, None], band_filter([(2000, 4000)], 16000)))
    clip = restyle(tiny, (noise, 8000), "heavy rain", **QUICK)
    check_peak(clip, noise)
    assert abs(loudness(clip.waveforms[0], 16000) - loudness(noise, 8000)) <= MAX_DIFFERENCE
