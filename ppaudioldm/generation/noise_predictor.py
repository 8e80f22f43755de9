"""What the UNet says of latents of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.generation.options import Options
from ppaudioldm.generation.text_condition import Conditions


class Predictor:
    """Predicts for B latents (B, channels, T, bands) at a timestep: for 2B, unconditional first, where guided.

    guided: whether each call is. reuse: how many guided calls in a row use the same deep features of the UNet.
    windows: over the T frames. at_once: how many of them are given to the UNet in one batch; it divides their number.
    conditions: for B * at_once items, those of all items repeated; twice as many if any call is guided, unconditional
    first. timesteps: what it will be called with, in this order. called: after every call of the UNet.
    """

    def __init__(
        self,
        engine: Engine,
        config: ModelConfig,
        conditions: Conditions,
        guided: Sequence[bool],
        reuse: int,
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
        self._halves = _shares_half(config)
        self._guided, self._reuse = guided, reuse
        self._step = -1  # the number of the call
        self._since = 0  # guided calls since the deep features were made
        self._deep: list[Array] = []  # of each group of windows
        # All at once, so that no step waits for a transfer to a GPU.
        self._timesteps = sorted(set(timesteps))
        self._rows = engine.asarray(timestep_features(np.array(self._timesteps), config.unet.model_channels))

    @staticmethod
    def functions(config: ModelConfig, guided: bool, options: Options) -> list[str]:
        """What of the UNet it runs. Raises ValueError where deep features cannot be used again."""
        if not guided:
            return ["unet_step"]
        shares = _shares_half(config)
        if options.reuse > 1 and (not shares or 0 in config.unet.attention_levels):
            raise ValueError(f"reuse is {options.reuse}, allowed for this checkpoint: 1")
        made = ["unet_guided_step"] if shares else ["unet_step"]
        if options.reuse > 1:
            made = ["unet_guided_deep", "unet_guided_shallow"]
        return made if options.guidance_interval == (0.0, 1.0) or not shares else [*made, "unet_step"]

    def __call__(self, latents: Array, timestep: int) -> Array:
        self._step += 1
        is_guided = self._guided[self._step]
        engine, size = self._engine, self._at_once
        windows = self._windows.cut(latents, engine.concat)
        predictions: list[Array] = []
        for start in range(0, len(windows), size):
            group = windows[start : start + size]
            together = engine.concat(group, 0) if size > 1 else group[0]
            predict = self._with_guidance if is_guided else self._without_guidance
            predictions += self._apart(predict(together, timestep, start // size), latents.shape[0])
            self._called()
        self._since = (self._since + 1) % self._reuse if is_guided else 0
        return self._windows.blend(predictions, engine.asarray, engine.concat)

    def _with_guidance(self, latents: Array, timestep: int, group: int) -> Array:
        engine, count = self._engine, latents.shape[0]
        if not self._halves:
            both = engine.concat([latents, latents], 0)
            features = self._features(timestep, 2 * count)
            return engine.run("unet_step", both, features, self._projected, self._masks, self._film)
        features = self._features(timestep, count)
        if self._reuse == 1:
            return engine.run("unet_guided_step", latents, features, self._projected, self._masks)
        if self._since == 0:
            self._deep = self._deep[:group]
            self._deep.append(engine.run("unet_guided_deep", latents, features, self._projected, self._masks))
        return engine.run("unet_guided_shallow", latents, features, self._deep[group])

    def _without_guidance(self, latents: Array, timestep: int, group: int) -> Array:
        count = latents.shape[0]
        projected, masks = [x[-count:] for x in self._projected], [x[-count:] for x in self._masks]
        film = None if self._film is None else self._film[-count:]
        return self._engine.run("unet_step", latents, self._features(timestep, count), projected, masks, film)

    def _features(self, timestep: int, count: int) -> Array:
        row = self._timesteps.index(timestep)
        return self._engine.concat([self._rows[row : row + 1]] * count, 0)

    def _apart(self, prediction: Array, batch: int) -> list[Array]:
        """The prediction for each of several windows, whose items follow each other in both halves of `prediction`."""
        if self._at_once == 1:
            return [prediction]
        half = self._at_once * batch
        return [
            self._engine.concat(
                [prediction[i * half + j : i * half + j + batch] for i in range(len(prediction) // half)], 0
            )
            for j in range(0, half, batch)
        ]


def _shares_half(config: ModelConfig) -> bool:
    """Whether both halves of guidance can share what comes before the first cross-attention."""
    return bool(config.contexts) and not config.unet.film_dim
