"""Training by several processes, started by the frameworks' own launchers.

`torchrun` for PyTorch, `python -m paddle.distributed.launch` for Paddle. Each process computes on its own share of the
data; gradients are averaged by DistributedDataParallel or DataParallel.
"""

from __future__ import annotations

import os
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
    """Join the other processes, if a launcher started this one.

    device: what to train on; by default a GPU where there is one, each process its own.
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


def wrapped(module: nn.Module, process: Process) -> Any:
    """`module`, whose gradients are averaged over the processes after each backward pass."""
    if process.count == 1:
        return module
    if NAME == "torch":
        devices = None if process.device == "cpu" else [process.device]
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)
    return xp.DataParallel(module, find_unused_parameters=True)


def leave(process: Process) -> None:
    """Say goodbye to the other processes."""
    if process.count > 1 and NAME == "torch":
        xp.distributed.destroy_process_group()


def wait(process: Process) -> None:
    """Until all processes are here."""
    if process.count > 1:
        xp.distributed.barrier()
