from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import UNetConfig
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.models.resnet import ResBlock
from ppaudioldm.models.unet import UNet
from ppaudioldm.models.unet_transformer import Transformer
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
    "audioldm1": replace(BASE, context_dims=(), film_dim=20),
    # Inner widths of 30, 60 and 90 for 32, 64 and 96 channels.
    "consistencytta": replace(
        BASE, attention_levels=(0, 1), context_dims=(40,), head_dim=10, transformers="tango", guidance_dim=24
    ),
}
# Where the first cross-attention is, and so the batch of `guided_step` doubled, in the block of which number.
GUIDED = {
    "base": (BASE, 2),
    "times of tokens": (replace(BASE, loa_frames=2), 2),
    "tokens of frames": (replace(BASE, loa_frames=2, loa_bands=8), 0),
    "large": (VARIANTS["large"], 2),
    "speech": (VARIANTS["speech"], 2),
    "t5": (VARIANTS["t5"], 2),
    "self-attention twice before": (replace(BASE, context_dims=(None, 24, 40)), 2),
    "at the finest level": (replace(BASE, attention_levels=(0, 1, 2)), 0),
    "at the coarsest level": (replace(BASE, attention_levels=(2,)), 4),
    "in the middle": (replace(BASE, attention_levels=()), 6),
    "one level": (replace(BASE, channel_mult=(1,), attention_levels=()), 2),
}
# With FiLM the two halves differ from the first residual block on.
HALVES = {name: config for name, (config, _) in GUIDED.items()} | {n: VARIANTS[n] for n in ("film", "audioldm1")}
SHALLOW = [name for name, config in HALVES.items() if not config.conditions_finest]
TIMESTEPS = np.array([996, 1])
CHANGED_TIMESTEPS = np.array([500, 20])
GUIDANCE_SCALES = np.array([[4.0], [1.5]], np.float32)
PADDING = 3  # masked tokens at the end of the last item's last context


@dataclass(frozen=True)
class Inputs:
    """features: of the timesteps. scales: (2, 1), where the guidance scale is an input."""

    latents: np.ndarray
    features: np.ndarray
    contexts: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    film: np.ndarray | None
    scales: np.ndarray | None = None


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
        GUIDANCE_SCALES if config.guidance_dim else None,
    )


