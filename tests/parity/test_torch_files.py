"""Files that PyTorch wrote, read without it, and ours, read by PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm.weights.tensors import FileTensor
from ppaudioldm.weights.torch_files import read_torch, write_torch

torch = pytest.importorskip("torch")


def state_dict() -> dict:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Embedding(5, 6))
    values = network.state_dict()  # an OrderedDict with _metadata
    grid = torch.arange(24).reshape(2, 3, 4)
    values.update(
        tied=values["0.weight"],
        parameter=torch.nn.Parameter(torch.randn(3)),
        half=torch.randn(5, 7).half(),
        bfloat16=torch.randn(5, 7).bfloat16().t(),
        double=torch.randn(2, dtype=torch.float64),
        view=grid[:, 1:, ::2],
        permuted=grid.permute(2, 0, 1),
        expanded=torch.ones(1).expand(3, 4),
        bool=torch.tensor([True, False]),
        uint8=torch.arange(5, dtype=torch.uint8),
        int16=torch.arange(5, dtype=torch.int16),
        empty=torch.empty(0, 3),
        scalar=torch.tensor(3.5),
    )
    return values


def expected(tensor) -> np.ndarray:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_torch_save(tmp_path, zipped, wrapped):
    values = state_dict()
    checkpoint = values
    if wrapped:
        checkpoint = {
            "epoch": 3,
            "lr": 1e-4,
            "optimizer": torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]).state_dict(),
            "array": np.arange(2000),
            "number": np.float64(2),
            "device": torch.device("cpu"),
            "size": torch.Size([2, 3]),
            "class": torch.nn.Linear,
            "state_dict": values,
        }
    torch.save(checkpoint, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    tensors = read_torch(tmp_path / "a")
    assert list(tensors) == list(values)
    for name, value in values.items():
        assert isinstance(tensors[name], FileTensor)
        assert tensors[name].shape == tuple(value.shape)
        np.testing.assert_array_equal(tensors[name].read(), expected(value))
    assert tensors["tied"].offset == tensors["0.weight"].offset


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_network_is_refused(tmp_path, zipped):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"holds an object of 'torch\.nn\.modules\.linear\.Linear', not a dict"):
        read_torch(tmp_path / "a")


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("wrap", ["state_dict", None])
def test_torch_loads_what_we_write(tmp_path, mmap, wrap):
    values = state_dict()
    torch.save(values, tmp_path / "a")
    tensors = read_torch(tmp_path / "a")
    write_torch(tmp_path / "b", tensors.items(), wrap)
    loaded = torch.load(tmp_path / "b", weights_only=True, mmap=mmap)
    loaded = loaded[wrap] if wrap else loaded
    assert list(loaded) == list(values)
    for name, value in values.items():
        assert loaded[name].dtype == (torch.float32 if value.is_floating_point() else value.dtype)
        np.testing.assert_array_equal(loaded[name].numpy(), expected(value))
