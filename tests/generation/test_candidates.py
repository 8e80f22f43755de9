"""The best candidate is kept, or all, and nothing that is complete is lost when a run is stopped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ppaudioldm.generation.candidates import Candidates
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.options import Progress
from tests.test_pipeline import generate

SEEDS = [[10, 11, 12], [20, 21, 22]]


def wave(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def loudest(prompt: int, waveforms: np.ndarray) -> np.ndarray:
    return waveforms.mean(1)


def collected(made: list[tuple[int, int, float]], score=loudest, keep_all: bool = False) -> Clip | None:
    candidates = Candidates(["a", "b"], SEEDS, 4, score, keep_all)
    for prompt, candidate, value in made:
        candidates.add(prompt, candidate, wave(value))
    return candidates.clip(16000, {})


ALL = [(0, 0, 0.1), (1, 2, 0.2), (0, 1, 0.3), (0, 2, 0.2), (1, 0, 0.1), (1, 1, -0.1)]


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
