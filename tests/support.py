"""What the tests share: an engine that records its calls, random networks, golden files, errors."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import CONSISTENCYTTA_DIFFUSION, CONSISTENCYTTA_HEAD_DIM, UNetConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.weights.checkpoint import Checkpoint
from ppaudioldm.weights.random import random_weights

GOLDEN = Path(__file__).parent / "golden"
SEED = 1
# AudioLDM 1 as small as UNTRAINED is: one transformer a place, without context, and CLAP by FiLM.
AUDIOLDM1 = replace(
    UNTRAINED,
    unet=replace(UNTRAINED.unet, context_dims=(), film_dim=64),
    clap_audio=replace(UNTRAINED.clap_audio, short_input="repeated"),
    flan_t5=None,
    gpt2=None,
    loa=None,
    audiomae=None,
    diffusion=replace(UNTRAINED.diffusion, guidance_scale=2.5),
)


# ConsistencyTTA likewise: one transformer with context a place, and the guidance scale as an input.
CONSISTENCYTTA = replace(
    UNTRAINED,
    unet=UNetConfig(
        model_channels=64,
        channel_mult=(1, 2),
        num_res_blocks=1,
        attention_levels=(0,),
        head_dim=CONSISTENCYTTA_HEAD_DIM,
        context_dims=(160,),
        transformers="tango",
        guidance_dim=32,
    ),
    clap_text=None,
    clap_audio=None,
    flan_t5=replace(UNTRAINED.flan_t5, max_tokens=512),
    gpt2=None,
    loa=None,
    audiomae=None,
    diffusion=CONSISTENCYTTA_DIFFUSION,
)


class RecordingEngine(EagerEngine):
    """An engine that records each call of a function. calls: (function, inputs, output)."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.calls: list[tuple[str, tuple, Any]] = []

    def run(self, function: str, *inputs: Any) -> Any:
        output = super().run(function, *inputs)
        self.calls.append((function, inputs, output))
        return output

    def start(self, function: str) -> Callable[..., Any]:
        started = super().start(function)

        def recorded(*inputs: Any) -> Any:
            output = started(*inputs)
            self.calls.append((function, inputs, output))
            return output

        return recorded

    def of(self, function: str) -> list[tuple[tuple, Any]]:
        """Inputs and output of each call of `function`."""
        return [(inputs, output) for name, inputs, output in self.calls if name == function]

    def counts(self) -> Counter[str]:
        """How often each function was called."""
        return Counter(name for name, _, _ in self.calls)


def random_network(name: str, network_class: type, config: object):
    """`network_class(config)` with the random weights that `name` and SEED give."""
    with framework.empty_weights():
        network = network_class(config)
    shapes = framework.parameter_shapes(network)
    framework.assign_weights(network, random_weights(name, shapes, SEED))
    return network


def run(network, *inputs: Any) -> Any:
    """NumPy arrays, lists of them or None in; an array or a tuple of such out."""

    def tensor(x: Any) -> Any:
        return [tensor(y) for y in x] if isinstance(x, (list, tuple)) else x if x is None else framework.from_numpy(x)

    def array(x: Any) -> Any:
        return tuple(array(y) for y in x) if isinstance(x, (list, tuple)) else framework.to_numpy(x)

    with framework.no_grad():
        return array(network(*tensor(inputs)))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """L2 norm of the difference over that of `expected`; infinite where a value is not finite or a shape differs."""
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    difference = np.linalg.norm((actual.astype(np.float64) - expected).ravel())
    return float(difference / np.linalg.norm(expected.astype(np.float64).ravel()))


def load_golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def save_golden(name: str, **arrays: np.ndarray) -> None:
    np.savez_compressed(GOLDEN / f"{name}.npz", **arrays)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError where the block waits for longer, for example for a pipe."""

    def stop(*_: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
