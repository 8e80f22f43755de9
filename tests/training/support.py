"""What the tests of training share. Imports no framework, for worker processes import it with the data."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.training.dataset import CaptionedClip, seeded_rng


def stop_after(steps: int) -> Callable[[], bool]:
    """A `should_stop` that ends a run after so many steps, without the measures and samples of its last step."""
    count = itertools.count(1)
    return lambda: next(count) >= steps


def assert_resuming_changes_nothing(make_stage: Callable[[], Any], run: Any, folder: Path, stops: tuple[int, ...]):
    """Train to the last of `stops` at once, and stopped at each of them: the states are equal, bit for bit."""
    from ppaudioldm.training import loop
    from ppaudioldm.training.state import load_state

    loop.train(make_stage(), replace(run, evaluate_every=10**6), folder / "once", should_stop=stop_after(stops[-1]))
    for first, last in itertools.pairwise((0, *stops)):
        should_stop = stop_after(last - first)
        loop.train(make_stage(), replace(run, evaluate_every=10**6), folder / "stopped", should_stop=should_stop)
    once, stopped = load_state(folder / "once"), load_state(folder / "stopped")
    assert once.step == stopped.step == stops[-1] and once.arrays.keys() == stopped.arrays.keys()
    assert all(np.array_equal(once.arrays[name], stopped.arrays[name]) for name in once.arrays)


@dataclass(frozen=True)
class Rows:
    def __call__(self, index):
        return {"x": np.full(3, index)}


@dataclass(frozen=True)
class NoiseClips:
    """Noise whose level swells and fades, at a pitch of its own."""

    samples: int = 8000
    split: int = 0

    def __call__(self, number):
        generator = seeded_rng(self.split, number)
        time = np.arange(self.samples) / 16000
        swell = np.sin(2 * np.pi * generator.uniform(1, 4) * time) ** 2
        tone = np.sin(2 * np.pi * generator.uniform(200, 3000) * time)
        waveform = swell * (0.3 * tone + 0.02 * generator.standard_normal(self.samples))
        return CaptionedClip(waveform.astype(np.float32), f"a tone number {number % 7}", "tone")

    def held_out(self):
        return NoiseClips(self.samples, 1)


def losses_of_joint(stage):
    """What the log of a step would say, on the same batches always."""
    from ppaudioldm import framework

    found = []
    with framework.no_grad():
        for index in range(100, 104):
            batch = {name: framework.from_numpy(array) for name, array in stage.data(index).items()}
            found.append({name: float(value) for name, value in stage.loss("all", batch)[1].items()})
    return {name: np.mean([values[name] for values in found]) for name in found[0]}
