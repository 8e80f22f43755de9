from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.torch_files import read_torch
from ppaudioldm.weights.weight_norm import NAMINGS, without_weight_norm
from tests.weights.examples import all_values, error_of, stored, tiny_in, write_published

VOCODER = "first_stage_model.vocoder."
Arrays = dict[str, np.ndarray]


def with_weight_norm(arrays: Arrays, prefix: str, naming: tuple[str, str]) -> Arrays:
    """`arrays` with every convolution under `prefix` in two tensors: v is the weight times a power of two, so that
    nothing is rounded."""
    split: Arrays = {}
    for key, values in arrays.items():
        if not key.startswith(prefix) or not key.endswith(".weight"):
            split[key] = values
            continue
        module = key.removesuffix(".weight")
        norm = np.sqrt(np.square(values.astype(np.float64)).sum((1, 2), keepdims=True))
        split[module + naming[0]] = norm.astype(np.float32)
        split[module + naming[1]] = values * np.float32(4)
    return split


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_a_vocoder_with_weight_norm(copy_of, layout, naming):
    path = copy_of(layout)
    if layout == "original":
        arrays = {key: tensor.read() for key, tensor in read_torch(path).items()}
        split = with_weight_norm(arrays, VOCODER, naming)
        write_published(path, {key: stored(values) for key, values in split.items()})
    else:
        file = path / "vocoder" / "model.safetensors"
        split = with_weight_norm(load_file(file), "", naming)
        save_file(split, file)
    assert any(key.endswith(naming[0]) for key in split)
    actual, expected = all_values(open_checkpoint(path)), all_values(tiny_in(layout))
    assert actual.keys() == expected.keys()
    for key, values in expected.items():
        if key.startswith("vocoder."):
            np.testing.assert_allclose(actual[key], values, rtol=3e-7, err_msg=key)  # g is rounded to float32
        else:
            np.testing.assert_array_equal(actual[key], values, err_msg=key)


@pytest.mark.parametrize("parametrized", [False, True])
def test_pytorchs_own_weight_norm(parametrized):
    torch = pytest.importorskip("torch")
    if parametrized:
        from torch.nn.utils.parametrizations import weight_norm
    else:
        from torch.nn.utils import weight_norm
    with torch.no_grad():
        layer = weight_norm(torch.nn.ConvTranspose1d(6, 4, 3))
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
        weight = layer.weight.numpy() if parametrized else torch._weight_norm(layer.weight_v, layer.weight_g, 0).numpy()
    tensors = without_weight_norm({f"up.{key}": stored(value.numpy()) for key, value in layer.state_dict().items()})
    assert tensors.keys() == {"up.weight", "up.bias"}
    np.testing.assert_allclose(tensors["up.weight"].read(), weight, rtol=3e-7)


def test_lengths_as_paddle_stores_them():
    v = np.arange(1, 13, dtype=np.float32).reshape(2, 3, 2)
    tensors = without_weight_norm({"a.weight_g": stored(np.float32([2, 3])), "a.weight_v": stored(v)})
    lengths = np.linalg.norm(tensors["a.weight"].read().reshape(2, -1), axis=1)
    np.testing.assert_allclose(lengths, [2, 3], rtol=1e-6)


def test_a_direction_of_zeros_gives_zeros():
    tensors = {"a.weight_g": stored(np.ones((1, 1), np.float32)), "a.weight_v": stored(np.zeros((1, 2), np.float32))}
    np.testing.assert_array_equal(without_weight_norm(tensors)["a.weight"].read(), np.zeros((1, 2)))


def test_a_plain_weight_comes_first_and_half_a_pair_stays():
    g, v, plain = (stored(np.full((2, 1), i, np.float32)) for i in range(3))
    assert without_weight_norm({"a.weight_g": g, "a.weight_v": v, "a.weight": plain}) == {"a.weight": plain}
    assert without_weight_norm({"a.weight_g": g}) == {"a.weight_g": g}
    odd = stored(np.zeros((1, 1), np.float32))
    assert without_weight_norm({"a.weight_g": odd, "a.weight_v": v}) == {"a.weight_g": odd, "a.weight_v": v}


def test_half_a_pair_in_a_checkpoint(copy_of):
    path = copy_of("original")
    arrays = {key: tensor.read() for key, tensor in read_torch(path).items()}
    arrays[f"{VOCODER}conv_post.weight_v"] = arrays.pop(f"{VOCODER}conv_post.weight")
    write_published(path, {key: stored(values) for key, values in arrays.items()})
    assert f"missing, the first: {VOCODER}conv_post.weight" in error_of(open_checkpoint, path)
