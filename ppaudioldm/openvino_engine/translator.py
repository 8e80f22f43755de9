"""The functions of a checkpoint as OpenVINO models, by way of Paddle."""

from __future__ import annotations

import logging
from typing import Any

import openvino

from ppaudioldm import framework
from ppaudioldm.models.build import build_empty
from ppaudioldm.models.functions import Inputs, function_inputs, network_and_method
from ppaudioldm.weights.checkpoint import Checkpoint

if framework.NAME != "paddle":
    raise ValueError(f"the openvino engine needs Paddle to translate a network, but this process uses {framework.NAME}")

from ppaudioldm.openvino_engine.paddle_program import translate

logger = logging.getLogger(__name__)

PADDLE = "3.3"  # whose traced programs are known; its users may have installed another, such as paddlepaddle-gpu


def translated(layer: Any, inputs: Inputs, method: str = "forward") -> openvino.Model:
    """`paddle_program.translate`, with a warning where Paddle is of another version than it knows."""
    _check_version()
    return translate(layer, inputs, method)


def _check_version() -> None:
    version = framework.xp.__version__
    if version.split(".")[:2] != PADDLE.split("."):
        logger.warning("Paddle is %s, but translation to OpenVINO is tested with %s", version, PADDLE)


class Networks:
    """The networks of `checkpoint` with their weights, of which the last one is kept in memory."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._last: tuple[str, Any] = "", None

    def __call__(self, network: str) -> Any:
        if self._last[0] != network:
            self._last = "", None  # free its memory before the next one is loaded
            layer = build_empty(network, self._checkpoint.config)
            framework.assign_weights(layer, self._checkpoint.weights(network))
            self._last = network, layer
        return self._last[1]


class Translator:
    """Translates functions of `checkpoint`. Keeps the network of the last one, whose memory its models share."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.config
        self._networks = Networks(checkpoint)
        _check_version()

    def __call__(self, function: str) -> openvino.Model:
        """The model of `function`, see `engines.engine`."""
        network, method = network_and_method(function)
        return translate(self._networks(network), function_inputs(function, self._config), method)
