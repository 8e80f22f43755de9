"""Engines of a checkpoint with LoRA adapters merged into its UNet: all other networks are those of one base engine."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.engines.engine import Engine
from ppaudioldm.errors import quoted
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.weights.lora import Adapter, read_adapter, read_sampling
from ppaudioldm.weights.lora_choice import LoraChoice
from ppaudioldm.weights.lora_sampling import Sampling

MOST_ENGINES = 2  # with adapters, those that were used last: a UNet each

Adapters = tuple[tuple[Adapter, float], ...]  # each with its scale


class AdaptedEngine:
    """Runs functions of the UNet on `unet`, and all others on `base`, whose arrays are of the same kind.

    low_memory: one of the two holds networks at a time.
    """

    def __init__(self, base: Engine, unet: Engine, low_memory: bool) -> None:
        self._base, self._unet, self._low_memory = base, unet, low_memory

    def _for(self, function: str) -> Engine:
        is_unet = network_and_method(function)[0] == "unet"
        used, other = (self._unet, self._base) if is_unet else (self._base, self._unet)
        if self._low_memory:
            other.release()
        return used

    def prepare(self, function: str) -> None:
        self._for(function).prepare(function)

    def release(self) -> None:
        self._base.release()
        self._unet.release()

    def run(self, function: str, *inputs: Any) -> Any:
        return self._for(function).run(function, *inputs)

    def start(self, function: str) -> Callable[..., Any]:
        return self._for(function).start(function)

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self._for(function).run_numpy(function, *inputs)

    def asarray(self, array: np.ndarray) -> Any:
        return self._base.asarray(array)

    def to_numpy(self, array: Any) -> np.ndarray:
        return self._base.to_numpy(array)

    def concat(self, arrays: Sequence[Any], axis: int) -> Any:
        return self._base.concat(arrays, axis)


class AdaptedEngines:
    """Makes and keeps the engines of one checkpoint with adapters.

    open_unet: returns an engine whose UNet has adapters merged. named: adapters that may be chosen by name; with
    only_named no others, as on a server, where a path must not come from a request. Any number of threads may use it.
    """

    def __init__(
        self,
        base: Engine,
        open_unet: Callable[[Adapters], Engine],
        named: Mapping[str, Path],
        only_named: bool = False,
        low_memory: bool = False,
    ) -> None:
        self.named = dict(named)
        self._base, self._open_unet = base, open_unet
        self._only_named, self._low_memory = only_named, low_memory
        self._most = 0 if low_memory else MOST_ENGINES
        self._engines: OrderedDict[tuple[tuple[str, float], ...], Engine] = OrderedDict()
        self._opening = threading.Lock()

    def check(self, choices: Sequence[str]) -> None:
        """Raise ValueError for an adapter that may not be chosen, before any file is read."""
        for choice in map(LoraChoice.parse, choices):
            self._path(choice)

    def sampling(self, choices: Sequence[str]) -> Sampling | None:
        """What the first of the chosen adapters that says so is to be sampled with. Raises ValueError as `engine`."""
        for choice in map(LoraChoice.parse, choices):
            if choice.scale and (sampling := read_sampling(self._path(choice))):
                return sampling
        return None

    def engine(self, choices: Sequence[str]) -> Engine:
        """The engine with adapters, each `NAME[:SCALE]` or `PATH[:SCALE]`; the base engine for none.

        Raises ValueError for an adapter that may not be chosen, or cannot be used with this checkpoint.
        """
        parsed = [LoraChoice.parse(choice) for choice in choices]
        adapters = tuple((self._read(choice), choice.scale) for choice in parsed if choice.scale)
        if not adapters:
            return self._base
        key = tuple((adapter.digest, scale) for adapter, scale in adapters)
        with self._opening:
            if (found := self._engines.pop(key, None)) is None:
                while len(self._engines) >= max(1, self._most):
                    self._engines.popitem(last=False)
                found = AdaptedEngine(self._base, self._open_unet(adapters), self._low_memory)
            if self._most:
                self._engines[key] = found
            return found

    def _read(self, choice: LoraChoice) -> Adapter:
        return read_adapter(self._path(choice), choice.adapter if choice.adapter in self.named else "")

    def _path(self, choice: LoraChoice) -> Path:
        if choice.adapter in self.named:
            return self.named[choice.adapter]
        if self._only_named:
            allowed = ", ".join(self.named) or "none, as this server has no adapters"
            raise ValueError(f"lora is {quoted(choice.adapter)}, allowed: {allowed}")
        return Path(choice.adapter)
