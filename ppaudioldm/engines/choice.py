"""The choice of an engine: OpenVINO on a CPU, the framework itself on a GPU, unless the user chooses another."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib import metadata

from ppaudioldm.choices import ENGINES
from ppaudioldm.engines.engine import Engine
from ppaudioldm.installed import INSTALL_OPENVINO, chosen_framework, is_installed
from ppaudioldm.weights.locate import Description, Located
from ppaudioldm.weights.lora import Adapter

logger = logging.getLogger(__name__)


def checked_engine(name: str | None) -> str:
    """`name`, or $PPAUDIOLDM_ENGINE, or "auto". Raises ValueError for an unknown one."""
    name = name or os.environ.get("PPAUDIOLDM_ENGINE") or "auto"
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}, choose from {', '.join(ENGINES)}")
    return name


def create_engine(
    located: Located,
    engine: str | None = None,
    device: str | None = None,
    precision: str = "auto",
    ema: bool | None = None,
    compile_step: bool = False,
    low_memory: bool = False,
    adapters: Sequence[tuple[Adapter, float]] = (),
) -> tuple[Description, Engine]:
    """The checkpoint `located` without its weights, and an engine that runs it.

    engine: one of ENGINES. device: "cpu", "cuda:0" or "gpu:0"; by default a GPU if there is one. precision,
    compile_step, low_memory: see the engines. ema: see `open_checkpoint`. adapters: LoRA adapters with their scales,
    which are merged into the UNet. Raises ValueError for an unknown value or an impossible combination.
    """
    if chosen_engine(engine, device, precision, compile_step) == "eager":
        if checked_engine(engine) == "auto" and _is_for_cpu(device):
            logger.warning("OpenVINO would run this faster than Paddle itself: %s", INSTALL_OPENVINO)
        return _eager(located, device, precision, ema, compile_step, low_memory, adapters)
    return _openvino(located, precision, ema, low_memory, adapters)


def chosen_engine(engine: str | None, device: str | None, precision: str, compile_step: bool) -> str:
    """ "openvino" or "eager". Raises the ValueErrors of `create_engine`, which need no checkpoint."""
    chosen_framework()  # an error if $PPAUDIOLDM_FRAMEWORK names another one than this process uses
    name = checked_engine(engine)
    if name == "auto":
        name = "openvino" if _is_for_cpu(device) and is_installed("openvino") else "eager"
    if name == "eager":
        from ppaudioldm.engines import eager

        eager.checked(device, precision, compile_step)
        return name
    if device not in (None, "cpu"):
        raise ValueError(f"device is {device!r}, but the openvino engine runs on the cpu only")
    if compile_step:
        raise ValueError("compile_step is for the eager engine; openvino always compiles")
    if not is_installed("openvino"):
        raise ValueError(f"the openvino engine needs OpenVINO: {INSTALL_OPENVINO}")
    from ppaudioldm.openvino_engine import engine as openvino

    openvino.checked_precision(precision)
    return name


def _openvino(
    located: Located, precision: str, ema: bool | None, low_memory: bool, adapters: Sequence[tuple[Adapter, float]]
) -> tuple[Description, Engine]:
    from ppaudioldm.openvino_engine.cache import ModelCache
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine, checked_precision

    models = ModelCache(located, ema, checked_precision(precision), adapters=adapters)
    return models.description(), OpenVINOEngine(models.model, precision, models, low_memory)


def _eager(
    located: Located,
    device: str | None,
    precision: str,
    ema: bool | None,
    compile_step: bool,
    low_memory: bool,
    adapters: Sequence[tuple[Adapter, float]],
) -> tuple[Description, Engine]:
    from ppaudioldm.engines.eager import EagerEngine
    from ppaudioldm.weights.checkpoint import open_checkpoint
    from ppaudioldm.weights.lora_merge import with_adapters

    checkpoint = with_adapters(open_checkpoint(located, ema=ema), adapters)
    return checkpoint, EagerEngine(checkpoint, device, precision, compile_step, low_memory)


def _is_for_cpu(device: str | None) -> bool:
    """Whether `device`, or else the default, is a CPU. Imports a framework only if Paddle for GPUs is installed."""
    if chosen_framework() != "paddle":
        return False  # only Paddle's networks can be translated to OpenVINO
    if device is not None:
        return device == "cpu"
    try:
        metadata.version("paddlepaddle-gpu")
    except metadata.PackageNotFoundError:
        return True
    from ppaudioldm import framework

    return framework.default_device() == "cpu"
