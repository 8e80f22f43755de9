"""The eager engine: the networks run by Paddle or PyTorch themselves, operation by operation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.choices import PRECISIONS
from ppaudioldm.engines.states import Stateful, empty_states
from ppaudioldm.models.build import NETWORKS, build_empty
from ppaudioldm.models.functions import FLOAT32_FUNCTIONS, STEPS, network_and_method
from ppaudioldm.weights.checkpoint import Checkpoint

# Layers that stay in float32 where the rest of a network is in half precision: the second product of FLAN-T5's
# feed-forward, whose input may be beyond float16, and those of the FLOAT32_FUNCTIONS.
PRECISE = {
    "flan_t5": ("feed_forward_out",),
    "unet": ("time_in", "time_out", "guidance", "guidance_in", "guidance_out"),
}


class EagerEngine:
    """Runs the networks of `checkpoint` on `device`: "cpu", "cuda:0" or "gpu:0"; by default a GPU if there is one.

    precision: of the arithmetic, "f32", or with PyTorch "bf16" or "fp16"; "auto" is bf16 on a PyTorch GPU, else f32.
    Arrays between the networks are float32 either way. compile_step: compile the UNet step with torch.compile: the
    first step of each length takes a minute, the following ones are faster. low_memory: keep one network in memory at a
    time.
    Raises ValueError for a device or precision that the framework does not have.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str | None = None,
        precision: str = "auto",
        compile_step: bool = False,
        low_memory: bool = False,
    ) -> None:
        self.checkpoint = checkpoint
        self.device, self.precision = checked(device, precision, compile_step)
        self._dtype = framework.dtype_of(self.precision)
        self._compile_step = compile_step
        self._low_memory = low_memory
        self._networks: dict[str, Any] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        # One for each network, so that two networks load at once, and each is loaded once. With low memory the networks
        # share one: loading one drops the others.
        shared = threading.Lock()
        self._loading = {name: shared if low_memory else threading.Lock() for name in NETWORKS}

    def prepare(self, function: str) -> None:
        if not self._low_memory:
            self._ready(function)

    def _ready(self, function: str) -> Callable[..., Any]:
        """The method that is `function`; its network is loaded if necessary."""
        network, method = network_and_method(function)
        with self._loading[network]:
            if (found := self._functions.get(function)) is not None:
                return found
            loaded = self._networks.get(network)
            if loaded is None:
                if self._low_memory:
                    self._networks, self._functions = {}, {}
                loaded = self._networks[network] = self._loaded(network)
            run = getattr(loaded, method)
            if self._compile_step and function in STEPS:
                run = _compiled(run)
            self._functions[function] = run
            return run

    def release(self) -> None:
        self._networks, self._functions = {}, {}

    def run(self, function: str, *inputs: Any) -> Any:
        run = self._ready(function)
        with framework.no_grad():
            if self.precision == "f32":
                return run(*inputs)
            return _converted(run(*self._in_precision(function, inputs)), framework.xp.float32)

    def start(self, function: str) -> Callable[..., Any]:
        method = self._ready(function)

        def run(*inputs: Any) -> tuple[Any, list[Any]]:
            with framework.no_grad():
                if self.precision == "f32":
                    return method(*inputs)
                # States stay in the precision of the arithmetic.
                output, states = method(*self._in_precision(function, inputs))
                return _converted(output, framework.xp.float32), states

        def empty(batch: int) -> list[Any]:
            return [self.asarray(x) for x in empty_states(function, self.checkpoint.config, batch)]

        return Stateful(run, empty)

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self.to_numpy(self.run(function, *[self.asarray(x) for x in inputs]))

    def asarray(self, array: np.ndarray) -> framework.Tensor:
        return framework.from_numpy(array, self.device)

    def to_numpy(self, array: framework.Tensor) -> np.ndarray:
        return framework.to_numpy(array)

    def concat(self, arrays: Sequence[framework.Tensor], axis: int) -> framework.Tensor:
        return framework.xp.concat(list(arrays), axis)

    def _loaded(self, network: str) -> Any:
        module = build_empty(network, self.checkpoint.config)
        framework.assign_weights(module, self.checkpoint.weights(network), self.device)
        if self.precision != "f32" and network not in FLOAT32_FUNCTIONS:
            precise = PRECISE.get(network, ())
            for name, parameter in module.named_parameters():
                if not any(f".{layer}." in f".{name}" for layer in precise):
                    parameter.data = parameter.data.to(self._dtype)
        return module

    def _in_precision(self, function: str, inputs: Sequence[Any]) -> list[Any]:
        """`inputs` in the precision of the function's arithmetic."""
        return list(inputs) if function in FLOAT32_FUNCTIONS else _converted(inputs, self._dtype)


def _compiled(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run` by torch.compile. On a GPU this records CUDA graphs: a step is one kernel launch instead of thousands."""
    compiled = framework.xp.compile(run, mode="reduce-overhead")

    def run_compiled(*inputs: Any) -> Any:
        # A copy: the output is a buffer of the graph, which the next call overwrites. Samplers, and the deep features
        # of `reuse`, keep it for longer.
        return compiled(*inputs).clone()

    return run_compiled


def _converted(x: Any, dtype: Any) -> Any:
    """`x`, a tensor or a nested list of them, with floating-point tensors as `dtype`."""
    if isinstance(x, (list, tuple)):
        return [_converted(y, dtype) for y in x]
    return x.to(dtype) if framework.is_float(x) else x


def checked(device: str | None, precision: str, compile_step: bool) -> tuple[str, str]:
    """Device and precision, with defaults filled in. Raises ValueError for what the framework does not support."""
    device = framework.default_device() if device is None else framework.checked_device(device)
    if compile_step and framework.NAME != "torch":
        raise ValueError(f"compile_step needs PyTorch, but this process uses {framework.NAME}")
    return device, _checked_precision(precision, device)


def _checked_precision(precision: str, device: str) -> str:
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, choose from {', '.join(PRECISIONS)}")
    if framework.NAME == "torch":
        return precision if precision != "auto" else "bf16" if device.startswith("cuda") else "f32"
    if precision not in ("auto", "f32"):
        raise ValueError(f"precision is {precision!r}, but the eager engine has it with PyTorch only; choose f32")
    return "f32"
