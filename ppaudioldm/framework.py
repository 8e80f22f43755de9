"""The one place that knows Paddle from PyTorch.

Networks are written once against `xp` (array functions), `nn` (layers) and `F` (functions) from here. Paddle is the
default; the environment variable PPAUDIOLDM_FRAMEWORK=torch (or `--framework torch`) picks PyTorch. One process uses
one framework: the choice is made when this module is first imported, so nothing that a `--help` needs imports it.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import math
import os
import signal
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ppaudioldm.choices import FRAMEWORKS


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# What a framework's import must leave as the program has set it.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
SIGACTION_BYTES = 512  # more than any system's struct sigaction has


@contextlib.contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """After the block, SIGTERM, SIGINT and SIGHUP are handled as they were before it.

    In C: a library's handlers are set there, and Python lets no other thread than the main one set any.
    """
    try:
        sigaction = ctypes.CDLL(None).sigaction
    except (OSError, AttributeError, TypeError):  # Windows
        yield
        return
    before = {number: ctypes.create_string_buffer(SIGACTION_BYTES) for number in SIGNALS}
    for number, handler in before.items():
        sigaction(int(number), None, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            sigaction(int(number), handler, None)


NAME = os.environ.get("PPAUDIOLDM_FRAMEWORK", "paddle")
if NAME not in FRAMEWORKS:
    raise ValueError(f"unknown framework {NAME!r} in PPAUDIOLDM_FRAMEWORK, choose from {list(FRAMEWORKS)}")

Tensor = Any  # paddle.Tensor or torch.Tensor: a type checker sees only one of them installed

if NAME == "paddle":
    # Paddle sets OMP_NUM_THREADS=1 when it is unset, and warns on stderr when it is set: we want all cores, quietly.
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("GLOG_minloglevel", "2")  # its C++ side warns on stderr of things that are no concern here
    # It also gives the root logger a handler and a level, which are the program's to choose.
    _root = logging.getLogger()
    _handlers, _level = _root.handlers[:], _root.level
    # And it ends the process on SIGTERM, whatever the program had set.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), kept_signal_handlers():
        warnings.simplefilter("ignore")
        import paddle as xp
    _root.handlers[:] = _handlers
    _root.setLevel(_level)
    import paddle.nn.functional as F
    from paddle import nn

    Linear = xp.compat.nn.Linear  # paddle.nn.Linear keeps its weight transposed
    ConvTranspose1d = nn.Conv1DTranspose
    empty_weights = xp.LazyGuard  # layers made inside hold no memory until `assign_weights`
else:
    try:
        import torch as xp
    except ModuleNotFoundError as error:
        raise ValueError("PyTorch is not installed: pip install 'ppaudioldm[torch]'") from error
    import torch.nn.functional as F
    from torch import nn

    Linear = nn.Linear

    class ConvTranspose1d(nn.ConvTranspose1d):  # type: ignore[no-redef]
        """Without oneDNN on a CPU: with several threads PyTorch 2.13 computes some sizes wrong by 2 to 20 %.

        Seen for 768 to 384 channels, kernel 10, stride 5, 24 frames, batch 2: the second one of the 48 kHz vocoder.
        """

        def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
            with without_onednn():
                return super().forward(x, output_size)

    @contextlib.contextmanager
    def without_onednn() -> Iterator[None]:
        """PyTorch's own kernels inside, in all threads."""
        before = xp.backends.mkldnn.enabled
        xp.backends.mkldnn.enabled = False
        try:
            yield
        finally:
            xp.backends.mkldnn.enabled = before

    def empty_weights() -> Any:
        """Layers made inside hold no memory until `assign_weights`."""
        return xp.device("meta")


no_grad = xp.no_grad


def default_device() -> str:
    """`cuda:0` (PyTorch) or `gpu:0` (Paddle) where a GPU is usable, else `cpu`."""
    if NAME == "torch":
        return "cuda:0" if xp.cuda.is_available() else "cpu"
    return "gpu:0" if xp.device.is_compiled_with_cuda() and xp.device.cuda.device_count() else "cpu"


def checked_device(device: str) -> str:
    """`device` if the framework can use it. Raises ValueError that names it and an allowed one."""
    kind, _, index = device.partition(":")
    allowed = default_device()
    if kind in ("cpu", "gpu", "cuda") and (not index or index.isdecimal()):
        if kind == "cpu":
            return "cpu"
        if allowed != "cpu":
            return f"{allowed.split(':')[0]}:{index or 0}"
    raise ValueError(f"device {device!r} is not available with {NAME}, choose from {sorted({'cpu', allowed})}")


