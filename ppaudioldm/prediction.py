"""What the UNet says of latents of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ppaudioldm.conditioning import Conditions
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.engine import Array, Engine


class Predictor:
    """Predicts for B latents (B, channels, T, bands) at a timestep: for 2B, unconditional first, where guided.

    windows: over the T frames. at_once: how many of them are given to the UNet in one batch; it divides their number.
    conditions: for B * at_once items, those of all items repeated; twice as many where guided, unconditional first.
    timesteps: all that it will be called with. called: after every call of the UNet.
    """

    def __init__(
        self,
        engine: Engine,
        config: ModelConfig,
        conditions: Conditions,
        guided: bool,
        timesteps: Sequence[int],
        windows: Windows,
        at_once: int,
        called: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._windows, self._at_once, self._called = windows, at_once, called
        contexts = [engine.asarray(context) for context in conditions.contexts]
        self._masks = [engine.asarray(mask) for mask in conditions.masks]
        self._film = None if conditions.film is None else engine.asarray(conditions.film)
        # The same at every step, so computed once.
        self._projected = engine.run("unet_contexts", contexts) if contexts else []
        self._shares_half = guided and bool(contexts) and conditions.film is None
        self._copies = 2 if guided else 1
        # All at once, so that no step waits for a transfer to a GPU.
        self._timesteps = sorted(set(timesteps))
        self._rows = engine.asarray(timestep_features(np.array(self._timesteps), config.unet.model_channels))

    def __call__(self, latents: Array, timestep: int) -> Array:
        engine, size = self._engine, self._at_once
        windows = self._windows.cut(latents, engine.concat)
        predictions: list[Array] = []
        for start in range(0, len(windows), size):
            group = windows[start : start + size]
            prediction = self._of_window(engine.concat(group, 0) if size > 1 else group[0], timestep)
            predictions += self._apart(prediction, latents.shape[0])
        return self._windows.blend(predictions, engine.asarray, engine.concat)

    def _of_window(self, latents: Array, timestep: int) -> Array:
        engine, count = self._engine, latents.shape[0]
        if self._shares_half:
            features = self._features(timestep, count)
            prediction = engine.run("unet_guided_step", latents, features, self._projected, self._masks)
        else:
            latents = engine.concat([latents] * self._copies, 0)
            features = self._features(timestep, count * self._copies)
            prediction = engine.run("unet_step", latents, features, self._projected, self._masks, self._film)
        self._called()
        return prediction

    def _features(self, timestep: int, count: int) -> Array:
        row = self._timesteps.index(timestep)
        return self._engine.concat([self._rows[row : row + 1]] * count, 0)

    def _apart(self, prediction: Array, batch: int) -> list[Array]:
        """The prediction for each of several windows, whose items follow each other in both halves of `prediction`."""
        if self._at_once == 1:
            return [prediction]
        half = self._at_once * batch
        return [
            self._engine.concat([prediction[i * half + j : i * half + j + batch] for i in range(self._copies)], 0)
            for j in range(0, half, batch)
        ]
