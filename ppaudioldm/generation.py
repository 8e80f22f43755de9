"""One generation: its settings, the stages it goes through, and the clock and progress that run along."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from ppaudioldm.audio.ranking import clap_scores
from ppaudioldm.candidates import Candidates
from ppaudioldm.chunks import latent_frames
from ppaudioldm.clip import Cancelled, Clip, Interrupted
from ppaudioldm.conditioning import Conditions, PromptEncoder, joined
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.guidance import needs_unconditional
from ppaudioldm.diffusion.noise import INITIAL, KEPT, STEP, gaussian
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.given import Given
from ppaudioldm.options import Options, Progress


def needed_functions(
    config: ModelConfig, guided: bool, given: Given | None = None, negative: bool = False
) -> list[str]:
    """What generation from text runs, in that order (see `engines.engine`); ranking needs "clap_audio" besides.

    negative: whether there is a negative prompt: it goes through GPT-2 even where the prompts' LOA tokens are given.
    """
    makes_loa = config.loa is not None and (given is None or given.loa is None or (guided and negative))
    text = ["clap_text"] if makes_loa or config.unet.film_dim else []
    text += ["flan_t5"] if config.flan_t5 else []
    text += ["phoneme_encoder"] if config.phoneme_encoder and makes_loa else []
    text += ["loa", "gpt2"] if makes_loa else []
    unet = ["unet_contexts"] if config.contexts else []
    unet += ["unet_guided_step" if guided and config.contexts and not config.unet.film_dim else "unet_step"]
    return [*text, *unet, "vae_decoder", "vocoder"]


class Generation:
    """One call of `AudioLDM.generate`."""

    def __init__(
        self,
        config: ModelConfig,
        engine: Engine,
        encoder: PromptEncoder,
        schedule: NoiseSchedule,
        options: Options,
        prompts: list[str],
        seeds: list[int],
        *,
        phonemes: np.ndarray | None = None,
        given: Given | None = None,
        keep_candidates: bool = False,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> None:
        self.config = config
        self.engine = engine
        self.encoder = encoder
        self.schedule = schedule
        self.options = options
        self.prompts = prompts
        self.seeds = seeds  # of the candidates, the same for every prompt
        self.phonemes = phonemes
        self.given = given or Given()
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.num_samples = round(options.duration * config.sample_rate)
        frames = latent_frames(config, self.num_samples, self.given.circular)
        self.shape = config.vae.latent_channels, frames, config.latent_bands
        self.given.check(config, frames)
        if self.given.circular and self.num_samples != frames * config.samples_per_latent:
            step = config.samples_per_latent / config.sample_rate
            raise ValueError(
                f"duration is {options.duration!r}, allowed for a loop: whole multiples of {step:g} seconds"
            )
        score = self.score if len(seeds) > 1 and all(prompts) else None  # an absent prompt has no sound to it
        self.candidates = Candidates(prompts, seeds, self.num_samples, score, keep_candidates)
        self.num_batches = math.ceil(len(prompts) * len(seeds) / options.batch_size)
        # Made here too, so that an impossible combination of options is found before any work.
        self.num_steps = self.num_batches * len(self.new_sampler().timesteps)
        self.steps_done = 0
        self.ranked = 0

    def run(self) -> Clip:
        """The clip. Raises Cancelled or Interrupted, with what is complete, when it is stopped."""
        try:
            self.make()
        except Cancelled as stopped:
            raise Cancelled(str(stopped), self.clip()) from None
        except KeyboardInterrupt:
            raise Interrupted(self.clip()) from None
        clip = self.clip()
        assert clip is not None
        return clip

    def clip(self) -> Clip | None:
        return self.candidates.clip(self.config.sample_rate, self.seconds)

    def make(self) -> None:
        negative = self.options.negative_prompt is not None
        functions = needed_functions(self.config, self.guided, self.given, negative)
        with self.stage("load", total=len(functions)):
            for done, function in enumerate(functions, 1):
                self.engine.prepare(function)
                self.report("load", done, len(functions))
        with self.stage("text"):
            conditions = self.encoder.encode(self.prompts, self.phonemes, self.given.loa)
            unconditional = self.unconditional() if self.guided else None
            self.report("text")
        # Candidates of a prompt stand together.
        items = [(p, c) for p in range(len(self.prompts)) for c in range(len(self.seeds))]
        for start in range(0, len(items), self.options.batch_size):
            batch = items[start : start + self.options.batch_size]
            seeds = [self.seeds[c] for _, c in batch]
            waveforms = self.waveforms([p for p, _ in batch], seeds, conditions, unconditional)
            for item, waveform in zip(batch, waveforms, strict=True):
                self.candidates.add(*item, waveform)

    @property
    def guided(self) -> bool:
        return needs_unconditional(self.options.guidance_scale)

    def unconditional(self) -> Conditions:
        """For one item: of the negative prompt if there is one."""
        negative = self.options.negative_prompt
        return self.encoder.encode([negative], self.phonemes) if negative else self.encoder.unconditional(1)

    def waveforms(
        self, prompts: list[int], seeds: list[int], conditions: Conditions, unconditional: Conditions | None
    ) -> np.ndarray:
        """The waveforms (B, samples) of items with these `prompts`, by index, and `seeds`."""
        taken = conditions.take(prompts)
        if unconditional is not None:
            taken = joined(unconditional.take([0] * len(prompts)), taken)
        with self.stage("denoise", self.steps_done, self.num_steps):
            latents = self.denoised(taken, seeds)
        with self.stage("decode"):
            mel = self.engine.run("vae_decoder", latents / self.config.vae.scale_factor)
            self.report("decode")
        with self.stage("vocoder"):
            waveform = self.engine.to_numpy(self.engine.run("vocoder", mel))
            self.report("vocoder")
        return waveform[:, : self.num_samples]

    def denoised(self, conditions: Conditions, seeds: list[int]) -> Array:
        """Latents (B, channels, T, bands) for the items with `seeds`."""
        sampler, given = self.new_sampler(), self.given
        recorded = None if given.latents is None else self.engine.asarray(given.latents[None].astype(np.float32))
        keep = None if given.keep is None else self.engine.asarray(given.keep.astype(np.float32))

        def noise(purpose: int, step: int = 0) -> Array:
            return self.engine.asarray(gaussian(self.shape, seeds, purpose, step))

        def kept(i: int, latents: Array) -> Array:
            return latents + keep * (sampler.add_noise(i, recorded, noise(KEPT, i)) - latents)

        latents = noise(INITIAL)
        if given.strength < 1:
            latents = sampler.add_noise(0, recorded, latents)
        steps = denoise(
            self.predictor(conditions, len(seeds)),
            sampler,
            latents,
            self.options.guidance_scale,
            noise=lambda i: noise(STEP, i),
            constrain=None if keep is None else kept,
        )
        for _, latents in steps:  # noqa: B007 - the last latents are the result
            self.steps_done += 1
            self.report("denoise", self.steps_done, self.num_steps)
        return latents if keep is None else latents + keep * (recorded - latents)

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
            options.sampler,
            self.schedule,
            options.num_inference_steps,
            eta=options.eta,
            spacing=options.spacing,
            strength=self.given.strength,
        )

    @cached_property
    def clap_texts(self) -> np.ndarray:
        """CLAP's embeddings (prompts, 512)."""
        return self.encoder.clap(self.prompts)

    def score(self, prompt: int, waveforms: np.ndarray) -> np.ndarray:
        """CLAP's similarity (B,) of `waveforms` (B, samples) with the prompt of that index."""
        total = len(self.prompts) * len(self.seeds)
        with self.stage("rank", self.ranked, total):
            scores = clap_scores(self.engine, self.clap_texts[prompt], waveforms, self.config.sample_rate)
            self.ranked += len(waveforms)
            self.report("rank", self.ranked, total)
        return scores

    @contextmanager
    def stage(self, name: str, done: int = 0, total: int = 1) -> Iterator[None]:
        start = time.perf_counter()
        self.report(name, done, total)
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, stage: str, done: int = 1, total: int = 1) -> None:
        if self.progress is not None and self.progress(Progress(stage, done, total)) is False:
            raise Cancelled(f"stopped during {stage}")
