"""What a checkpoint knows, where that is little enough to list: the sounds that a small model was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MOST_SOUNDS = 1000
MOST_WORDS = 10_000
LONGEST = 200  # characters of a text
NAMED_IN_WARNING = 5

_WORD = re.compile(r"[a-z][a-z'-]*")


@dataclass(frozen=True)
class Sound:
    """A kind of sound: its name, what it is, and a prompt to try."""

    name: str
    title: str
    prompt: str


@dataclass(frozen=True)
class Knowledge:
    """sounds: all kinds. words: those, in lower case, by which prompts name them."""

    sounds: tuple[Sound, ...]
    words: frozenset[str]

    def knows(self, prompt: str) -> bool:
        """Whether a word of `prompt` names a sound; a plural or the like does as well."""
        return any(form in self.words for word in words(prompt) for form in _forms(word))

    def warning(self, name: str, prompts: Iterable[str]) -> str | None:
        """What to tell of the first of `prompts` that the checkpoint `name` knows nothing of; None if it knows all."""
        for prompt in prompts:
            if not self.knows(prompt):
                step = max(1, len(self.sounds) // NAMED_IN_WARNING)
                some = ", ".join(f"{sound.prompt!r}" for sound in self.sounds[::step][:NAMED_IN_WARNING])
                return (
                    f"{name} was trained on {len(self.sounds)} kinds of sound and knows nothing in {prompt[:80]!r}: "
                    f"try {some}; `ppaudioldm checkpoints {name}` lists all; for any sound there is --checkpoint "
                    "audioldm2-full, a download of 8.8 GB"
                )
        return None

    def to_dict(self) -> dict[str, Any]:
        return {"sounds": [asdict(sound) for sound in self.sounds], "words": sorted(self.words)}

    @classmethod
    def from_dict(cls, values: Any) -> Knowledge:
        """The inverse of `to_dict`. Raises ValueError for anything else."""
        sounds, known = (values.get("sounds"), values.get("words")) if isinstance(values, dict) else (None, None)
        if not _is_list(sounds, MOST_SOUNDS, dict) or not _is_list(known, MOST_WORDS, str):
            raise ValueError("knows: expected lists of sounds and words")
        assert isinstance(sounds, list) and isinstance(known, list)
        fields = ("name", "title", "prompt")
        for texts in [known, *([sound.get(field) for field in fields] for sound in sounds)]:
            if not all(isinstance(text, str) and text.isprintable() and 0 < len(text) <= LONGEST for text in texts):
                raise ValueError("knows: expected texts of one line")
        return cls(tuple(Sound(*(sound[field] for field in fields)) for sound in sounds), frozenset(known))


def words(text: str) -> set[str]:
    """The words of `text` in lower case."""
    return set(_WORD.findall(text.lower()))


def _forms(word: str) -> Iterable[str]:
    """`word`, and what it may be a form of or have as a form."""
    yield from (word, f"{word}s", f"{word}ing")
    for ending in ("s", "es", "ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            yield word[: -len(ending)]
            yield word[: -len(ending)] + "s"


def _is_list(values: Any, longest: int, kind: type) -> bool:
    return isinstance(values, list) and 0 < len(values) <= longest and all(isinstance(value, kind) for value in values)
