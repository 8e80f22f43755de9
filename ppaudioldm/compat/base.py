"""What the pipelines of `compat` share: opening a checkpoint, moving it to a device, and from noise to sound."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import ppaudioldm.compat
from ppaudioldm.choices import LCM
from ppaudioldm.compat.alpha_schedulers import DDIMScheduler
from ppaudioldm.compat.lcm import LCMScheduler
from ppaudioldm.compat.lora import LoraMethods
from ppaudioldm.compat.scheduler import read_config
from ppaudioldm.compat.stepping import Stepping, check_scheduler
from ppaudioldm.compat.tensors import OUTPUT_TYPES, NoiseSource, as_tensor, dtype_name, to_numpy
from ppaudioldm.diffusion.guidance import combine
from ppaudioldm.diffusion.windows import Windows
from ppaudioldm.engines.engine import Array
from ppaudioldm.generation.candidates import clap_scores
from ppaudioldm.generation.decoding import decode, vocode
from ppaudioldm.generation.noise_predictor import NoisePredictor, UNetSchedule
from ppaudioldm.generation.options import MAX_DURATION, check_texts
from ppaudioldm.generation.text_condition import Conditioning, concatenated, padded
from ppaudioldm.installed import chosen_framework
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.components import SCHEDULER
from ppaudioldm.weights.locate import Located, locate

logger = logging.getLogger(__name__)

Callback = Callable[[int, Any, Any], Any]  # step, timestep, latents

PARTS = (
    "vae", "unet", "vocoder", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "projection_model",
    "language_model", "feature_extractor",
)  # fmt: skip
# Arguments of diffusers' from_pretrained about how files are read, which make no difference here.
WITHOUT_EFFECT = frozenset(
    ("variant", "use_safetensors", "low_cpu_mem_usage", "device_map", "max_memory", "from_pt", "from_diffusers")
)
HALF = ("float16", "bfloat16")


@dataclass
class AudioPipelineOutput:
    """The result of a pipeline. audios: (B, samples) in [-1, 1], or latents; also the first item of this."""

    audios: Any

    def __getitem__(self, index: Any) -> Any:
        return self.audios if index == "audios" else self.to_tuple()[index]

    def to_tuple(self) -> tuple[Any, ...]:
        return (self.audios,)


class Pipeline(LoraMethods):
    """A checkpoint behind the methods of a diffusers pipeline. Made by `from_pretrained`.

    scheduler: what the next call samples with; one of `compat`, or one that diffusers itself made. unet, vae, vocoder
    have no more than their `config`, for scripts that read the sample rate there.
    """

    def __init__(self, located: Located, settings: dict[str, Any], dtype: str, library: str, scheduler: Any) -> None:
        super().__init__()
        self._located = located
        self._settings = settings  # of AudioLDM.from_pretrained
        self._device = "cpu" if settings.get("device") is None else str(settings["device"])
        self._opened: AudioLDM | None = None
        self._progress: dict[str, Any] = {}
        self._library = library  # of the tensors that callbacks get, and of latents
        self.dtype = dtype
        config = self._pipeline.config
        factor = config.vae.downsampling
        # Attributes of diffusers' parts that scripts read.
        self.vae_scale_factor = factor
        self.unet = _part(in_channels=config.unet.in_channels, sample_size=config.window_frames)
        self.vae = _part(scaling_factor=config.vae.scale_factor, latent_channels=config.vae.latent_channels)
        self.vocoder = _part(
            sampling_rate=config.sample_rate,
            model_in_dim=config.vocoder.n_mels,
            upsample_rates=list(config.vocoder.upsample_rates),
        )
        self.scheduler = scheduler if scheduler is not None else _stored_scheduler(located, config.diffusion)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike,
        *,
        torch_dtype: Any = None,
        paddle_dtype: Any = None,
        dtype: Any = None,
        scheduler: Any = None,
        engine: str | None = None,
        device: str | None = None,
        **more: Any,
    ) -> Any:
        """The pipeline of a published checkpoint, or of a file or folder, as `AudioLDM.from_pretrained` finds it.

        torch_dtype, paddle_dtype or dtype: float16 and bfloat16 allow the fastest arithmetic of the device; by default
        it is float32, as in diffusers. scheduler: in place of the checkpoint's. engine, device: as in
        `AudioLDM.from_pretrained`. What diffusers takes besides and makes no difference here is accepted.
        Raises ValueError for parts of one's own, and for a name or file that is no usable checkpoint.
        """
        if parts := [part for part in PARTS if part in more]:
            raise ValueError(f"{parts[0]} cannot be replaced here, only the scheduler can")
        for name in sorted(set(more) - WITHOUT_EFFECT):
            logger.warning("from_pretrained: %s=%r is not used", name, more[name])
        name = os.fspath(pretrained_model_name_or_path)
        chosen = next((one for one in (torch_dtype, paddle_dtype, dtype) if one is not None), "float32")
        library = "torch" if torch_dtype is not None else "paddle" if paddle_dtype is not None else chosen_framework()
        located = locate(pretrained_model_name_or_path if isinstance(pretrained_model_name_or_path, Path) else name)
        made = cls(located, {"engine": engine, "device": device}, dtype_name(chosen), library, scheduler)
        made._check_checkpoint()
        return made

    def _check_checkpoint(self) -> None:
        """Raise ValueError for a checkpoint of another kind than the class is for."""

    @property
    def _pipeline(self) -> AudioLDM:
        if self._opened is None:
            path = self._located.path or self._located.name
            self._opened = AudioLDM.from_pretrained(path, precision=self._precision, **self._settings)
        return self._opened

    @property
    def _precision(self) -> str:
        if self.dtype not in HALF:
            return "f32"
        on_gpu = self._device != "cpu" and chosen_framework() == "torch"
        return {"float16": "fp16", "bfloat16": "bf16"}[self.dtype] if on_gpu else "auto"

    @property
    def scheduler(self) -> Any:
        return self._scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Any) -> None:
        check_scheduler(scheduler)
        self._scheduler = scheduler

    @property
    def device(self) -> str:
        """ "cpu", "cuda:0" or "gpu:0"."""
        return self._device

    def to(self, *arguments: Any, **keywords: Any) -> Any:
        """Move the pipeline to a device, or change its dtype, as in PyTorch. Returns the pipeline.

        A GPU that is not there is a warning, and the CPU is used.
        """
        for argument in [*arguments, *keywords.values()]:
            name = dtype_name(argument) if not isinstance(argument, str) else argument
            if name in ("float32", *HALF):
                self._changed(dtype=name)
            elif not isinstance(argument, bool):
                self._changed(device=_usable_device(str(argument)))
        return self

    def _changed(self, dtype: str | None = None, device: str | None = None) -> None:
        dtype, device = dtype or self.dtype, device or self._device
        if (dtype, device) != (self.dtype, self._device):
            self._opened = None  # opened again when it is next needed
        self.dtype, self._device = dtype, device
        self._settings["device"] = device

    def set_progress_bar_config(self, **config: Any) -> None:
        """Arguments of tqdm, such as `disable=True`."""
        self._progress = config

    def _nothing(self, *_arguments: Any, **_keywords: Any) -> None:
        """What diffusers has to save memory, which engines do by themselves here."""

    enable_attention_slicing = disable_attention_slicing = _nothing
    enable_vae_slicing = disable_vae_slicing = enable_vae_tiling = disable_vae_tiling = _nothing
    enable_xformers_memory_efficient_attention = disable_xformers_memory_efficient_attention = _nothing
    maybe_free_model_hooks = _nothing

    def enable_model_cpu_offload(self, *_arguments: Any, **_keywords: Any) -> None:
        """Hold one network in memory at a time."""
        self._settings["low_memory"] = True
        self._opened = None

    enable_sequential_cpu_offload = enable_model_cpu_offload

    # ---- From noise to sound

    def _lengths(self, audio_length_in_s: float | None) -> tuple[int, int]:
        """Latent frames and samples of a clip: frames are rounded up to whole latents, and samples are exact."""
        config = self._pipeline.config
        factor = config.vocoder.hop_length / config.sample_rate
        if audio_length_in_s is None:
            audio_length_in_s = self.unet.config.sample_size * self.vae_scale_factor * factor
        least = factor * self.vae_scale_factor
        if not isinstance(audio_length_in_s, (int, float)) or not least <= audio_length_in_s <= MAX_DURATION:
            raise ValueError(f"audio_length_in_s is {audio_length_in_s!r}, allowed: {least:g} to {MAX_DURATION:g}")
        frames = math.ceil(int(audio_length_in_s / factor) / self.vae_scale_factor)
        return frames, int(audio_length_in_s * config.sample_rate)

    def _sample(
        self,
        conditioning: Conditioning,
        unconditional: Conditioning | None,
        frames: int,
        num_inference_steps: int,
        guidance_scale: float,
        eta: float,
        generator: Any,
        latents: Any,
        callback: Callback | None,
        callback_steps: int | None,
        cross_attention_kwargs: dict[str, Any] | None,
    ) -> Array:
        """The denoised latents (B, channels, frames, bands), of the engine. latents: to start from, of any library."""
        if not isinstance(callback_steps, int) or callback_steps < 1:
            raise ValueError(f"callback_steps is {callback_steps!r}, allowed: whole numbers from 1")
        pipeline = self._pipeline
        engine, config = pipeline.engine_with(self._lora(cross_attention_kwargs)), pipeline.config
        batch = len(conditioning.contexts[0] if conditioning.contexts else _film(conditioning))
        noise = NoiseSource(generator, batch, self.dtype)
        stepping = Stepping(self.scheduler, engine, num_inference_steps, noise, generator, eta)
        shape = (batch, config.vae.latent_channels, frames, config.latent_bands)
        start = noise.draw(shape) if latents is None else to_numpy(latents)
        if start.shape != shape:
            raise ValueError(f"latents have shape {start.shape}, expected {shape}")
        x = engine.asarray((start * stepping.init_noise_sigma).astype(np.float32))
        both = conditioning if unconditional is None else concatenated(unconditional, conditioning)
        count = len(stepping.timesteps)
        guided = (unconditional is not None,) * count
        # As diffusers, the whole length at once.
        schedule = UNetSchedule(tuple(stepping.timesteps), guided, 1, Windows(frames, frames, (0,)), 1)
        predict = NoisePredictor(engine, config, padded(both), schedule, lambda: None)
        first_shown = count - num_inference_steps * stepping.order
        with self._progress_bar(num_inference_steps) as bar:
            for i, timestep in stepping:
                prediction = predict(stepping.network_input(i, x), stepping.timesteps[i], i)
                x = stepping.step(i, combine(prediction, guidance_scale) if guided[0] else prediction, x)
                if i == count - 1 or (i + 1 > first_shown and (i + 1) % stepping.order == 0):
                    bar.update()
                    if callback is not None and i % callback_steps == 0:
                        shown = as_tensor(engine.to_numpy(x), self._library)
                        callback(i // stepping.order, timestep, shown)
                        x = engine.asarray(to_numpy(shown))  # a callback may change them in place
        return x

    def _progress_bar(self, total: int) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=total, **self._progress)

    def _audio(self, latents: Array, samples: int) -> np.ndarray:
        """The waveforms (B, samples) float32 of scaled latents."""
        pipeline = self._pipeline
        mel = decode(pipeline.engine, pipeline.config, latents)
        return vocode(pipeline.engine, pipeline.config, mel)[:, :samples]

    def _ranked(self, prompts: list[str], audio: np.ndarray, count: int) -> np.ndarray:
        """For each prompt the `count` waveforms that CLAP scores nearest to it, of all, the best first."""
        pipeline = self._pipeline
        if pipeline.config.clap_audio is None:
            logger.warning("%s has no CLAP to rank with: waveforms are in the order of generation", self._located.name)
            return audio
        texts = pipeline.embed_text(prompts)
        scores = clap_scores(pipeline.engine, texts.T, audio, pipeline.config.sample_rate).T
        return audio[np.argsort(-scores, axis=1, kind="stable")[:, :count].reshape(-1)]

    def _output(self, audio: np.ndarray, output_type: str | None, return_dict: bool) -> Any:
        result = as_tensor(audio, OUTPUT_TYPES[output_type or "np"])
        return AudioPipelineOutput(result) if return_dict else (result,)


def check_output_type(output_type: str | None) -> None:
    """Raise ValueError for an unknown one."""
    if output_type not in (None, "latent", *OUTPUT_TYPES):
        raise ValueError(f"output_type is {output_type!r}, allowed: {', '.join(OUTPUT_TYPES)}, latent")


def texts_of(prompt: Any, name: str = "prompt") -> list[str]:
    """A text, or a list of them, as a list. Raises ValueError for anything else."""
    return check_texts([prompt] if isinstance(prompt, str) else prompt, name)


def negative_texts(negative_prompt: Any, count: int) -> list[str]:
    """The negative prompt of each of `count` prompts; "" for none. Raises ValueError for another number."""
    if negative_prompt is None:
        return [""] * count
    texts = [negative_prompt] if isinstance(negative_prompt, str) else negative_prompt
    is_list = isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts)
    if not is_list or len(texts) not in (count, 1):
        raise ValueError(f"negative_prompt is {negative_prompt!r}, allowed: a text, or one for each of {count} prompts")
    return list(texts) if len(texts) == count else list(texts) * count


def _film(conditioning: Conditioning) -> np.ndarray:
    assert conditioning.film is not None
    return conditioning.film


def _part(**config: Any) -> SimpleNamespace:
    return SimpleNamespace(config=SimpleNamespace(**config))


def _stored_scheduler(located: Located, diffusion: Any) -> Any:
    """The scheduler of a diffusers folder, or DDIM as those have it, with the checkpoint's noise schedule.

    Or, of a checkpoint that is distilled, LCMScheduler.
    """
    if located.path is not None and (located.path / SCHEDULER).is_file():
        config = read_config((located.path / SCHEDULER).parent)
        name = config.get("_class_name", "DDIMScheduler")
        if name not in ppaudioldm.compat.SCHEDULERS:
            logger.warning("there is no %s here, so DDIMScheduler is used", name)
            name = "DDIMScheduler"
        return getattr(ppaudioldm.compat, name).from_config(config)
    schedule = {
        "num_train_timesteps": diffusion.num_train_timesteps,
        "beta_start": diffusion.beta_start,
        "beta_end": diffusion.beta_end,
        "beta_schedule": "scaled_linear",
        "prediction_type": {"epsilon": "epsilon", "v": "v_prediction"}[diffusion.prediction],
        "clip_sample": False,
        "timestep_spacing": "leading",
    }
    if diffusion.sampler == LCM:
        return LCMScheduler(**schedule)
    return DDIMScheduler(**schedule, set_alpha_to_one=False, steps_offset=1)


def _usable_device(name: str) -> str:
    """The device `name` as this process's framework spells it; the CPU, with a warning, if that is not there."""
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "gpu"):
        raise ValueError(f"device is {name!r}, allowed: cpu, cuda, cuda:0")
    if kind == "cpu":
        return "cpu"
    from ppaudioldm import framework

    default = framework.default_device()
    if default == "cpu":
        logger.warning("%s has no GPU here, so %r is the cpu", framework.NAME, name)
        return "cpu"
    return f"{default.partition(':')[0]}:{index or 0}"
