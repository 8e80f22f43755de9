"""LoRA adapters against peft on diffusers' UNets: what ours predicts with one merged, and what peft reads of ours."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig, UNetConfig
from ppaudioldm.models.build import build_empty
from ppaudioldm.training.average import set_values
from ppaudioldm.training.lora import LoraSettings, attach_adapter, write_adapter
from ppaudioldm.weights.checkpoint import Checkpoint
from ppaudioldm.weights.lora import read_adapter
from ppaudioldm.weights.lora_merge import with_adapters
from ppaudioldm.weights.tensors import ComputedTensor
from tests.models.test_unet import VARIANTS, make_inputs, predict
from tests.parity.references import build, make_weights
from tests.parity.test_unet import reference_network, reference_noise
from tests.support import relative_error

EXACT = 1e-5
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
# Linear layers and convolutions of every kind, of two of which ours hold a matrix in two parts.
ALL = [*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv_shortcut", "downsamplers.0.conv"]
CONFIGS = {
    "attention": LoraConfig(r=4, lora_alpha=6, target_modules=ATTENTION),
    "every kind of layer": LoraConfig(r=3, lora_alpha=3, target_modules=[*ALL, "time_emb_proj", "conv_in", "linear_1"]),
    "patterns": LoraConfig(
        r=4, lora_alpha=8, target_modules=ATTENTION, rank_pattern={"to_k": 2}, alpha_pattern={"attn2.to_k": 5}
    ),
    "rank-stabilised": LoraConfig(r=4, lora_alpha=2, target_modules=ATTENTION, use_rslora=True),
}


def checkpoint_of(config: UNetConfig) -> Checkpoint:
    model = replace(ModelConfig(), unet=config)
    weights = make_weights(model, "unet")["unet"]
    tensors = {name: ComputedTensor(array.shape, lambda array=array: array) for name, array in weights.items()}
    return Checkpoint("small", "native", model, lambda kind: "", {"unet": tensors})


def with_random_adapter(reference: torch.nn.Module, config: LoraConfig) -> PeftModel:
    """`reference` with an adapter whose matrices are all random: peft begins with zeros.

    Small enough that float32 computes the reference itself to 1e-5."""
    model = get_peft_model(reference, copy.deepcopy(config))
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def our_prediction(config: UNetConfig, adapters: list[tuple[Path, float]]) -> np.ndarray:
    checkpoint = with_adapters(checkpoint_of(config), [(read_adapter(path), scale) for path, scale in adapters])
    network = build_empty("unet", checkpoint.config)
    framework.assign_weights(network, checkpoint.weights("unet"))
    return predict(network, make_inputs(config))


@pytest.mark.parametrize("name", CONFIGS)
def test_as_peft(name, tmp_path):
    config = VARIANTS["base"]
    reference = reference_network(config, make_weights(replace(ModelConfig(), unet=config), "unet"))
    inputs = make_inputs(config)
    without = reference_noise(reference, inputs)
    model = with_random_adapter(reference, CONFIGS[name])
    model.save_pretrained(tmp_path)
    expected = reference_noise(model.base_model.model, inputs)
    assert relative_error(expected, without) > 0.2  # the adapter matters
    error = relative_error(our_prediction(config, [(tmp_path, 1.0)]), expected)
    print(f"lora {name} on {framework.NAME}: relative error {error:.1e}")
    assert error <= EXACT


def test_audioldm1(tmp_path):
    config = VARIANTS["audioldm1"]
    reference = reference_network(config, make_weights(replace(ModelConfig(), unet=config), "unet"))
    model = with_random_adapter(reference, CONFIGS["attention"])
    model.save_pretrained(tmp_path)
    expected = reference_noise(model.base_model.model, make_inputs(config))
    assert relative_error(our_prediction(config, [(tmp_path, 1.0)]), expected) <= EXACT


def test_scales_add_up(tmp_path):
    """Twice half an adapter is the adapter."""
    config = VARIANTS["base"]
    reference = reference_network(config, make_weights(replace(ModelConfig(), unet=config), "unet"))
    model = with_random_adapter(reference, CONFIGS["attention"])
    model.save_pretrained(tmp_path)
    expected = reference_noise(model.base_model.model, make_inputs(config))
    assert relative_error(our_prediction(config, [(tmp_path, 0.75), (tmp_path, 0.25)]), expected) <= EXACT


@pytest.mark.parametrize("naming", ["peft", "diffusers", "kohya"])
def test_single_files(naming, tmp_path):
    config = VARIANTS["base"]
    reference = reference_network(config, make_weights(replace(ModelConfig(), unet=config), "unet"))
    settings = LoraConfig(r=4, lora_alpha=4, target_modules=ALL)
    model = with_random_adapter(reference, settings)
    state = get_peft_model_state_dict(model)
    state = {key.replace("base_model.model.", "unet."): value for key, value in state.items()}
    if naming == "diffusers":
        state = convert_state_dict_to_diffusers(state)
    elif naming == "kohya":
        state = convert_state_dict_to_kohya(state)  # with an alpha of its own for each module
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "adapter.safetensors")
    expected = reference_noise(model.base_model.model, make_inputs(config))
    assert relative_error(our_prediction(config, [(tmp_path / "adapter.safetensors", 1.0)]), expected) <= EXACT


def test_peft_loads_what_we_write(tmp_path):
    """Every matrix is the same, bit for bit, and the two networks with the adapter agree, ours by its hooks."""
    config = VARIANTS["base"]
    model = replace(ModelConfig(), unet=config)
    weights = make_weights(model, "unet")
    settings = LoraSettings(3, 5.0, (*ATTENTION, "ff.net.0.proj", "proj_in", "time_emb_proj"))
    (network,) = build(model, weights)
    adapter = attach_adapter(network, config, settings, seed=0, device="cpu")
    generator = np.random.default_rng(3)
    values = {
        name: 0.1 * generator.standard_normal(tuple(parameter.shape), np.float32)
        for name, parameter in adapter.named_parameters()
    }
    set_values(dict(adapter.named_parameters()), values)
    write_adapter(tmp_path / "adapter", values, settings, model, "small")
    loaded = PeftModel.from_pretrained(reference_network(config, weights), tmp_path / "adapter").eval()
    state = get_peft_model_state_dict(loaded)
    assert len(state) == len(values)
    for name, array in values.items():
        theirs = state[f"base_model.model.{name}"].numpy()
        np.testing.assert_array_equal(theirs.reshape(array.shape), array, err_msg=name)
    loaded.save_pretrained(tmp_path / "again")  # and back
    one, two = (read_adapter(tmp_path / name) for name in ("adapter", "again"))
    assert one.pairs.keys() == two.pairs.keys()
    for module, pair in one.pairs.items():
        assert two.pairs[module].factor == pair.factor
        np.testing.assert_array_equal(two.pairs[module].down.read(), pair.down.read())
        np.testing.assert_array_equal(two.pairs[module].up.read(), pair.up.read())
    inputs = make_inputs(config)
    assert relative_error(predict(network, inputs), reference_noise(loaded.base_model.model, inputs)) <= EXACT
