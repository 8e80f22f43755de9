"""OpenVINO: the networks translated and compiled for the CPU, on NumPy arrays."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino
from openvino import opset15

from ppaudioldm.engines import mapped_files

PRECISIONS = ("auto", "f32", "bf16")
# Faster when the exact shapes are known: the UNet by a quarter, the others by 6 %, the first run with a shape included.
STEPS = ("unet_step", "unet_guided_step", "unet_guided_deep", "unet_guided_shallow")
STATIC = frozenset({"unet", *STEPS, "vae_decoder", "vocoder"})
WEIGHTS = "model.bin"  # the file of a prepared model, which OpenVINO maps
# With one thread, which is what OpenVINO takes where two processors share a core, its bf16 kernel for gated layers
# divides by zero on a CPU with AMX and ends the process (2026.4, openvino issue 33300).
NEEDS_TWO_THREADS_IN_BF16 = "flan_t5"
KEPT_SHAPES = 2  # of a static function: each holds the weights once more

Inputs = Sequence[np.ndarray]
Shapes = tuple[tuple[int, ...], ...]

logger = logging.getLogger(__name__)
_preparing = threading.Lock()  # for all engines: Paddle can trace in one thread only


class Shelf(Protocol):
    """Where compiled functions are kept from one start to the next: `prepared.PreparedModels`."""

    def has(self, function: str) -> bool: ...

    def compiled(self, function: str, variant: str) -> tuple[bytes, Path] | None:
        """What `keep` was given, and the file with the model's constants."""

    def keep(self, function: str, variant: str, compiled: bytes) -> None: ...


class OpenVINOEngine:
    """Runs functions on the CPU. Any number of threads may call it.

    model_of: gives the model of a function: `translator.Translator`, or `prepared.PreparedModels.model`. precision: of
    the arithmetic; "auto" is bf16 where the CPU has it (AVX512-BF16 or AMX), else f32; arrays are float32 either way.
    shelf: where compiled functions are kept: reading one back takes a fifth of the time of compiling it.
    Raises ValueError for a precision that is unknown or that the CPU does not have.
    """

    def __init__(
        self, model_of: Callable[[str], openvino.Model], precision: str = "auto", shelf: Shelf | None = None
    ) -> None:
        self._core = openvino.Core()
        self.precision = checked_precision(precision, self._core)
        self._model_of = model_of
        self._shelf = shelf
        self._models: dict[str, openvino.Model] = {}  # of STATIC functions, for the next shapes
        self._functions: dict[str, _Compiled | _CompiledByShape] = {}

    def prepare(self, function: str) -> None:
        """Translate and compile `function`; one of STATIC is compiled when it is first run with new shapes."""
        with _preparing:
            if function in self._functions:
                return
            if function not in STATIC:
                self._functions[function] = _Compiled(self._compile(function, None))
                return
            if self._shelf is None or not self._shelf.has(function):
                self._models[function] = self._model_of(function)
            self._functions[function] = _CompiledByShape(lambda shapes: self._compile(function, shapes))

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

    def _compile(self, function: str, shapes: Shapes | None) -> openvino.CompiledModel:
        """`function`, compiled for these shapes of its inputs, or for any."""
        precision = self.precision
        if function == NEEDS_TWO_THREADS_IN_BF16 and precision == "bf16" and num_threads(self._core) == 1:
            precision = "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        # Without the constants, which are read from the model's file.
        options |= {"CACHE_MODE": "OPTIMIZE_SIZE"}
        variant = self._variant(options, shapes)
        found = self._shelf.compiled(function, variant) if self._shelf else None
        if found:
            blob, constants = found
            try:
                return self._core.import_model(io.BytesIO(blob), "CPU", options | {"WEIGHTS_PATH": str(constants)})
            except RuntimeError as error:
                logger.warning("%s is compiled again: %s", constants.parent, str(error).splitlines()[0])
        compiled = self._core.compile_model(self._shaped(function, shapes), "CPU", options)
        if self._shelf:
            self._shelf.keep(function, variant, compiled.export_model().getvalue())
        return compiled

    def _shaped(self, function: str, shapes: Shapes | None) -> openvino.Model:
        if shapes is None:
            return self._model_of(function)
        with _preparing:
            if function not in self._models:
                self._models[function] = self._model_of(function)
        model = self._models[function].clone()  # shares the weights
        ports = zip(model.inputs, shapes, strict=True)
        model.reshape({port: openvino.PartialShape(list(shape)) for port, shape in ports})
        return model

    def _variant(self, options: dict[str, str], shapes: Shapes | None) -> str:
        """Names what a function was compiled for: shapes, options, and the kind of CPU."""
        cpu = [self._core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        return hashlib.sha256(json.dumps([shapes, options, cpu]).encode()).hexdigest()[:16]


def checked_precision(precision: str, core: Any = None) -> str:
    """ "f32" or "bf16". Raises ValueError for one that is unknown or that the CPU does not have."""
    has_bf16 = "BF16" in (core or openvino.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, choose from {list(PRECISIONS)}")
    if precision == "bf16" and not has_bf16:
        raise ValueError("precision 'bf16' needs a CPU with AVX512-BF16 or AMX, choose from ['auto', 'f32']")
    return precision if precision != "auto" else "bf16" if has_bf16 else "f32"


def num_threads(core: openvino.Core) -> int:
    """How many threads OpenVINO runs a model with here; only a compiled model tells."""
    x = opset15.parameter([1], np.float32)
    model = openvino.Model([opset15.relu(x)], [x])
    return core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).get_property("INFERENCE_NUM_THREADS")


class _Compiled:
    """A compiled model. Calls take turns: OpenVINO would run them one after another anyway, each on all cores."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
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
    """A function compiled once for each exact shape of inputs; the KEPT_SHAPES used last are kept."""

    def __init__(self, compile_for: Callable[[Shapes], openvino.CompiledModel]) -> None:
        self._compile_for = compile_for
        self._compiled: OrderedDict[Shapes, _Compiled] = OrderedDict()
        self._compiling = threading.Lock()

    def __call__(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        shapes = tuple(x.shape for x in inputs)
        with self._compiling:
            if shapes not in self._compiled:
                while len(self._compiled) >= KEPT_SHAPES:
                    self._compiled.popitem(last=False)
                self._compiled[shapes] = _Compiled(self._compile_for(shapes))
            self._compiled.move_to_end(shapes)
            compiled = self._compiled[shapes]
        return compiled(inputs)


def _flat(inputs: Sequence[Any]) -> list[np.ndarray]:
    """The arrays among `inputs` and in its lists; None is an input that the function does not have."""
    flat = []
    for x in inputs:
        flat += list(x) if isinstance(x, (list, tuple)) else [x]
    return [x for x in flat if x is not None]
