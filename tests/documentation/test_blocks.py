"""Every code block of the documentation is run, or named in `pages` with the reason why not."""

from __future__ import annotations

import json
import sys
import traceback

import pytest

from ppaudioldm import framework
from tests.documentation.pages import PAGES, ROOT, SHELL, TRANSLATIONS, Block, blocks, is_run, is_run_in_python
from tests.documentation.sandbox import FIRST, Sandbox, documented_world

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(framework.NAME != "paddle", reason="once is enough: commands of every kind, not networks"),
]
NAMES = [block.page for page in PAGES for block in blocks(page)[:1] if block.page not in TRANSLATIONS]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("documentation")


@pytest.fixture(scope="module")
def server(shared):
    with documented_world(shared) as running:
        yield running


def run_block(block: Block, sandbox: Sandbox) -> list[str]:
    """What failed."""
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "python" and is_run_in_python(block.text):
        return attempted(block.text, sandbox.run_python)
    elif block.language in SHELL:
        return [text for line in block.lines if is_run(line) for text in attempted(line, sandbox.run)]
    return []


def attempted(text, run) -> list[str]:
    """`text` with what `run` of it raised, if anything: the others are run, too."""
    try:
        run(text)
    except (Exception, SystemExit):
        return [f"{text}\n{traceback.format_exc()}"]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_page(name, shared, server, monkeypatch):
    sandbox = Sandbox(name, shared, server)
    monkeypatch.chdir(sandbox.folder)
    monkeypatch.setenv("PPAUDIOLDM_ENGINE", "eager")  # commands are tested here: translating networks takes longer
    failed = [text for line in FIRST.get(name, ()) for text in attempted(line, sandbox.run)]
    failed += [text for block in blocks(ROOT / name) for text in run_block(block, sandbox)]
    server.stop()
    assert not failed, "\n\n".join(failed)
