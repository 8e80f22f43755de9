"""AudioLDM 2, text to sound effects, music and speech, for PaddlePaddle.

from ppaudioldm import AudioLDM
pipe = AudioLDM.from_pretrained("audioldm2-full")
pipe.generate("a cat purring", duration=10, seed=0).save("cat.wav")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppaudioldm.checkpoints import CHECKPOINTS
    from ppaudioldm.errors import CheckpointError
    from ppaudioldm.options import Options, Progress
    from ppaudioldm.pipeline import AudioLDM, Cancelled, Clip

__version__ = "0.1.0"
__all__ = ["CHECKPOINTS", "AudioLDM", "Cancelled", "CheckpointError", "Clip", "Options", "Progress"]

_HOMES = {
    "AudioLDM": "pipeline",
    "Cancelled": "pipeline",
    "Clip": "pipeline",
    "CHECKPOINTS": "checkpoints",
    "CheckpointError": "errors",
    "Options": "options",
    "Progress": "options",
}


def __getattr__(name: str) -> Any:
    # On demand: the pipeline imports Paddle, which takes seconds that `ppaudioldm --help` does not have.
    if name in _HOMES:
        return getattr(import_module(f"ppaudioldm.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ppaudioldm' has no attribute {name!r}")
