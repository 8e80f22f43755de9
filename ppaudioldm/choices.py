"""The names that a user may choose from. Imports nothing, so that `--help` can list them."""

from __future__ import annotations

FRAMEWORKS = ("paddle", "torch")
ENGINES = ("auto", "openvino", "eager")
PRECISIONS = ("auto", "f32", "bf16", "fp16")  # of the arithmetic; which of them there are depends on engine and device
VOCODERS = ("network", "griffin-lim")
SAMPLERS = ("ddim", "plms", "ddpm", "dpm++")
SPACINGS = ("leading", "linear", "log-snr", "karras")  # of the timesteps of dpm++, see `diffusion.schedule`
AUDIO_FORMATS = ("wav", "flac", "ogg", "mp3")  # that sound files are written in


def check_sampler_options(sampler: str, eta: float | None, spacing: str | None) -> None:
    """Raise ValueError for an `eta` or a `spacing` that `sampler` does not have."""
    if eta is not None and sampler != "ddim":
        raise ValueError(f"eta is {eta!r}, but only the ddim sampler has one; {sampler} does not")
    if spacing is not None and sampler != "dpm++":
        raise ValueError(f"spacing is {spacing!r}, but only the dpm++ sampler has a choice; {sampler} does not")
