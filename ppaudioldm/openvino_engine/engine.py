"""OpenVINO: the networks translated and compiled for the CPU, on NumPy arrays."""

from __future__ import annotations

import contextlib
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

from ppaudioldm.models.functions import network_and_method
from ppaudioldm.openvino_engine import memory

PRECISIONS = ("auto", "f32", "bf16")
# Faster when the exact shapes are known: the UNet by a quarter, the others by 6 %, the first run with a shape included.
STEPS = ("unet_step", "unet_guided_step", "unet_guided_deep", "unet_guided_shallow")
STATIC = frozenset({"unet", *STEPS, "vae_decoder", "vocoder"})
WEIGHTS = "model.bin"  # the file of a prepared model, which OpenVINO maps
GATED = "flan_t5"  # see `part_gates`
# Of a static function, each of which holds the weights once more: at least 2, more of a small one.
KEPT_SHAPES, MOST_SHAPES = 2, 8
KEPT_BYTES = 512 << 20  # that more of them may take

Inputs = Sequence[np.ndarray]
Shapes = tuple[tuple[int, ...], ...]

logger = logging.getLogger(__name__)
_preparing = threading.Lock()  # for all engines: Paddle can trace in one thread only


class Shelf(Protocol):
    """Where compiled functions are kept from one start to the next: `prepared.PreparedModels`."""

    def has(self, function: str) -> bool: ...

    def size(self, function: str) -> int:
        """Bytes of the constants of a model that it has."""

    def compiled(self, function: str, variant: str) -> tuple[bytes, Path] | None:
        """What `keep` was given, and the file with the model's constants."""

    def keep(self, function: str, variant: str, compiled: bytes) -> bool:
        """Whether it is kept."""


