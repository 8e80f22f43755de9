from __future__ import annotations

import subprocess
import sys

import platformdirs
import pytest

from ppaudioldm.storage.folders import cache_folder, data_folder

FOLDERS = [
    (cache_folder, "PPAUDIOLDM_CACHE", "XDG_CACHE_HOME", ".cache", "user_cache_path"),
    (data_folder, "PPAUDIOLDM_DATA", "XDG_DATA_HOME", ".local/share", "user_data_path"),
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("PPAUDIOLDM_CACHE", "PPAUDIOLDM_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have folders of their own")
@pytest.mark.parametrize(("folder", "own", "xdg", "default", "_function"), FOLDERS)
def test_the_folders_of_linux(folder, own, xdg, default, _function, home, monkeypatch):
    assert folder() == home / default / "ppaudioldm"
    monkeypatch.setenv(xdg, str(home / "xdg"))
    assert folder() == home / "xdg" / "ppaudioldm"
    monkeypatch.setenv(own, str(home / "own"))
    assert folder() == home / "own"
    assert not list(home.iterdir())  # asking for a folder does not write it


@pytest.mark.parametrize(("folder", "_own", "_xdg", "default", "function"), FOLDERS)
def test_a_folder_of_an_earlier_version_is_found(folder, _own, _xdg, default, function, home, monkeypatch):
    """Earlier versions used Linux's folders on every system."""
    new = home / "Library" / "ppaudioldm"
    monkeypatch.setattr(platformdirs, function, lambda app, appauthor: new)
    assert folder() == new
    old = home / default / "ppaudioldm"
    old.mkdir(parents=True)
    assert folder() == old
    new.mkdir(parents=True)
    assert folder() == new


def test_the_help_imports_neither_library():
    code = (
        "import sys, ppaudioldm.cli\n"
        "try:\n    ppaudioldm.cli.main(['generate', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('filelock', 'platformdirs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
