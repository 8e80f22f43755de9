"""AudioLDM 2, text to sound effects, music and speech, for PaddlePaddle.

from ppaudioldm import AudioLDM
pipe = AudioLDM.from_pretrained("tiny")  # or "audioldm2-full", which makes any sound
pipe.generate("a big bell", seed=0).save("bell.wav")

What starts from a recording is a function of its own: vary, restyle, inpaint, extend, loop, upscale and rank.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppaudioldm.checkpoints import CHECKPOINTS
    from ppaudioldm.errors import CheckpointError
    from ppaudioldm.generation.clip import Cancelled, Clip
    from ppaudioldm.generation.options import Options, Progress
    from ppaudioldm.lists.run import generate_list
    from ppaudioldm.pipeline import AudioLDM
    from ppaudioldm.tasks.edited import EditedClip
    from ppaudioldm.tasks.extend import extend
    from ppaudioldm.tasks.inpaint import inpaint
    from ppaudioldm.tasks.loop import loop
    from ppaudioldm.tasks.rank import rank
    from ppaudioldm.tasks.restyle import restyle
    from ppaudioldm.tasks.speak import speak
    from ppaudioldm.tasks.stored_settings import StoredSettings, read_settings
    from ppaudioldm.tasks.upscale import upscale
    from ppaudioldm.tasks.vary import vary

__version__ = "0.1.0"
__all__ = [
    "CHECKPOINTS",
    "AudioLDM",
    "Cancelled",
    "CheckpointError",
    "Clip",
    "EditedClip",
    "Options",
    "Progress",
    "StoredSettings",
    "extend",
    "generate_list",
    "inpaint",
    "loop",
    "rank",
    "read_settings",
    "restyle",
    "speak",
    "upscale",
    "vary",
]

_HOMES = {
    "AudioLDM": "pipeline",
    "CHECKPOINTS": "checkpoints",
    "CheckpointError": "errors",
    "Cancelled": "generation.clip",
    "Clip": "generation.clip",
    "Options": "generation.options",
    "Progress": "generation.options",
    "EditedClip": "tasks.edited",
    "generate_list": "lists.run",
    "StoredSettings": "tasks.stored_settings",
    "read_settings": "tasks.stored_settings",
    **{task: f"tasks.{task}" for task in ("speak", "vary", "restyle", "inpaint", "extend", "loop", "upscale", "rank")},
}


def __getattr__(name: str) -> Any:
    # On demand: the pipeline imports Paddle, which takes seconds that `ppaudioldm --help` does not have.
    if name in _HOMES:
        return getattr(import_module(f"ppaudioldm.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ppaudioldm' has no attribute {name!r}")