class OpenVINOEngine:
    """Runs functions on the CPU. Any number of threads may call it.

    model_of: gives the model of a function: `translator.Translator`, or `prepared.PreparedModels.model`. precision: of
    the arithmetic; "auto" is bf16 where the CPU has it (AVX512-BF16 or AMX), else f32; arrays are float32 either way.
    shelf: where compiled functions are kept: reading one back takes a fifth of the time of compiling it. low_memory:
    hold one network at a time.
    Raises ValueError for a precision that is unknown or that the CPU does not have.
    """

    def __init__(
        self,
        model_of: Callable[[str], openvino.Model],
        precision: str = "auto",
        shelf: Shelf | None = None,
        low_memory: bool = False,
    ) -> None:
        self._core = openvino.Core()
        self.precision = checked_precision(precision, self._core)
        self._model_of = model_of
        self._shelf = shelf
        self._low_memory = low_memory
        self._models: dict[str, openvino.Model] = {}  # of STATIC functions, for the next shapes
        self._functions: dict[str, _Compiled | _CompiledByShape] = {}

    def prepare(self, function: str) -> None:
        """Translate and compile `function`; one of STATIC is compiled when it is first run with new shapes.

        With low memory it is translated only, for the shelf.
        """
        if not self._low_memory:
            self._ready(function)
        elif self._shelf and not self._shelf.has(function):
            with _preparing:
                self._model_of(function)
            memory.trim()

    def _ready(self, function: str) -> _Compiled | _CompiledByShape:
        with _preparing:
            if (found := self._functions.get(function)) is not None:
                return found
            if self._low_memory:
                self._let_go(network_and_method(function)[0])
            made: _Compiled | _CompiledByShape
            if function not in STATIC:
                made = _Compiled(self._compile(function, None))
            else:
                if self._shelf is None or not self._shelf.has(function):
                    self._models[function] = self._model_of(function)
                made = _CompiledByShape(self._kept_shapes(function))
                memory.trim()
            self._functions[function] = made
            return made

    def _let_go(self, but: str) -> None:
        """Of the functions of every network except `but`; those that run go on."""
        for functions in (self._functions, self._models):
            for other in [name for name in functions if network_and_method(name)[0] != but]:
                del functions[other]

    def _kept_shapes(self, function: str) -> int:
        size = self._shelf.size(function) if self._shelf else KEPT_BYTES
        return min(MOST_SHAPES, max(KEPT_SHAPES, KEPT_BYTES // max(1, size)))

    def run(self, function: str, *inputs: Any) -> Any:
        """The function: arrays, lists of arrays or None in, an array or a list of arrays out."""
        compiled, arrays = self._ready(function), _flat(inputs)
        if isinstance(compiled, _CompiledByShape):
            compiled = compiled.of(tuple(x.shape for x in arrays), lambda shapes: self._compile(function, shapes))
        return compiled(arrays)

    def start(self, function: str) -> Callable[..., Any]:
        """A function with states: each call goes on where the last one ended."""
        compiled = self._ready(function)
        assert isinstance(compiled, _Compiled), f"{function} is compiled for exact shapes, which grow with a state"
        return compiled.start()

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
        options = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}
        # Without the constants, which are read from the model's file. Keys and values would be 8-bit by default.
        options |= {"CACHE_MODE": "OPTIMIZE_SIZE", "KV_CACHE_PRECISION": self.precision}
        parted = function == GATED and self.precision == "bf16" and num_threads(self._core) == 1
        variant = self._variant(options, shapes, parted)

        def made() -> openvino.CompiledModel:
            model = self._shaped(function, shapes)
            if parted:
                part_gates(model)
            return self._core.compile_model(model, "CPU", options)

        with memory.released(WEIGHTS):
            compiled = self._read_back(function, variant, options)
            if compiled is None:
                compiled = made()
                if self._shelf and self._shelf.keep(function, variant, compiled.export_model().getvalue()):
                    compiled = None  # read back it needs less memory: what it was made from is gone
                    compiled = self._read_back(function, variant, options) or made()
            return compiled

    def _read_back(self, function: str, variant: str, options: dict[str, str]) -> openvino.CompiledModel | None:
        """What is on the shelf, if it can be used."""
        found = self._shelf.compiled(function, variant) if self._shelf else None
        if found is None:
            return None
        blob, constants = found
        try:
            return self._core.import_model(io.BytesIO(blob), "CPU", options | {"WEIGHTS_PATH": str(constants)})
        except RuntimeError as error:
            logger.warning("%s is compiled again: %s", constants.parent, str(error).splitlines()[0])
            return None

    def _shaped(self, function: str, shapes: Shapes | None) -> openvino.Model:
        if shapes is None:
            return self._model_of(function)
        with _preparing:
            kept = self._models.get(function)
            if kept is None:
                kept = self._models[function] = self._model_of(function)
        model = kept.clone()  # shares the weights
        ports = zip(model.inputs, shapes, strict=True)
        model.reshape({port: openvino.PartialShape(list(shape)) for port, shape in ports})
        return model

    def _variant(self, options: dict[str, str], shapes: Shapes | None, parted: bool) -> str:
        """Names what a function was compiled for: shapes, options, whether its gates are parted, the kind of CPU."""
        cpu = [self._core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        return hashlib.sha256(json.dumps([shapes, options, cpu, *(["parted"] if parted else [])]).encode()).hexdigest()[
            :16
        ]


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


def part_gates(model: openvino.Model) -> None:
    """Keep OpenVINO from making one operation of a gated layer: GELU of one product, times another.

    With one thread, which is what it takes where two processors share a core, the kernel for that divides by zero on a
    CPU with AMX, and the process ends (2026.4, openvino's issue 33300).
    """
    for multiply in model.get_ordered_ops():
        if multiply.get_type_name() != "Multiply":
            continue
        inputs = {value.get_node().get_type_name(): value for value in multiply.input_values()}
        if inputs.keys() == {"Gelu", "MatMul"}:
            product = inputs["MatMul"]
            (port,) = (port for port in multiply.inputs() if port.get_source_output() == product)
            port.replace_source_output(opset15.add(product, np.float32(1e-30)).output(0))  # next to nothing


class _Compiled:
    """A compiled model. Calls take turns: OpenVINO would run them one after another anyway, each on all cores."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._dtypes = [port.get_element_type().to_dtype() for port in compiled.inputs]
        self._returns_one = "output" in compiled.output(0).get_names()  # see `translate`
        self._model = compiled
        self._request = compiled.create_infer_request()
        self._has_states = bool(self._request.query_state())
        self._running = threading.Lock()
        self._ran = False

    def __call__(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        assert not self._has_states, "this function is not run but started: calls would go on from each other"
        return self._infer(self._request, inputs)

    def start(self) -> Callable[..., np.ndarray | list[np.ndarray]]:
        """Calls that go on from each other: the states are of a request, and this has one of its own."""
        request = self._model.create_infer_request()
        return lambda *inputs: self._infer(request, _flat(inputs))

    def _infer(self, request: openvino.InferRequest, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        arrays = [np.ascontiguousarray(x, dtype) for x, dtype in zip(inputs, self._dtypes, strict=True)]
        # The first run packs the weights: what is read of the file is in memory for nothing.
        with self._running, contextlib.nullcontext() if self._ran else memory.released(WEIGHTS):
            # The outputs are copies, or the next call would overwrite them.
            outputs = request.infer(arrays, share_inputs=True, share_outputs=False).to_tuple()
            self._ran = True
        return outputs[0] if self._returns_one else list(outputs)


class _CompiledByShape:
    """A function compiled once for each exact shape of inputs; the `kept` used last are kept.

    It does not know the engine: one that nobody holds any more is freed at once, its gigabytes of weights with it.
    """

    def __init__(self, kept: int = KEPT_SHAPES) -> None:
        self._kept = kept
        self._compiled: OrderedDict[Shapes, _Compiled] = OrderedDict()
        self._compiling = threading.Lock()

    def of(self, shapes: Shapes, compile_for: Callable[[Shapes], openvino.CompiledModel]) -> _Compiled:
        """The function for these shapes of its inputs, by `compile_for` if there is none yet."""
        with self._compiling:
            if shapes not in self._compiled:
                while len(self._compiled) >= self._kept:
                    self._compiled.popitem(last=False)
                self._compiled[shapes] = _Compiled(compile_for(shapes))
            self._compiled.move_to_end(shapes)
            return self._compiled[shapes]


def _flat(inputs: Sequence[Any]) -> list[np.ndarray]:
    """The arrays among `inputs` and in its lists; None is an input that the function does not have."""
    flat = []
    for x in inputs:
        flat += list(x) if isinstance(x, (list, tuple)) else [x]
    return [x for x in flat if x is not None]
