"""The user's folders for what this program keeps: a cache that can be rebuilt, and data that cannot."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "ppaudioldm"


def cache_folder() -> Path:
    """$PPAUDIOLDM_CACHE, else a folder of ours in the user's cache folder. It may not exist yet."""
    if chosen := os.environ.get("PPAUDIOLDM_CACHE"):
        return Path(chosen)
    new = platformdirs.user_cache_path(APP, appauthor=False)
    return _existing(new, os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def data_folder() -> Path:
    """$PPAUDIOLDM_DATA, else a folder of ours in the user's folder for data. It may not exist yet."""
    if chosen := os.environ.get("PPAUDIOLDM_DATA"):
        return Path(chosen)
    new = platformdirs.user_data_path(APP, appauthor=False)
    return _existing(new, os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _existing(new: Path, old_parent: str | Path) -> Path:
    """`new`, unless only the folder exists that earlier versions used on every system."""
    old = Path(old_parent) / APP
    return old if old.exists() and not new.exists() else new
