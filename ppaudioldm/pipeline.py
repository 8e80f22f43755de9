"""The pipeline of a checkpoint: text, speech and recordings to sound, and sound to latents and back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.mel import checked_waveform
from ppaudioldm.checkpoints import CHECKPOINTS, speech_names
from ppaudioldm.choices import VOCODERS
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.noise import attempt_seeds, item_seeds
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.engines.adapted import AdaptedEngines
from ppaudioldm.engines.choice import chosen_engine, create_engine
from ppaudioldm.engines.engine import Engine
from ppaudioldm.errors import CheckpointError, quoted
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.generation.candidates import clap_embedding
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.decoding import OnChunk, decode, latent_frames, vocode
from ppaudioldm.generation.encoding import encode, padded_log_mel
from ppaudioldm.generation.finishing import finished, without_finishing
from ppaudioldm.generation.loa import encode_loa
from ppaudioldm.generation.options import (
    MAX_DURATION,
    Options,
    ProgressCallback,
    check_texts,
    default_duration,
    merged_options,
    with_defaults,
)
from ppaudioldm.generation.prompt_schedule import PromptSchedule, split_first
from ppaudioldm.generation.provenance import Provenance, Source, stored_options
from ppaudioldm.generation.run import Components, GenerationRequest, run
from ppaudioldm.generation.text_condition import Conditioning, PromptEncoder, conditioning_of_embeddings
from ppaudioldm.weights.locate import Description, locate

logger = logging.getLogger(__name__)


class AudioLDM:
    """AudioLDM 2: text to sound. Open a checkpoint with `from_pretrained`."""

    def __init__(
        self,
        checkpoint: Description,
        engine: Engine,
        vocoder: str | None = None,
        adapted: AdaptedEngines | None = None,
        source: Source | None = None,
    ) -> None:
        """adapted: the engines with LoRA adapters; None: it has none. source: what the tags of files name."""
        self.checkpoint = checkpoint
        self.source = source or Source(checkpoint.name)
        self.config = _config(checkpoint, vocoder)
        self.engine = engine
        self._adapted = adapted
        self._prompt_encoder = PromptEncoder(checkpoint, engine)
        self._components = Components(self.config, engine, self._prompt_encoder, NoiseSchedule(self.config.diffusion))

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        *,
        engine: str | None = None,
        device: str | None = None,
        precision: str = "auto",
        ema: bool | None = None,
        compile_step: bool = False,
        vocoder: str | None = None,
        low_memory: bool = False,
        adapters: Mapping[str, str | Path] | None = None,
        only_named_adapters: bool = False,
    ) -> AudioLDM:
        """The pipeline of a published checkpoint (see CHECKPOINTS), downloaded if need be, or of a file or folder.

        engine: "openvino" (CPU; the networks are translated once and kept in a cache folder), "eager" (Paddle or
        PyTorch as they are) or "auto": openvino on a CPU, eager on a GPU. device: "cpu", "cuda:0" (PyTorch), "gpu:0"
        (Paddle); the best there is by default. precision: of the arithmetic, "f32", "bf16", "fp16" (PyTorch) or "auto":
        bf16 where a CPU or a PyTorch GPU has it. ema: whether to use the averaged UNet of a published file; by default
        as the published program does, for AudioLDM 1 and not for AudioLDM 2. compile_step: let torch.compile make a
        program of the UNet step, worth it for many clips of one length on a GPU. vocoder: "network", or "griffin-lim",
        which needs none and sounds rougher; by default what the checkpoint has. low_memory: hold one network at a time,
        for half the memory or less, and read them again for every clip, which takes seconds. adapters: name -> path of
        LoRA adapters, which `generate(lora="NAME:0.8")` may choose besides any path; with only_named_adapters no path.
        Networks and adapters are read when they are first needed.
        Raises ValueError, in one line, for an unknown name, engine or device, or a file that is no usable checkpoint.
        """
        name = chosen_engine(engine, device, precision, compile_step)  # so that an error comes before a download
        located = locate(checkpoint)
        settings = (engine, device, precision, ema, compile_step, low_memory)
        description, chosen = create_engine(located, *settings)
        adapted = AdaptedEngines(
            chosen,
            lambda merged: create_engine(located, *settings, merged)[1],
            {name: Path(path) for name, path in (adapters or {}).items()},
            only_named_adapters,
            low_memory,
        )
        # A text that is a published name is that checkpoint; a path may end in the same name.
        is_published = isinstance(checkpoint, str) and checkpoint in CHECKPOINTS
        licence = CHECKPOINTS[str(checkpoint)].licence if is_published else description.licence or ""
        opened_with = {"engine": name, "precision": getattr(chosen, "precision", None), "ema": ema, "vocoder": vocoder}
        present = {keyword: value for keyword, value in opened_with.items() if value is not None}
        return cls(description, chosen, vocoder, adapted, Source(description.name, licence, present))

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        options: Options | None = None,
        *,
        preset: str | None = None,
        seed: int | Sequence[int] | None = None,
        transcription: str | None = None,
        phonemes: str | None = None,
        audio_condition: AudioCondition | None = None,
        prompt_embeds: np.ndarray | None = None,
        attention_mask: np.ndarray | None = None,
        generated_prompt_embeds: np.ndarray | None = None,
        negative_prompt_embeds: np.ndarray | None = None,
        negative_attention_mask: np.ndarray | None = None,
        negative_generated_prompt_embeds: np.ndarray | None = None,
        keep_candidates: bool = False,
        with_scores: bool = False,
        progress: ProgressCallback | None = None,
        **overrides: Any,
    ) -> Clip:
        """Sound for `prompt`, or for each of several.

        options: the settings; or preset: "fast" (DPM-Solver++, 10 steps, 1 candidate; the default; of consistencytta
        its own sampler, 1 step), "fine" (25 steps),
        "draft" (10 steps, reuse 3) or "original" (DDIM, 200 steps, eta 1, the best of 3). Fields of `Options` given as
        keywords (`duration=5`) override it:

        - negative_prompt: what it should not sound like; a sequence has one for each prompt. duration: seconds, exactly
          kept, from 0.3 to 600; by default 10, or the length of the checkpoint's training clips if that is shorter.
        - num_inference_steps, guidance_scale, sampler, eta, spacing: of the denoising. guidance_interval: the share of
          the steps, from 0 to 1, that is guided; the others take half the time. The guidance scale is by default that
          of the published program: 3.5, or 2.5 for AudioLDM 1, 4 for consistencytta, of whose UNet it is an input.
          A checkpoint or an adapter that is distilled has its own sampler ("lcm"), steps and scale by default.
        - num_waveforms_per_prompt: candidates, of which the one that CLAP scores nearest to the prompt is kept. By
          default 1, for which a checkpoint may make several attempts (`diffusion.best_of`) with seeds far apart, unless
          it starts from a recording; the seed of the best, `Clip.seeds`, generates it alone where this is 1.
          batch_size: candidates generated at once; more need more memory, and are faster only on a GPU.
        - lora: LoRA adapters that are merged into the UNet, each a path or name with a scale, such as
          "bells.safetensors:0.8"; a text, or several. Preparing one takes seconds, once for each scale.
        - variations: clips of each prompt, one after another in the result, each with as many candidates; the next one
          has the seeds that follow. trim: without the silence at both ends. at_once: `duration` from where the sound
          begins, of a clip that is generated SPARE_S longer. stereo: (prompts, samples, 2), decorrelated, the mean of
          both channels being the mono clip. normalize: with a true peak of -1 dBFS. See `generation.finishing`.
        - reuse: how many guided steps in a row share the deep features of the UNet (DeepCache); all but the first of
          them take a tenth of the time.
        - prompt_schedule: pairs (seconds, prompt), up to 32: from that time on the prompt takes the place of the one
          before, into which it is cross-faded. `prompt` holds from the start; where it is None, the first of these
          does. It takes hardly longer than one prompt; candidates are scored against the prompt of each time.

        seed: 0 to 2**63 - 1; the same seed gives the same clip, whatever the batch; None draws a new one; a sequence
        has one for each prompt. transcription: the words to say, or phonemes: how they are pronounced, as espeak writes
        it; a speech checkpoint needs one of them, and the prompt describes the speaker. What does not fit is an error:
        `tasks.speak` speaks texts of any length. audio_condition: what to start from besides the prompt, which may be
        None where the condition holds features of a recording. prompt_embeds, attention_mask, generated_prompt_embeds:
        FLAN-T5 states (B, L, D), their mask (B, L) and LOA tokens (B, N, D) in place of what the text encoders compute
        from a prompt, which may then be None; with "negative_", in place of the unconditional half. Names and shapes
        are those of diffusers. keep_candidates: return all of them too, as `Clip.candidates`. with_scores: CLAP scores
        a prompt's only candidate, too. progress: called after every step; returning False stops the run with
        `Cancelled`. `Cancelled`, and `Interrupted` after Ctrl-C, carry the best of what was complete. Raises ValueError
        for a value out of range, naming it and what is allowed.
        """
        negatives = overrides.get("negative_prompt")
        has_one_each = negatives is not None and not isinstance(negatives, str)
        options = merged_options(options, preset, overrides | {"negative_prompt": None} if has_one_each else overrides)
        condition = audio_condition or AudioCondition()
        conditioning = conditioning_of_embeddings(self.config, prompt_embeds, attention_mask, generated_prompt_embeds)
        unconditional = conditioning_of_embeddings(
            self.config,
            negative_prompt_embeds,
            negative_attention_mask,
            negative_generated_prompt_embeds,
            prefix="negative_",
        )
        if conditioning is not None and condition.replaces_prompt:
            raise ValueError("prompt_embeds and features of an audio_condition are both set, allowed: one of them")
        has_features = condition.replaces_prompt or conditioning is not None
        if options.prompt_schedule and has_features:
            raise ValueError("prompt_schedule is set, but embeddings or a recording take the place of prompts")
        prompt, schedule = _opened(prompt, options.prompt_schedule)
        options = replace(
            self.with_defaults(options),
            duration=self.default_duration if options.duration is None else options.duration,
            prompt_schedule=schedule,
        )
        is_absent = prompt is None and has_features
        count = conditioning.count if conditioning else 1
        texts: Any = [prompt] if isinstance(prompt, str) else prompt
        prompts = [""] * count if is_absent else check_texts(texts)
        _check_counts(prompts, conditioning, unconditional)
        if not is_absent:
            # The task speak, which generates from phonemes piece by piece, warns once; an adapter may know others.
            if phonemes is None and not options.lora:
                self.warn_of_unknown_sounds(prompts, schedule)
            if condition.film is not None:
                logger.warning("the recording takes the place of the prompt, which only scores the result")
        negative_prompts = _negative_prompts(negatives if has_one_each else options.negative_prompt, len(prompts))
        # Without a prompt there is nothing by which to choose between candidates.
        count = 1 if is_absent and not keep_candidates else options.candidates
        seeds = _seeds(seed, len(prompts), count, options.variations)
        is_from_text = not (has_features or transcription or phonemes) and condition.init_latents is None
        has_attempts = options.num_waveforms_per_prompt is None and is_from_text and not keep_candidates
        if has_attempts:  # at once: so small a checkpoint is faster in batches on a CPU too
            seeds = [attempt_seeds(one, self.config.best_of) for (one,) in seeds]
            options = replace(options, batch_size=max(options.batch_size, self.config.best_of))
        rows = [row for row in range(len(prompts)) for _ in range(options.variations)]
        prompts, negative_prompts = [prompts[row] for row in rows], [negative_prompts[row] for row in rows]
        conditioning, unconditional = (
            conditioning and conditioning.take(rows),
            unconditional and unconditional.take(rows),
        )
        is_repeatable = not (has_features or unconditional or audio_condition or transcription or phonemes)
        request = GenerationRequest(
            replace(without_finishing(options), variations=1),
            prompts,
            negative_prompts,
            seeds,
            conditioning,
            unconditional,
            # LOA tokens already hold what is spoken.
            None if has_features else self._phoneme_ids(transcription, phonemes),
            condition,
            keep_candidates,
            with_scores,
            has_attempts and self.config.best_of > 1,
            _provenance(self.source, options, prompts, negative_prompts, is_repeatable),
        )
        if self.config.unet.guidance_dim is None:
            _warn_of_unused_settings(request)
        components = replace(self._components, engine=self.engine_with(options.lora))
        try:
            return finished(run(components, request, progress), options)
        except (Cancelled, Interrupted) as stopped:
            stopped.clip = stopped.clip and finished(stopped.clip, options)
            raise

    def with_defaults(self, options: Options) -> Options:
        """`options` with the guidance scale, the steps and the sampler of the checkpoint where they have none.

        Or with those of a LoRA adapter that distills it. Raises ValueError for an adapter that may not be chosen, and
        for an option that the sampler does not have.
        """
        sampling = self._adapted.sampling(options.lora) if self._adapted is not None else None
        diffusion = self.config.diffusion
        return with_defaults(options, sampling.applied(diffusion) if sampling else diffusion)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of LoRA adapters that `lora` may choose besides paths."""
        return tuple(self._adapted.named) if self._adapted else ()

    def check_lora(self, lora: Sequence[str]) -> None:
        """Raise ValueError for an adapter that may not be chosen, before any is read."""
        if self._adapted is not None:
            self._adapted.check(lora)

    def engine_with(self, lora: Sequence[str]) -> Engine:
        """The engine with LoRA adapters, each PATH[:SCALE]. Raises ValueError for one that cannot be used."""
        if self._adapted is not None:
            return self._adapted.engine(lora)
        if lora:
            raise ValueError(
                f"lora is {quoted(list(lora))}, allowed: none, unless from_pretrained opened the checkpoint"
            )
        return self.engine

    @property
    def default_duration(self) -> float:
        """Seconds of a clip by default."""
        return default_duration(self.config.diffusion.clip_seconds)

    def latent_frames(self, duration: float, circular: bool = False) -> int:
        """How many latent frames a clip of `duration` seconds has; see `generation.decoding`."""
        return latent_frames(self.config, round(duration * self.config.sample_rate), circular)

    def embed_text(self, prompts: Sequence[str]) -> np.ndarray:
        """CLAP embeddings (B, 512) of `prompts`, of length 1. Raises ValueError for a checkpoint without CLAP."""
        if self.config.clap_text is None:
            raise ValueError(f"{self.checkpoint.name} has no CLAP, which compares sounds with texts")
        return self._prompt_encoder.embed_text(check_texts(prompts))

    def embed_audio(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """The CLAP embedding (512,) float32, of length 1, of the first 10 s of `waveform` (samples,).

        Its dot product with a text's embedding is their similarity, -1 to 1. Raises ValueError for a checkpoint without
        CLAP, and for a waveform that is empty or not finite.
        """
        if self.config.clap_audio is None:
            raise ValueError(f"{self.checkpoint.name} has no CLAP, which compares sounds with texts")
        return clap_embedding(self.engine, waveform, sample_rate, self.config.clap_audio)

    def encode_loa(self, waveform: np.ndarray) -> np.ndarray:
        """AudioMAE's LOA tokens (N, 768) of a recording (samples,), for `AudioCondition.loa`; see `generation.loa`."""
        return encode_loa(self.checkpoint, self.engine, waveform)

    def condition_like(self, waveform: np.ndarray) -> AudioCondition:
        """What makes a clip resemble a recording (samples,) at `config.sample_rate`, in place of a prompt.

        AudioMAE's LOA tokens of it, or CLAP's embedding where that conditions the UNet. Raises ValueError for a
        checkpoint that has neither.
        """
        if self.config.recording_encoder == "clap_audio":
            return AudioCondition(film=self.embed_audio(waveform, self.config.sample_rate))
        return AudioCondition(loa=self.encode_loa(waveform))

    def no_condition(self) -> AudioCondition:
        """What takes the place of a prompt where any sound will do: the unconditional half of training."""
        if self.config.unet.film_dim:
            return AudioCondition(film=self._prompt_encoder.unconditional(1).film[0])  # type: ignore[index]
        if (loa := self.config.loa) is None:
            raise ValueError(f"prompt is missing, which {self.checkpoint.name} needs")
        return AudioCondition(loa=np.zeros((loa.num_tokens, loa.hidden_size), np.float32))

    def encode_audio(
        self, waveform: np.ndarray, seed: int | None = None, on_chunk: OnChunk | None = None
    ) -> np.ndarray:
        """Latents (channels, T, bands) float32, scaled as the UNet sees them, of a recording.

        waveform: (samples,) floating point at `config.sample_rate`, up to 10 minutes; T is `latent_frames` of its
        duration, the rest is filled with silence. With a seed a sample of the VAE's posterior, else its mean. on_chunk:
        called with how many of the chunks of a long recording are done, and of how many; what it raises ends the work.
        Raises ValueError for a waveform that is empty, too long, not finite, not 1-D or not floating point.
        """
        waveform = checked_waveform(waveform)
        if len(waveform) > MAX_DURATION * self.config.sample_rate:
            seconds = len(waveform) / self.config.sample_rate
            raise ValueError(f"the recording lasts {seconds:.1f} seconds, allowed: up to {MAX_DURATION:g}")
        return encode(self.engine, self.config, padded_log_mel(self.config, waveform), seed, on_chunk)

    def decode_latents(self, latents: np.ndarray, circular: bool = False) -> np.ndarray:
        """The waveforms (B, T * samples_per_latent) float32 of scaled latents (B, channels, T, bands) float32.

        circular: the end of each continues in its start. Raises ValueError for latents of another shape.
        """
        channels, bands = self.config.vae.latent_channels, self.config.latent_bands
        if latents.ndim != 4 or latents.shape[1::2] != (channels, bands) or 0 in latents.shape:
            raise ValueError(f"latents have shape {latents.shape}, expected (B, {channels}, T, {bands})")
        mel = decode(self.engine, self.config, self.engine.asarray(latents.astype(np.float32)), circular)
        return vocode(self.engine, self.config, mel, circular)

    def warn_of_unknown_sounds(self, prompts: list[str], schedule: PromptSchedule = ()) -> None:
        """Of the first of `prompts` that names no sound, or no speaker, that the checkpoint was trained on, and of each
        such one of `schedule`."""
        known, speaks = self.checkpoint.known_sounds, self.config.phoneme_encoder is not None
        for texts in [prompts, *([text] for text in dict.fromkeys(cue.prompt for cue in schedule))]:
            if known and (warning := known.warning(self.checkpoint.name, texts, speaks)):
                logger.warning("%s", warning)

    def _phoneme_ids(self, transcription: str | None, phonemes: str | None) -> np.ndarray | None:
        """The phonemes to be spoken, (1, 310) int64; None for other checkpoints. Raises ValueError for none or both."""
        encoder = self.config.phoneme_encoder
        if encoder is None:
            if transcription is not None or phonemes is not None:
                raise ValueError(f"transcription is for speech checkpoints: {', '.join(speech_names())}")
            return None
        if (transcription is None) == (phonemes is None):
            raise ValueError("transcription is missing: a speech checkpoint needs it, or phonemes, and not both")
        from ppaudioldm.text.language import warn_of_other_language
        from ppaudioldm.text.phonemes import phoneme_ids, to_phonemes

        if phonemes is None:
            assert transcription is not None
            warn_of_other_language(transcription)
            phonemes = to_phonemes(transcription)
        ids = phoneme_ids(phonemes, encoder.max_phonemes)
        if ids.max() >= encoder.vocab_size:
            raise CheckpointError(f"phoneme {ids.max()} is needed, but the checkpoint knows {encoder.vocab_size}")
        return ids


def _config(checkpoint: Description, vocoder: str | None) -> ModelConfig:
    """The checkpoint's configuration with the vocoder of that name. Raises ValueError for one that it does not have."""
    config = checkpoint.config
    if vocoder is None:
        return config
    if vocoder not in VOCODERS:
        raise ValueError(f"unknown vocoder {quoted(vocoder)}, choose from {', '.join(VOCODERS)}")
    if vocoder == "network" and config.vocoder.method != "network":
        raise ValueError(f"{checkpoint.name} has no vocoder network, its vocoder is {config.vocoder.method}")
    return replace(config, vocoder=replace(config.vocoder, method=vocoder))


def _opened(
    prompt: str | Sequence[str] | None, schedule: PromptSchedule
) -> tuple[str | Sequence[str] | None, PromptSchedule]:
    """The first prompt, or several, and the schedule without that of the first. Raises ValueError for two at a time."""
    if prompt is None or isinstance(prompt, str):
        return split_first(prompt, schedule)
    return prompt, split_first("", schedule)[1]


def _check_counts(prompts: list[str], *conditionings: Conditioning | None) -> None:
    """Raise ValueError for embeddings of another number than there are prompts."""
    for conditioning in conditionings:
        if conditioning is not None and conditioning.count != len(prompts):
            raise ValueError(f"{conditioning.count} embeddings for {len(prompts)} prompts, allowed: one for each")


def _negative_prompts(negative: str | Sequence[str | None] | None, prompts: int) -> list[str | None]:
    """The negative prompt of each prompt, None where it is empty. Raises ValueError for another number of them."""
    if negative is None or isinstance(negative, str):
        return [negative] * prompts
    if not isinstance(negative, Sequence):
        raise ValueError(f"negative_prompt is {quoted(negative)}, allowed: a text, or a list with one for each prompt")
    if len(negative) != prompts:
        raise ValueError(
            f"{len(negative)} negative prompts for {prompts} prompts, allowed: one for all, or one for each"
        )
    return [Options(negative_prompt=text).negative_prompt for text in negative]


def _provenance(
    source: Source, options: Options, prompts: list[str], negatives: list[str | None], is_repeatable: bool
) -> list[Provenance]:
    """Of each prompt, without a seed. is_repeatable: whether prompt, seed and settings are all that made the clip."""
    if not is_repeatable:
        return [Provenance(source)] * len(prompts)
    # The seed of a candidate generates it again alone.
    alone = replace(options, num_waveforms_per_prompt=1, batch_size=1, variations=1)
    return [
        Provenance(
            source,
            {"task": "generate", "prompt": prompt, "options": stored_options(replace(alone, negative_prompt=no))},
        )
        for prompt, no in zip(prompts, negatives, strict=True)
    ]


def _warn_of_unused_settings(request: GenerationRequest) -> None:
    """Without guidance there is no unconditional half: say which settings then change nothing."""
    if request.options.guidance_scale != 1:
        return
    unused = ["negative_prompt"] if any(request.negative_prompts) or request.unconditional else []
    unused += ["reuse"] if request.options.reuse > 1 else []
    if unused:
        logger.warning("guidance_scale is 1, so %s changes nothing", " and ".join(unused))


def _seeds(seed: int | Sequence[int] | None, prompts: int, candidates: int, variations: int) -> list[list[int]]:
    """The seeds of the candidates of each variation of each prompt, those of a prompt in a row.

    Raises ValueError unless there is one for all, or one for each.
    """
    if seed is None:
        seed = secrets.randbelow(2**32)
    if not isinstance(seed, Sequence):
        seed = [seed] * prompts
    if len(seed) != prompts:
        raise ValueError(f"{len(seed)} seeds for {prompts} prompts, allowed: one for all, or one for each")
    rows = [item_seeds(one, candidates * variations) for one in seed]
    return [row[i : i + candidates] for row in rows for i in range(0, len(row), candidates)]
