"""OpenVINO: the networks translated and compiled for the CPU, on NumPy arrays."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino

from ppaudioldm.engines import mapped_files

PRECISIONS = ("auto", "f32", "bf16")
# Faster when the exact shapes are known: the UNet by a quarter, the others by 6 %, the first run with a shape included.
STATIC = frozenset({"unet", "unet_step", "unet_guided_step", "vae_decoder", "vocoder"})
WEIGHTS = "model.bin"  # the file of a prepared model, which OpenVINO maps
KEPT_SHAPES = 2  # of a static function: each holds the weights once more

Inputs = Sequence[np.ndarray]

_preparing = threading.Lock()  # for all engines: Paddle can trace in one thread only


class OpenVINOEngine:
    """Runs functions on the CPU. Any number of threads may call it.

    model_of: gives the model of a function: `translator.Translator`, or `prepared.PreparedModels.model`. precision: of
    the arithmetic; "auto" is bf16 where the CPU has it (AVX512-BF16 or AMX), else f32; arrays are float32 either way.
    Raises ValueError for a precision that is unknown or that the CPU does not have.
    """

    def __init__(self, model_of: Callable[[str], openvino.Model], precision: str = "auto") -> None:
        self._core = openvino.Core()
        self.precision = checked_precision(precision, self._core)
        self._model_of = model_of
        self._functions: dict[str, _Compiled | _CompiledByShape] = {}

    def prepare(self, function: str) -> None:
        """Translate and compile `function`; one of STATIC is compiled when it is first run with new shapes."""
        with _preparing:
            if function not in self._functions:
                make = _CompiledByShape if function in STATIC else _Compiled
                self._functions[function] = make(self._compile, self._model_of(function))

    def run(self, function: str, *inputs: Any) -> Any:
        """The function: arrays, lists of arrays or None in, an array or a list of arrays out."""
        self.prepare(function)
        return self._functions[function](_flat(inputs))

    def run_numpy(self, function: str, *inputs: np.ndarray) -> np.ndarray:
        return self.run(function, *inputs)

    def asarray(self, array: np.ndarray) -> np.ndarray:
        return array

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def concat(self, arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
        return np.concatenate(list(arrays), axis)

    def _compile(self, model: openvino.Model) -> openvino.CompiledModel:
        options = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(model, "CPU", options)


def checked_precision(precision: str, core: Any = None) -> str:
    """ "f32" or "bf16". Raises ValueError for one that is unknown or that the CPU does not have."""
    has_bf16 = "BF16" in (core or openvino.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, choose from {list(PRECISIONS)}")
    if precision == "bf16" and not has_bf16:
        raise ValueError("precision 'bf16' needs a CPU with AVX512-BF16 or AMX, choose from ['auto', 'f32']")
    return precision if precision != "auto" else "bf16" if has_bf16 else "f32"


class _Compiled:
    """A compiled model. Calls take turns: OpenVINO would run them one after another anyway, each on all cores."""

    def __init__(
        self, compile_model: Callable[[openvino.Model], openvino.CompiledModel], model: openvino.Model
    ) -> None:
        compiled = compile_model(model)
        self._dtypes = [port.get_element_type().to_dtype() for port in compiled.inputs]
        self._returns_one = "output" in compiled.output(0).get_names()  # see `translate`
        self._request = compiled.create_infer_request()
        self._running = threading.Lock()
        self._ran = False

    def __call__(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        arrays = [np.ascontiguousarray(x, dtype) for x, dtype in zip(inputs, self._dtypes, strict=True)]
        with self._running:
            # The outputs are copies, or the next call would overwrite them.
            outputs = self._request.infer(arrays, share_inputs=True, share_outputs=False).to_tuple()
            if not self._ran:
                # The first run packs the weights, so those in the file are in memory for nothing: half of it.
                mapped_files.release(WEIGHTS)
                self._ran = True
        return outputs[0] if self._returns_one else list(outputs)


class _CompiledByShape:
    """A model compiled once for each exact shape of inputs; the KEPT_SHAPES used last are kept."""

    def __init__(
        self, compile_model: Callable[[openvino.Model], openvino.CompiledModel], model: openvino.Model
    ) -> None:
        self._compile_model = compile_model
        self._model = model
        self._compiled: OrderedDict[tuple[tuple[int, ...], ...], _Compiled] = OrderedDict()
        self._compiling = threading.Lock()

    def __call__(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        shapes = tuple(x.shape for x in inputs)
        with self._compiling:
            if shapes not in self._compiled:
                while len(self._compiled) >= KEPT_SHAPES:
                    self._compiled.popitem(last=False)
                self._compiled[shapes] = self._compile(shapes)
            self._compiled.move_to_end(shapes)
            compiled = self._compiled[shapes]
        return compiled(inputs)

    def _compile(self, shapes: Sequence[tuple[int, ...]]) -> _Compiled:
        model = self._model.clone()  # shares the weights
        ports = zip(model.inputs, shapes, strict=True)
        model.reshape({port: openvino.PartialShape(list(shape)) for port, shape in ports})
        return _Compiled(self._compile_model, model)


def _flat(inputs: Sequence[Any]) -> list[np.ndarray]:
    """The arrays among `inputs` and in its lists; None is an input that the function does not have."""
    flat = []
    for x in inputs:
        flat += list(x) if isinstance(x, (list, tuple)) else [x]
    return [x for x in flat if x is not None]
