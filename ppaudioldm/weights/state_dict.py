"""The state dict inside the object that a training program saved, and keys without the names of wrapper modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from ppaudioldm.errors import shown
from ppaudioldm.weights.safe_pickle import Placeholder

# Keys under which training programs put the state dict, the preferred first, and one of averaged weights beside it.
PLAIN_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights")
AVERAGED_KEYS = ("ema_state_dict", "model_ema", "ema_model", "ema")
STATE_DICT_KEYS = PLAIN_KEYS + AVERAGED_KEYS
MOST_LEVELS = 4  # of dicts around the state dict

# Modules by which PyTorch's tools wrap a network, or a module of it: data parallelism, DeepSpeed, torch.compile, FSDP.
WRAPPERS = ("module", "_forward_module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_WRAPPER = re.compile(rf"(^|(?<=\.))({'|'.join(WRAPPERS)})\.")
# The averaged weights have keys without dots; "module" alone could be a piece of another name there.
_IN_AVERAGED = re.compile("_forward_module|_orig_mod")
AVERAGED = "model_ema."
UNET = "model.diffusion_model."

Value = TypeVar("Value")


def find_state_dict(root: object, is_tensor: Callable[[object], bool]) -> dict:
    """`root`, or the first dict with tensors under one of STATE_DICT_KEYS. Raises ValueError if there is none."""
    if isinstance(root, Placeholder):
        raise ValueError(f"holds an object of {shown(root.name)}, not a dict of tensors")
    if not isinstance(root, dict):
        raise ValueError(f"holds {shown(root)}, not a dict of tensors")
    found = _find(root, is_tensor, MOST_LEVELS)
    if found is None:
        unknown = [(key, root[key]) for key in STATE_DICT_KEYS if isinstance(root.get(key), Placeholder)]
        reason = f": its {unknown[0][0]!r} is an object of {shown(unknown[0][1].name)}" if unknown else ""
        raise ValueError(f"holds no tensors{reason}")
    return found


def find_averaged(root: object, is_tensor: Callable[[object], bool]) -> dict | None:
    """The first dict with tensors under one of AVERAGED_KEYS, beside the state dict in `root` or around it."""
    return _averaged(root, is_tensor, MOST_LEVELS) if isinstance(root, dict) else None


def _averaged(value: dict, is_tensor: Callable[[object], bool], levels: int) -> dict | None:
    for keys, find in ((AVERAGED_KEYS, _find), (PLAIN_KEYS, _averaged)):
        for key in keys:
            inner = value.get(key)
            if levels and isinstance(inner, dict) and (found := find(inner, is_tensor, levels - 1)) is not None:
                return found
    return None


def _find(value: dict, is_tensor: Callable[[object], bool], levels: int) -> dict | None:
    for key in STATE_DICT_KEYS:
        inner = value.get(key)
        if levels and isinstance(inner, dict) and (found := _find(inner, is_tensor, levels - 1)) is not None:
            return found
    has_tensors = any(isinstance(key, str) and is_tensor(entry) for key, entry in value.items())
    return value if has_tensors else None


def without_wrappers(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """`tensors` with the names of wrapper modules taken out of their keys, wherever they stand.

    Raises ValueError if two keys become the same.
    """
    plain: dict[str, Value] = {}
    for key, tensor in tensors.items():
        name = _WRAPPER.sub("", key)
        if name.startswith(AVERAGED):
            name = AVERAGED + _IN_AVERAGED.sub("", name.removeprefix(AVERAGED))
        if name in plain:
            raise ValueError(f"{shown(key)} appears twice, with and without a prefix such as 'module.'")
        plain[name] = tensor
    return plain


def averaged_key(key: str) -> str:
    """The key of the moving average of the UNet's tensor `key` in the published layout: one without dots."""
    return AVERAGED + key.removeprefix("model.").replace(".", "")


def with_averaged_unet(tensors: Mapping[str, Value], averaged: Mapping[str, Value]) -> dict[str, Value]:
    """`tensors` of the published layout, with the UNet's `averaged` weights where that layout has them.

    averaged: a state dict of its own. Its keys are those of `tensors`, of the UNet alone, or without dots. Averages
    that `tensors` have themselves stay, and what is averaged of other networks is not used.
    """
    found = {}
    for key in tensors:
        if key.startswith(UNET):
            published = averaged_key(key)
            names = (
                key,
                key.removeprefix("model."),
                key.removeprefix(UNET),
                published,
                published.removeprefix(AVERAGED),
            )
            if (name := next((name for name in names if name in averaged), None)) is not None:
                found[published] = averaged[name]
    return {**found, **tensors}
