"""What of the documentation's code blocks can be said without running them: test_blocks.py does, in `make slow`."""

from __future__ import annotations

import re

import pytest

from tests.documentation.pages import (
    DIAGRAMS,
    LANGUAGES,
    NOT_RUN,
    PAGES,
    PYTHON_NOT_RUN,
    ROOT,
    SHELL,
    TRANSLATIONS,
    blocks,
    is_run,
    is_run_in_python,
)

ALL = [block for page in PAGES for block in blocks(page)]
LINES = [line for block in ALL if block.language in SHELL for line in block.lines]
PYTHON = [block.text for block in ALL if block.language == "python"]


def test_there_are_blocks_and_all_are_of_a_known_language():
    assert len(ALL) > 60 and sum(map(is_run, LINES)) > 60 and sum(map(is_run_in_python, PYTHON)) > 6
    assert [block for block in ALL if block.language not in LANGUAGES] == []


def test_no_exception_is_for_nothing():
    unused = [name for name in NOT_RUN if not any(line.startswith(name) for line in LINES)]
    unused += [name for name in PYTHON_NOT_RUN if not any(name in text for text in PYTHON)]
    text = "".join(page.read_text("utf-8") for page in PAGES)
    unused += [name for name in DIAGRAMS if f"```\n{name}" not in text]
    assert unused == []


def test_the_tests_that_exceptions_name_exist():
    reasons = " ".join([*NOT_RUN.values(), *PYTHON_NOT_RUN.values()])
    named = set(re.findall(r"tests/[\w/]+\.py", reasons))
    assert named and [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("page", "original"), TRANSLATIONS.items())
def test_a_translation_has_the_blocks_of_its_original(page, original):
    texts = [[block.uncommented for block in blocks(ROOT / name)] for name in (page, original)]
    assert texts[0] == texts[1]
