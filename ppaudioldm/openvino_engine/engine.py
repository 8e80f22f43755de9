"""The OpenVINO engine: compiled networks on the CPU, with NumPy arrays."""

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

from ppaudioldm.models.functions import FLOAT32_FUNCTIONS, STEPS, network_and_method
from ppaudioldm.openvino_engine import memory

PRECISIONS = ("auto", "f32", "bf16")
# Compiled for the exact shapes of a call. This is faster in spite of compiling: the UNet by a quarter, others by 6 %.
STATIC = frozenset({*STEPS, "vae_decoder", "vocoder"})
WEIGHTS = "model.bin"  # the file with the constants of a cached model, which OpenVINO maps
GATED = "flan_t5"  # see `prevent_gate_fusion`
# How many shapes of a static function stay compiled, each with a copy of the weights: up to MOST_SHAPES, as many as fit
# into SHAPES_BYTES, but at least MIN_SHAPES.
MIN_SHAPES, MOST_SHAPES = 2, 8
SHAPES_BYTES = 512 << 20

Inputs = Sequence[np.ndarray]
Shapes = tuple[tuple[int, ...], ...]

logger = logging.getLogger(__name__)
_translating = threading.Lock()  # for all engines: Paddle can trace in one thread only


class CompiledCache(Protocol):
    """Stores compiled functions from one start to the next: `cache.ModelCache`."""

    def has(self, function: str) -> bool:
        """Whether the model of `function` is in the cache."""

    def constants_bytes(self, function: str) -> int:
        """The size of the constants in a model that is in the cache."""

    def load_compiled(self, function: str, variant: str) -> tuple[bytes, Path] | None:
        """What `store_compiled` stored, and the file with the model's constants."""

    def store_compiled(self, function: str, variant: str, compiled: bytes) -> bool:
        """Store what was compiled. Returns whether that worked."""


