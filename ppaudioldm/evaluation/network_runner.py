"""Running a network that evaluates: by OpenVINO where it is at hand, else by Paddle or PyTorch, always in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ppaudioldm import framework
from ppaudioldm.engines.choice import chosen_engine
from ppaudioldm.models.functions import Input, Inputs
from ppaudioldm.weights.evaluation_networks import EvaluationNetwork

Run = Callable[[np.ndarray], list[np.ndarray]]


class RunnableNetwork:
    """`network`, whose one input is as described, ready to run.

    engine, device: as for `engines.choice.create_engine`. Raises ValueError for those that this machine does not have,
    and as `EvaluationNetwork.build`.
    """

    def __init__(
        self, network: EvaluationNetwork, described: Input, engine: str | None = None, device: str | None = None
    ) -> None:
        self.network = network
        if chosen_engine(engine, device, "f32", compile_step=False) == "openvino":
            self._run = _by_openvino(network, [described])
        else:
            from ppaudioldm.engines import eager

            self._run = _eager(network, eager.checked(device, "f32", compile_step=False)[0])

    def __call__(self, array: np.ndarray) -> list[np.ndarray]:
        """The outputs for `array`. Raises ValueError for one that is not finite."""
        outputs = self._run(array)
        if not all(np.isfinite(output).all() for output in outputs):
            raise ValueError(f"the output of {self.network.path.name} is not finite")
        return outputs


def _by_openvino(network: EvaluationNetwork, inputs: Inputs) -> Run:
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import translated

    name = network.network_class.__name__.lower()
    engine = OpenVINOEngine(lambda _: translated(network.build(), inputs), "f32")
    engine.prepare(name)
    return lambda array: _listed(engine.run(name, array))


def _eager(network: EvaluationNetwork, device: str) -> Run:
    module = network.build(device)

    def run(array: np.ndarray) -> list[np.ndarray]:
        with framework.no_grad():
            return [framework.to_numpy(output) for output in _listed(module(framework.from_numpy(array, device)))]

    return run


def _listed(outputs: object) -> list:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
