"""`ppaudioldm ui`: what it says before it opens anything."""

from __future__ import annotations

import importlib.util

from ppaudioldm.cli import main


def test_without_gradio(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["ui"]) == 2
    assert capsys.readouterr().err == "ppaudioldm: error: ui needs gradio: pip install 'ppaudioldm[ui]'\n"
