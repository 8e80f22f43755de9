"""One generation: its settings, the stages it goes through, and the clock and progress that run along."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.guidance import guidance_scales, needs_unconditional
from ppaudioldm.diffusion.noise import INITIAL, KEPT, STEP, gaussian
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.candidates import Candidates, clap_scores
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.decoding import decode, latent_frames, latent_windows, vocode
from ppaudioldm.generation.noise_predictor import Predictor
from ppaudioldm.generation.options import Options, Progress
from ppaudioldm.generation.text_condition import Conditions, PromptEncoder, joined, rounded


def needed_functions(
    config: ModelConfig, guided: bool, given: Given | None = None, options: Options | None = None
) -> list[str]:
    """What generation from text runs, in that order (see `engines.engine`); ranking needs "clap_audio" besides.

    A negative prompt in `options` goes through GPT-2 even where the prompts' LOA tokens are given.
    """
    options = options or Options()
    negative = options.negative_prompt is not None
    makes_loa = config.loa is not None and (given is None or given.loa is None or (guided and negative))
    text = ["flan_t5"] if config.flan_t5 else []
    text += ["clap_text"] if makes_loa or config.unet.film_dim else []
    text += ["phoneme_encoder"] if config.phoneme_encoder and makes_loa else []
    text += ["loa", "gpt2"] if makes_loa else []
    unet = ["unet_contexts"] if config.contexts else []
    unet += Predictor.functions(config, guided, options)
    vocoder = ["vocoder"] if config.vocoder.method == "network" else []
    return [*text, *unet, "vae_decoder", *vocoder]


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
        seeds: list[list[int]],
        *,
        phonemes: np.ndarray | None = None,
        given: Given | None = None,
        keep_candidates: bool = False,
        with_scores: bool = False,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> None:
        self.config = config
        self.engine = engine
        self.encoder = encoder
        self.schedule = schedule
        self.options = options
        self.prompts = prompts
        self.seeds = seeds  # of the candidates of each prompt
        self.phonemes = phonemes
        self.given = given or Given()
        self.progress = progress
        self.seconds: dict[str, float] = {}
        assert options.duration is not None
        self.num_samples = round(options.duration * config.sample_rate)
        frames = latent_frames(config, self.num_samples, self.given.circular)
        self.shape = config.vae.latent_channels, frames, config.latent_bands
        self.given.check(config, frames)
        if self.given.circular and self.num_samples != frames * config.samples_per_latent:
            step = config.samples_per_latent / config.sample_rate
            raise ValueError(
                f"duration is {options.duration!r}, allowed for a loop: whole multiples of {step:g} seconds"
            )
        is_scored = (with_scores or len(seeds[0]) > 1) and all(prompts)  # an absent prompt has no sound to it
        score = self.score if is_scored else None
        self.candidates = Candidates(prompts, seeds, self.num_samples, score, keep_candidates)
        self.windows = latent_windows(config, frames, self.given.circular)
        # Candidates of a prompt stand together.
        items = [(p, c) for p in range(len(prompts)) for c in range(len(seeds[p]))]
        self.batches = [items[i : i + options.batch_size] for i in range(0, len(items), options.batch_size)]
        groups = sum(len(self.windows.starts) // self.windows_at_once(len(batch)) for batch in self.batches)
        Predictor.functions(config, self.guided, options)
        # Made here too, so that an impossible combination of options is found before any work.
        self.num_calls = groups * len(self.new_sampler().timesteps)
        self.calls_done = 0
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
        functions = needed_functions(self.config, self.guided, self.given, self.options)
        with self.stage("load", total=len(functions)):
            for done, function in enumerate(functions, 1):
                self.engine.prepare(function)
                self.report("load", done, len(functions))
        with self.stage("text"):
            # This first, so that FLAN-T5 is run twice in a row: with little memory it is read once.
            unconditional = self.unconditional() if self.guided else None
            conditions = self.encoder.encode(self.prompts, self.phonemes, self.given.loa)
            self.report("text")
        for batch in self.batches:
            seeds = [self.seeds[p][c] for p, c in batch]
            waveforms = self.waveforms([p for p, _ in batch], seeds, conditions, unconditional)
            for item, waveform in zip(batch, waveforms, strict=True):
                self.candidates.add(*item, waveform)

    @property
    def guided(self) -> bool:
        return any(map(needs_unconditional, self.guidance_scales))

    @cached_property
    def guidance_scales(self) -> list[float]:
        options = self.options
        calls = len(self.new_sampler().timesteps)
        return guidance_scales(options.guidance_scale, options.guidance_interval, calls)

    def unconditional(self) -> Conditions:
        """For one item: of the negative prompt if there is one."""
        negative = self.options.negative_prompt
        return self.encoder.encode([negative], self.phonemes) if negative else self.encoder.unconditional(1)

    def waveforms(
        self, prompts: list[int], seeds: list[int], conditions: Conditions, unconditional: Conditions | None
    ) -> np.ndarray:
        """The waveforms (B, samples) of items with these `prompts`, by index, and `seeds`."""
        config, engine, circular = self.config, self.engine, self.given.circular
        with self.stage("denoise", self.calls_done, self.num_calls):
            latents = self.denoised(prompts, seeds, conditions, unconditional)
        with self.stage("decode"):
            mel = decode(engine, config, latents, circular, partial(self.report, "decode"))
        with self.stage("vocoder"):
            waveform = vocode(engine, config, mel, circular, partial(self.report, "vocoder"))
        return waveform[:, : self.num_samples]

    def denoised(
        self, prompts: list[int], seeds: list[int], conditions: Conditions, unconditional: Conditions | None
    ) -> Array:
        """Latents (B, channels, T, bands), scaled."""
        sampler, given = self.new_sampler(), self.given
        predict = self.predictor(prompts, conditions, unconditional)
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
            predict,
            sampler,
            latents,
            self.guidance_scales,
            noise=lambda i: noise(STEP, i),
            constrain=None if keep is None else kept,
        )
        for _, latents in steps:  # noqa: B007 - the last latents are the result
            pass
        return latents if keep is None else latents + keep * (recorded - latents)

    def predictor(self, prompts: list[int], conditions: Conditions, unconditional: Conditions | None) -> Predictor:
        """For items with these `prompts`."""
        at_once = self.windows_at_once(len(prompts))
        taken = conditions.take(prompts * at_once)
        if unconditional is not None:
            taken = joined(unconditional.take([0] * len(prompts) * at_once), taken)
        return Predictor(
            self.engine,
            self.config,
            rounded(taken),
            [needs_unconditional(scale) for scale in self.guidance_scales],
            self.options.reuse,
            self.new_sampler().timesteps,
            self.windows,
            at_once,
            self.called,
        )

    def windows_at_once(self, items: int) -> int:
        """How many windows of that many items the UNet is given in a batch: as many as make batches of one size."""
        count = len(self.windows.starts)
        return max(
            n for n in range(1, count + 1) if count % n == 0 and n * items <= max(items, self.options.batch_size)
        )

    def called(self) -> None:
        self.calls_done += 1
        self.report("denoise", self.calls_done, self.num_calls)

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
        total = sum(map(len, self.seeds))
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
