from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.config import UNetConfig
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.models.unet import UNet
from tests.support import load_golden, noise, random_network, relative_error

BASE = UNetConfig(
    in_channels=4, model_channels=32, channel_mult=(1, 2, 3), attention_levels=(1, 2), context_dims=(24, 40)
)
VARIANTS = {
    "base": BASE,
    "large": replace(BASE, context_dims=(24, 40, None), transformer_depth=2),
    "speech": replace(BASE, context_dims=(24,)),
    "t5": replace(BASE, context_dims=(40,)),
    "film": replace(BASE, context_dims=(None,), film_dim=20),
}
TIMESTEPS = np.array([996, 1])
PADDING = 3  # masked tokens at the end of the last item's last context


@dataclass(frozen=True)
class Inputs:
    latents: np.ndarray
    features: np.ndarray
    contexts: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    film: np.ndarray | None


def make_inputs(config: UNetConfig, frames: int = 8, bands: int = 8, lengths: Sequence[int] = (8, 7)) -> Inputs:
    """Two items; of the second, the last context ends with padded zeros, as a shorter prompt's does."""
    dims = [dim for dim in config.context_dims if dim]
    contexts = [noise(2, n, dim, seed=i + 1) for i, (n, dim) in enumerate(zip(lengths, dims, strict=False))]
    masks = [np.ones(context.shape[:2], np.float32) for context in contexts]
    if contexts:
        contexts[-1][1, -PADDING:] = 0
        masks[-1][1, -PADDING:] = 0
    return Inputs(
        noise(2, config.in_channels, frames, bands),
        timestep_features(TIMESTEPS, config.model_channels),
        tuple(contexts),
        tuple(masks),
        noise(2, config.film_dim, seed=9) if config.film_dim else None,
    )


def predict(network: UNet, inputs: Inputs) -> np.ndarray:
    with framework.no_grad():
        output = network(
            framework.from_numpy(inputs.latents),
            framework.from_numpy(inputs.features),
            [framework.from_numpy(context) for context in inputs.contexts],
            [framework.from_numpy(mask) for mask in inputs.masks],
            None if inputs.film is None else framework.from_numpy(inputs.film),
        )
    return framework.to_numpy(output)


def item(inputs: Inputs, index: int) -> Inputs:
    one = slice(index, index + 1)
    return Inputs(
        inputs.latents[one],
        inputs.features[one],
        tuple(context[one] for context in inputs.contexts),
        tuple(mask[one] for mask in inputs.masks),
        None if inputs.film is None else inputs.film[one],
    )


def make_network(config: UNetConfig) -> UNet:
    return random_network("unet", UNet, config)


@pytest.mark.parametrize("variant", VARIANTS)
def test_matches_the_public_reference(variant):
    config = VARIANTS[variant]
    noise_pred = predict(make_network(config), make_inputs(config))
    assert relative_error(noise_pred, load_golden(f"unet_{variant}")["noise_pred"]) < 1e-5


@pytest.mark.parametrize("frames,bands", [(4, 4), (12, 8), (20, 4)])
def test_output_has_the_shape_of_the_latents(frames, bands):
    inputs = make_inputs(BASE, frames, bands)
    assert predict(make_network(BASE), inputs).shape == inputs.latents.shape


def test_items_of_a_batch_do_not_meet():
    network, inputs = make_network(BASE), make_inputs(BASE)
    together = predict(network, inputs)
    for index in range(2):
        np.testing.assert_allclose(predict(network, item(inputs, index)), together[index : index + 1], atol=1e-5)


def test_masked_tokens_do_not_matter():
    network, inputs = make_network(BASE), make_inputs(BASE)
    expected = predict(network, inputs)
    contexts = [context.copy() for context in inputs.contexts]
    contexts[-1][1, -PADDING:] = 50
    np.testing.assert_allclose(predict(network, replace(inputs, contexts=tuple(contexts))), expected, atol=1e-6)

    alone = item(inputs, 1)
    cut = replace(
        alone,
        contexts=(alone.contexts[0], alone.contexts[1][:, :-PADDING]),
        masks=(alone.masks[0], alone.masks[1][:, :-PADDING]),
    )
    np.testing.assert_allclose(predict(network, cut), expected[1:], atol=1e-5)


@pytest.mark.parametrize("changed", ["first context", "second context", "timestep"])
def test_everything_given_matters(changed):
    inputs = make_inputs(BASE)
    first, second = inputs.contexts
    other = {
        "first context": replace(inputs, contexts=(first + 1, second)),
        "second context": replace(inputs, contexts=(first, second + 1)),
        "timestep": replace(inputs, features=timestep_features(TIMESTEPS - 1, BASE.model_channels)),
    }[changed]
    network = make_network(BASE)
    assert relative_error(predict(network, other), predict(network, inputs)) > 1e-3


def test_film_is_joined_to_the_time_embedding():
    """Where nothing listens to the second half of the embedding, the FiLM network is the one without."""
    config = VARIANTS["film"]
    network, plain = make_network(config), make_network(replace(config, film_dim=None))
    half = config.time_embed_dim
    weights = {name: framework.to_numpy(value) for name, value in network.named_parameters()}
    for name in list(weights):
        if name.endswith("emb_proj.weight"):
            weights[name][:, half:] = 0
    framework.assign_weights(network, weights.items())
    framework.assign_weights(
        plain,
        (
            (name, np.ascontiguousarray(array[:, :half]) if name.endswith("emb_proj.weight") else array)
            for name, array in weights.items()
            if not name.startswith("film.")
        ),
    )
    inputs = make_inputs(config)
    expected = predict(plain, replace(inputs, film=None))
    np.testing.assert_allclose(predict(network, inputs), expected, atol=1e-5)

    network = make_network(config)
    changed = replace(inputs, film=-inputs.film)
    assert relative_error(predict(network, changed), predict(network, inputs)) > 1e-2


