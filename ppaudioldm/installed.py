"""What is installed, which framework is used, and what to install where one is missing. Imports neither framework."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

TITLES = {"paddle": "PaddlePaddle", "torch": "PyTorch"}
INSTALL = {
    "paddle": "pip install 'ppaudioldm[cpu]', or Paddle for your GPU (paddlepaddle-gpu) and 'ppaudioldm[paddle]'",
    "torch": "pip install 'ppaudioldm[torch]'",
}
INSTALL_OPENVINO = "pip install 'ppaudioldm[paddle]'"


def is_installed(module: str) -> bool:
    """Whether a package can be imported; it is not."""
    return find_spec(module) is not None


def chosen_framework(name: str | None = None) -> str:
    """`name`, or $PPAUDIOLDM_FRAMEWORK, or the one that is installed, Paddle before PyTorch: what this process uses.

    "paddle" where neither is installed: networks that OpenVINO has in its cache need none.
    Raises ValueError for an unknown one, and for another than the process uses since it imported networks.
    """
    installed = next(filter(is_installed, TITLES), "paddle")
    chosen = name or os.environ.get("PPAUDIOLDM_FRAMEWORK") or installed
    origin = "" if name else " in PPAUDIOLDM_FRAMEWORK"
    if chosen not in TITLES:
        raise ValueError(f"unknown framework {chosen!r}{origin}, choose from {list(TITLES)}")
    used = getattr(sys.modules.get("ppaudioldm.framework"), "NAME", chosen)
    if chosen != used:
        raise ValueError(f"framework {chosen!r}{origin} was chosen too late: this process already uses {used}")
    return chosen


def missing_framework(name: str, error: ModuleNotFoundError) -> Exception:
    """What to raise for the failed import of the framework `name`: in one line, what to install.

    `error` itself if the framework is installed, and lacks something.
    """
    if error.name != name:
        return error
    if not any(map(is_installed, TITLES)):
        return ValueError(f"no framework is installed: {INSTALL['paddle']}; or for PyTorch {INSTALL['torch']}")
    return ValueError(f"{TITLES[name]} is not installed: {INSTALL[name]}")
