from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.weights.examples import LAYOUTS, write_layout


@pytest.fixture(scope="session")
def layouts(tmp_path_factory) -> dict[str, Path]:
    """The same tiny checkpoint in every layout; not to be changed."""
    folder = tmp_path_factory.mktemp("layouts")
    return {layout: write_layout(layout, folder) for layout in LAYOUTS}


@pytest.fixture
def copy_of(layouts, tmp_path) -> Iterator[Callable[[str], Path]]:
    """Makes a copy of a layout that a test may change."""

    def copy(layout: str) -> Path:
        placement = layouts[layout]
        return Path((shutil.copytree if placement.is_dir() else shutil.copyfile)(placement, tmp_path / placement.name))

    yield copy
    shutil.rmtree(tmp_path)  # pytest keeps the folders of three runs: gigabytes
