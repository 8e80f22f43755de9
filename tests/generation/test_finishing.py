"""Finishing generated clips: shapes, lengths, several prompts, candidates and variations, and what is stopped."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.loudness import true_peak
from ppaudioldm.generation.clip import Cancelled, Clip
from ppaudioldm.generation.finishing import SPARE_S, finished, without_finishing
from ppaudioldm.generation.options import Options
from ppaudioldm.tasks.restyle import restyle
from ppaudioldm.tasks.vary import vary
from tests.tasks.examples import FAST, sound, untrained

RATE = 16000


def bursts(*starts: float, seconds: float = 1.0) -> np.ndarray:
    """Waveforms with 0.1 s of noise from each of `starts`, silent elsewhere."""
    waveforms = np.zeros((len(starts), round(seconds * RATE)), np.float32)
    for waveform, start in zip(waveforms, starts, strict=True):
        first = round(start * RATE)
        waveform[first : first + RATE // 10] = sound(0.1, level=0.1, seed=first)[:, 0]
    return waveforms


def clip(*starts: float, candidates: np.ndarray | None = None) -> Clip:
    waveforms = bursts(*starts)
    return Clip(waveforms, RATE, ("x",) * len(starts), tuple(range(len(starts))), candidates=candidates)


def test_nothing_is_changed_by_default():
    plain = clip(0.2)
    assert finished(plain, Options(duration=1.0)) is plain


def test_trimmed_clips_have_lengths_of_their_own(tmp_path):
    longer = bursts(0.1)
    longer[0, RATE // 2 : RATE // 2 + 1600] = 0.2
    both = Clip(np.concatenate([bursts(0.3), longer]), RATE, ("a", "b"), (0, 1))
    result = finished(both, Options(trim=True))
    assert result.lengths is not None and result.lengths[0] < 0.13 * RATE < 0.5 * RATE < result.lengths[1]
    assert result.waveforms.shape == (2, result.lengths[1]) and not result.waveforms[0, result.lengths[0] :].any()
    assert [len(result.waveform(i)) for i in (0, 1)] == list(result.lengths)
    paths = result.save(tmp_path / "x.wav")
    assert [soundfile.info(path).frames for path in paths] == list(result.lengths)


def test_candidates_are_finished_too():
    both = clip(0.3, candidates=np.stack([bursts(0.3, 0.5)]))
    result = finished(both, Options(trim=True, stereo=True, normalize=True))
    assert result.waveforms.shape[0] == 1 and result.waveforms.shape[2] == 2
    assert result.candidates.shape[:2] == (1, 2) and result.candidates.shape[3] == 2
    np.testing.assert_array_equal(result.candidate(0, 0), result.waveform(0))
    assert true_peak(result.waveform(0), RATE) == pytest.approx(-1, abs=0.05)


def test_what_is_not_finite_stays():
    broken = clip(0.3)
    broken.waveforms[0, 5] = np.nan
    result = finished(broken, Options(trim=True, stereo=True, normalize=True, at_once=True, duration=0.5))
    assert result.waveforms.shape == (1, RATE // 2, 2) and np.isnan(result.waveforms[0, 5]).all()


def test_exact_short_sounds():
    options = Options(duration=0.5, at_once=True)
    assert without_finishing(options) == Options(duration=0.5 + SPARE_S)
    result = finished(Clip(bursts(1.7, seconds=2.5), RATE, ("x",), (0,)), options)
    assert result.waveforms.shape == (1, 8000)
    assert np.flatnonzero(np.abs(result.waveforms[0]) > 0.02)[0] <= 0.02 * RATE
    clip = untrained().generate("a knock", duration=0.3, at_once=True, **FAST)
    assert clip.waveforms.shape == (1, 4800)
    settings = clip.provenance_of(0).settings
    assert settings is not None and settings["options"]["duration"] == 0.3 and settings["options"]["at_once"]


def test_variations_are_the_clips_of_the_seeds_that_follow():
    pipeline, settings = untrained(), {"duration": 0.3, "num_inference_steps": 1, "num_waveforms_per_prompt": 2}
    steps = []
    several = pipeline.generate(["rain", "hail"], seed=[3, 9], variations=2, progress=steps.append, **settings)
    assert several.prompts == ("rain", "rain", "hail", "hail") and several.waveforms.shape == (4, 4800)
    for index, (prompt, seed) in enumerate((("rain", 3), ("rain", 5), ("hail", 9), ("hail", 11))):
        alone = pipeline.generate(prompt, seed=seed, **settings)
        assert several.seeds[index] == alone.seeds[0]
        np.testing.assert_allclose(several.waveforms[index], alone.waveforms[0], atol=1e-5)
        assert several.provenance_of(index) == alone.provenance_of(0)
    texts = [step for step in steps if step.stage == "text"]
    alone_steps: list = []
    pipeline.generate(["rain", "hail"], seed=1, progress=alone_steps.append, **settings)
    assert texts[-1].total == [step for step in alone_steps if step.stage == "text"][-1].total  # encoded once


def test_tasks_have_them_too():
    recording = sound(0.4), RATE
    varied = vary(untrained(), recording, duration=0.3, variations=2, stereo=True, **FAST)
    assert varied.waveforms.shape == (2, 4800, 2) and varied.seeds == (3, 4)
    assert [varied.provenance_of(i).settings["seed"] for i in (0, 1)] == [3, 4]
    alone = vary(untrained(), recording, duration=0.3, num_inference_steps=1, seed=4)
    np.testing.assert_allclose(varied.waveforms[1].mean(1), alone.waveforms[0], atol=1e-6)
    calls = []

    def stop(at) -> bool:
        calls.append(at)
        return at.stage != "vocoder" or at.done <= at.total // 2

    with pytest.raises(Cancelled) as stopped:
        restyle(untrained(), recording, "organ", variations=2, progress=stop, **FAST)
    assert stopped.value.clip is None or stopped.value.clip.seeds == (3,)
    assert calls[-1].total >= calls[-1].done


@pytest.mark.parametrize("name", ["trim", "stereo", "normalize", "at_once"])
def test_an_edited_recording_keeps_its_length_and_channels(name):
    from ppaudioldm.tasks.inpaint import inpaint

    with pytest.raises(ValueError, match=f"{name} is true, allowed for inpaint: false"):
        inpaint(untrained(), (sound(0.4), RATE), "x", ranges=[(0.1, 0.2)], **{name: True})
    with pytest.raises(ValueError, match=f"{name} is 1, allowed: true or false"):
        Options(**{name: 1})
