"""Functions of networks as programs of Paddle Inference."""

from __future__ import annotations

from pathlib import Path

from ppaudioldm import framework
from ppaudioldm.models.functions import function_inputs, network_and_method
from ppaudioldm.weights.checkpoint import Checkpoint

if framework.NAME != "paddle":
    raise ValueError(f"only Paddle can trace a network, but this process uses {framework.NAME}")

import paddle

from ppaudioldm.openvino_engine.paddle_program import static_function, tracing
from ppaudioldm.openvino_engine.translator import Networks


class PaddlePrograms:
    """Saves functions of `checkpoint`: NAME.json, the program, and NAME.pdiparams, the weights that it needs."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.config
        self._networks = Networks(checkpoint)

    def __call__(self, function: str, path: Path) -> None:
        network, method = network_and_method(function)
        static = static_function(self._networks(network), function_inputs(function, self._config), method)
        with tracing():
            paddle.jit.save(static, str(path))
