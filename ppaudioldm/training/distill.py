"""The training stage `distill`: a checkpoint's many guided steps in one to four steps without guidance.

Latent consistency distillation, arXiv:2310.04378: from any noise level the student predicts the clean latents at which
the teacher, which is the checkpoint, would end. It learns that from itself: what it predicts at one noise level has to
be what an average of it, the target, predicts after a guided step of the teacher to a lower one. The guidance scale is
an input of the student, as in ConsistencyTTA (arXiv:2309.10740); an adapter (LoRA) has no input for it, and learns
whatever scales it is trained with. Text encoders, GPT-2 and VAE are the checkpoint's, and frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.names import safe_name
from ppaudioldm.choices import LCM
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.samplers import DDIM, make_sampler
from ppaudioldm.diffusion.schedule import LCM_TIMESTEPS, NoiseSchedule, SamplingPath, lcm_timesteps
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.errors import shown
from ppaudioldm.framework import Tensor
from ppaudioldm.training.captioned import CaptionContexts
from ppaudioldm.training.consistency import LOSSES, Level, distance, drawn_timesteps, level_arrays
from ppaudioldm.training.dataset import Dataset, check_synthesised, seeded_rng
from ppaudioldm.training.joint import JointStage
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.joint_settings import settings_for as joint_settings_for
from ppaudioldm.training.lora import LoraSettings, write_run_adapter
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.roles import STUDENT, TARGET, TEACHER, Roles, with_guidance_input
from ppaudioldm.training.samples import SOUNDS, Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.lora_sampling import Sampling

MOST_GUIDANCE = 100.0  # as in `generation.options`
SAMPLED_STEPS = (1, 4)  # of the samples
EVERY = 2  # of the timesteps of `lcm`, those that the teacher visits in evaluations
EVALUATED = (0, 6, 12, 18)  # of those, the ones from which the student is evaluated: 999, 759, 519, 279


@dataclass(frozen=True)
class DistillSettings:
    """Settings of the stage.

    checkpoint: name or path of what is distilled. lora: with a rank, an adapter of its UNet is all that is trained.
    guidance_min, guidance_max: scales of the teacher, drawn evenly for each clip. skip: timesteps of a teacher's step.
    """

    checkpoint: str = ""
    lora: LoraSettings = field(default_factory=LoraSettings)
    guidance_min: float = 1.0
    guidance_max: float = 6.0
    guidance_dim: int = 256  # of the features of the scale where it is an input
    skip: int = 20  # fewer steps lead from noise to sound with more, and each is less exact
    target_decay: float = 0.95
    loss: str = "huber"  # or "l2"
    huber_c: float = 0.001
    num_inference_steps: int = 4  # of what is distilled, by default
    encoded: str = "runs/encoded"  # folder of the cache of encoded clips
    synthesised: str = "sounds"  # where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound; () for all
    duration: float = 0.0  # of the clips; 0: those of the checkpoint
    clips: int = 6000
    clip_uses: float = 0.0  # on average, then a clip is replaced by a new one; 0: the clips stay the same
    workers: int = 0  # processes that synthesise or read clips ahead of time; 0: the training process does
    batch_size: int = 8
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-4, warmup=50, decay_steps=2000))
    held_out: int = 16  # clips for evaluation
    ema: float = 0.995
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=2000))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        check_range(self, 1, LARGEST, "batch_size", "clips", "held_out", "skip")
        check_range(self, 0, LARGEST, "clip_uses", "workers", "seed", "duration")
        check_range(self, 0, 1, "target_decay", "ema")
        check_range(self, 1, LCM_TIMESTEPS, "num_inference_steps")
        check_range(self, 1e-6, 10, "huber_c")
        check_range(self, 0, MOST_GUIDANCE, "guidance_min", "guidance_max")
        if self.guidance_min > self.guidance_max:
            raise ValueError(f"guidance_min is {self.guidance_min:g}, allowed: 0 to {self.guidance_max:g}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss is {shown(self.loss)}, allowed: {', '.join(LOSSES)}")
        check_range(self, 2, 4096, "guidance_dim")
        if self.guidance_dim % 2:
            raise ValueError(f"guidance_dim is {self.guidance_dim}, allowed: even numbers")

    @property
    def has_guidance_input(self) -> bool:
        """Whether the guidance scale becomes an input; no adapter has one."""
        return not self.lora.rank


def settings_for(name_or_path: str, lora: LoraSettings | None = None) -> DistillSettings:
    """Default settings to distill a checkpoint, or to train an adapter that distills it.

    An adapter learns the checkpoint's own guidance scale. Raises ValueError for one that this stage cannot distill.
    """
    of_checkpoint = joint_settings_for(name_or_path)
    settings = DistillSettings(checkpoint=name_or_path, duration=of_checkpoint.duration)
    if not lora:
        return settings
    scale = of_checkpoint.model.diffusion.guidance_scale
    return replace(settings, lora=lora, guidance_min=scale, guidance_max=scale)


def distilled_model(model: ModelConfig, settings: DistillSettings) -> ModelConfig:
    """The configuration of `model` after distillation: what it is sampled with by default, and its UNet."""
    scale = float(np.clip(model.diffusion.guidance_scale, settings.guidance_min, settings.guidance_max))
    diffusion = replace(
        model.diffusion,
        sampler=LCM,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=scale if settings.has_guidance_input else 1.0,
    )
    model = replace(model, diffusion=diffusion)
    return with_guidance_input(model, settings.guidance_dim) if settings.has_guidance_input else model


def completed(settings: DistillSettings) -> DistillSettings:
    """`settings` with the duration of the checkpoint's clips where they have none.

    Raises ValueError without a checkpoint.
    """
    if not settings.checkpoint:
        raise ValueError("checkpoint is missing: -c names what the stage distill distills")
    if settings.duration:
        return settings
    return replace(settings, duration=joint_settings_for(settings.checkpoint).duration)


def write_distilled_adapter(run: Path, folder: Path, settings: DistillSettings) -> None:
    """Write the averaged adapter of the run in the folder `run`, which says itself how it is to be sampled."""
    config = open_checkpoint(settings.checkpoint).config
    chosen = distilled_model(config, settings).diffusion
    sampling = Sampling(chosen.sampler, chosen.num_inference_steps, chosen.guidance_scale)
    write_run_adapter(run, folder, settings.lora, config, settings.checkpoint, DistillStage.name, sampling)


class DistillStage:
    name = "distill"

    def __init__(self, settings: DistillSettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        settings = completed(settings)
        self.settings, self.ema, self._device = settings, settings.ema, device
        self._joint = JointStage(_joint_settings(settings), device, clips, trains=False)
        teacher_model = self._joint.settings.model
        self._schedule = NoiseSchedule(teacher_model.diffusion)
        if settings.skip >= self._schedule.num_train_timesteps:
            raise ValueError(f"skip is {settings.skip}, allowed: 1 to {self._schedule.num_train_timesteps - 1}")
        self._model = distilled_model(teacher_model, settings)
        self._scale = float(
            np.clip(teacher_model.diffusion.guidance_scale, settings.guidance_min, settings.guidance_max)
        )  # of evaluations and samples
        self._roles = Roles(
            self._joint.unet,
            self._model,
            settings.lora,
            settings.target_decay,
            settings.seed,
            device,
            settings.run.recompute,
        )
        self.networks: Mapping[str, Any] = self._roles.networks
        self.averages = self._roles.averages
        self.updates: Mapping[str, tuple[str, ...]] = {"all": tuple(self.networks)}
        self._contexts = CaptionContexts(self._joint.contexts)
        self._endpoints: list[tuple[int, np.ndarray, np.ndarray]] = []

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        lora = {"lora": as_values(self.settings.lora)} if self.settings.lora.rank else {}
        return {"networks": as_values(self._model), **lora}

    def data(self, index: int) -> dict[str, np.ndarray]:
        """A batch: latents and noise, levels at the start and at the end of the teacher's step, contexts of both halves
        of guidance, the unconditional one first, and the guidance scales."""
        settings = self.settings
        numbers, generator = self._joint.draw(index)
        latents, captions = self._joint.encoded(numbers)
        size = len(numbers)
        start, end = drawn_timesteps(self._schedule, settings.skip, size, generator)
        scales = generator.uniform(settings.guidance_min, settings.guidance_max, (size, 1)).astype(np.float32)
        batch = {
            "latents": latents,
            "noise": generator.standard_normal(latents.shape, np.float32),
            "scale": scales,
            **self._contexts([""] * size + captions),
        }
        for side, timesteps in (("start", start), ("end", end)):
            batch |= {f"{side}_{name}": array for name, array in level_arrays(self._schedule, timesteps).items()}
            batch[f"{side}_features"] = self._features(timesteps)
        return batch

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """How far the student's clean latents are from the target's after a guided step of the teacher."""
        settings = self.settings
        noisy = _level(batch, "start").add_noise(batch["latents"], batch["noise"])
        with framework.no_grad():
            after = self._teacher_step(batch, noisy)
            expected = self._clean(TARGET, batch, "end", after)
        difference = self._clean(STUDENT, batch, "start", noisy) - expected
        loss = distance(settings.loss, difference, settings.huber_c)
        return loss, {"loss": loss.detach(), "squared": (difference.detach() ** 2).mean()}

    def _teacher_step(self, batch: Mapping[str, Tensor], noisy: Tensor) -> Tensor:
        """`noisy` latents after a deterministic step (DDIM) from the start level to the end level, with guidance."""
        contexts, masks = _contexts(batch)
        with self._roles.acting(TEACHER) as unet:
            embedding = unet.embed_time(batch["start_features"]).to(noisy.dtype)
            both = unet.guided_step(noisy, embedding, unet.project(contexts), masks).to(noisy.dtype)
        size = len(noisy)
        away, towards = both[:size], both[size:]
        guided = away + batch["scale"].reshape([-1, 1, 1, 1]) * (towards - away)
        x0, noise = _level(batch, "start").split(self._schedule.prediction, guided, noisy)
        return _level(batch, "end").add_noise(x0, noise)

    def _clean(self, role: str, batch: Mapping[str, Tensor], side: str, noisy: Tensor) -> Tensor:
        """The clean latents that the student or the target predicts for `noisy` ones of that side's levels."""
        size = len(noisy)
        contexts, masks = ([x[-size:] for x in part] for part in _contexts(batch))
        scale = batch["scale"] if self.settings.has_guidance_input else None
        with self._roles.acting(role) as unet:
            prediction = unet(noisy, batch[f"{side}_features"], contexts, masks, None, scale).to(noisy.dtype)
        x0, _ = _level(batch, side).split(self._schedule.prediction, prediction, noisy)
        return batch[f"{side}_c_skip"] * noisy + batch[f"{side}_c_out"] * x0

    def _features(self, timesteps: np.ndarray) -> np.ndarray:
        return timestep_features(timesteps, self._model.unet.model_channels)

    def evaluate(self) -> dict[str, float]:
        """How far from the teacher's last latents those are that the student predicts from some on the way there.

        Mean squared errors over the variance of the former, for held-out captions: the mean of all would have 1.
        `mean` is that of all levels. The teacher takes 25 guided steps of DDIM.
        """
        errors = {}
        with framework.no_grad():
            for timestep, noisy, last in self._endpoints or self._teacher_ends():
                batch = self._at(timestep, self._held_out_captions(), {"latents": noisy})
                found = framework.to_numpy(self._clean(STUDENT, batch, "start", batch["latents"]))
                errors[f"end_error_{timestep}"] = float(((found - last) ** 2).mean() / max(1e-6, last.var(0).mean()))
        return {**errors, "end_error_mean": float(np.mean(list(errors.values())))}

    def _held_out_captions(self) -> list[str]:
        return self._joint.encoded(range(self.settings.held_out), held_out=True)[1]

    def _teacher_ends(self) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Timestep, latents there and last latents of the teacher's way from noise, for each of EVALUATED."""
        captions = self._held_out_captions()
        shape = self._joint.encoded([0], held_out=True)[0].shape[1:]
        timesteps = tuple(lcm_timesteps(self._schedule.num_train_timesteps)[::-1][::EVERY])
        path = SamplingPath(timesteps, tuple(map(self._schedule.alpha_bar, timesteps)), 1.0)
        sampler = DDIM(self._schedule, path, 0.0)
        noise = seeded_rng(self.settings.seed, len(captions)).standard_normal((len(captions), *shape), np.float32)
        latents, seen = framework.from_numpy(noise, self._device), []
        for i, timestep in enumerate(timesteps):
            if i in EVALUATED:
                seen.append((timestep, framework.to_numpy(latents)))
            latents = sampler.step(i, self._guided(timestep, captions, latents), latents)
        last = framework.to_numpy(latents)
        self._endpoints = [(timestep, noisy, last) for timestep, noisy in seen]
        return self._endpoints

    def _guided(self, timestep: int, captions: list[str], latents: Tensor) -> Tensor:
        """The teacher's guided prediction."""
        batch = self._at(timestep, [""] * len(captions) + captions, {})
        contexts, masks = _contexts(batch)
        with self._roles.acting(TEACHER) as unet:
            embedding = unet.embed_time(batch["start_features"][: len(captions)])
            both = unet.guided_step(latents, embedding, unet.project(contexts), masks)
        away, towards = both[: len(captions)], both[len(captions) :]
        return away + self._scale * (towards - away)

    def _at(self, timestep: int, captions: list[str], more: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """A batch of `captions` with start levels alone, as `loss` takes them."""
        timesteps = np.full(len(captions), timestep)
        arrays = {f"start_{name}": array for name, array in level_arrays(self._schedule, timesteps).items()}
        arrays |= {"start_features": self._features(timesteps), **self._contexts(captions), **more}
        arrays["scale"] = np.full((len(captions), 1), self._scale, np.float32)
        return {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}

    def generate(self, captions: list[str], seed: int, steps: int) -> np.ndarray:
        """Log-mel spectrograms (B, frames, 64) of `captions` in that many steps of `lcm`."""
        shape = self._joint.encoded([0], held_out=True)[0].shape[1:]
        generator = seeded_rng(seed)

        def noise(_: int) -> Tensor:
            array = generator.standard_normal((len(captions), *shape), np.float32)
            return framework.from_numpy(array, self._device)

        sampler = make_sampler(LCM, self._schedule, steps)
        with framework.no_grad():
            latents = noise(0)
            for i, timestep in enumerate(sampler.timesteps):
                batch = self._at(int(timestep), captions, {})
                contexts, masks = _contexts(batch)
                with self._roles.acting(STUDENT) as unet:
                    scale = batch["scale"] if self.settings.has_guidance_input else None
                    prediction = unet(latents, batch["start_features"], contexts, masks, None, scale)
                latents = sampler.step(i, prediction, latents, noise)
            return framework.to_numpy(self._joint.decoder(latents))

    def sample(self, samples: Samples) -> None:
        """Spectrograms of held-out captions, a column for each of SAMPLED_STEPS, the captions, and some sounds."""
        captions = self._held_out_captions()[:8]
        mels = [self.generate(captions, 0, steps) for steps in SAMPLED_STEPS]
        samples.spectrograms([list(of_caption) for of_caption in zip(*mels, strict=True)])
        samples.text(captions)
        for caption, mel in list(zip(captions, mels[-1], strict=True))[:SOUNDS]:
            samples.sound_of_mel(safe_name(caption, 60), mel)


def _joint_settings(settings: DistillSettings) -> JointSettings:
    """Settings of the joint stage that has the checkpoint's networks and the encoded clips."""
    of_checkpoint = joint_settings_for(settings.checkpoint)
    return replace(
        of_checkpoint,
        learned=("unet",),
        encoded=settings.encoded,
        synthesised=settings.synthesised,
        kinds=settings.kinds,
        duration=settings.duration,
        clips=settings.clips,
        clip_uses=settings.clip_uses,
        workers=settings.workers,
        batch_size=settings.batch_size,
        held_out=settings.held_out,
        seed=settings.seed,
        run=settings.run,
    )


def _level(batch: Mapping[str, Tensor], side: str) -> Level:
    return Level(batch[f"{side}_signal"], batch[f"{side}_sigma"])


def _contexts(batch: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    count = sum(name.startswith("context_") for name in batch)
    return [batch[f"context_{i}"] for i in range(count)], [batch[f"mask_{i}"] for i in range(count)]
