"""Activation checkpointing (arXiv:1604.06174): blocks that keep only their inputs until the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppaudioldm import framework
from ppaudioldm.framework import nn, xp


def recompute_blocks(network: nn.Module) -> list[str]:
    """Have the blocks of `network` compute their activations again in the backward pass. Returns their paths.

    Blocks are the innermost members of its lists that consist of several layers: the residual blocks and transformer
    blocks of a UNet, the layers of a text encoder. Without gradients they run as before.
    """
    modules = dict(framework.named_modules(network))
    composite = [path for path, module in modules.items() if _is_composite(modules, path, module)]
    innermost = [path for path in composite if not any(other.startswith(f"{path}.") for other in composite)]
    for path in innermost:
        modules[path].forward = _in_training(modules[path].forward)
    return innermost


def _is_composite(modules: dict[str, Any], path: str, module: Any) -> bool:
    """Whether a module is a member of a list, can be called, and has layers inside."""
    owner = modules.get(path.rpartition(".")[0])
    can_be_called = type(module).forward is not nn.Module.forward
    return isinstance(owner, nn.ModuleList) and can_be_called and any(True for _ in module.children())


def _in_training(run: Callable[..., Any]) -> Callable[..., Any]:
    again = framework.recomputed(run)
    return lambda *inputs, **named: (again if xp.is_grad_enabled() else run)(*inputs, **named)
