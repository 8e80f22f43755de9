"""Puts this tree into a checkout of PaddleMIX: copies its files and registers its pipeline in ppdiffusers.

    python contrib/paddlemix/apply.py ../PaddleMIX --check     # what it would change
    python contrib/paddlemix/apply.py ../PaddleMIX

A second run changes nothing. Needs Python alone.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
NAME = "AudioLDM2UnifiedPipeline"
FOLDER = "audioldm2_unified"
COPIED = ("paddlemix", "ppdiffusers", "tests")
DUMMY = f"""class {NAME}(metaclass=DummyObject):
    _backends = ["paddle", "paddlenlp"]

    def __init__(self, *args, **kwargs):
        requires_backends(self, ["paddle", "paddlenlp"])

    @classmethod
    def from_config(cls, *args, **kwargs):
        requires_backends(cls, ["paddle", "paddlenlp"])

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        requires_backends(cls, ["paddle", "paddlenlp"])


"""
# File -> what it registers names by: a pattern, and the lines to put before each match, or behind it.
BEFORE, BEHIND = "before", "behind"
REGISTRATIONS: dict[str, list[tuple[str, str, str]]] = {
    # Releases before 0.24 have no quoted names: they import everything at once.
    "ppdiffusers/ppdiffusers/__init__.py": [
        (r'^( +)"AudioLDMPipeline",\n', BEFORE, rf'\1"{NAME}",' + "\n"),
        (r"^( +)AudioLDMPipeline,\n", BEFORE, rf"\1{NAME}," + "\n"),
    ],
    "ppdiffusers/ppdiffusers/pipelines/__init__.py": [
        (
            r'^( *)_import_structure\["audioldm2?"\] = \[[^\]]*\]\n(?! *_import_structure\["audioldm2"\])',
            BEHIND,
            rf'\1_import_structure["{FOLDER}"] = ["{NAME}"]' + "\n",
        ),
        (
            r"^( *)from \.audioldm2? import (?:\([^)]*\)|[^\n(]*)\n(?! *from \.audioldm2 )",
            BEHIND,
            rf"\1from .{FOLDER} import {NAME}" + "\n",
        ),
    ],
    "ppdiffusers/ppdiffusers/utils/dummy_paddle_and_paddlenlp_objects.py": [
        (r"^class AudioLDMPipeline\(metaclass=DummyObject\):\n", BEFORE, DUMMY),
    ],
    # Where the suite has no AudioLDM 2 yet.
    "paddlemix/models/__init__.py": [
        (
            r"^from \.blip2\.modeling import \*\n",
            BEFORE,
            "from .audioldm2.configuration import *\nfrom .audioldm2.modeling import *\n",
        ),
    ],
}


def files() -> list[Path]:
    """The files of the tree, relative to it."""
    found = (path for folder in COPIED for path in sorted((HERE / folder).rglob("*")) if path.is_file())
    return [path.relative_to(HERE) for path in found if "__pycache__" not in path.parts]


def registered(text: str, rules: Sequence[tuple[str, str, str]]) -> str:
    """`text` with what the rules register; unchanged where that is done. Raises ValueError where nothing matches."""
    if NAME in text or "from .audioldm2.modeling import" in text:
        return text
    places = 0
    for pattern, place, lines in rules:
        insertion = rf"{lines}\g<0>" if place == BEFORE else rf"\g<0>{lines}"
        text, count = re.subn(pattern, insertion, text, flags=re.MULTILINE)
        places += count
    if not places:
        raise ValueError("no line to register the pipeline at: the suite has changed, see README.md")
    return text


def changes(suite: Path) -> dict[Path, str | None]:
    """Path in the suite -> its new text, for what a registration edits; None for a file that is copied."""
    edited: dict[Path, str | None] = {}
    for name, rules in REGISTRATIONS.items():
        path = suite / name
        try:
            before = path.read_text("utf-8")
            after = registered(before, rules)
        except FileNotFoundError:
            raise ValueError(f"{path} is missing: is {suite} a checkout of PaddleMIX?") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if after != before:
            edited[path] = after
    copied = [path for path in files() if not _is_same(HERE / path, suite / path)]
    return edited | {suite / path: None for path in copied}


def _is_same(ours: Path, theirs: Path) -> bool:
    return theirs.is_file() and theirs.read_bytes() == ours.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="the checkout")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if there is a change")
    options = parser.parse_args(arguments)
    try:
        found = changes(options.suite)  # all of them before any is made
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path, text in found.items():
        name = path.relative_to(options.suite)
        print(f"{'register in' if text else 'replace' if path.exists() else 'add'} {name}")
        if options.check:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            shutil.copyfile(HERE / name, path)
        else:
            path.write_text(text, "utf-8")
    if not found:
        print("nothing to change")
    return int(options.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
