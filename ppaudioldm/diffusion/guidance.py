"""Classifier-free guidance (arXiv:2207.12598)."""

from __future__ import annotations

import math

from ppaudioldm.diffusion.schedule import Array
from ppaudioldm.errors import quoted


def needs_unconditional(guidance_scale: float) -> bool:
    """Whether guidance needs the unconditional prediction too. Raises ValueError on a scale that is not finite."""
    if not math.isfinite(guidance_scale):
        raise ValueError(f"guidance_scale is {quoted(guidance_scale)}, allowed: finite numbers")
    return guidance_scale != 1.0


def guidance_scales(guidance_scale: float, interval: tuple[float, float], calls: int) -> list[float]:
    """The scale of each of `calls` calls of the network: `guidance_scale` within `interval`, 1 (no guidance) outside.

    interval: start and end as fractions of the calls; (0, 1) is all of them. Guidance is most useful in the middle of
    the schedule: arXiv:2404.07724.
    """
    start, end = (round(fraction * calls) for fraction in interval)
    return [guidance_scale if start <= i < end else 1.0 for i in range(calls)]


def combine(noise_pred_batch: Array, guidance_scale: float) -> Array:
    """Guided prediction (B, ...): unconditional + guidance_scale * (conditional - unconditional).

    noise_pred_batch: (2B, ...), unconditional half first; with guidance_scale 1 (B, ...), conditional alone.
    Raises ValueError on an odd number of items where two halves are needed.
    """
    if not needs_unconditional(guidance_scale):
        return noise_pred_batch
    size = noise_pred_batch.shape[0]
    if size % 2:
        raise ValueError(f"noise_pred_batch has {size} items, but guidance needs an unconditional for each conditional")
    unconditional, conditional = noise_pred_batch[: size // 2], noise_pred_batch[size // 2 :]
    return unconditional + guidance_scale * (conditional - unconditional)
