"""The voices of text to speech: a voice is a description of a speaker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MAX_VOICES = 1000
MAX_DESCRIPTION = 1000  # characters


@dataclass(frozen=True)
class Voice:
    id: str
    name: str
    description: str


def _voice(name: str, description: str) -> Voice:
    return Voice(name.lower().replace(" ", "-"), name, description)


# "Reporter" speaks as `ppaudioldm speak` does; the others have the names that OpenAI's clients ask for.
BUILT_IN = (
    _voice("Reporter", "A female reporter is speaking"),
    _voice("Alloy", "A woman speaks in an even voice"),
    _voice("Ash", "A man speaks in a clear and firm voice"),
    _voice("Ballad", "A man speaks softly and with feeling"),
    _voice("Coral", "A young woman speaks in a warm and friendly voice"),
    _voice("Echo", "A man speaks in a calm voice"),
    _voice("Fable", "A man tells a story in a lively voice"),
    _voice("Onyx", "A man speaks in a deep voice"),
    _voice("Nova", "A young woman speaks in a bright voice"),
    _voice("Sage", "A woman speaks slowly and calmly"),
    _voice("Shimmer", "A woman speaks in a soft voice"),
    _voice("Verse", "A young man speaks in a lively voice"),
    _voice("Marin", "A woman speaks in a natural and relaxed voice"),
    _voice("Cedar", "A man speaks in a natural and relaxed voice"),
)


def all_voices(path: Path | None = None) -> dict[str, Voice]:
    """The voices by id: those built in, and those of the JSON file `path`, {"id": "description", ...}, before them.

    Raises ValueError for a file that holds something else, OSError for one that cannot be read.
    """
    voices = {voice.id: voice for voice in BUILT_IN}
    if path is None:
        return voices
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or len(found) > MAX_VOICES:
        raise ValueError(f'{path}: expected an object of up to {MAX_VOICES} voices, {{"id": "description", ...}}')
    own = {}
    for voice_id, description in found.items():
        if not isinstance(description, str) or not 0 < len(description.strip()) <= MAX_DESCRIPTION or not voice_id:
            raise ValueError(
                f"{path}: the description of voice {voice_id[:100]!r} must be a text of up to {MAX_DESCRIPTION}"
            )
        own[voice_id] = Voice(voice_id, voice_id, description)
    return own | voices | own
