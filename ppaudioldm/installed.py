"""What is installed, and what to install where something is missing. Imports neither framework."""

from __future__ import annotations

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


def missing_framework(name: str, error: ModuleNotFoundError) -> Exception:
    """What to raise for the failed import of the framework `name`: in one line, what to install.

    `error` itself if the framework is installed, and lacks something.
    """
    if error.name != name:
        return error
    if not any(map(is_installed, TITLES)):
        return ValueError(f"no framework is installed: {INSTALL['paddle']}; or for PyTorch {INSTALL['torch']}")
    return ValueError(f"{TITLES[name]} is not installed: {INSTALL[name]}")
