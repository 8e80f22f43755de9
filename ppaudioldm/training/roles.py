"""The UNets of a distillation: the teacher, which stays as it is, the student, and the target, an average of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.build import NETWORKS, build_empty
from ppaudioldm.training.average import MovingAverage, set_values
from ppaudioldm.training.initialise import build_trainable, freeze, learned_parameters
from ppaudioldm.training.lora import NETWORK as LORA
from ppaudioldm.training.lora import LoraSettings, attach_adapter
from ppaudioldm.training.recompute import recompute_blocks

TEACHER, STUDENT, TARGET = "teacher", "student", "target"


def with_guidance_input(model: ModelConfig, guidance_dim: int) -> ModelConfig:
    """`model` whose UNet has the guidance scale as an input."""
    return replace(model, unet=replace(model.unet, guidance_dim=guidance_dim))


class Roles:
    """The three UNets, or one with two adapters.

    networks: what is trained, by name. averages: the target's, which the loop updates and saves.
    """

    def __init__(
        self,
        teacher: Any,
        model: ModelConfig,
        lora: LoraSettings,
        decay: float,
        seed: int,
        device: str,
        recompute: bool,
    ) -> None:
        """teacher: frozen. model: with the student's UNet; with an adapter it is the teacher's, too.

        decay: of the target. recompute: activations, see `RunConfig`.
        """
        self._role = STUDENT  # which adapter acts
        self.networks: dict[str, Any]
        if lora.rank:
            if recompute:  # of the network that the adapter changes: the loop knows the adapter alone
                recompute_blocks(teacher)
            student, target = (
                attach_adapter(teacher, model.unet, lora, seed, device, partial(self._is_acting, role))
                for role in (STUDENT, TARGET)
            )
            self.networks = {LORA: student}
            self._unets = dict.fromkeys((TEACHER, STUDENT, TARGET), teacher)
        else:
            student, target = _student(teacher, model, seed, device), build_empty("unet", model)
            # Copies, for with PyTorch on a CPU an array is the tensor's own memory.
            weights = ((key, framework.to_numpy(p).copy()) for key, p in student.named_parameters())
            framework.assign_weights(target, weights, device)
            target.guidance = student.guidance  # whose frequencies are no average, and stay as they were drawn
            self.networks = {"unet": student}
            self._unets = {TEACHER: teacher, STUDENT: student, TARGET: target}
        freeze(teacher)
        freeze(target)
        name = next(iter(self.networks))
        sides = [
            {f"{name}.{key}": p for key, p in learned_parameters(network).items()} for network in (student, target)
        ]
        self.averages = {TARGET: MovingAverage(sides[0], decay, sides[1], warm_up=False)}

    def _is_acting(self, role: str) -> bool:
        return self._role == role

    @contextmanager
    def acting(self, role: str) -> Iterator[Any]:
        """A context with the UNet of that role; outside of it the student acts, also in the backward pass."""
        self._role = role
        try:
            yield self._unets[role]
        finally:
            self._role = STUDENT


def _student(teacher: Any, model: ModelConfig, seed: int, device: str) -> Any:
    """A UNet of `model` in training mode that computes what `teacher` does, whatever the guidance scale."""
    student = build_trainable("unet", NETWORKS["unet"][0], model.unet, seed, device)
    weights = {name: framework.to_numpy(p) for name, p in student.named_parameters()}
    weights |= {name: framework.to_numpy(p) for name, p in teacher.named_parameters()}
    set_values(dict(student.named_parameters()), weights)
    return student
