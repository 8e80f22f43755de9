"""AudioLDM pipelines with the names, arguments and results of diffusers and ppdiffusers, for scripts written for those.

from ppaudioldm.compat import AudioLDM2Pipeline  # in place of `from diffusers import AudioLDM2Pipeline`
pipe = AudioLDM2Pipeline.from_pretrained("cvssp/audioldm2")
audio = pipe("a dog barks", num_inference_steps=200, audio_length_in_s=10.0).audios[0]

`ppaudioldm.AudioLDM` is this package's own class. The command `ppaudioldm compat` is something else: it has the flags
of the original implementation's command.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppaudioldm.compat.alpha_schedulers import DDIMScheduler, DDPMScheduler, PNDMScheduler
    from ppaudioldm.compat.dpm_solver import DPMSolverMultistepScheduler
    from ppaudioldm.compat.lcm import LCMScheduler
    from ppaudioldm.compat.pipelines import AudioLDM2Pipeline, AudioLDMPipeline, AudioPipelineOutput
    from ppaudioldm.compat.sigma_schedulers import (
        EulerAncestralDiscreteScheduler,
        EulerDiscreteScheduler,
        LMSDiscreteScheduler,
    )

_HOMES = {
    "AudioLDM2Pipeline": "pipelines",
    "AudioLDMPipeline": "pipelines",
    "AudioPipelineOutput": "pipelines",
    "DDIMScheduler": "alpha_schedulers",
    "DDPMScheduler": "alpha_schedulers",
    "PNDMScheduler": "alpha_schedulers",
    "DPMSolverMultistepScheduler": "dpm_solver",
    "EulerAncestralDiscreteScheduler": "sigma_schedulers",
    "EulerDiscreteScheduler": "sigma_schedulers",
    "LCMScheduler": "lcm",
    "LMSDiscreteScheduler": "sigma_schedulers",
}
SCHEDULERS = tuple(name for name in _HOMES if name.endswith("Scheduler"))
__all__ = [
    "AudioLDM2Pipeline",
    "AudioLDMPipeline",
    "AudioPipelineOutput",
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ppaudioldm.compat.{_HOMES[name]}"), name)
    if name.endswith("Scheduler"):
        raise AttributeError(
            f"no {name} here, choose from {', '.join(SCHEDULERS)}; one that diffusers itself makes can be assigned, too"
        )
    raise AttributeError(f"module 'ppaudioldm.compat' has no attribute {name!r}")
