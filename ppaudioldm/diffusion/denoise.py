"""The denoising loop, for any network, engine and sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .guidance import combine
from .samplers import Noise, Sampler
from .schedule import Array


def denoise(
    predict: Callable[[Array, int, int], Array],
    sampler: Sampler,
    latents: Array,
    guidance_scale: float | Sequence[float],
    noise: Noise | None = None,
    constrain: Callable[[int, Array], Array] | None = None,
) -> Iterator[tuple[int, Array]]:
    """Yields (i, latents) after each of the len(sampler.timesteps) calls of the network; the last are the result.

    predict(latents, timestep, i): what the network says of latents (B, C, T, F): a batch of 2B, without conditions
    first,
        or of B where guidance_scale is 1 (`needs_unconditional`). It doubles the batch itself, as only the caller
        knows how its arrays are joined.
    guidance_scale: one for all calls, or one for each.
    latents: standard normal for a sampler of full strength, else `sampler.add_noise(0, x0, noise)`.
    noise(i): the fresh standard normal draw of step i, asked for only by stochastic samplers.
    constrain(i, latents): latents to use instead, before call i; inpainting puts `sampler.add_noise(i, x0, noise)`
        where the recording is to be kept.
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
