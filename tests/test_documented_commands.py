"""Every `ppaudioldm` command in a code block of the documentation is one that the parser takes.

Commands that are run as written, too: those of docs/deployment.md, by tests/parity/test_export.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ppaudioldm.cli import _parser

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
PLACEHOLDERS = ("STAGE", "...", "NAME")  # a line that has one of these is a form, not a command


def commands(page: Path) -> list[str]:
    """The commands of this package in the page's code blocks, each on one line."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = (
        "\n".join(block for language, block in blocks if language in ("", "bash", "sh"))
        .replace("\\\n", " ")
        .splitlines()
    )
    return [line for line in lines if line.startswith("ppaudioldm ") and not any(p in line for p in PLACEHOLDERS)]


CASES = [pytest.param(line, id=f"{page.name}: {line[:40]}") for page in PAGES for line in commands(page)]


def test_there_are_commands():
    assert len(CASES) > 40


@pytest.mark.parametrize("line", CASES)
def test_documented_command(line):
    arguments = shlex.split(line.split(" > ")[0].split(" | ")[0].split(" && ")[0], comments=True)
    assert _parser().parse_args(arguments[1:]).run