class OpenVINOEngine:
    """Runs functions on the CPU. Any number of threads may call it.

    model_of: returns the model of a function: a `translator.Translator`, or `cache.ModelCache.model`. precision: of the
    arithmetic; "auto" is bf16 where the CPU has it (AVX512-BF16 or AMX), else f32; arrays are float32 either way.
    cache: stores compiled functions; loading one takes a fifth of the time of compiling it. low_memory: keep one
    network in memory at a time.
    Raises ValueError for a precision that is unknown or that the CPU does not have.
    """

    def __init__(
        self,
        model_of: Callable[[str], openvino.Model],
        precision: str = "auto",
        cache: CompiledCache | None = None,
        low_memory: bool = False,
    ) -> None:
        self._core = openvino.Core()
        self.precision = checked_precision(precision, self._core)
        self._model_of = model_of
        self._cache = cache
        self._low_memory = low_memory
        self._models: dict[str, openvino.Model] = {}  # of STATIC functions, to compile for other shapes
        self._functions: dict[str, _Compiled | _CompiledByShape] = {}

    def prepare(self, function: str) -> None:
        """Translate and compile `function`; one of STATIC is compiled when it is first run with new shapes.

        With low memory it is only translated, for the cache.
        """
        if not self._low_memory:
            self._ready(function)
        elif self._cache and not self._cache.has(function):
            with _translating:
                self._model_of(function)
            memory.trim()

    def _ready(self, function: str) -> _Compiled | _CompiledByShape:
        with _translating:
            if (found := self._functions.get(function)) is not None:
                return found
            if self._low_memory:
                self._release_networks(network_and_method(function)[0])
            ready: _Compiled | _CompiledByShape
            if function not in STATIC:
                ready = _Compiled(self._compile(function, None))
            else:
                if self._cache is None or not self._cache.has(function):
                    self._models[function] = self._model_of(function)
                ready = _CompiledByShape(self._max_shapes(function))
                memory.trim()
            self._functions[function] = ready
            return ready

    def release(self) -> None:
        """Drop all networks; those that are needed again are loaded again. A function that is running finishes."""
        with _translating:
            self._release_networks(except_for="")
        memory.trim()

    def _release_networks(self, except_for: str) -> None:
        """Drop the functions of every network but one; a function that is running finishes."""
        for functions in (self._functions, self._models):
            for other in [name for name in functions if network_and_method(name)[0] != except_for]:
                del functions[other]

    def _max_shapes(self, function: str) -> int:
        size = self._cache.constants_bytes(function) if self._cache else SHAPES_BYTES
        return min(MOST_SHAPES, max(MIN_SHAPES, SHAPES_BYTES // max(1, size)))

    def run(self, function: str, *inputs: Any) -> Any:
        """Run the function. inputs: arrays, lists of arrays or None. Returns an array or a list of arrays."""
        compiled, arrays = self._ready(function), _flat(inputs)
        if isinstance(compiled, _CompiledByShape):
            compiled = compiled.for_shapes(
                tuple(x.shape for x in arrays), lambda shapes: self._compile(function, shapes)
            )
        return compiled(arrays)

    def start(self, function: str) -> Callable[..., Any]:
        """A function with states: each call continues with the states that the last one left."""
        compiled = self._ready(function)
        assert isinstance(compiled, _Compiled), f"{function} is compiled for exact shapes, but states grow"
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
        """`function` compiled for these shapes of its inputs; None for any shapes."""
        precision = "f32" if function in FLOAT32_FUNCTIONS else self.precision
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        # OPTIMIZE_SIZE: exported without constants, which are read from the model's file. The default precision of the
        # key-value cache would be 8 bits.
        options |= {"CACHE_MODE": "OPTIMIZE_SIZE", "KV_CACHE_PRECISION": precision}
        unfused_gates = function == GATED and self.precision == "bf16" and num_threads(self._core) == 1
        variant = self._variant(options, shapes, unfused_gates)

        def compile_model() -> openvino.CompiledModel:
            model = self._shaped(function, shapes)
            if unfused_gates:
                prevent_gate_fusion(model)
            return self._core.compile_model(model, "CPU", options)

        with memory.released(WEIGHTS):
            compiled = self._load(function, variant, options)
            if compiled is None:
                compiled = compile_model()
                if self._cache and self._cache.store_compiled(function, variant, compiled.export_model().getvalue()):
                    compiled = None  # once loaded from the cache it needs less memory: the model is freed
                    compiled = self._load(function, variant, options) or compile_model()
            return compiled

    def _load(self, function: str, variant: str, options: dict[str, str]) -> openvino.CompiledModel | None:
        """The compiled function from the cache, or None."""
        found = self._cache.load_compiled(function, variant) if self._cache else None
        if found is None:
            return None
        blob, constants = found
        try:
            return self._core.import_model(io.BytesIO(blob), "CPU", options | {"WEIGHTS_PATH": str(constants)})
        except RuntimeError as error:
            logger.warning("%s is compiled again: %s", constants.parent, str(error).splitlines()[0])
            return None

    def _shaped(self, function: str, shapes: Shapes | None) -> openvino.Model:
        """The model of `function` with inputs of `shapes`; None for any shapes."""
        if shapes is None:
            return self._model_of(function)
        with _translating:
            dynamic = self._models.get(function)
            if dynamic is None:
                dynamic = self._models[function] = self._model_of(function)
        model = dynamic.clone()  # shares the weights
        ports = zip(model.inputs, shapes, strict=True)
        model.reshape({port: openvino.PartialShape(list(shape)) for port, shape in ports})
        return model

    def _variant(self, options: dict[str, str], shapes: Shapes | None, unfused_gates: bool) -> str:
        """A hash of what a function is compiled for: shapes, options, unfused gates, the kind of CPU."""
        cpu = [self._core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        facts = [shapes, options, cpu, *(["parted"] if unfused_gates else [])]  # the word is in the keys of caches
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def checked_precision(precision: str, core: Any = None) -> str:
    """ "f32" or "bf16". Raises ValueError for one that is unknown or that the CPU does not have."""
    has_bf16 = "BF16" in (core or openvino.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}, choose from {list(PRECISIONS)}")
    if precision == "bf16" and not has_bf16:
        raise ValueError("precision 'bf16' needs a CPU with AVX512-BF16 or AMX, choose from ['auto', 'f32']")
    return precision if precision != "auto" else "bf16" if has_bf16 else "f32"


def num_threads(core: openvino.Core) -> int:
    """The number of threads with which OpenVINO runs a model here; only a compiled model has this property."""
    x = opset15.parameter([1], np.float32)
    model = openvino.Model([opset15.relu(x)], [x])
    return core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"}).get_property("INFERENCE_NUM_THREADS")


def prevent_gate_fusion(model: openvino.Model) -> None:
    """Keep OpenVINO from fusing gated feed-forward layers: the GELU of one product times another product.

    With a single thread, its choice where two logical processors share a core, the fused kernel divides by zero on CPUs
    with AMX, and the process ends (2026.4, OpenVINO's issue 33300).
    """
    for multiply in model.get_ordered_ops():
        if multiply.get_type_name() != "Multiply":
            continue
        inputs = {value.get_node().get_type_name(): value for value in multiply.input_values()}
        if inputs.keys() == {"Gelu", "MatMul"}:
            product = inputs["MatMul"]
            (port,) = (port for port in multiply.inputs() if port.get_source_output() == product)
            port.replace_source_output(opset15.add(product, np.float32(1e-30)).output(0))  # changes no value


class _Compiled:
    """A compiled model. One call runs at a time: each uses all cores, and OpenVINO would run them in turn as well."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._dtypes = [port.get_element_type().to_dtype() for port in compiled.inputs]
        self._returns_one = "output" in compiled.output(0).get_names()  # see `paddle_program.translate`
        self._model = compiled
        self._request = compiled.create_infer_request()
        self._has_states = bool(self._request.query_state())
        self._running = threading.Lock()
        self._ran = False

    def __call__(self, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        assert not self._has_states, "a function with states must be started, or calls would share them"
        return self._infer(self._request, inputs)

    def start(self) -> Callable[..., np.ndarray | list[np.ndarray]]:
        """A function whose calls share states, which belong to an inference request of its own."""
        request = self._model.create_infer_request()
        return lambda *inputs: self._infer(request, _flat(inputs))

    def _infer(self, request: openvino.InferRequest, inputs: Inputs) -> np.ndarray | list[np.ndarray]:
        arrays = [np.ascontiguousarray(x, dtype) for x, dtype in zip(inputs, self._dtypes, strict=True)]
        # The first run copies the weights into another layout: pages of the file are not needed afterwards.
        with self._running, contextlib.nullcontext() if self._ran else memory.released(WEIGHTS):
            # The outputs must be copies: the next call overwrites the request's own.
            outputs = request.infer(arrays, share_inputs=True, share_outputs=False).to_tuple()
            self._ran = True
        return outputs[0] if self._returns_one else list(outputs)


class _CompiledByShape:
    """A function compiled for each exact shape of its inputs; the `max_shapes` that were used last stay.

    It has no reference to the engine: without cycles an unused engine is freed at once, with gigabytes of weights.
    """

    def __init__(self, max_shapes: int = MIN_SHAPES) -> None:
        self._max_shapes = max_shapes
        self._compiled: OrderedDict[Shapes, _Compiled] = OrderedDict()
        self._compiling = threading.Lock()

    def for_shapes(self, shapes: Shapes, compile_for: Callable[[Shapes], openvino.CompiledModel]) -> _Compiled:
        """The function for these shapes of its inputs, compiled by `compile_for` if necessary."""
        with self._compiling:
            if shapes not in self._compiled:
                while len(self._compiled) >= self._max_shapes:
                    self._compiled.popitem(last=False)
                self._compiled[shapes] = _Compiled(compile_for(shapes))
            self._compiled.move_to_end(shapes)
            return self._compiled[shapes]


def _flat(inputs: Sequence[Any]) -> list[np.ndarray]:
    """The arrays among `inputs` and in its lists; None is an input that this function lacks."""
    flat = []
    for x in inputs:
        flat += list(x) if isinstance(x, (list, tuple)) else [x]
    return [x for x in flat if x is not None]
