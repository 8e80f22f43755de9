from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.safe_pickle import Placeholder
from ppaudioldm.weights.state_dict import find_state_dict, without_wrappers
from ppaudioldm.weights.torch_files import read_torch
from tests.weights.examples import (
    assert_same_values,
    error_of,
    paddlemix_tensors,
    tiny_in,
    tiny_tensors,
    write_published,
)
from tests.weights.paddle_writer import write_paddle

torch = pytest.importorskip("torch")

StateDict = dict[str, Any]


@pytest.fixture(scope="module")
def state_dict(layouts) -> StateDict:
    """The tiny checkpoint's tensors by published key."""
    return {key: torch.from_numpy(tensor.read()) for key, tensor in read_torch(layouts["original"]).items()}


@pytest.fixture
def path(tmp_path):
    """For a file that is removed again."""
    yield tmp_path / "x.pth"
    (tmp_path / "x.pth").unlink()


@pytest.fixture(autouse=True)
def no_modules_left():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("omegaconf", "pytorch_lightning")):
            del sys.modules[name]


def a_class(name: str) -> type:
    """A class of a module that exists only while a file is written."""
    *parents, class_name = name.split(".")
    modules = [".".join(parents[:i]) for i in range(1, len(parents) + 1)]
    for module in modules:
        sys.modules.setdefault(module, types.ModuleType(module))
    kind = type(class_name, (), {"__module__": modules[-1]})
    setattr(sys.modules[modules[-1]], class_name, kind)
    return kind


def lightning_file(state_dict: StateDict) -> StateDict:
    hyper_parameters = a_class("omegaconf.dictconfig.DictConfig")()
    hyper_parameters._content = {"lr": a_class("omegaconf.nodes.AnyNode")(), "path": pathlib.PurePosixPath("/data")}
    callback = a_class("pytorch_lightning.callbacks.ModelCheckpoint")()
    callback.best = {0.25: datetime.datetime(2024, 1, 1), (1, 2): torch.tensor(3.0)}
    optimizer = {"state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    return {
        "epoch": 3,
        "pytorch-lightning_version": "1.9",
        "state_dict": collections.OrderedDict(state_dict),
        "callbacks": {callback.__class__: callback},
        "optimizer_states": [optimizer],
        "hyper_parameters": hyper_parameters,
        "loops": collections.defaultdict(collections.Counter, {"fit": collections.Counter("aab")}),
        "torch": [torch.float16, torch.device("cpu"), torch.Size([1, 2]), torch.nn.Parameter(torch.zeros(2))],
        "rng": [torch.get_rng_state(), np.random.get_state(), np.array([{}, None], object)],
    }


