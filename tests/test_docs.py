"""Every file and folder that the architecture page names is where it says."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "architecture.md"


def test_the_architecture_page_names_what_exists():
    named = re.findall(r"`([a-z_]+(?:/[a-z_0-9]*)*(?:\.py|/))`", PAGE.read_text("utf-8"))
    assert len(named) > 50
    missing = [
        name for name in named if not any((root / name).exists() for root in (REPOSITORY, REPOSITORY / "ppaudioldm"))
    ]
    assert missing == []


def test_the_architecture_page_names_every_room():
    page = PAGE.read_text("utf-8")
    package = REPOSITORY / "ppaudioldm"
    rooms = [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    modules = [path.name for path in package.glob("*.py") if not path.name.startswith("__")]
    assert [room for room in [*rooms, *modules] if f"`{room}`" not in page] == []
