"""Data-parallel training by several processes, which the frameworks' own launchers start.

`torchrun` for PyTorch, `python -m paddle.distributed.launch` for Paddle. Each process trains on its own batches;
gradients are averaged by DistributedDataParallel or DataParallel.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from ppaudioldm.framework import NAME, default_device, nn, xp


@dataclass(frozen=True)
class Process:
    """This process among `count` of them."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def join(device: str | None = None) -> Process:
    """Join the process group, if a launcher started this process.

    device: to train on; by default a GPU of its own for each process, or the CPU.
    """
    variables = ("RANK", "WORLD_SIZE") if NAME == "torch" else ("PADDLE_TRAINER_ID", "PADDLE_TRAINERS_NUM")
    rank, count = (int(os.environ.get(name, default)) for name, default in zip(variables, ("0", "1"), strict=True))
    chosen = device or default_device()
    if count == 1:
        if NAME == "paddle":
            xp.device.set_device(chosen)
        return Process(device=chosen)
    if chosen != "cpu":
        # Paddle's launcher shows each process one GPU; PyTorch's shows all and numbers the processes.
        local = int(os.environ.get("LOCAL_RANK", 0)) if NAME == "torch" else 0
        chosen = f"{chosen.split(':')[0]}:{local}"
    if NAME == "torch":
        if chosen != "cpu":
            xp.cuda.set_device(chosen)
        xp.distributed.init_process_group("gloo" if chosen == "cpu" else "nccl")
    else:
        xp.device.set_device(chosen)
        xp.distributed.init_parallel_env()
    return Process(rank, count, chosen)


def data_parallel(module: nn.Module, process: Process) -> Any:
    """`module`, with its gradients averaged over the processes in each backward pass."""
    if process.count == 1:
        return module
    if NAME == "torch":
        devices = None if process.device == "cpu" else [process.device]
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)
    return xp.DataParallel(module, find_unused_parameters=True)


def without_exchange(module: Any, process: Process) -> Any:
    """A context in which backward passes of `module`, from `data_parallel`, add to this process's gradients alone."""
    return nullcontext() if process.count == 1 else module.no_sync()


def leave(process: Process) -> None:
    """Leave the process group."""
    if process.count > 1 and NAME == "torch":
        xp.distributed.destroy_process_group()


def largest(number: int, process: Process) -> int:
    """The largest `number` of all processes, each of which has to call this."""
    if process.count == 1:
        return number
    numbers = xp.full([1], number, dtype=xp.int64)
    numbers = numbers.to(process.device) if NAME == "torch" else numbers
    xp.distributed.all_reduce(numbers, op=xp.distributed.ReduceOp.MAX)
    return int(numbers.item())


def wait(process: Process) -> None:
    """A barrier: wait until all processes have called it."""
    if process.count > 1:
        xp.distributed.barrier()
