"""The caller's tensors, dtypes and generators, which may be PyTorch's, Paddle's or NumPy's. Imports neither framework
unless a result is to be one of its tensors."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ppaudioldm.diffusion.noise import gaussian

OUTPUT_TYPES = {"np": "numpy", "pt": "torch", "pd": "paddle"}  # of diffusers and ppdiffusers -> the library


def library_of(value: Any) -> str:
    """The library that the type of `value` comes from: "torch", "paddle", "numpy" or another."""
    return type(value).__module__.partition(".")[0]


def to_numpy(value: Any) -> np.ndarray:
    """A tensor of any of the three as a NumPy array; floating point becomes float32."""
    if library_of(value) in ("torch", "paddle"):
        value = value.detach().cpu()
        if dtype_name(value.dtype) == "bfloat16":
            value = value.float() if library_of(value) == "torch" else value.astype("float32")
        value = value.numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array


def as_tensor(array: np.ndarray, library: str) -> Any:
    """`array` as a tensor of `library`, or itself for "numpy"."""
    if library == "torch":
        return import_module("torch").from_numpy(np.ascontiguousarray(array))
    if library == "paddle":
        return import_module("paddle").to_tensor(array)
    return array


def dtype_name(dtype: Any) -> str:
    """ "float16" for torch.float16, paddle.float16, numpy.float16 or "float16"."""
    return getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2].strip("'>")


class NoiseSource:
    """Standard normal draws of latents (B, channels, T, bands), from a generator as diffusers' pipelines take it.

    generator: a torch.Generator, whose draws are those that diffusers makes of it, a generator of Paddle or NumPy, or a
    list with one for each item. None draws what no one can repeat. dtype: in which PyTorch draws, since its numbers
    depend on that. Raises ValueError for anything else.
    """

    def __init__(self, generator: Any, batch: int, dtype: str = "float32") -> None:
        if isinstance(generator, Sequence) and len(generator) != batch:
            raise ValueError(f"{len(generator)} generators for a batch of {batch}, allowed: one, or one for each item")
        self._generators = list(generator) if isinstance(generator, Sequence) else generator
        self._dtype = dtype

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next draw, float32."""
        if isinstance(self._generators, list):
            return np.concatenate([self._draw(generator, (1, *shape[1:])) for generator in self._generators])
        return self._draw(self._generators, shape)

    def _draw(self, generator: Any, shape: tuple[int, ...]) -> np.ndarray:
        if isinstance(generator, np.random.Generator):
            return generator.standard_normal(shape, np.float32)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(generator, torch.Generator):
            dtype = getattr(torch, self._dtype)
            return to_numpy(torch.randn(shape, generator=generator, device=generator.device, dtype=dtype))
        if generator is None:
            seed = secrets.randbelow(2**62)
        elif callable(getattr(generator, "random", None)) and library_of(generator) == "paddle":
            seed = int(generator.random()) % 2**62  # it advances the generator
        else:
            raise ValueError(
                f"generator is a {type(generator).__name__}, allowed: generators of PyTorch, Paddle or NumPy, or a list"
            )
        channels, frames, bands = shape[1:]
        return gaussian((channels, frames, bands), [seed + item for item in range(shape[0])])
