"""Noise prediction for latents of any length: windows, classifier-free guidance, cached deep features; sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.sections import Sections
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.generation.options import Options
from ppaudioldm.generation.text_condition import Conditioning


@dataclass(frozen=True)
class UNetSchedule:
    """How the UNet is run at each step of a generation.

    timesteps: of each step. guided: whether that step uses classifier-free guidance. cache_interval: how many guided
    steps in a row share the deep features of the first of them (DeepCache, arXiv:2312.00858); 1 caches nothing.
    windows: over the latent frames. windows_per_call: how many of them are one batch; it divides their number.
    """

    timesteps: tuple[float, ...]
    guided: tuple[bool, ...]
    cache_interval: int
    windows: Windows
    windows_per_call: int

    @property
    def calls_per_step(self) -> int:
        """How many calls of the UNet one step takes."""
        return len(self.windows.starts) // self.windows_per_call

    @cached_property
    def refreshes(self) -> tuple[bool, ...]:
        """Whether each step computes the deep features: guided ones do at the start of every cache interval."""
        refreshes, age = [], 0  # guided steps in a row that have used the features
        for guided in self.guided:
            refreshes.append(guided and age == 0)
            age = (age + 1) % self.cache_interval if guided else 0
        return tuple(refreshes)


class NoisePredictor:
    """Predicts the noise (or v or x0) in B latents (B, channels, T, bands): for 2B where a step is guided.

    conditioning: of B * windows_per_call items, those of all items repeated; twice as many if any step is guided, the
    unconditional half first. on_call: called after every call of the UNet. guidance_input: the guidance scale, where it
    is an input of the UNet.
    """

    def __init__(
        self,
        engine: Engine,
        config: ModelConfig,
        conditioning: Conditioning,
        schedule: UNetSchedule,
        on_call: Callable[[], None],
        guidance_input: float | None = None,
    ) -> None:
        self._engine, self._config, self._schedule, self._on_call = engine, config, schedule, on_call
        contexts = [engine.asarray(context) for context in conditioning.contexts]
        self._masks = [engine.asarray(mask) for mask in conditioning.masks]
        self._film = None if conditioning.film is None else engine.asarray(conditioning.film)
        # Keys and values of the cross-attentions are the same at every step.
        self._projected = engine.run("unet_contexts", contexts) if contexts else []
        self._deep: dict[int, Array] = {}  # cached features, by batch of windows
        # All at once, so that no step waits for a transfer to a GPU.
        self._timesteps = sorted(set(schedule.timesteps))
        features = timestep_features(np.array(self._timesteps), config.unet.model_channels)
        scales = None
        if guidance_input is not None:
            scales = engine.asarray(np.full((len(features), 1), guidance_input, np.float32))
        self._time_embeddings = engine.run("unet_time_embedding", engine.asarray(features), scales)

    def __call__(self, latents: Array, timestep: float, step: int) -> Array:
        """The prediction for `latents` at step number `step`: (2B, ...), unconditional first, where that is guided."""
        engine, size = self._engine, self._schedule.windows_per_call
        windows = self._schedule.windows.cut(latents, engine.concat)
        predictions: list[Array] = []
        for index in range(self._schedule.calls_per_step):
            group = windows[index * size : (index + 1) * size]
            batch = engine.concat(group, 0) if size > 1 else group[0]
            if self._caches and self._schedule.refreshes[step]:
                self._deep[index] = engine.run("unet_guided_deep", *self._guided_inputs(batch, timestep))
            function, inputs = self._call(batch, timestep, step, index)
            predictions += self._split(engine.run(function, *inputs), latents.shape[0])
            self._on_call()
        return self._schedule.windows.blend(predictions, engine.asarray, engine.concat)

    @property
    def _caches(self) -> bool:
        return self._schedule.cache_interval > 1

    def _call(self, latents: Array, timestep: float, step: int, index: int) -> tuple[str, list[Any]]:
        """The function of the UNet that this step runs on the batch of windows number `index`, and its inputs."""
        plain = step_function(self._config, latents.shape[2])
        if not self._schedule.guided[step]:
            return plain, self._conditional_inputs(latents, timestep)
        if plain != "unet_step":
            both = self._engine.concat([latents, latents], 0)
            embedding = self._time_embedding(timestep, both.shape[0])
            return plain, [both, embedding, self._projected, self._masks, self._film]
        if self._caches:
            embedding = self._time_embedding(timestep, latents.shape[0])
            return "unet_guided_shallow", [latents, embedding, self._deep[index], self._film]
        return "unet_guided_step", self._guided_inputs(latents, timestep)

    def _guided_inputs(self, latents: Array, timestep: float) -> list[Any]:
        return [latents, self._time_embedding(timestep, latents.shape[0]), self._projected, self._masks, self._film]

    def _conditional_inputs(self, latents: Array, timestep: float) -> list[Any]:
        """Without the unconditional half, which comes first where there is one."""
        count = latents.shape[0]
        projected, masks = [x[-count:] for x in self._projected], [x[-count:] for x in self._masks]
        film = None if self._film is None else self._film[-count:]
        return [latents, self._time_embedding(timestep, count), projected, masks, film]

    def _time_embedding(self, timestep: float, count: int) -> Array:
        """The time embedding (count, time_embed_dim) of `timestep`."""
        row = self._timesteps.index(timestep)
        return self._engine.concat([self._time_embeddings[row : row + 1]] * count, 0)

    def _split(self, prediction: Array, batch: int) -> list[Array]:
        """The prediction for each window of a call, whose items follow each other in both halves of `prediction`."""
        if self._schedule.windows_per_call == 1:
            return [prediction]
        half = self._schedule.windows_per_call * batch
        starts = range(0, len(prediction), half)
        return [
            self._engine.concat([prediction[start + j : start + j + batch] for start in starts], 0)
            for j in range(0, half, batch)
        ]


class SectionPredictor:
    """Predicts the noise in latents whose `sections` have conditions of their own: by one of `predictors` for each."""

    def __init__(self, engine: Engine, sections: Sections, predictors: Sequence[NoisePredictor]) -> None:
        self._engine, self._sections, self._predictors = engine, sections, predictors

    def __call__(self, latents: Array, timestep: float, step: int) -> Array:
        """The prediction for `latents` (B, channels, T, bands), as that of a `NoisePredictor`."""
        parts = self._sections.cut(latents)
        predictions = [predict(part, timestep, step) for predict, part in zip(self._predictors, parts, strict=True)]
        return self._sections.join(predictions, self._engine.asarray, self._engine.concat)


def unet_functions(config: ModelConfig, guided: bool, options: Options) -> list[str]:
    """The functions of the UNet that a generation runs, in order. Raises ValueError where features cannot be cached."""
    if not guided:
        return ["unet_step"]
    if options.reuse > 1 and config.unet.conditions_finest:
        raise ValueError(f"reuse is {options.reuse}, allowed for this checkpoint: 1")
    functions = ["unet_guided_deep", "unet_guided_shallow"] if options.reuse > 1 else ["unet_guided_step"]
    return functions if options.guidance_interval == (0.0, 1.0) else [*functions, "unet_step"]


def step_function(config: ModelConfig, frames: int) -> str:
    """The function of the UNet that makes a step, without sharing between the halves, for that many latent frames."""
    return "unet_any_length_step" if frames % config.unet.downsampling else "unet_step"
