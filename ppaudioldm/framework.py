"""Paddle or PyTorch behind one set of names: the only module that depends on which of them is used.

Networks are written once against `xp` (array functions), `nn` (layers) and `F` (functions) from here. A process uses
one framework: the one that `installed.chosen_framework` selects when this module is first imported. That import takes a
second or more, so no module that `--help` needs imports this one.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ppaudioldm.installed import chosen_framework, missing_framework


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Paddle's import replaces the handlers of some of these; the program's own must stay.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
SIGACTION_BYTES = 512  # more than the size of `struct sigaction` on any system


@contextlib.contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """Restores the handlers of SIGTERM, SIGINT and SIGHUP after the block, for the import of Paddle.

    It calls the C function `sigaction`: Python's `signal` module does not see handlers that a library sets in C, and
    sets handlers in the main thread only. Does nothing on Windows, which has no `sigaction`.
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


NAME = chosen_framework()

Tensor = Any  # paddle.Tensor or torch.Tensor: a type checker could follow only one of them

if NAME == "paddle":
    # Paddle sets OMP_NUM_THREADS=1 where it is unset, and warns on stderr where it is set. Use all cores, and drop the
    # warning.
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("GLOG_minloglevel", "2")  # no warnings of its C++ code, which do not concern users
    # Its import gives the root logger a handler and a level; restore the program's own.
    _root = logging.getLogger()
    _handlers, _level = _root.handlers[:], _root.level
    # It also sets handlers that end the process on SIGTERM.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), kept_signal_handlers():
        warnings.simplefilter("ignore")
        try:
            import paddle as xp
        except ModuleNotFoundError as error:
            raise missing_framework(NAME, error) from error
    _root.handlers[:] = _handlers
    _root.setLevel(_level)
    import paddle.nn.functional as F
    from paddle import nn

    Linear = xp.compat.nn.Linear  # paddle.nn.Linear keeps its weight transposed
    ConvTranspose1d = nn.Conv1DTranspose
    empty_weights = xp.LazyGuard  # parameters of layers constructed inside take no memory until `assign_weights`
else:
    try:
        import torch as xp
    except ModuleNotFoundError as error:
        raise missing_framework(NAME, error) from error
    import torch.nn.functional as F
    from torch import nn

    Linear = nn.Linear

    class ConvTranspose1d(nn.ConvTranspose1d):  # type: ignore[no-redef]
        """Without oneDNN on a CPU, with which PyTorch 2.13 with several threads has errors of 2 to 20 % for some sizes.

        Seen for 768 to 384 channels, kernel 10, stride 5, 24 frames, batch 2, as in the second stage of the 48 kHz
        vocoder. It calls PyTorch's own kernel: the switch that turns oneDNN off is one for all threads.
        """

        def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
            if x.device.type != "cpu":
                return super().forward(x, output_size)
            assert output_size is None and self.groups == 1
            # Under autocast `x` has another precision than the weights, and this kernel does not convert.
            weight, bias = self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype)
            geometry = ([0, self.padding[0]], [0, self.output_padding[0]], [1, self.dilation[0]])
            kernel, stride = [1, self.kernel_size[0]], [1, self.stride[0]]
            convolved = xp.ops.aten.slow_conv_transpose2d(
                x.unsqueeze(2), weight.unsqueeze(2), kernel, bias, stride, *geometry
            )
            return convolved.squeeze(2)

    def empty_weights() -> Any:
        """Parameters of layers constructed inside take no memory until `assign_weights`."""
        return xp.device("meta")


no_grad = xp.no_grad


def default_device() -> str:
    """`cuda:0` (PyTorch) or `gpu:0` (Paddle) if the framework can use a GPU, else `cpu`."""
    if NAME == "torch":
        return "cuda:0" if xp.cuda.is_available() else "cpu"
    return "gpu:0" if xp.device.is_compiled_with_cuda() and xp.device.cuda.device_count() else "cpu"


def checked_device(device: str) -> str:
    """`device` as the framework spells it. Raises ValueError that names the allowed ones if it cannot use it."""
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
    """The framework's dtype for "f32", "bf16" or "fp16"."""
    return {"f32": xp.float32, "bf16": xp.bfloat16, "fp16": xp.float16}[precision]


def is_float(x: Any) -> bool:
    """Whether `x` is a tensor of floating-point numbers."""
    return getattr(x, "dtype", None) in (xp.float32, xp.float16, xp.bfloat16)


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """A constant table of a network as a tensor on the device of `like`.

    Networks hold such tables as NumPy arrays: a tensor created in a constructor under `empty_weights` would be empty.
    """
    if NAME == "torch":
        return xp.from_numpy(array).to(like.device)
    # In a trace tensors have no place, and reading it warns.
    return xp.to_tensor(array) if is_traced() else xp.to_tensor(array, place=like.place)


def is_traced() -> bool:
    """Whether operations are being recorded for a Paddle program, in which sizes are unknown, instead of executed."""
    return NAME == "paddle" and not xp.in_dynamic_mode()


def parameter_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter of `module`, in the module's order."""
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def named_modules(module: nn.Module) -> Iterable[tuple[str, Any]]:
    """Path and module of every module inside `module`."""
    return module.named_modules() if NAME == "torch" else module.named_sublayers()


def _is_of_use(record: logging.LogRecord) -> bool:
    """Whether a line of Paddle's log is true: it says that a block without inputs to train needs no gradients."""
    return "NO need to recompute" not in record.getMessage()


def after_forward(module: nn.Module, hook: Callable[..., Any]) -> None:
    """Have each call of `module` return `hook(module, its inputs, its output)`."""
    register = module.register_forward_hook if NAME == "torch" else module.register_forward_post_hook
    register(hook)


def recomputed(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, which keeps only its inputs until the backward pass, and computes all between again then.

    Also called activation checkpointing (arXiv:1604.06174). Its results and gradients are the same.
    """
    if NAME == "torch":
        from torch.utils.checkpoint import checkpoint

        return lambda *inputs, **named: checkpoint(run, *inputs, use_reentrant=False, preserve_rng_state=False, **named)
    from paddle.distributed.fleet.utils import recompute

    logging.getLogger("paddle.distributed.fleet.utils.log_util").addFilter(_is_of_use)
    return lambda *inputs, **named: recompute(run, *inputs, use_reentrant=False, preserve_rng_state=False, **named)


def assign_weights(module: nn.Module, weights: Iterable[tuple[str, np.ndarray]], device: str = "cpu") -> None:
    """Set every parameter of `module`, constructed under `empty_weights`, to its value.

    weights: pairs of name and value, consumed one at a time, so that memory holds the network once and a tensor twice.
    Raises KeyError for a name that `module` lacks, ValueError for a wrong shape or a missing parameter.
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
    for child in path:
        module = getattr(module, child)
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
        if xp.is_autocast_enabled("cpu"):  # in training, where gradients in bfloat16 take eight times as long on a CPU
            with xp.autocast("cpu", enabled=False):
                query, key, value = query.float(), key.float(), value.float()
                return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    # Paddle's fused attention needs another layout and is about ten times slower on a CPU.
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
    """Split dimension `dim` (>= 0) of `x` into `sizes`; all other dimensions may be dynamic in a trace."""
    if NAME == "torch":
        return x.unflatten(dim, tuple(sizes))
    # In Paddle's reshape a 0 keeps a dimension; -1 fails in a trace once two dimensions are dynamic.
    return x.reshape([0] * dim + list(sizes) + list(x.shape[dim + 1 :]))
