"""From a prompt to a waveform: conditions -> latents -> mel -> waveform, and the best of several candidates."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ppaudioldm.audio.files import write_audio
from ppaudioldm.audio.ranking import clap_scores
from ppaudioldm.checkpoints import speech_names
from ppaudioldm.conditioning import Conditions, PromptEncoder, joined
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.guidance import needs_unconditional
from ppaudioldm.diffusion.noise import STEP, gaussian, item_seeds
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.engines.choice import make_engine
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.errors import CheckpointError
from ppaudioldm.options import Options, Progress
from ppaudioldm.weights.locate import Description, locate


class Cancelled(Exception):
    """A progress callback returned False."""


@dataclass(frozen=True)
class Clip:
    """What `generate` made: one clip for each prompt.

    waveforms: (prompts, samples) float32 in [-1, 1], at `sample_rate` Hz. scores: CLAP similarity with the prompt, of
    each, or None where there was nothing to choose from. seeds: of each; the same seed and settings make the same clip.
    seconds: how long each stage took.
    """

    waveforms: np.ndarray
    sample_rate: int
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[float, ...] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def save(self, path: str | Path) -> list[Path]:
        """Write the waveform to `path` (.wav, .flac, .ogg or .mp3); several become name_0.wav, name_1.wav, ...

        Each file appears complete or not at all. Returns the paths. Raises ValueError or OSError in one line.
        """
        path = Path(path)
        paths = [path]
        if len(self.waveforms) > 1:
            paths = [path.with_name(f"{path.stem}_{i}{path.suffix}") for i in range(len(self.waveforms))]
        return [write_audio(p, w, self.sample_rate) for p, w in zip(paths, self.waveforms, strict=True)]


class AudioLDM:
    """AudioLDM 2: text to sound. Make one with `from_pretrained`."""

    def __init__(self, checkpoint: Description, engine: Engine) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self._engine = engine
        self._encoder = PromptEncoder(checkpoint, engine)
        self._schedule = NoiseSchedule(self.config.diffusion)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        *,
        engine: str | None = None,
        device: str | None = None,
        precision: str = "auto",
        ema: bool = False,
        compile_step: bool = False,
    ) -> AudioLDM:
        """The pipeline of a published checkpoint (see CHECKPOINTS), downloaded if need be, or of a file or folder.

        engine: "openvino" (CPU; the networks are translated once and kept in a cache folder), "eager" (Paddle or
        PyTorch as they are) or "auto": openvino on a CPU, eager on a GPU. device: "cpu", "cuda:0" (PyTorch), "gpu:0"
        (Paddle); the best there is by default. precision: of the arithmetic, "f32", "bf16", "fp16" (PyTorch) or
        "auto": bf16 where a CPU or a PyTorch GPU has it. ema: use the averaged UNet of a published file. compile_step:
        let torch.compile make a program of the UNet step, worth it for many clips of one length on a GPU. Networks are
        read when they are first needed.
        Raises ValueError, in one line, for an unknown name, engine or device, or a file that is no usable checkpoint.
        """
        return cls(*make_engine(locate(checkpoint), engine, device, precision, ema, compile_step))

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        negative_prompt: str | None = None,
        duration: float = 10.0,
        seed: int | None = None,
        preset: str = "fast",
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        spacing: str | None = None,
        num_waveforms_per_prompt: int | None = None,
        batch_size: int = 1,
        transcription: str | None = None,
        phonemes: str | None = None,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> Clip:
        """Sound for `prompt`, or for each of several.

        negative_prompt: what it should not sound like. duration: seconds, exactly kept, from 0.3 to 60.
        seed: 0 to 2**63 - 1; the same seed makes the same clip, whatever the batch; None takes a new one.
        preset: "fast" (DPM-Solver++, 25 steps, 1 candidate) or "original" (DDIM, 200 steps, eta 1, the best of 3);
        the next six override parts of it. num_waveforms_per_prompt: candidates, of which the one that CLAP finds
        nearest to the prompt is kept. batch_size: candidates made at once; more need more memory, and are faster only
        on a GPU. transcription: the words to say, or phonemes: how they are pronounced, as espeak writes it; a speech
        checkpoint needs one of them, and the prompt says who speaks. What does not fit is an error: `speech.speak` says
        any length. progress: called after every step; stops the run, with `Cancelled`, when it returns False.
        Raises ValueError for a value out of range, naming it and what is allowed.
        """
        options = Options.from_preset(
            preset,
            negative_prompt=negative_prompt,
            duration=duration,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
            eta=eta,
            spacing=spacing,
            num_waveforms_per_prompt=num_waveforms_per_prompt,
            batch_size=batch_size,
        )
        prompts = options.check_prompts([prompt] if isinstance(prompt, str) else prompt)
        spoken = self._phoneme_ids(transcription, phonemes)
        seeds = item_seeds(secrets.randbelow(2**32) if seed is None else seed, options.num_waveforms_per_prompt)
        return _Generation(self, options, prompts, spoken, seeds, progress).run()

    def _phoneme_ids(self, transcription: str | None, phonemes: str | None) -> np.ndarray | None:
        """What a speech checkpoint is to say, (1, 310) int64. Raises ValueError if that is missing, or for another."""
        encoder = self.config.phoneme_encoder
        if encoder is None:
            if transcription is not None or phonemes is not None:
                raise ValueError(f"transcription is for speech checkpoints: {', '.join(speech_names())}")
            return None
        if (transcription is None) == (phonemes is None):
            raise ValueError("transcription is missing: a speech checkpoint needs it, or phonemes, and not both")
        from ppaudioldm.audio.phonemes import phoneme_ids, to_phonemes

        if phonemes is None:
            assert transcription is not None
            phonemes = to_phonemes(transcription)
        ids = phoneme_ids(phonemes, encoder.max_phonemes)
        if ids.max() >= encoder.vocab_size:
            raise CheckpointError(f"phoneme {ids.max()} is needed, but the checkpoint knows {encoder.vocab_size}")
        return ids


def needed_functions(config: ModelConfig, guided: bool) -> list[str]:
    """What generation from text runs, in that order (see `engines.engine`); ranking needs "clap_audio" besides."""
    text = ["clap_text"] if config.loa or config.unet.film_dim else []
    text += ["flan_t5"] if config.flan_t5 else []
    text += ["phoneme_encoder"] if config.phoneme_encoder else []
    text += ["loa", "gpt2"] if config.loa else []
    unet = ["unet_contexts"] if config.contexts else []
    unet += ["unet_guided_step" if guided and config.contexts and not config.unet.film_dim else "unet_step"]
    return [*text, *unet, "vae_decoder", "vocoder"]


class _Generation:
    """One call of `generate`: its settings, and the clock and progress that run along."""

    def __init__(
        self,
        pipeline: AudioLDM,
        options: Options,
        prompts: list[str],
        phonemes: np.ndarray | None,
        seeds: list[int],
        progress: Callable[[Progress], bool | None] | None,
    ) -> None:
        self.config = pipeline.config
        self.engine = pipeline._engine
        self.encoder = pipeline._encoder
        self.schedule = pipeline._schedule
        self.options = options
        self.prompts = prompts
        self.phonemes = phonemes
        self.seeds = seeds  # of the candidates, the same for every prompt
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.num_samples = round(options.duration * self.config.sample_rate)
        num_batches = math.ceil(len(prompts) * len(seeds) / options.batch_size)
        # Made here too, so that an impossible combination of options is found before any work.
        self.num_steps = num_batches * len(self.new_sampler().timesteps)
        self.steps_done = 0

    def run(self) -> Clip:
        functions = needed_functions(self.config, self.guided)
        with self.stage("load", total=len(functions)):
            for done, function in enumerate(functions, 1):
                self.engine.prepare(function)
                self.report("load", done, len(functions))
        with self.stage("text"):
            conditions = self.encoder.encode(self.prompts, self.phonemes)
            unconditional = self.unconditional() if self.guided else None
            self.report("text")
        # Candidates of a prompt stand together: item i is candidate i % n of prompt i // n.
        items = [(p, seed) for p in range(len(self.prompts)) for seed in self.seeds]
        waveforms = np.empty((len(items), self.num_samples), np.float32)
        for start in range(0, len(items), self.options.batch_size):
            batch = items[start : start + self.options.batch_size]
            waveforms[start : start + len(batch)] = self.waveforms(batch, conditions, unconditional)
        return self.best(waveforms)

    @property
    def guided(self) -> bool:
        return needs_unconditional(self.options.guidance_scale)

    def unconditional(self) -> Conditions:
        """For one item: of the negative prompt if there is one."""
        negative = self.options.negative_prompt
        return self.encoder.encode([negative], self.phonemes) if negative else self.encoder.unconditional(1)

    def waveforms(
        self, items: list[tuple[int, int]], conditions: Conditions, unconditional: Conditions | None
    ) -> np.ndarray:
        """The waveforms (B, samples) of `items`: (index of the prompt, seed)."""
        given = conditions.take([p for p, _ in items])
        if unconditional is not None:
            given = joined(unconditional.take([0] * len(items)), given)
        with self.stage("denoise", self.steps_done, self.num_steps):
            latents = self.denoised(given, [seed for _, seed in items])
        with self.stage("decode"):
            mel = self.engine.run("vae_decoder", latents / self.config.vae.scale_factor)
            self.report("decode")
        with self.stage("vocoder"):
            waveform = self.engine.to_numpy(self.engine.run("vocoder", mel))
            self.report("vocoder")
        return waveform[:, : self.num_samples]

    def denoised(self, conditions: Conditions, seeds: list[int]) -> Array:
        """Latents (B, channels, T, bands) for the items with `seeds`."""
        engine, shape = self.engine, self.latent_shape()
        predict = self.predictor(conditions, len(seeds))
        sampler = self.new_sampler()
        latents = engine.asarray(gaussian(shape, seeds))
        steps = denoise(
            predict,
            sampler,
            latents,
            self.options.guidance_scale,
            noise=lambda i: engine.asarray(gaussian(shape, seeds, STEP, i)),
        )
        for _, latents in steps:  # noqa: B007 - the last latents are the result
            self.steps_done += 1
            self.report("denoise", self.steps_done, self.num_steps)
        return latents

    def predictor(self, conditions: Conditions, batch: int) -> Callable[[Array, int], Array]:
        """What the UNet says of `batch` latents at a timestep: of 2 * batch, unconditional first, where guided."""
        engine, unet = self.engine, self.config.unet
        contexts = [engine.asarray(context) for context in conditions.contexts]
        masks = [engine.asarray(mask) for mask in conditions.masks]
        film = None if conditions.film is None else engine.asarray(conditions.film)
        # The same at every step, so computed once.
        projected = engine.run("unet_contexts", contexts) if contexts else []

        # All at once, so that no step waits for a transfer to a GPU.
        timesteps = sorted(set(self.new_sampler().timesteps))
        rows = engine.asarray(timestep_features(np.array(timesteps), unet.model_channels))

        def features(timestep: int, count: int) -> Array:
            row = timesteps.index(timestep)
            return engine.concat([rows[row : row + 1]] * count, 0)

        def guided(latents: Array, timestep: int) -> Array:
            return engine.run("unet_guided_step", latents, features(timestep, batch), projected, masks)

        def plain(latents: Array, timestep: int) -> Array:
            count = len(conditions.film) if conditions.film is not None else batch
            latents = engine.concat([latents] * (count // batch), 0)
            return engine.run("unet_step", latents, features(timestep, count), projected, masks, film)

        return guided if self.guided and contexts and film is None else plain

    def new_sampler(self) -> Sampler:
        options = self.options
        return make_sampler(
            options.sampler, self.schedule, options.num_inference_steps, eta=options.eta, spacing=options.spacing
        )

    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, T, bands): as many frames as the samples need, rounded up to what the UNet can halve."""
        unit = self.config.unet.downsampling
        frames = math.ceil(self.num_samples / self.config.samples_per_latent)
        return self.config.vae.latent_channels, unit * math.ceil(frames / unit), self.config.latent_bands

    def best(self, waveforms: np.ndarray) -> Clip:
        """The candidate nearest to its prompt, of `waveforms` (prompts * candidates, samples)."""
        count = len(self.seeds)
        candidates = waveforms.reshape(len(self.prompts), count, -1)
        if count == 1:
            return self.clip(candidates[:, 0], [self.seeds[0]] * len(self.prompts), None)
        with self.stage("rank"):
            texts = self.encoder.clap(self.prompts)
            scores = np.stack(
                [
                    clap_scores(self.engine, text, group, self.config.sample_rate)
                    for text, group in zip(texts, candidates, strict=True)
                ]
            )
            self.report("rank")
        chosen = scores.argmax(1)
        rows = np.arange(len(self.prompts))
        return self.clip(
            candidates[rows, chosen],
            [self.seeds[i] for i in chosen],
            tuple(float(score) for score in scores[rows, chosen]),
        )

    def clip(self, waveforms: np.ndarray, seeds: list[int], scores: tuple[float, ...] | None) -> Clip:
        return Clip(waveforms, self.config.sample_rate, tuple(self.prompts), tuple(seeds), scores, self.seconds)

    @contextmanager
    def stage(self, name: str, done: int = 0, total: int = 1) -> Iterator[None]:
        start = time.perf_counter()
        self.report(name, done, total)
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, stage: str, done: int = 1, total: int = 1) -> None:
        if self.progress is not None and self.progress(Progress(stage, done, total)) is False:
            raise Cancelled(f"stopped during {stage}")
