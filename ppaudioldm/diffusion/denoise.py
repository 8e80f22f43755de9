"""The denoising loop, for any network, engine and sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ppaudioldm.diffusion.guidance import combine
from ppaudioldm.diffusion.samplers import Noise, Sampler
from ppaudioldm.diffusion.schedule import Array


def denoise(
    predict: Callable[[Array, float, int], Array],
    sampler: Sampler,
    latents: Array,
    guidance_scale: float | Sequence[float],
    noise: Noise | None = None,
    constrain: Callable[[int, Array], Array] | None = None,
) -> Iterator[tuple[int, Array]]:
    """Yields (i, latents) after call i of the network, of len(sampler.timesteps); the last latents are the result.

    predict(latents, timestep, i): the network's output (epsilon, v or x0) for latents (B, C, T, F) in call i: a batch
        of 2B, the unconditional half first, or of B where guidance_scale is 1 (`needs_unconditional`). `predict`
        doubles the batch itself, since arrays of each framework are concatenated differently.
    guidance_scale: one scale for all calls, or one for each.
    latents: the initial ones: `sampler.initial(noise)` at full strength, else `sampler.add_noise(0, x0, noise)`.
    noise(i): the standard normal draw that step i adds; only stochastic samplers call it.
    constrain(i, latents): returns the latents to use in their place, before call i; inpainting puts
        `sampler.add_noise(i, x0, noise)` where its mask keeps the recording.
    Raises ValueError where a prediction has the wrong batch size.
    """
    scales = guidance_scale if isinstance(guidance_scale, Sequence) else [guidance_scale] * len(sampler.timesteps)
    for i, (timestep, scale) in enumerate(zip(sampler.timesteps, scales, strict=True)):
        if constrain is not None:
            latents = constrain(i, latents)
        prediction = combine(predict(latents, timestep, i), scale)
        if prediction.shape[0] != latents.shape[0]:
            raise ValueError(f"predict returned {prediction.shape[0]} guided items for {latents.shape[0]} latents")
        latents = sampler.step(i, prediction, latents, noise)
        yield i, latents
