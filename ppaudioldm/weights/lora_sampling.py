"""What an adapter that distills its checkpoint is sampled with, as the metadata of its safetensors file says it.

PEFT and diffusers ignore that entry. A sampler, few steps and no guidance are what such an adapter is of use with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ppaudioldm.choices import DEFAULT_SAMPLER, samplers_for
from ppaudioldm.config import DiffusionConfig, is_whole
from ppaudioldm.errors import quoted, shown
from ppaudioldm.storage.documents import json_object

METADATA = "ppaudioldm_sampling"
MOST_STEPS = 1000
MOST_GUIDANCE = 100.0


@dataclass(frozen=True)
class Sampling:
    """The settings of a generation with an adapter, where the user chooses no others."""

    sampler: str
    num_inference_steps: int
    guidance_scale: float

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Sampling | None:
        """That which the metadata of a file has, None where it has none. Raises ValueError for a bad one."""
        if METADATA not in metadata:
            return None
        values: dict[str, Any] = json_object(metadata[METADATA])
        if set(values) != {"sampler", "num_inference_steps", "guidance_scale"}:
            raise ValueError(f"{METADATA} has the fields {shown(', '.join(sorted(values)))}")
        sampler, steps, scale = (values[name] for name in ("sampler", "num_inference_steps", "guidance_scale"))
        if sampler not in samplers_for(DEFAULT_SAMPLER):
            allowed = ", ".join(samplers_for(DEFAULT_SAMPLER))
            raise ValueError(f"{METADATA}: sampler is {quoted(sampler)}, allowed: {allowed}")
        if not is_whole(steps) or not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"{METADATA}: num_inference_steps is {quoted(steps)}, allowed: 1 to {MOST_STEPS}")
        is_number = isinstance(scale, float) or is_whole(scale)
        if not is_number or not abs(scale) <= MOST_GUIDANCE:  # so that NaN fails
            raise ValueError(f"{METADATA}: guidance_scale is {quoted(scale)}, allowed: up to {MOST_GUIDANCE:g}")
        return cls(sampler, steps, float(scale))

    def metadata(self) -> dict[str, str]:
        """The inverse of `from_metadata`."""
        return {METADATA: json.dumps(asdict(self))}

    def applied(self, diffusion: DiffusionConfig) -> DiffusionConfig:
        """`diffusion` with these settings as its defaults."""
        return replace(diffusion, **asdict(self))
