"""What happens where a framework or OpenVINO is not installed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ppaudioldm import installed
from ppaudioldm.engines import choice
from ppaudioldm.engines.choice import chosen_engine, create_engine
from ppaudioldm.weights.locate import locate

NEITHER = "no framework is installed: pip install 'ppaudioldm[cpu]'"


@pytest.fixture
def only(monkeypatch):
    """Makes it look as if of frameworks and OpenVINO only these were installed."""

    def choose(*modules: str) -> None:
        monkeypatch.delitem(sys.modules, "ppaudioldm.framework", raising=False)
        for module in (installed, choice):
            monkeypatch.setattr(module, "is_installed", modules.__contains__)

    monkeypatch.delenv("PPAUDIOLDM_FRAMEWORK", raising=False)
    monkeypatch.setenv("PPAUDIOLDM_ENGINE", "auto")
    return choose


@pytest.mark.parametrize(
    "modules,name", [(("paddle", "torch"), "paddle"), (("torch",), "torch"), (("paddle",), "paddle"), ((), "paddle")]
)
def test_the_framework_is_the_one_that_is_installed(modules, name, only):
    only(*modules)
    assert installed.chosen_framework() == name


def test_the_environment_chooses_and_an_empty_variable_does_not(only, monkeypatch):
    only("paddle", "torch")
    monkeypatch.setenv("PPAUDIOLDM_FRAMEWORK", "torch")
    assert installed.chosen_framework() == "torch"
    monkeypatch.setenv("PPAUDIOLDM_FRAMEWORK", "")
    assert installed.chosen_framework() == "paddle"


def test_what_to_install(only):
    missing = ModuleNotFoundError("No module named 'paddle'", name="paddle")
    only("torch")
    assert str(installed.missing_framework("paddle", missing)).startswith("PaddlePaddle is not installed: pip install")
    only()
    assert str(installed.missing_framework("paddle", missing)).startswith(NEITHER)
    of_paddle = ModuleNotFoundError("No module named 'httpx'", name="httpx")
    assert installed.missing_framework("paddle", of_paddle) is of_paddle


def test_is_installed():
    assert installed.is_installed("numpy") and not installed.is_installed("no_such_package")


def test_without_openvino(only, caplog):
    only("paddle")
    if find_spec("paddle"):
        assert chosen_engine(None, None, "auto", False) == "eager"
        with caplog.at_level(logging.WARNING):
            create_engine(locate("untrained"))
        assert "OpenVINO would run this faster than Paddle itself: pip install 'ppaudioldm[paddle]'" in caplog.text
    with pytest.raises(ValueError, match=r"^the openvino engine needs OpenVINO: pip install 'ppaudioldm\[paddle\]'$"):
        chosen_engine("openvino", None, "auto", False)


@pytest.mark.parametrize("absent", [("paddle", "torch"), ("paddle", "torch", "openvino")])
def test_the_command_without_a_framework(absent, tmp_path):
    code = f"import sys\nsys.modules.update(dict.fromkeys({absent}))\nfrom ppaudioldm.cli import main\nsys.exit(main())"
    command = [sys.executable, "-c", code, "generate", "rain", "-c", "untrained", "-o", "rain.wav"]
    environment = {k: v for k, v in os.environ.items() if k != "PPAUDIOLDM_FRAMEWORK"}
    environment |= {"PPAUDIOLDM_CACHE": "cache", "PPAUDIOLDM_ENGINE": "auto"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith(f"ppaudioldm: error: {NEITHER}"), result.stderr
    assert result.stderr.count("\n") == 1 and not (tmp_path / "rain.wav").exists()
