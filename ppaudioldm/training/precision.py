"""Arithmetic of a step: bf16 on devices that are faster with it, with float32 weights; compiled networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from ppaudioldm.framework import NAME, xp


def resolve_precision(precision: str, device: str) -> str:
    """ "f32" or "bf16" for one of `settings.PRECISIONS`. Raises ValueError for bf16 on a device without it."""
    if precision == "f32":
        return "f32"
    if _has_bf16(device):
        return "bf16"
    if precision == "bf16" and not (NAME == "torch" and device == "cpu"):  # on a CPU PyTorch emulates it
        raise ValueError(f"precision bf16 is not available with {NAME} on {device}, choose f32 or auto")
    return precision if precision == "bf16" else "f32"


def _has_bf16(device: str) -> bool:
    if NAME == "paddle":
        return device != "cpu" and bool(xp.amp.is_bfloat16_supported())
    if device != "cpu":
        return bool(xp.cuda.is_bf16_supported())
    # Without these instructions bf16 is slower than float32.
    return bool(xp.cpu._is_avx512_bf16_supported() or xp.cpu._is_amx_tile_supported())


def autocast(precision: str, device: str) -> Any:
    """A context in which matrix products and convolutions run in `precision`, "f32" or "bf16"; weights stay float32."""
    if NAME == "torch":
        return xp.autocast(device.split(":")[0], dtype=xp.bfloat16, enabled=precision == "bf16")
    return xp.amp.auto_cast(enable=precision == "bf16", dtype="bfloat16", level="O1")


def compile_networks(networks: Mapping[str, Any], names: Sequence[str]) -> None:
    """Have those of `networks` called `names` compiled by PyTorch when they first run, in training mode.

    Raises ValueError for a name that is not among them, and with Paddle.
    """
    for name in names:
        if name not in networks or NAME != "torch":
            allowed = f"some of {', '.join(networks)}" if NAME == "torch" else "none with Paddle"
            raise ValueError(f"compile is {list(names)}, allowed: {allowed}")
        networks[name].compile()


def not_compiled() -> Any:
    """A context in which compiled networks run as they are, since other shapes would be compiled first."""
    return xp.compiler.set_stance("force_eager") if NAME == "torch" else nullcontext()
