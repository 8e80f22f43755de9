"""The best candidate is kept, or all, and nothing that is complete is lost when a run is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.choices import VOCODERS
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.candidates import Candidates
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.options import Progress
from ppaudioldm.lists.write import OutputOptions, write_clip
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.test_pipeline import generate

SEEDS = [[10, 11, 12], [20, 21, 22]]


def wave(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def of_finite(prompt: int, waveforms: np.ndarray) -> np.ndarray:
    """As CLAP, which refuses samples that are not finite."""
    assert np.isfinite(waveforms).all()
    return waveforms.mean(1)


def loudest(prompt: int, waveforms: np.ndarray) -> np.ndarray:
    return waveforms.mean(1)


def collected(made: list[tuple[int, int, float]], score=loudest, keep_all: bool = False) -> Clip | None:
    candidates = Candidates(["a", "b"], SEEDS, 4, score, keep_all)
    for prompt, candidate, value in made:
        candidates.add(prompt, candidate, wave(value))
    return candidates.clip(16000, {})


ALL = [(0, 0, 0.1), (1, 2, 0.2), (0, 1, 0.3), (0, 2, 0.2), (1, 0, 0.1), (1, 1, -0.1)]

ALL_OF_B = [item for item in ALL if item[0] == 1]


def test_the_best_of_each_prompt():
    clip = collected(ALL)
    assert clip and clip.seeds == (11, 22) and clip.scores == pytest.approx((0.3, 0.2))
    np.testing.assert_array_equal(clip.waveforms, [wave(0.3), wave(0.2)])
    assert clip.candidates is None and clip.candidate_scores is None


def test_all_of_them():
    clip = collected(ALL, keep_all=True)
    assert clip and clip.candidates is not None and clip.candidates.shape == (2, 3, 4)
    np.testing.assert_allclose(clip.candidates[:, :, 0], [[0.1, 0.3, 0.2], [0.1, -0.1, 0.2]])
    np.testing.assert_allclose(clip.candidate_scores, clip.candidates[:, :, 0])


def test_without_scores_the_first():
    clip = collected([(0, 0, 0.1), (0, 1, 0.3), (1, 0, 0.2)], score=None)
    assert clip and clip.seeds == (10, 20) and clip.scores is None


def test_nothing_yet():
    assert collected([]) is None


def test_some_prompts():
    clip = collected([(1, 0, 0.1), (1, 1, 0.2)], keep_all=True)
    assert clip and clip.prompts == ("b",) and clip.seeds == (21,) and clip.waveforms.shape == (1, 4)
    assert clip.candidates is not None and clip.candidates.shape == (1, 2, 4)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_one_that_is_not_finite_does_not_lose_the_others(lost, caplog):
    values = [0.1, 0.3, 0.2]
    values[lost] = np.nan
    found = collected([(0, i, value) for i, value in enumerate(values)] + ALL_OF_B, score=of_finite, keep_all=True)
    best = np.nanargmax(values)
    assert found and found.seeds == (SEEDS[0][best], 22) and found.scores == pytest.approx((values[best], 0.2))
    np.testing.assert_array_equal(found.waveforms[0], wave(values[best]))
    np.testing.assert_allclose(found.candidates[0, :, 0], values)
    np.testing.assert_allclose(found.candidate_scores[0], values)
    assert f"not finite for seed {SEEDS[0][lost]} of 'a'" in caplog.text


def test_without_scores_the_first_that_is_finite():
    clip = collected([(0, 0, np.inf), (0, 1, 0.3), (1, 0, 0.2)], score=None)
    assert clip and clip.seeds == (11, 20)
    np.testing.assert_array_equal(clip.waveforms[0], wave(0.3))


def test_a_prompt_without_a_finite_one_does_not_lose_the_others():
    broken = [(0, i, np.nan) for i in range(3)]
    clip = collected(broken + ALL_OF_B, score=of_finite)
    assert clip and clip.prompts == ("a", "b") and np.isnan(clip.waveforms[0]).all()
    assert np.isnan(clip.scores[0]) and clip.scores[1] == pytest.approx(0.2)
    stopped = collected([*broken, *ALL_OF_B[:2]], score=of_finite)
    assert stopped and stopped.prompts == ("b",) and stopped.scores == pytest.approx((0.2,))
    assert collected(broken, score=of_finite) is None


def test_a_score_that_is_not_finite_is_none():
    scores = iter([np.nan, 0.2, np.inf])
    made = [(0, i, 0.1 * i) for i in range(3)]
    clip = collected(made, score=lambda prompt, waveforms: np.array([next(scores)]))
    assert clip and clip.seeds == (11,) and clip.scores == pytest.approx((0.2,))


def test_a_candidate_is_not_lost_while_it_is_scored():
    def stopped(prompt: int, waveforms: np.ndarray) -> np.ndarray:
        raise Cancelled("stopped")

    candidates = Candidates(["a"], SEEDS[:1], 4, stopped)
    with pytest.raises(Cancelled):
        candidates.add(0, 0, wave(0.1))
    clip = candidates.clip(16000, {})
    assert clip and clip.seeds == (10,) and clip.scores is None
    np.testing.assert_array_equal(clip.waveforms, [wave(0.1)])


# ---- In the pipeline


def stop_at(stage: str, time: int, by: Callable[[], bool]) -> Callable[[Progress], bool]:
    """Stops when `stage` begins for the time-th time."""
    begun: list[Progress] = []

    def progress(report: Progress) -> bool:
        if report.stage == stage and report.done < report.total and (not begun or begun[-1] is not report):
            begun.append(report)
        return by() if len(begun) == time else True

    return progress


def say_stop() -> bool:
    return False


def press_ctrl_c() -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize("by,error", [(say_stop, Cancelled), (press_ctrl_c, Interrupted)])
def test_what_was_complete_is_kept(by, error):
    whole = generate(["Birds", "Rain"], num_waveforms_per_prompt=2, keep_candidates=True)
    assert whole.candidates is not None
    settings = {"num_waveforms_per_prompt": 2, "keep_candidates": True}
    with pytest.raises(error) as stopped:
        generate(["Birds", "Rain"], progress=stop_at("vocoder", 2, by), **settings)
    clip = stopped.value.clip
    assert clip.prompts == ("Birds",) and clip.seeds == (3,) and len(clip.scores) == 1
    np.testing.assert_array_equal(clip.waveforms[0], whole.candidates[0, 0])
    np.testing.assert_array_equal(clip.candidates, whole.candidates[:1, :1])
    with pytest.raises(error) as stopped:
        generate("Birds", progress=stop_at("vocoder", 1, by), **settings)
    assert stopped.value.clip is None


def test_ctrl_c_is_still_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        generate(progress=stop_at("text", 1, press_ctrl_c))


class OneBroken(EagerEngine):
    """An engine whose VAE decoder returns NaN for the first item of the first batch."""

    was_broken = False

    def run(self, function: str, *inputs: Any) -> Any:
        output = super().run(function, *inputs)
        if function == "vae_decoder" and not self.was_broken:
            self.was_broken = True
            output[0] = np.nan
        return output


@pytest.mark.parametrize("vocoder", VOCODERS)
def test_a_candidate_that_networks_break_does_not_lose_the_others(vocoder, tmp_path):
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    settings: dict[str, Any] = {"seed": 3, "num_waveforms_per_prompt": 2, "keep_candidates": True, "batch_size": 2}
    settings |= {"num_inference_steps": 1, "duration": 0.32}
    whole = AudioLDM(checkpoint, EagerEngine(checkpoint), vocoder).generate("Birds", **settings)
    clip = AudioLDM(checkpoint, OneBroken(checkpoint), vocoder).generate("Birds", **settings)
    assert clip.seeds == (4,) and clip.scores == pytest.approx((whole.candidate_scores[0, 1],))
    np.testing.assert_array_equal(clip.candidates[0, 1], whole.candidates[0, 1])
    np.testing.assert_array_equal(clip.waveforms[0], whole.candidates[0, 1])
    assert np.isnan(clip.candidates[0, 0]).all()
    report = write_clip(tmp_path / "x.wav", clip, OutputOptions(all_candidates=True), 3)
    assert [candidate["seed"] for candidate in report["candidates"]] == [4]
    assert sorted(os.listdir(tmp_path)) == ["x.wav", "x_2.wav"]