FILES: dict[str, Callable[[StateDict], Any]] = {
    "as it is": lambda s: s,
    "state_dict and arguments": lambda s: {"state_dict": s, "args": argparse.Namespace(lr=1e-4, out=Path("/x"))},
    "of Lightning": lightning_file,
    "model": lambda s: {"model": s, "step": torch.tensor(7)},
    "module": lambda s: {"module": s, "lr_scheduler": None, "global_steps": 3},
    "ema": lambda s: {"ema": s},
    "model before its average": lambda s: {"ema": {k: v * 0 for k, v in s.items()}, "model": s},
    "nested": lambda s: {"model": {"state_dict": s}},
    "defaultdict": lambda s: collections.defaultdict(dict, s),
    "float keys beside": lambda s: {"state_dict": s, "losses": {0.5: 1.0}, "times": {datetime.date(2024, 1, 1): 1}},
    "an object in the state dict": lambda s: {**s, "_extra": argparse.Namespace(a=1)},
    "DataParallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "DeepSpeed": lambda s: {"state_dict": {f"_forward_module.{k}": v for k, v in s.items()}},
    "torch.compile": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "both": lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
    "compiled UNet": lambda s: {
        k.replace("model.diffusion_model.", "model.diffusion_model._orig_mod."): v for k, v in s.items()
    },
    "DDP inside": lambda s: {k.replace("first_stage_model.", "first_stage_model.module."): v for k, v in s.items()},
    "sampler's buffers": lambda s: {
        **s, "ddim_sigmas": torch.zeros(10), "ddim_alphas_prev": torch.zeros(10), "model.ddim_timesteps": torch.ones(9)
    },
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", FILES)
def test_the_same_weights_in_every_wrapping(state_dict, path, kind, legacy):
    torch.save(FILES[kind](state_dict), path, _use_new_zipfile_serialization=not legacy)
    checkpoint = open_checkpoint(path)
    assert checkpoint.layout == "original"
    assert_same_values(checkpoint, tiny_in("original"))


UNET = "model.diffusion_model."
AVERAGES: dict[str, Callable[[StateDict, StateDict], Any]] = {  # of a state dict and its average
    "model and ema": lambda s, a: {"model": s, "ema": a},
    "state dicts in both": lambda s, a: {"model": {"state_dict": s}, "ema": {"state_dict": a, "decay": 0.999}},
    "both inside": lambda s, a: {"state_dict": {"model": s, "ema": a}},
    "of the UNet alone": lambda s, a: {"state_dict": s, "ema": {k: v for k, v in a.items() if k.startswith(UNET)}},
    "by the UNet's own names": lambda s, a: {
        "state_dict": s, "ema_model": {k.removeprefix(UNET): v for k, v in a.items() if k.startswith(UNET)}
    },
    "without dots": lambda s, a: {
        "model": s,
        "model_ema": {
            **{k.removeprefix("model.").replace(".", ""): v for k, v in a.items() if k.startswith(UNET)},
            "num_updates": torch.tensor(7),
        },
    },
    "of AveragedModel": lambda s, a: {
        "model": s, "ema": {"n_averaged": torch.tensor(7), **{f"module.{k}": v for k, v in a.items()}}
    },
    "nothing else": lambda s, a: {"ema": a},
}  # fmt: skip


@pytest.mark.parametrize("kind", AVERAGES)
def test_averaged_weights_in_a_dict_of_their_own(state_dict, path, kind):
    plain = {key: value for key, value in state_dict.items() if not key.startswith("model_ema.")}
    averaged = {key: value + 1 if value.is_floating_point() else value for key, value in plain.items()}
    torch.save(AVERAGES[kind](plain, averaged), path)
    raw, unet = open_checkpoint(path), open_checkpoint(path, ema=True)
    bias, other = f"{UNET}time_embed.0.bias", "first_stage_model.decoder.conv_in.bias"
    whole = averaged if kind == "nothing else" else plain
    np.testing.assert_array_equal(raw.networks["unet"]["time_in.bias"].read(), whole[bias].numpy())
    np.testing.assert_array_equal(unet.networks["unet"]["time_in.bias"].read(), averaged[bias].numpy())
    np.testing.assert_array_equal(unet.networks["vae_decoder"]["conv_in.bias"].read(), whole[other].numpy())


def test_averages_of_something_else_are_none(state_dict, path):
    plain = {key: value for key, value in state_dict.items() if not key.startswith("model_ema.")}
    torch.save({"model": plain, "ema": {"a": torch.zeros(2)}}, path)
    assert_same_values(open_checkpoint(path), tiny_in("original"))
    assert "tensors of unet are missing, the first: model_ema." in error_of(open_checkpoint, path, ema=True)


def quantized(values: torch.Tensor) -> Any:
    return torch.quantize_per_tensor(values.float(), 0.1, 0, torch.qint8)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (quantized, "is quantized, which is not supported"),
        (lambda values: values.to(torch.complex64), "is stored as 'torch.ComplexFloatStorage', which is not supported"),
        (
            lambda values: values.to(torch.complex128),
            "is stored as 'torch.ComplexDoubleStorage', which is not supported",
        ),
    ],
)
def test_numbers_that_are_not_supported_are_an_error_only_where_they_are_used(path, legacy, change, message):
    tensors = {key: torch.from_numpy(tensor.read()) for key, tensor in tiny_tensors().items()}
    key = "first_stage_model.decoder.conv_in.bias"
    file = {"state_dict": {**tensors, key: change(tensors[key])}}
    torch.save(file, path, _use_new_zipfile_serialization=not legacy)
    assert error_of(open_checkpoint, path) == f"{path}: {key!r} {message}"
    tensors[key] += 3
    # Its values stand before and behind those of others.
    beside = {"first": change(torch.ones(5)), "state_dict": {"ddim_sigmas": change(torch.ones(3)), **tensors}}
    torch.save(beside, path, _use_new_zipfile_serialization=not legacy)
    checkpoint = open_checkpoint(path)
    assert set(checkpoint.networks["vae_decoder"]["conv_in.bias"].read()) == {3}