def from_numpy(array: np.ndarray, device: str = "cpu") -> Tensor:
    """Copy `array` to a tensor on `device`, in its own dtype."""
    if NAME == "torch":
        return xp.from_numpy(np.ascontiguousarray(array)).to(device)
    return xp.to_tensor(np.ascontiguousarray(array), place=device)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A NumPy copy of `tensor`; half precision comes back as float32."""
    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype in (xp.bfloat16, xp.float16) else tensor.numpy()


def dtype_of(precision: str) -> Any:
    """The framework's data type for "f32", "bf16" or "fp16"."""
    return {"f32": xp.float32, "bf16": xp.bfloat16, "fp16": xp.float16}[precision]


def is_float(x: Any) -> bool:
    """Whether `x` is a tensor of floating-point numbers."""
    return getattr(x, "dtype", None) in (xp.float32, xp.float16, xp.bfloat16)


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """A constant table of a network as a tensor beside `like`.

    Networks keep such tables as NumPy arrays: a tensor made in a constructor under `empty_weights` would be empty.
    """
    if NAME == "torch":
        return xp.from_numpy(array).to(like.device)
    # In a trace there are no places, and asking for one warns.
    return xp.to_tensor(array, place=like.place) if xp.in_dynamic_mode() else xp.to_tensor(array)


def parameter_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter of `module`, in its order."""
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def named_modules(module: nn.Module) -> Iterable[tuple[str, Any]]:
    """Path and module of every module inside `module`."""
    return module.named_modules() if NAME == "torch" else module.named_sublayers()


def assign_weights(module: nn.Module, weights: Iterable[tuple[str, np.ndarray]], device: str = "cpu") -> None:
    """Give every parameter of `module`, made under `empty_weights`, its value.

    `weights` is consumed one array at a time, so that memory holds the network once and a single tensor twice.
    Raises KeyError for a name that `module` lacks, ValueError for a wrong shape or a parameter left out.
    """
    missing = parameter_shapes(module)
    for name, array in weights:
        if array.shape != missing[name]:
            raise ValueError(f"{name}: shape {list(array.shape)}, expected {list(missing[name])}")
        del missing[name]
        _set_parameter(module, name, array, device)
    if missing:
        raise ValueError(f"{len(missing)} parameters without a value, the first: {sorted(missing)[:3]}")
    module.eval()


def _set_parameter(module: nn.Module, name: str, array: np.ndarray, device: str) -> None:
    *path, leaf = name.split(".")
    for part in path:
        module = getattr(module, part)
    if NAME == "torch":
        setattr(module, leaf, nn.Parameter(from_numpy(array, device), requires_grad=False))
    else:
        parameter = getattr(module, leaf)
        parameter.set_value(xp.to_tensor(array, place=device) if device != "cpu" else array)
        parameter.stop_gradient = True


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(query key^T scale + mask) value.

    query (B, heads, L, D); key, value (B, heads, S, D); mask is added to the scores and broadcasts to
    (B, heads, L, S); scale defaults to 1/sqrt(D). Returns (B, heads, L, D).
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    if NAME == "torch":
        if xp.is_autocast_enabled("cpu"):  # in training: its gradients in bfloat16 take eight times as long there
            with xp.autocast("cpu", enabled=False):
                query, key, value = query.float(), key.float(), value.float()
                return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    # Paddle's fused form wants another layout and is about ten times slower on a CPU.
    scores = xp.matmul(query * scale, key.transpose(2, 3))
    if mask is not None:
        scores = scores + mask
    return xp.matmul(F.softmax(scores, -1), value)


def additive_mask(mask: Tensor) -> Tensor:
    """Key mask (B, S), 1 = attend, as scores to add (B, 1, 1, S): 0 or -1e4, which softmax makes exactly 0."""
    return ((1.0 - mask) * -1e4).unsqueeze(1).unsqueeze(1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, L, heads * D) -> (B, heads, L, D)."""
    return unflatten(x, 2, (heads, x.shape[2] // heads)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, heads, L, D) -> (B, L, heads * D)."""
    return x.transpose(1, 2).flatten(2)


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split dimension `dim` (>= 0) of `x` into `sizes`, with any other dimension allowed to be dynamic in a trace."""
    if NAME == "torch":
        return x.unflatten(dim, tuple(sizes))
    # In Paddle's reshape a 0 keeps a dimension; -1 fails in a trace once two dimensions are dynamic.
    return x.reshape([0] * dim + list(sizes) + list(x.shape[dim + 1 :]))
