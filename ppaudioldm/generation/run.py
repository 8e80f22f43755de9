"""One call of `AudioLDM.generate`: its plan, and the stages in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import groupby

import numpy as np

from ppaudioldm.audio.griffin_lim import ITERATIONS
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.guidance import guidance_scales, needs_unconditional
from ppaudioldm.diffusion.noise import INITIAL, KEPT, STEP, gaussian
from ppaudioldm.diffusion.samplers import Sampler, make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.diffusion.sections import Sections, sections_over
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.generation.audio_condition import AudioCondition, Inpainting
from ppaudioldm.generation.candidates import Candidates, clap_scores
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.decoding import decode, latent_frames, latent_windows, vocode
from ppaudioldm.generation.monitor import Monitor, StepCounter
from ppaudioldm.generation.noise_predictor import NoisePredictor, SectionPredictor, UNetSchedule, unet_functions
from ppaudioldm.generation.options import Options, ProgressCallback, check_fit, no_ranking
from ppaudioldm.generation.prompt_schedule import PromptSchedule, changes
from ppaudioldm.generation.provenance import Provenance
from ppaudioldm.generation.text_condition import Conditioning, PromptEncoder, concatenated, padded

Item = tuple[int, int]  # the index of a prompt, and that of one of its candidates
FADE_S = 0.4  # seconds in which one prompt passes into the next
SKETCH_ITERATIONS = 8  # of Griffin-Lim: enough for CLAP to tell one attempt from the other


@dataclass(frozen=True)
class Components:
    """What a checkpoint consists of when it is open: its configuration, and what runs its parts."""

    config: ModelConfig
    engine: Engine
    prompt_encoder: PromptEncoder
    noise_schedule: NoiseSchedule


@dataclass(frozen=True)
class GenerationRequest:
    """What is to be generated. options: with a duration and `with_defaults`. seeds: of the candidates of each prompt.

    negative_prompts: of each prompt; None for the unconditional half of training. conditioning, unconditional: computed
    by the caller, of each prompt, in place of what the text encoders compute. phonemes: (1, 310) int64, what a speech
    checkpoint says. with_scores: CLAP scores a prompt's only candidate too. has_attempts: the candidates are attempts
    at one sound, of which only the best is returned. provenance: of each prompt.
    """

    options: Options
    prompts: list[str]
    negative_prompts: list[str | None]
    seeds: list[list[int]]
    conditioning: Conditioning | None = None
    unconditional: Conditioning | None = None
    phonemes: np.ndarray | None = None
    audio_condition: AudioCondition = field(default_factory=AudioCondition)
    keep_candidates: bool = False
    with_scores: bool = False
    has_attempts: bool = False
    provenance: Sequence[Provenance] = ()

    @property
    def is_scored(self) -> bool:
        """Whether CLAP compares candidates with their prompts; an absent prompt has nothing to compare with."""
        return (self.with_scores or len(self.seeds[0]) > 1) and all(self.prompts)

    @property
    def texts(self) -> list[str]:
        """The prompts, and those that follow them over time."""
        return [*self.prompts, *(cue.prompt for cue in self.options.prompt_schedule)]

    def texts_of(self, prompt: int) -> list[int]:
        """The indices among `texts` of those that the prompt of that index consists of over time."""
        schedule = self.options.prompt_schedule
        return [prompt, *(len(self.prompts) + schedule.index(cue) for cue in self.changes_of(prompt))]

    def changes_of(self, prompt: int) -> PromptSchedule:
        """The cues that change the prompt of that index."""
        return changes(self.prompts[prompt], self.options.prompt_schedule)


@dataclass(frozen=True)
class Batch:
    """Items that are generated at once: their prompts change at the same times.

    sections: of the latents, one for each of the prompts that an item has over time. schedules: of each section.
    """

    items: list[Item]
    sections: Sections
    schedules: list[UNetSchedule]

    @property
    def num_unet_calls(self) -> int:
        return sum(schedule.calls_per_step * len(schedule.timesteps) for schedule in self.schedules)


@dataclass(frozen=True)
class Plan:
    """What one generation does, worked out before any work. Make one with `plan_of`.

    latent_shape: (channels, T, bands). guidance_scales: of classifier-free guidance at each step. guidance_input: of a
    checkpoint whose UNet gets the scale instead.
    """

    num_samples: int
    latent_shape: tuple[int, int, int]
    sampler: Sampler
    guidance_scales: list[float]
    guidance_input: float | None
    batches: list[Batch]
    functions: list[str]  # that the engine runs, in order
    is_sketched: bool = False  # whether attempts are only sketched, and the best of them is synthesised in full

    @property
    def vocoder_iterations(self) -> int:
        """Of Griffin-Lim, for each item of a batch."""
        return SKETCH_ITERATIONS if self.is_sketched else ITERATIONS

    @property
    def is_guided(self) -> bool:
        """Whether any step needs the unconditional half."""
        return any(map(needs_unconditional, self.guidance_scales))

    @property
    def num_unet_calls(self) -> int:
        return sum(batch.num_unet_calls for batch in self.batches)


def plan_of(components: Components, request: GenerationRequest) -> Plan:
    """The plan of `request`. Raises ValueError for a combination that cannot be generated."""
    config, options, condition = components.config, request.options, request.audio_condition
    assert options.duration is not None and options.guidance_scale is not None
    assert options.sampler is not None and options.num_inference_steps is not None
    check_fit(replace(options, negative_prompt=next(filter(None, request.negative_prompts), None)), config)
    guidance_input = None if config.unet.guidance_dim is None else options.guidance_scale
    if guidance_input is not None and request.unconditional is not None:
        raise ValueError("negative_prompt_embeds are set, but this checkpoint has no unconditional half")
    num_samples = round(options.duration * config.sample_rate)
    frames = latent_frames(config, num_samples, condition.circular)
    condition.check(config, frames)
    if condition.circular and options.prompt_schedule:
        raise ValueError("prompt_schedule is set, allowed for a loop: one prompt")
    if condition.circular and num_samples != frames * config.samples_per_latent:
        step = config.samples_per_latent / config.sample_rate
        raise ValueError(f"duration is {options.duration!r}, allowed for a loop: whole multiples of {step:g} seconds")
    sampler = make_sampler(
        options.sampler,
        components.noise_schedule,
        options.num_inference_steps,
        eta=options.eta,
        spacing=options.spacing,
        strength=condition.strength,
    )
    scale = options.guidance_scale if guidance_input is None else 1.0
    scales = guidance_scales(scale, options.guidance_interval, len(sampler.timesteps))
    guided = tuple(map(needs_unconditional, scales))
    windows = latent_windows(config, frames, condition.circular)
    frames_per_second = config.sample_rate / config.samples_per_latent
    batches = []
    for items in _batched_items(request):
        borders = [cue.seconds * frames_per_second for cue in request.changes_of(items[0][0])]
        sections = sections_over(windows, borders, FADE_S * frames_per_second, config.unet.downsampling)
        schedules = [
            UNetSchedule(
                sampler.timesteps,
                guided,
                options.reuse,
                section.windows,
                windows_per_call(len(section.windows.starts), len(items), options.batch_size),
            )
            for section in sections.sections
        ]
        batches.append(Batch(items, sections, schedules))
    functions = needed_functions(config, any(guided), request)
    shape = config.vae.latent_channels, frames, config.latent_bands
    is_sketched = request.has_attempts and config.vocoder.method == "griffin-lim"
    return Plan(num_samples, shape, sampler, scales, guidance_input, batches, functions, is_sketched)


def _batched_items(request: GenerationRequest) -> Iterator[list[Item]]:
    """All items in batches; candidates of a prompt stand together, and prompts that change at other times do not."""
    items = [(p, c) for p in range(len(request.prompts)) for c in range(len(request.seeds[p]))]
    size = request.options.batch_size
    for _, group in groupby(items, lambda item: request.changes_of(item[0])):
        alike = list(group)
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def windows_per_call(windows: int, items: int, batch_size: int) -> int:
    """How many windows of that many items the UNet gets in a batch: as many as make batches of equal size."""
    fitting = [n for n in range(1, windows + 1) if windows % n == 0 and n * items <= max(items, batch_size)]
    return max(fitting)


def needed_functions(config: ModelConfig, guided: bool, request: GenerationRequest) -> list[str]:
    """The functions that a generation runs, in order (see `models.functions`); ranking needs "clap_audio" too."""
    # GPT-2 predicts LOA tokens of the prompts, unless there are some, and of negative prompts.
    encodes_prompts = request.conditioning is None
    encodes_negatives = guided and request.unconditional is None
    predicts_loa = config.loa is not None and (
        (encodes_prompts and request.audio_condition.loa is None)
        or (encodes_negatives and any(request.negative_prompts))
    )
    embeds = bool(config.unet.film_dim) and (
        (encodes_prompts and request.audio_condition.film is None) or encodes_negatives
    )
    text = ["flan_t5"] if config.flan_t5 and (encodes_prompts or encodes_negatives) else []
    text += ["clap_text"] if predicts_loa or embeds else []
    text += ["phoneme_encoder"] if config.phoneme_encoder and predicts_loa else []
    text += ["loa", "gpt2"] if predicts_loa else []
    unet = ["unet_contexts"] if config.contexts else []
    unet.append("unet_time_embedding")
    unet += unet_functions(config, guided, request.options)
    vocoder = ["vocoder"] if config.vocoder.method == "network" else []
    return [*text, *unet, "vae_decoder", *vocoder]


def run(components: Components, request: GenerationRequest, progress: ProgressCallback | None = None) -> Clip:
    """The clip of `request`. Raises Cancelled or Interrupted, with the best of what is complete, when it is stopped;
    ValueError if CLAP is to score the candidates and the checkpoint has none."""
    config, engine, circular = components.config, components.engine, request.audio_condition.circular
    if request.is_scored and not config.ranks:
        raise no_ranking(len(request.seeds[0]))
    plan, monitor = plan_of(components, request), Monitor(progress)
    scored = sum(map(len, request.seeds)) + (len(request.prompts) if plan.is_sketched else 0)
    score = _scorer(components, request, monitor, scored) if request.is_scored else None
    candidates = Candidates(
        request.prompts, request.seeds, plan.num_samples, score, request.keep_candidates, request.provenance
    )
    calls = StepCounter(monitor, "denoise", plan.num_unet_calls)
    sketched: dict[int, Array] = {}  # the mel of the best attempt so far, by prompt
    try:
        _load(engine, plan.functions, monitor)
        encoded = StepCounter(monitor, "text", _text_steps(components.prompt_encoder, request, plan.is_guided))
        with monitor.stage("text", total=encoded.total):
            conditioning, unconditional = _conditioning(components, request, plan.is_guided, encoded.add)
            monitor.report("text", encoded.total, encoded.total)
        for batch in plan.batches:
            with monitor.stage("denoise", calls.done, plan.num_unet_calls):
                predictor = _predictor(components, request, plan, batch, conditioning, unconditional, calls.add)
                inpainting, steps = _denoising(components, request, plan, batch.items, predictor)
                for _, latents in steps:  # noqa: B007 - the last latents are the result
                    pass
                latents = inpainting.restore(latents) if inpainting else latents
            with monitor.stage("decode"):
                mel = decode(engine, config, latents, circular, partial(monitor.report, "decode"))
            with monitor.stage("vocoder"):
                waveforms = vocode(
                    engine, config, mel, circular, partial(monitor.report, "vocoder"), plan.vocoder_iterations
                )
            for index, (item, waveform) in enumerate(zip(batch.items, waveforms[:, : plan.num_samples], strict=True)):
                candidates.add(*item, waveform)
                if plan.is_sketched and candidates.is_best(*item):
                    sketched[item[0]] = mel[index : index + 1]
        for prompt, mel in sketched.items():
            with monitor.stage("vocoder"):
                waveforms = vocode(engine, config, mel, circular, partial(monitor.report, "vocoder"))
            candidates.finish(prompt, waveforms[0, : plan.num_samples])
    except Cancelled as stopped:
        raise Cancelled(str(stopped), candidates.clip(config.sample_rate, monitor.seconds)) from None
    except KeyboardInterrupt:
        raise Interrupted(candidates.clip(config.sample_rate, monitor.seconds)) from None
    clip = candidates.clip(config.sample_rate, monitor.seconds)
    assert clip is not None
    return clip


def _load(engine: Engine, functions: list[str], monitor: Monitor) -> None:
    with monitor.stage("load", total=len(functions)):
        for done, function in enumerate(functions, 1):
            engine.prepare(function)
            monitor.report("load", done, len(functions))


def _text_steps(encoder: PromptEncoder, request: GenerationRequest, is_guided: bool) -> int:
    """How often `_conditioning` calls `on_step`; at least 1, for the progress of the stage."""
    steps = 0
    if request.conditioning is None:
        steps += len(set(request.texts)) * encoder.num_steps(request.audio_condition.loa is not None)
    if is_guided and request.unconditional is None:
        steps += len(set(filter(None, request.negative_prompts))) * encoder.num_steps(has_loa=False)
    return max(1, steps)


def _conditioning(
    components: Components, request: GenerationRequest, is_guided: bool, on_step: Callable[[], None]
) -> tuple[Conditioning, Conditioning | None]:
    """Of all texts of `request`, and the unconditional half of each prompt."""
    encoder, unconditional = components.prompt_encoder, None
    # The unconditional half first, so that FLAN-T5 is run twice in a row: with little memory it is read once.
    if is_guided:
        unconditional = request.unconditional or _unconditional(encoder, request, on_step)
    conditioning = request.conditioning
    if conditioning is None:
        condition = request.audio_condition
        distinct = list(dict.fromkeys(request.texts))  # variations of a prompt share its conditioning
        encoded = encoder.encode(distinct, request.phonemes, condition.loa, on_step, condition.film)
        conditioning = encoded.take([distinct.index(text) for text in request.texts])
    return conditioning, unconditional


def _unconditional(encoder: PromptEncoder, request: GenerationRequest, on_step: Callable[[], None]) -> Conditioning:
    """The unconditional half of each prompt: its negative prompt if it has one."""
    distinct = list(dict.fromkeys(request.negative_prompts))
    encoded = [
        encoder.encode([text], request.phonemes, on_step=on_step) if text else encoder.unconditional(1)
        for text in distinct
    ]
    return reduce(concatenated, encoded).take([distinct.index(text) for text in request.negative_prompts])


def _predictor(
    components: Components,
    request: GenerationRequest,
    plan: Plan,
    batch: Batch,
    conditioning: Conditioning,
    unconditional: Conditioning | None,
    on_call: Callable[[], None],
) -> NoisePredictor | SectionPredictor:
    """The noise predictor of `batch`: of one for each section, each with the prompts that hold there."""
    engine, config = components.engine, components.config
    prompts = [prompt for prompt, _ in batch.items]
    predictors = []
    for index, schedule in enumerate(batch.schedules):
        texts = [request.texts_of(prompt)[index] for prompt in prompts]
        # One call has the items for each window, the unconditional half first.
        repeated = conditioning.take(texts * schedule.windows_per_call)
        if unconditional is not None:
            repeated = concatenated(unconditional.take(prompts * schedule.windows_per_call), repeated)
        predictors.append(NoisePredictor(engine, config, padded(repeated), schedule, on_call, plan.guidance_input))
    return predictors[0] if len(predictors) == 1 else SectionPredictor(engine, batch.sections, predictors)


def _denoising(
    components: Components,
    request: GenerationRequest,
    plan: Plan,
    items: list[Item],
    predictor: NoisePredictor | SectionPredictor,
) -> tuple[Inpainting | None, Iterator[tuple[int, Array]]]:
    """The denoising loop of `items`, which yields the latents (B, channels, T, bands) after each step."""
    engine, sampler, condition = components.engine, plan.sampler, request.audio_condition
    seeds = [request.seeds[prompt][candidate] for prompt, candidate in items]

    def noise(purpose: int, step: int = 0) -> Array:
        return engine.asarray(gaussian(plan.latent_shape, seeds, purpose, step))

    start = noise(INITIAL)
    latents, inpainting = sampler.initial(start), None
    if condition.init_latents is not None:
        init_latents = engine.asarray(condition.init_latents[None].astype(np.float32))
        if condition.strength < 1:
            latents = sampler.add_noise(0, init_latents, start)
        if condition.keep_mask is not None:
            keep_mask = engine.asarray(condition.keep_mask.astype(np.float32))
            inpainting = Inpainting(sampler, init_latents, keep_mask, partial(noise, KEPT))
    constrain = inpainting.constrain if inpainting else None
    return inpainting, denoise(
        predictor, sampler, latents, plan.guidance_scales, noise=partial(noise, STEP), constrain=constrain
    )


def _scorer(
    components: Components, request: GenerationRequest, monitor: Monitor, total: int
) -> Callable[[int, np.ndarray], np.ndarray]:
    """CLAP's similarity (B,) of waveforms (B, samples) with the prompt of an index. total: how many it will score.

    Of prompts over time it is the mean over these, each compared with the samples in which it holds.
    """
    engine, config = components.engine, components.config
    ranked = StepCounter(monitor, "rank", total)
    texts: list[np.ndarray] = []  # embeddings of all texts, once the first is needed

    def score(prompt: int, waveforms: np.ndarray) -> np.ndarray:
        with monitor.stage("rank", ranked.done, ranked.total):
            texts[:] = texts or components.prompt_encoder.embed_text(request.texts)
            starts = [0, *(round(cue.seconds * config.sample_rate) for cue in request.changes_of(prompt))]
            scores = [
                clap_scores(engine, texts[text], waveforms[:, start:end], config.sample_rate, config.clap_audio)
                for text, start, end in zip(request.texts_of(prompt), starts, [*starts[1:], None], strict=True)
            ]
            ranked.add(len(waveforms))
        return np.mean(scores, 0)

    return score