def test_the_average_of_a_compiled_unet(state_dict, path):
    names = {k: k.replace("diffusion_model", "diffusion_model_orig_mod") for k in state_dict if "model_ema." in k}
    torch.save({names.get(key, key): values for key, values in state_dict.items()}, path)
    read = open_checkpoint(path, ema=True).networks["unet"]["time_in.bias"].read()
    np.testing.assert_array_equal(read, state_dict["model_ema.diffusion_modeltime_embed0bias"].numpy())


def test_an_object_in_place_of_a_tensor_that_is_used(path):
    tensors = {key: torch.from_numpy(tensor.read()) for key, tensor in tiny_tensors().items()}
    for key in ("first_stage_model.decoder.conv_in.bias", "first_stage_model.vocoder.conv_pre.weight", "scale_factor"):
        torch.save({"state_dict": {**tensors, key: argparse.Namespace(a=1)}}, path)
        assert error_of(open_checkpoint, path) == f"{path}: {key!r} is an object of 'argparse.Namespace', not a tensor"


def test_paddle_files_too(tmp_path):
    tensors = paddlemix_tensors(tiny_in("paddlemix"), "paddlemix")
    path = tmp_path / "x.pdparams"
    write_paddle(path, ((f"_layers.module.{key}".removeprefix("_layers."), t) for key, t in tensors.items()))
    assert_same_values(open_checkpoint(path), tiny_in("paddlemix"))
    path.unlink()


def test_which_dict_is_taken():
    def is_number(value: object) -> bool:
        return isinstance(value, float)

    assert find_state_dict({"a": 1.0, "model": 5}, is_number) == {"a": 1.0, "model": 5}
    assert find_state_dict({"ema": {"a": 1.0}, "state_dict": {"b": 2.0}}, is_number) == {"b": 2.0}
    assert find_state_dict({"state_dict": {}, "ema": {"a": 1.0}}, is_number) == {"a": 1.0}
    deep: dict = {"a": 1.0}
    for _ in range(5):
        deep = {"model": deep}
    assert error_of(find_state_dict, deep, is_number) == "holds no tensors"
    assert error_of(find_state_dict, {"model": Placeholder("a.B")}, is_number) == (
        "holds no tensors: its 'model' is an object of 'a.B'"
    )
    assert error_of(find_state_dict, Placeholder("a.B"), is_number) == (
        "holds an object of 'a.B', not a dict of tensors"
    )


def test_a_dict_in_itself_ends():
    loop: dict = {}
    loop["model"] = loop["ema"] = loop["net"] = loop
    assert error_of(find_state_dict, loop, lambda value: False) == "holds no tensors"


def test_two_keys_that_become_the_same(tmp_path):
    assert without_wrappers({"module.a.module.b": 1, "a.module_b": 2}) == {"a.b": 1, "a.module_b": 2}
    message = "'module.a' appears twice, with and without a prefix such as 'module.'"
    assert error_of(without_wrappers, {"a": 1, "module.a": 2}) == message
    tensors = tiny_tensors()
    tensors["module.scale_factor"] = tensors["scale_factor"]
    assert "appears twice" in error_of(open_checkpoint, write_published(tmp_path / "x.pth", tensors))
