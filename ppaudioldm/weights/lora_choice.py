"""The choice of a LoRA adapter, `PATH[:SCALE]` or `NAME[:SCALE]`. Imports no NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ppaudioldm.errors import quoted

MOST_ADAPTERS = 8  # at once
MOST_CHARACTERS = 4096  # of one choice
MIN_SCALE, MAX_SCALE = -10.0, 10.0
ALLOWED_SCALES = f"{MIN_SCALE:g} to {MAX_SCALE:g}"
SEPARATOR = ";"  # between several choices in one text


@dataclass(frozen=True)
class LoraChoice:
    """An adapter, and how much of it is added to the weights: 0 is nothing, 1 as it was trained.

    adapter: a path, or a name that the owner of a server gave it. Raises ValueError for a scale beyond ALLOWED_SCALES.
    """

    adapter: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not MIN_SCALE <= self.scale <= MAX_SCALE:  # so that NaN fails
            raise ValueError(f"lora: the scale of {quoted(self.adapter)} is {self.scale:g}, allowed: {ALLOWED_SCALES}")

    @classmethod
    def parse(cls, text: str) -> LoraChoice:
        """The choice that `text` stands for; without a scale it is 1. Raises ValueError."""
        text = text.strip()
        if len(text) > MOST_CHARACTERS or not text.isprintable():
            raise ValueError(f"lora is {quoted(text)}, allowed: PATH[:SCALE], printable, up to {MOST_CHARACTERS}")
        adapter, colon, scale = text.rpartition(":")
        number = _number(scale) if colon else None
        if number is None:
            adapter, number = text, 1.0
        if not adapter.strip() or adapter.endswith(":"):
            raise ValueError(f"lora is {quoted(text)}, allowed: PATH[:SCALE], such as bells.safetensors:0.8")
        return cls(adapter, number)

    def __str__(self) -> str:
        """The text that `parse` takes: equal for equal choices."""
        is_plain = self.scale == 1 and ":" not in self.adapter
        return self.adapter if is_plain else f"{self.adapter}:{self.scale!r}"


def parse_choices(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    """The choices in `value`, one text with SEPARATOR between them or several texts, in the form that is equal for
    equal choices. name: of the setting, for the ValueError."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is {quoted(value)}, allowed: PATH[:SCALE], one or more")
    single = [part for text in texts for part in text.split(SEPARATOR) if part.strip()]
    choices = [LoraChoice.parse(part) for part in single]
    if len(choices) > MOST_ADAPTERS:
        raise ValueError(f"{name} holds {len(choices)} adapters, allowed: up to {MOST_ADAPTERS}")
    names = [choice.adapter for choice in choices]
    if twice := next((adapter for adapter in names if names.count(adapter) > 1), None):
        raise ValueError(f"{name} holds {quoted(twice)} twice, allowed: once, with one scale")
    return tuple(map(str, choices))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
