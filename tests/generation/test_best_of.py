"""A sound is the best of several attempts, where the checkpoint says so and nobody asks for candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import loop, vary
from ppaudioldm.audio.griffin_lim import ITERATIONS, griffin_lim
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import DiffusionConfig, ModelConfig
from ppaudioldm.diffusion.noise import MAX_SEED, attempt_seeds
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.options import Options, with_defaults
from ppaudioldm.generation.run import SKETCH_ITERATIONS
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.config_check import check_config
from tests.support import noise, relative_error

CONFIG = replace(UNTRAINED, diffusion=DiffusionConfig(clip_seconds=2.56, best_of=3))
# Alone and in a batch, networks round differently, which the estimated phases enlarge.
SAME = 2e-3
SHORT = {"duration": 0.5, "num_inference_steps": 1}


def pipeline(config: ModelConfig = CONFIG) -> AudioLDM:
    checkpoint = random_checkpoint("small", config, seed=0)
    return AudioLDM(checkpoint, EagerEngine(checkpoint, "cpu"), "griffin-lim")


@pytest.fixture(scope="module")
def of_three() -> AudioLDM:
    return pipeline()


def test_the_best_attempt_is_kept_and_its_seed_makes_it_alone(of_three, monkeypatch):
    # Random networks take a sketch for something else.
    monkeypatch.setattr("ppaudioldm.generation.run.SKETCH_ITERATIONS", ITERATIONS)
    clip = of_three.generate(["rain", "a dog"], seed=[5, 6], **SHORT)
    for index, seed in enumerate((5, 6)):
        attempts = [
            of_three.generate(clip.prompts[index], seed=one, num_waveforms_per_prompt=1, with_scores=True, **SHORT)
            for one in attempt_seeds(seed, 3)
        ]
        scores = [attempt.scores[0] for attempt in attempts]
        best = attempts[int(np.argmax(scores))]
        assert clip.seeds[index] == best.seeds[0] and clip.scores[index] == pytest.approx(max(scores), abs=1e-5)
        assert relative_error(clip.waveforms[index], best.waveforms[0]) < SAME
    assert clip.provenance[0].settings["options"]["num_waveforms_per_prompt"] == 1
    assert clip.provenance[0].settings["seed"] == clip.seeds[0]


def test_attempts_are_sketched_and_only_the_best_is_synthesised_in_full(of_three, monkeypatch):
    counts = []
    original = griffin_lim
    monkeypatch.setattr(
        "ppaudioldm.generation.decoding.griffin_lim",
        lambda *args, iterations, **settings: (
            counts.append(iterations) or original(*args, iterations=iterations, **settings)
        ),
    )
    ranked = []

    def watch(progress):
        if progress.stage == "rank":
            ranked.append((progress.done, progress.total))

    clip = of_three.generate("rain", seed=5, progress=watch, **SHORT)
    assert ranked[-1] == (4, 4) and all(done <= total for done, total in ranked)
    assert counts == [SKETCH_ITERATIONS] * 3 + [ITERATIONS]
    alone = of_three.generate("rain", seed=clip.seeds[0], num_waveforms_per_prompt=1, with_scores=True, **SHORT)
    assert relative_error(clip.waveforms, alone.waveforms) < SAME
    other = of_three.generate("rain", seed=1 + clip.seeds[0], num_waveforms_per_prompt=1, **SHORT)
    assert relative_error(clip.waveforms, other.waveforms) > 100 * SAME
    assert clip.scores[0] == pytest.approx(alone.scores[0], abs=1e-5)


def test_variations_have_attempts_of_their_own(of_three):
    clip = of_three.generate("rain", seed=5, variations=2, **SHORT)
    assert len(clip.waveforms) == 2
    assert clip.seeds[0] in attempt_seeds(5, 3) and clip.seeds[1] in attempt_seeds(6, 3)


@pytest.mark.parametrize(
    "settings", [{"num_waveforms_per_prompt": 1}, {"num_waveforms_per_prompt": 2}, {"keep_candidates": True}]
)
def test_whoever_asks_for_candidates_gets_these(of_three, settings):
    clip = of_three.generate("rain", seed=5, **SHORT, **settings)
    assert clip.seeds[0] in range(5, 5 + settings.get("num_waveforms_per_prompt", 1))
    assert settings != {"keep_candidates": True} or clip.candidates.shape[:2] == (1, 1)


def test_what_starts_from_a_recording_is_one_attempt(of_three):
    assert vary(of_three, (0.1 * noise(8000), 16000), seed=5, **SHORT).seeds == (5,)
    assert loop(of_three, "rain", seed=5, num_inference_steps=1, duration=0.64).seeds[0] in attempt_seeds(5, 3)


def test_without_a_ranking_there_is_one_attempt():
    assert pipeline(replace(CONFIG, clap_audio=None)).generate("rain", seed=5, **SHORT).seeds == (5,)


def test_the_number_of_candidates_is_the_checkpoints():
    """None only where there are attempts, so that a report of any other checkpoint says 1."""
    for best_of, asked, expected in ((1, None, 1), (1, 3, 3), (4, None, None), (4, 1, 1)):
        options = with_defaults(Options(num_waveforms_per_prompt=asked), DiffusionConfig(best_of=best_of))
        assert options.num_waveforms_per_prompt == expected


def test_seeds_of_attempts_are_far_apart():
    assert attempt_seeds(7, 1) == [7]
    seeds = [seed for first in range(1000) for seed in attempt_seeds(first, 4)]
    assert len(set(seeds)) == 4000 and min(seeds) == 0 and max(seeds) < 2**53, "exact in JSON everywhere"
    assert all(0 <= seed <= MAX_SEED for seed in attempt_seeds(MAX_SEED, 64))
    with pytest.raises(ValueError, match="seed is -1, allowed: whole numbers from 0 to"):
        attempt_seeds(-1, 4)


def test_a_checkpoint_cannot_ask_for_more_than_64():
    with pytest.raises(ValueError, match="diffusion.best_of is 65, expected at most 64"):
        check_config(replace(CONFIG, diffusion=replace(CONFIG.diffusion, best_of=65)))
    with pytest.raises(ValueError, match="diffusion.best_of is 0"):
        check_config(replace(CONFIG, diffusion=replace(CONFIG.diffusion, best_of=0)))
