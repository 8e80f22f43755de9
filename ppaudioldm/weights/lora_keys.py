"""The keys of LoRA adapters: several namings of the same weights, each read as a module and a part of it.

Source: key names of peft 0.21, of diffusers 0.20 to 0.42 (`lora.down`, `processor.to_q_lora.down`) and of
github.com/kohya-ss/sd-scripts (`lora_unet_..._to_q.lora_down`).
"""

from __future__ import annotations

import re

DOWN, UP, ALPHA = "down", "up", "alpha"
_PARTS = {
    "lora_A.weight": DOWN,
    "lora_B.weight": UP,
    "lora_A.default.weight": DOWN,
    "lora_B.default.weight": UP,
    "lora.down.weight": DOWN,
    "lora.up.weight": UP,
    "lora_down.weight": DOWN,
    "lora_up.weight": UP,
    "alpha": ALPHA,
}
_PREFIX = re.compile(r"(base_model\.model\.)?(unet\.)?")
_PROCESSOR = re.compile(r"(.+)\.processor\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight")
UNDERSCORED = "lora_unet_"  # before a module's name with underscores for dots
# What is no LoRA, by a piece of its keys.
OTHER_METHODS = {
    "lora_magnitude_vector": "DoRA",
    "dora_scale": "DoRA",
    "hada_w": "LoHa",
    "lokr_w": "LoKr",
    "lora_embedding_": "LoRA of an embedding",
    "oft_": "OFT",
    "boft_": "BOFT",
    "vera_lambda": "VeRA",
    "ia3_": "IA3",
}


def parse_key(key: str) -> tuple[str, str] | None:
    """Module and part (DOWN, UP or ALPHA) of a key; None for one of another kind.

    The module is named as in diffusers' UNet, with dots or, after UNDERSCORED, with underscores.
    """
    key = key[_PREFIX.match(key).end() :]  # type: ignore[union-attr]
    if match := _PROCESSOR.fullmatch(key):
        layer = "to_out.0" if match[2] == "to_out" else match[2]
        return f"{match[1]}.{layer}", DOWN if match[3] == "down" else UP
    for ending, part in _PARTS.items():
        if key.endswith(f".{ending}"):
            return key[: -len(ending) - 1], part
    return None


def other_method(key: str) -> str | None:
    """The name of the method whose weights are stored under `key`, if it is not plain LoRA."""
    return next((method for piece, method in OTHER_METHODS.items() if piece in key), None)
