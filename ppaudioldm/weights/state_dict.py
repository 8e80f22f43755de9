"""The state dict inside the object that a training program saved, and keys without the names of wrapper modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from ppaudioldm.errors import shown
from ppaudioldm.weights.safe_pickle import Placeholder

# Keys under which training programs put the state dict, the preferred first.
STATE_DICT_KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
    "ema_state_dict",
    "model_ema",
    "ema_model",
    "ema",
)
MOST_LEVELS = 4  # of dicts around the state dict

# Modules by which PyTorch's tools wrap a network, or a module of it: data parallelism, DeepSpeed, torch.compile, FSDP.
WRAPPERS = ("module", "_forward_module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_WRAPPER = re.compile(rf"(^|(?<=\.))({'|'.join(WRAPPERS)})\.")
# The averaged weights have keys without dots; "module" alone could be a piece of another name there.
_IN_AVERAGED = re.compile("_forward_module|_orig_mod")
AVERAGED = "model_ema."

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
