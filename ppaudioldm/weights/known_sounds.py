"""The kinds of sound, or the speakers, that a small model was trained on, and the words by which prompts name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ppaudioldm.checkpoints import CHECKPOINTS, PUBLISHED_SPEECH_CHECKPOINT

MOST_SOUNDS = 1000
MOST_WORDS = 10_000
TEXT_LIMIT = 200  # letters
NAMED_IN_WARNING = 5
# What is listed, and a checkpoint that was trained on everything: of those that do not speak, and of those that do.
OTHER_CHECKPOINTS = (("kinds of sound", "audioldm2-full"), ("speakers", PUBLISHED_SPEECH_CHECKPOINT))

_WORD = re.compile(r"[a-z][a-z'-]*|[\u4e00-\u9fff]")  # English words, single Chinese characters
_NOTHING_NAMED = re.compile("声音|录音|音频|音效")  # Chinese for sound and recording, in which a tone is a part


@dataclass(frozen=True)
class Sound:
    """A kind of sound. prompt: an example."""

    name: str
    title: str
    prompt: str


@dataclass(frozen=True)
class KnownSounds:
    """All sounds that a checkpoint can generate, where they are few enough to list; `knows` in its config.json.

    Of a checkpoint that speaks, the speakers. words: by which prompts name the sounds or speakers, in lower case; of
    Chinese words the characters.
    """

    sounds: tuple[Sound, ...]
    words: frozenset[str]

    def named_in(self, prompt: str) -> bool:
        """Whether a word of `prompt`, or another form of it such as the singular, names one of the sounds."""
        return any(form in self.words for word in words(prompt) for form in _forms(word))

    def warning(self, name: str, prompts: Iterable[str], speaks: bool = False) -> str | None:
        """A line about the first of `prompts` that names no sound of the checkpoint `name`; None if each names one."""
        kinds, other = OTHER_CHECKPOINTS[speaks]
        for prompt in prompts:
            if not self.named_in(prompt):
                step = max(1, len(self.sounds) // NAMED_IN_WARNING)
                some = ", ".join(f"{sound.prompt!r}" for sound in self.sounds[::step][:NAMED_IN_WARNING])
                return (
                    f"{name} was trained on {len(self.sounds)} {kinds}, and {prompt[:80]!r} names none of them: "
                    f"try {some}; `ppaudioldm checkpoints {name}` lists all; for others there is"
                    f" --checkpoint {other}, a download of {CHECKPOINTS[other].download_gb:g} GB"
                )
        return None

    def to_dict(self) -> dict[str, Any]:
        return {"sounds": [asdict(sound) for sound in self.sounds], "words": sorted(self.words)}

    @classmethod
    def from_dict(cls, values: Any) -> KnownSounds:
        """The inverse of `to_dict`. Raises ValueError for anything else."""
        sounds, known = (values.get("sounds"), values.get("words")) if isinstance(values, dict) else (None, None)
        if not _is_list(sounds, MOST_SOUNDS, dict) or not _is_list(known, MOST_WORDS, str):
            raise ValueError("knows: expected lists of sounds and words")
        assert isinstance(sounds, list) and isinstance(known, list)
        fields = ("name", "title", "prompt")
        for texts in [known, *([sound.get(field) for field in fields] for sound in sounds)]:
            if not all(isinstance(text, str) and text.isprintable() and 0 < len(text) <= TEXT_LIMIT for text in texts):
                raise ValueError("knows: expected texts of one line")
        return cls(tuple(Sound(*(sound[field] for field in fields)) for sound in sounds), frozenset(known))


def words(text: str) -> set[str]:
    """The words of `text` in lower case, in Chinese its characters."""
    return set(_WORD.findall(_NOTHING_NAMED.sub("", text.lower())))


def _forms(word: str) -> Iterable[str]:
    """`word`, and words it may be derived from or that may be derived from it."""
    yield from (word, f"{word}s", f"{word}ing")
    for ending in ("s", "es", "ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            yield word[: -len(ending)]
            yield word[: -len(ending)] + "s"


def _is_list(values: Any, longest: int, kind: type) -> bool:
    return isinstance(values, list) and 0 < len(values) <= longest and all(isinstance(value, kind) for value in values)
