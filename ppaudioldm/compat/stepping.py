"""One interface to the schedulers of `compat` and to those that diffusers or ppdiffusers themselves make."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from ppaudioldm.compat.scheduler import Scheduler
from ppaudioldm.compat.tensors import NoiseSource, as_tensor, to_numpy
from ppaudioldm.engines.engine import Array, Engine

REQUIRED = ("set_timesteps", "scale_model_input", "step", "timesteps", "init_noise_sigma")


def check_scheduler(scheduler: Any) -> None:
    """Raise ValueError for what is no scheduler."""
    if missing := [name for name in REQUIRED if not hasattr(scheduler, name)]:
        raise ValueError(f"scheduler is a {type(scheduler).__name__}, which has no {missing[0]}")


class Stepping:
    """The steps of one generation. latents: the engine's arrays, (B, channels, T, bands).

    timesteps: as numbers, what the network gets. generator, eta: as diffusers' pipelines take them.
    """

    def __init__(
        self, scheduler: Any, engine: Engine, num_inference_steps: int, noise: NoiseSource, generator: Any, eta: float
    ) -> None:
        self._scheduler, self._engine, self._noise, self._eta = scheduler, engine, noise, eta
        self._is_ours = isinstance(scheduler, Scheduler)
        self._library = "paddle" if type(scheduler).__module__.startswith("ppdiffusers") else "torch"
        scheduler.set_timesteps(num_inference_steps)
        self._steps = list(scheduler.timesteps)
        self.timesteps = [_number(step) for step in self._steps]
        self.init_noise_sigma = float(scheduler.init_noise_sigma)
        self.order = int(getattr(scheduler, "order", 1))
        accepted = inspect.signature(scheduler.step).parameters
        offered = {"eta": eta, "generator": generator}
        self._more = {name: value for name, value in offered.items() if name in accepted}

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Index and timestep, as the scheduler has it, of each call of the network."""
        return enumerate(self._steps)

    def network_input(self, i: int, latents: Array) -> Array:
        if self._is_ours:
            return self._scheduler.scale_model_input(latents, self.timesteps[i])
        return self._from_theirs(self._scheduler.scale_model_input(self._to_theirs(latents), self._steps[i]))

    def step(self, i: int, prediction: Array, latents: Array) -> Array:
        """The latents after call `i`, whose guided prediction is `prediction`."""
        if self._is_ours:
            return self._scheduler.step(prediction, self.timesteps[i], latents, lambda: self._draw(latents), self._eta)
        result = self._scheduler.step(
            self._to_theirs(prediction), self._steps[i], self._to_theirs(latents), **self._more
        )
        return self._from_theirs(result[0] if isinstance(result, tuple) else result.prev_sample)

    def _draw(self, latents: Array) -> Array:
        return self._engine.asarray(self._noise.draw(tuple(latents.shape)))

    def _to_theirs(self, array: Array) -> Any:
        return as_tensor(self._engine.to_numpy(array), self._library)

    def _from_theirs(self, tensor: Any) -> Array:
        return self._engine.asarray(to_numpy(tensor))


def _number(timestep: Any) -> float | int:
    """A timestep of a scheduler as a Python number."""
    value = np.asarray(to_numpy(timestep)).item() if hasattr(timestep, "dtype") else timestep
    return int(value) if float(value).is_integer() else float(value)