@pytest.mark.parametrize("variant", ["base", "large", "speech", "t5"])
def test_guided_step_is_the_step_on_doubled_latents(variant):
    config = VARIANTS[variant]
    network, inputs = make_network(config), make_inputs(config)
    other = [context[:, ::-1].copy() for context in inputs.contexts]  # what the other half listens to
    contexts = [framework.from_numpy(np.concatenate(pair)) for pair in zip(inputs.contexts, other, strict=True)]
    masks = [framework.from_numpy(np.concatenate([mask, np.ones_like(mask)])) for mask in inputs.masks]
    latents, features = framework.from_numpy(inputs.latents), framework.from_numpy(inputs.features)
    with framework.no_grad():
        projected = network.project(contexts)
        guided = network.guided_step(latents, features, projected, masks)
        doubled = [framework.xp.concat([x, x], 0) for x in (latents, features)]
        whole = network.step(*doubled, projected, masks)
    halves = framework.to_numpy(guided)
    assert relative_error(halves, framework.to_numpy(whole)) < 1e-5
    assert relative_error(halves[:2], predict(network, inputs)) < 1e-5
    assert relative_error(halves[2:], halves[:2]) > 1e-3


@pytest.mark.parametrize("variant", ["base", "large"])
def test_shallow_step_on_its_own_deep_features_is_the_step(variant):
    network, inputs = make_network(VARIANTS[variant]), make_inputs(VARIANTS[variant])
    latents, features = framework.from_numpy(inputs.latents), framework.from_numpy(inputs.features)
    later = latents + 0.1 * framework.from_numpy(noise(*inputs.latents.shape, seed=7))
    with framework.no_grad():
        projected = network.project([framework.from_numpy(np.concatenate([c, -c])) for c in inputs.contexts])
        masks = [framework.from_numpy(np.concatenate([mask, mask])) for mask in inputs.masks]
        deep = network.guided_deep(latents, features, projected, masks)
        whole, of_deep, of_older, next_whole = (
            framework.to_numpy(x)
            for x in (
                network.guided_step(latents, features, projected, masks),
                network.guided_shallow(latents, features, deep),
                network.guided_shallow(later, features, deep),
                network.guided_step(later, features, projected, masks),
            )
        )
    assert relative_error(of_deep, whole) < 1e-6
    assert relative_error(of_older, next_whole) < relative_error(whole, next_whole)


def test_shallow_step_with_attention_at_the_finest_level():
    network = make_network(replace(BASE, attention_levels=(0, 1, 2)))
    inputs = make_inputs(BASE)
    with pytest.raises(ValueError, match="deep features cannot be used again: the finest level has attention"):
        network.guided_shallow(framework.from_numpy(inputs.latents), framework.from_numpy(inputs.features), None)


@pytest.mark.parametrize(
    "variant,given,message",
    [
        ("base", 1, "expected 2 contexts with masks, got 1 and 1"),
        ("large", 3, "expected 2 contexts with masks, got 3 and 3"),
        ("speech", 0, "expected 1 contexts with masks, got 0 and 0"),
        ("film", 1, "expected 0 contexts with masks, got 1 and 1"),
    ],
)
def test_wrong_number_of_contexts(variant, given, message):
    inputs = make_inputs(BASE)
    contexts, masks = (inputs.contexts * 2)[:given], (inputs.masks * 2)[:given]
    with pytest.raises(ValueError, match=message):
        predict(make_network(VARIANTS[variant]), replace(inputs, contexts=contexts, masks=masks))


def test_context_without_a_mask():
    inputs = make_inputs(BASE)
    with pytest.raises(ValueError, match="expected 2 contexts with masks, got 2 and 1"):
        predict(make_network(BASE), replace(inputs, masks=inputs.masks[:1]))


def test_film_missing():
    config = VARIANTS["film"]
    with pytest.raises(ValueError, match="film is required with film_dim=20"):
        predict(make_network(config), replace(make_inputs(config), film=None))


def test_film_not_wanted():
    with pytest.raises(ValueError, match="film is not used with film_dim=None"):
        predict(make_network(BASE), replace(make_inputs(BASE), film=noise(2, 20)))


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"model_channels": 48}, "48 channels at level 0 are not divisible by the 32 groups"),
        ({"head_dim": 40}, "64 channels at level 1 are not divisible by head_dim=40"),
    ],
)
def test_channels_not_divisible(changes, message):
    with pytest.raises(ValueError, match=message):
        UNet(replace(BASE, **changes))


def test_timestep_features_are_cosines_then_sines():
    features = timestep_features(np.array([0, 1, 500, 999]), 128)
    assert features.dtype == np.float32 and features.shape == (4, 128)
    for row, t in enumerate((0, 1, 500, 999)):
        for i in range(64):
            angle = t * 10000 ** (-i / 64)
            assert features[row, i] == pytest.approx(math.cos(angle), abs=1e-6)
            assert features[row, 64 + i] == pytest.approx(math.sin(angle), abs=1e-6)
