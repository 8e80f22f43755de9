"""The minor versions of libraries whose insides this program relies on: in another one, limits may fail in silence.

pyproject.toml has the same.
"""

from __future__ import annotations

from importlib import metadata

MINOR_VERSIONS = {"uvicorn": ("0.54", "serve"), "gradio": ("6.31", "ui")}  # and the extra that installs it


def check_version(library: str) -> None:
    """Raise ValueError if the installed `library` is of another minor version."""
    needed, extra = MINOR_VERSIONS[library]
    found = metadata.version(library)
    if not f"{found}.".startswith(f"{needed}."):
        raise ValueError(f"{library} {found} is installed, needed is {needed}: pip install 'ppaudioldm[{extra}]'")
