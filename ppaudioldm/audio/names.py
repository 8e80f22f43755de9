"""File names from prompts: safe on every system, and not used yet."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from ppaudioldm.audio.formats import PathLike, format_of

JOINERS = "\u200c\u200d"  # invisible characters within emoji and the letters of some scripts
TRIMMED = "._-~" + JOINERS  # no name begins or ends with these
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)


def safe_name(prompt: str, max_bytes: int = 120) -> str:
    """A file name, without extension, that shows `prompt` and is allowed on every system.

    Letters of all scripts and emoji stay; slashes, control characters and the like become "_" or are removed. A name
    beyond `max_bytes` of UTF-8 is cut and ends in a hash of the whole prompt, so that long prompts with the same
    beginning get different names. A prompt of which nothing remains gives "clip". Raises ValueError for max_bytes < 16.
    """
    if max_bytes < 16:
        raise ValueError(f"max_bytes is {max_bytes}, expected at least 16")
    name = "".join(c for c in unicodedata.normalize("NFC", prompt) if c.isspace() or _is_visible(c))
    name = re.sub(r'[\s<>:"/\\|?*_]+', "_", name)
    # A leading dot hides a file, a leading dash is an option; Windows drops trailing dots.
    name = name.strip(TRIMMED) or "clip"
    if WINDOWS_DEVICES.fullmatch(name):
        name = f"clip_{name}"
    encoded = name.encode()
    if len(encoded) <= max_bytes:
        return name
    digest = hashlib.sha256(prompt.encode(errors="surrogatepass")).hexdigest()[:8]
    shortened = encoded[: max_bytes - 1 - len(digest)].decode(errors="ignore")
    return f"{shortened.rstrip(TRIMMED)}-{digest}"


def _is_visible(character: str) -> bool:
    """Not a control, direction, surrogate or unassigned character. Joiners count as visible: emoji need them."""
    return character in JOINERS or not unicodedata.category(character).startswith("C")


def unique_path(
    folder: PathLike, name: str, extension: str, files: Callable[[Path], list[Path]] = lambda path: [path]
) -> Path:
    """`folder`/`name`.`extension`, or the first of `name`-2, `name`-3, ... that does not exist yet.

    extension: with or without its dot. files: all files that will be written for a path; none of them may exist yet.
    The name is not reserved: ask for it right before writing.
    Raises ValueError for an unknown extension.
    """
    extension = "." + extension.lower().lstrip(".")
    path = Path(folder, name + extension)
    format_of(path)
    number = 2
    while any(map(os.path.lexists, files(path))):
        path = Path(folder, f"{name}-{number}{extension}")
        number += 1
    return path
