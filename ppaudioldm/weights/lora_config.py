"""The configuration of a LoRA adapter, `adapter_config.json`: what it says of ranks and scales, and what is refused.

Source: `LoraConfig` of peft 0.21.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ppaudioldm.errors import quoted, shown

MOST_RANK = 4096
MOST_ENTRIES = 10_000  # of a list or table
_NAME = re.compile(r"\^?[\w.]{1,300}")
# How adapters begin that leave the weights below them as they are; the others, such as PiSSA, change those.
_PLAIN_STARTS = (None, True, False, "true", "false", "gaussian", "eva", "orthogonal")
# Fields without an effect on a merged weight, or read below.
_READ = (
    "peft_type",
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "target_modules",
    "bias",
    "init_lora_weights",
    "use_dora",
)
_WITHOUT_EFFECT = (
    "task_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "exclude_modules",
    "lora_dropout",
    "layers_to_transform",
    "layers_pattern",
    "megatron_core",
    "qalora_group_size",
    "eva_config",
    "runtime_config",
    "ensure_weight_tying",
)


@dataclass(frozen=True)
class LoraConfig:
    """rank, alpha: of modules that no pattern names. *_pattern: by a module's name or its end. is_rank_stabilised: the
    scale is alpha / sqrt(rank), not alpha / rank (rsLoRA, arXiv:2312.03732). targets: modules, or ends of their names;
    empty where any are."""

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    is_rank_stabilised: bool = False
    targets: tuple[str, ...] = ()

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> LoraConfig:
        """From the values of the file. Raises ValueError that names the first that is not allowed."""
        _check_method(values)
        rank = _rank("r", values.get("r"))
        return cls(
            rank,
            _alpha("lora_alpha", values.get("lora_alpha", rank)),
            {name: _rank(f"rank_pattern.{name}", value) for name, value in _pattern(values, "rank_pattern")},
            {name: _alpha(f"alpha_pattern.{name}", value) for name, value in _pattern(values, "alpha_pattern")},
            values.get("use_rslora") is True,
            _targets(values.get("target_modules")),
        )

    def factor(self, module: str, rank: int) -> float:
        """What the product of the two matrices of `module`, of that rank, is multiplied with.

        Raises ValueError for a module or rank that is not the configuration's.
        """
        if self.targets and not any(_names(target, module) for target in self.targets):
            raise ValueError(f"{shown(module)} has weights, but is not among its target_modules")
        expected = _matching(self.rank_pattern, module, self.rank)
        if rank != expected:
            raise ValueError(f"{shown(module)} has rank {rank}, but its configuration says {expected}")
        alpha = _matching(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)


def checked_rank(rank: int) -> int:
    """Raise ValueError for a rank that no adapter has."""
    return _rank("rank", rank)


def _check_method(values: Mapping[str, Any]) -> None:
    kind = values.get("peft_type", "LORA")
    if kind != "LORA":
        raise ValueError(f"peft_type is {quoted(kind)}, allowed: LORA")
    if values.get("use_dora"):
        raise ValueError("use_dora is true: a DoRA adapter, allowed: plain LoRA")
    bias = values.get("bias", "none")
    if bias != "none":
        raise ValueError(f"bias is {quoted(bias)}, allowed: none")
    start = values.get("init_lora_weights")
    if not any(start is plain or start == plain for plain in _PLAIN_STARTS):
        raise ValueError(f"init_lora_weights is {quoted(start)}: its base weights are others than the checkpoint's")
    for name, value in values.items():
        if name not in _READ and name not in _WITHOUT_EFFECT and value not in (None, False, [], {}, ""):
            raise ValueError(f"{shown(name)} is {quoted(value)}, which is not supported")


def _rank(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_RANK:
        raise ValueError(f"{name} is {quoted(value)}, allowed: 1 to {MOST_RANK}")
    return value


def _alpha(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e6:  # so that NaN fails
        raise ValueError(f"{name} is {quoted(value)}, allowed: numbers up to a million")
    return float(value)


def _pattern(values: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    """The entries of a table from names of modules to values; regular expressions are not run."""
    table = values.get(name) or {}
    if not isinstance(table, dict) or len(table) > MOST_ENTRIES:
        raise ValueError(f"{name} is {quoted(table)}, allowed: up to {MOST_ENTRIES} modules with a value each")
    for key in table:
        if not _NAME.fullmatch(key):
            raise ValueError(f"{name} has {shown(key)}, allowed: names of modules")
    return list(table.items())


def _targets(value: Any) -> tuple[str, ...]:
    """A text is a regular expression or "all-linear": it is not run, and the file's tensors say which modules."""
    if value is None or isinstance(value, str):
        return ()
    is_list = isinstance(value, list) and len(value) <= MOST_ENTRIES
    if not is_list or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        raise ValueError(f"target_modules is {quoted(value)}, allowed: a list of names of modules")
    return tuple(value)


def _matching(pattern: Mapping[str, Any], module: str, default: Any) -> Any:
    return next((value for name, value in pattern.items() if _names(name, module)), default)


def _names(name: str, module: str) -> bool:
    """Whether `name` is a module's name or, unless it begins with ^, its end."""
    if name.startswith("^"):
        return module == name[1:]
    return module == name or module.endswith(f".{name}")
