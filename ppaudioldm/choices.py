"""The names that a user may choose from. Imports no framework and nothing heavy, so that `--help` can list them."""

from __future__ import annotations

FRAMEWORKS = ("paddle", "torch")
ENGINES = ("auto", "openvino", "eager")
PRECISIONS = ("auto", "f32", "bf16", "fp16")  # of the arithmetic; which of them there are depends on engine and device
VOCODERS = ("network", "griffin-lim")
OPTIONAL_NETWORKS = ("audiomae", "clap_audio")  # of a checkpoint, for generation from text
CLAP_FILLINGS = ("stretched", "repeated")  # how a short recording fills CLAP's input: a checkpoint's, not a user's
UNET_TRANSFORMERS = ("audioldm", "tango")  # which transformers a UNet has: a checkpoint's as well
SAMPLERS = ("ddim", "plms", "ddpm", "dpm++", "lcm", "consistency")
DEFAULT_SAMPLER = "dpm++"
CONSISTENCY = "consistency"  # the only sampler of a consistency model, and of no other
LCM = "lcm"  # the only sampler of a latent consistency model; others have it for adapters that make them one
SPACINGS = ("leading", "linear", "log-snr", "karras")  # of the timesteps of dpm++, see `diffusion.schedule`
AUDIO_FORMATS = ("wav", "flac", "ogg", "mp3")  # that sound files are written in
TAGS = ("all", "marking", "none")  # in sound files: with the settings that make them again, that they are generated


def samplers_for(own: str) -> tuple[str, ...]:
    """The samplers of a checkpoint whose own, by default, is `own`."""
    return (own,) if own in (CONSISTENCY, LCM) else tuple(name for name in SAMPLERS if name != CONSISTENCY)


def check_sampler_for(own: str, sampler: str) -> None:
    """Raise ValueError for a `sampler` that a checkpoint whose own is `own` cannot be sampled with."""
    if sampler not in samplers_for(own):
        raise ValueError(f"sampler is {sampler!r}, allowed for this checkpoint: {', '.join(samplers_for(own))}")


def check_sampler_options(sampler: str, eta: float | None, spacing: str | None) -> None:
    """Raise ValueError for an `eta` or a `spacing` that `sampler` does not have."""
    if eta is not None and sampler != "ddim":
        raise ValueError(f"eta is {eta!r}, but only the ddim sampler has one; {sampler} does not")
    if spacing is not None and sampler != "dpm++":
        raise ValueError(f"spacing is {spacing!r}, but only the dpm++ sampler has a choice; {sampler} does not")