def predict(network: UNet, inputs: Inputs) -> np.ndarray:
    with framework.no_grad():
        output = network(
            framework.from_numpy(inputs.latents),
            framework.from_numpy(inputs.features),
            [framework.from_numpy(context) for context in inputs.contexts],
            [framework.from_numpy(mask) for mask in inputs.masks],
            None if inputs.film is None else framework.from_numpy(inputs.film),
            None if inputs.scales is None else framework.from_numpy(inputs.scales),
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
        None if inputs.scales is None else inputs.scales[one],
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


def changed_inputs() -> dict[str, Inputs]:
    """`make_inputs(BASE)` with one input changed, for which the outputs of the reference are golden."""
    inputs = make_inputs(BASE)
    first, second = inputs.contexts
    masks = [mask.copy() for mask in inputs.masks]
    masks[0][0, 2:5] = 0
    return {
        "latents": replace(inputs, latents=-inputs.latents),
        "timestep": replace(inputs, features=timestep_features(CHANGED_TIMESTEPS, BASE.model_channels)),
        "first_context": replace(inputs, contexts=(first + 1, second)),
        "second_context": replace(inputs, contexts=(first, second + 1)),
        "mask": replace(inputs, masks=tuple(masks)),
    }


@pytest.mark.parametrize("changed", ["latents", "timestep", "first_context", "second_context", "mask"])
def test_each_input_has_the_effect_that_it_has_in_the_public_reference(changed):
    noise_pred = predict(make_network(BASE), changed_inputs()[changed])
    assert relative_error(noise_pred, load_golden("unet_changed")[changed]) < 1e-5


def test_times_of_tokens_concern_the_first_context_alone():
    """With `loa_frames` the order of LOA tokens counts, as published it does not, nor does that of the text's."""
    inputs = make_inputs(BASE)
    swapped_loa = replace(inputs, contexts=(inputs.contexts[0][:, ::-1], inputs.contexts[1]))
    swapped_text = replace(
        inputs,
        contexts=(inputs.contexts[0], inputs.contexts[1][:, ::-1]),
        masks=(inputs.masks[0], inputs.masks[1][:, ::-1]),
    )
    for loa_frames, counts in ((0, False), (1, True)):
        network = make_network(replace(BASE, loa_frames=loa_frames))
        expected = predict(network, inputs)
        assert (relative_error(predict(network, swapped_loa), expected) > 1e-4) == counts
        assert relative_error(predict(network, swapped_text), expected) < 1e-5


def test_film_follows_the_time_in_the_embedding():
    """Each half of the embedding, where nothing reads the other, is that of a network without FiLM."""
    config = VARIANTS["film"]
    network, plain = make_network(config), make_network(replace(config, film_dim=None))
    half = config.time_embed_dim
    weights = parameters(network)
    inputs = item(make_inputs(config), 0)
    film_embedding = weights["film.weight"] @ inputs.film[0] + weights["film.bias"]
    constant = {"time_out.weight": np.zeros((half, half), np.float32), "time_out.bias": film_embedding}
    for read, unread, changes in (
        (slice(0, half), slice(half, None), {}),
        (slice(half, None), slice(0, half), constant),
    ):
        partly = {name: array.copy() for name, array in weights.items()}
        without = {name: array for name, array in weights.items() if not name.startswith("film.")} | changes
        for name in without:
            if name.endswith("emb_proj.weight"):
                partly[name][:, unread] = 0
                without[name] = np.ascontiguousarray(weights[name][:, read])
        framework.assign_weights(network, partly.items())
        framework.assign_weights(plain, without.items())
        assert relative_error(predict(network, inputs), predict(plain, replace(inputs, film=None))) < 1e-5


def test_a_guidance_scale_that_is_an_input():
    """Its features are cosines and sines at the stored frequencies; another scale is another prediction."""
    config = VARIANTS["consistencytta"]
    network, inputs = make_network(config), make_inputs(config)
    frequencies = parameters(network)["guidance.weight"]
    angles = 2 * np.pi * GUIDANCE_SCALES * frequencies
    with framework.no_grad():
        features = framework.to_numpy(network.guidance(framework.from_numpy(GUIDANCE_SCALES)))
    np.testing.assert_allclose(features, np.concatenate([np.cos(angles), np.sin(angles)], 1), atol=1e-4)
    other = replace(inputs, scales=GUIDANCE_SCALES[::-1].copy())
    assert relative_error(predict(network, other), predict(network, inputs)) > 1e-3


def test_inner_widths_are_whole_heads():
    """Published: 255, 510 and 1020 for 256, 512 and 1024 channels, in 5, 10 and 20 heads."""
    config = CHECKPOINTS["consistencytta"].config.unet
    assert [config.attention_width(channels) for channels in (256, 512, 1024)] == [255, 510, 1020]
    assert [CHECKPOINTS["audioldm2-full"].config.unet.attention_width(n) for n in (256, 384, 640)] == [256, 384, 640]


def parameters(network: UNet) -> dict[str, np.ndarray]:
    return {name: framework.to_numpy(value) for name, value in network.named_parameters()}


def guided_inputs(inputs: Inputs) -> tuple[Inputs, Inputs]:
    """What the unconditional and the conditional half of guidance are: the same latents with different contexts."""
    other = tuple(context[:, ::-1].copy() for context in inputs.contexts)
    unpadded = tuple(np.ones_like(mask) for mask in inputs.masks)
    film = None if inputs.film is None else inputs.film[::-1].copy()
    return inputs, replace(inputs, contexts=other, masks=unpadded, film=film)


def guided_arguments(network: UNet, inputs: Inputs) -> list:
    """The arguments of `guided_step` for both halves of `guided_inputs`; the last is the FiLM vector."""
    halves = guided_inputs(inputs)
    contexts, masks = (
        [framework.from_numpy(np.concatenate(pair)) for pair in zip(*(getattr(x, name) for x in halves), strict=True)]
        for name in ("contexts", "masks")
    )
    latents, embedding = framework.from_numpy(inputs.latents), network.embed_time(framework.from_numpy(inputs.features))
    films = [half.film for half in halves if half.film is not None]
    film = framework.from_numpy(np.concatenate(films)) if films else None
    return [latents, embedding, network.project(contexts), masks, film]


@pytest.mark.parametrize("variant", HALVES)
def test_guided_step_is_a_step_for_each_half(variant):
    config = HALVES[variant]
    network, inputs = make_network(config), make_inputs(config)
    with framework.no_grad():
        noise_pred = framework.to_numpy(network.guided_step(*guided_arguments(network, inputs)))
    unconditional, conditional = (predict(network, half) for half in guided_inputs(inputs))
    assert relative_error(noise_pred[:2], unconditional) < 1e-5
    assert relative_error(noise_pred[2:], conditional) < 1e-5
    # Or the test could not tell them apart.
    assert relative_error(conditional, unconditional) > 1e-3


@pytest.mark.parametrize("variant", GUIDED)
def test_the_batch_is_doubled_before_the_first_cross_attention(variant, monkeypatch):
    """Residual blocks and self-attention until then are computed once for both halves."""
    config, first_attending = GUIDED[variant]
    network, inputs = make_network(config), make_inputs(config)
    sizes: dict[str, list[int]] = {"ResBlock": [], "Transformer": []}
    for module in (ResBlock, Transformer):
        forward = module.forward

        def noted(self, x, *others, forward=forward, name=module.__name__):
            sizes[name].append(x.shape[0])
            return forward(self, x, *others)

        monkeypatch.setattr(module, "forward", noted)
    with framework.no_grad():
        network.guided_step(*guided_arguments(network, inputs))
    before = first_attending + 1
    assert sizes["ResBlock"] == [2] * before + [4] * (len(sizes["ResBlock"]) - before)
    self_attentions = [None, *config.context_dims].index(24 if 24 in config.context_dims else 40)
    if config.loa_bands:
        self_attentions = 0
    assert sizes["Transformer"] == [2] * self_attentions + [4] * (len(sizes["Transformer"]) - self_attentions)


@pytest.mark.parametrize("variant", SHALLOW)
def test_shallow_step_on_its_own_deep_features_is_the_step(variant):
    config = HALVES[variant]
    network, inputs = make_network(config), make_inputs(config)
    with framework.no_grad():
        latents, embedding, *conditions, film = guided_arguments(network, inputs)
        later = latents + 0.1 * framework.from_numpy(noise(*inputs.latents.shape, seed=7))
        deep = network.guided_deep(latents, embedding, *conditions, film)
        whole, of_deep, of_older, next_whole = (
            framework.to_numpy(x)
            for x in (
                network.guided_step(latents, embedding, *conditions, film),
                network.guided_shallow(latents, embedding, deep, film),
                network.guided_shallow(later, embedding, deep, film),
                network.guided_step(later, embedding, *conditions, film),
            )
        )
    assert relative_error(of_deep, whole) < 1e-6
    assert relative_error(of_older, next_whole) < relative_error(whole, next_whole)


def test_shallow_step_with_attention_at_the_finest_level():
    network = make_network(replace(BASE, attention_levels=(0, 1, 2)))
    inputs = make_inputs(BASE)
    with pytest.raises(ValueError, match="deep features cannot be used again: the finest level depends on contexts"):
        network.guided_shallow(framework.from_numpy(inputs.latents), framework.from_numpy(inputs.features), None)


@pytest.mark.parametrize(
    "variant,count,message",
    [
        ("base", 1, "expected 2 contexts with masks, got 1 and 1"),
        ("large", 3, "expected 2 contexts with masks, got 3 and 3"),
        ("speech", 0, "expected 1 contexts with masks, got 0 and 0"),
        ("film", 1, "expected 0 contexts with masks, got 1 and 1"),
    ],
)
def test_wrong_number_of_contexts(variant, count, message):
    inputs = make_inputs(BASE)
    contexts, masks = (inputs.contexts * 2)[:count], (inputs.masks * 2)[:count]
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
