"""The pipeline of a checkpoint: text, speech and recordings to sound, and sound to latents and back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ppaudioldm.audio.mel import checked_waveform
from ppaudioldm.checkpoints import speech_names
from ppaudioldm.config import VOCODERS, ModelConfig
from ppaudioldm.diffusion.noise import item_seeds
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.engines.choice import chosen_engine, create_engine
from ppaudioldm.engines.engine import Engine
from ppaudioldm.errors import CheckpointError
from ppaudioldm.generation.audio_condition import Given
from ppaudioldm.generation.clip import Cancelled, Clip, Interrupted
from ppaudioldm.generation.decoding import decode, encode, latent_frames, mel_of, vocode
from ppaudioldm.generation.loa import recorded_loa
from ppaudioldm.generation.options import MAX_DURATION, Options, Progress, default_duration
from ppaudioldm.generation.run import Generation
from ppaudioldm.generation.text_condition import PromptEncoder
from ppaudioldm.weights.locate import Description, locate

__all__ = ["AudioLDM", "Cancelled", "Clip", "Given", "Interrupted"]

logger = logging.getLogger(__name__)


class AudioLDM:
    """AudioLDM 2: text to sound. Make one with `from_pretrained`."""

    def __init__(self, checkpoint: Description, engine: Engine, vocoder: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.config = _config(checkpoint, vocoder)
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
        vocoder: str | None = None,
        low_memory: bool = False,
    ) -> AudioLDM:
        """The pipeline of a published checkpoint (see CHECKPOINTS), downloaded if need be, or of a file or folder.

        engine: "openvino" (CPU; the networks are translated once and kept in a cache folder), "eager" (Paddle or
        PyTorch as they are) or "auto": openvino on a CPU, eager on a GPU. device: "cpu", "cuda:0" (PyTorch), "gpu:0"
        (Paddle); the best there is by default. precision: of the arithmetic, "f32", "bf16", "fp16" (PyTorch) or
        "auto": bf16 where a CPU or a PyTorch GPU has it. ema: use the averaged UNet of a published file. compile_step:
        let torch.compile make a program of the UNet step, worth it for many clips of one length on a GPU. vocoder:
        "network", or "griffin-lim", which needs none and sounds rougher; by default what the checkpoint has.
        low_memory: hold one network at a time, for half the memory or less, and read them again for every clip, which
        takes seconds. Networks are read when they are first needed.
        Raises ValueError, in one line, for an unknown name, engine or device, or a file that is no usable checkpoint.
        """
        chosen_engine(engine, device, precision, compile_step)  # so that an error comes before a download
        made = create_engine(locate(checkpoint), engine, device, precision, ema, compile_step, low_memory)
        return cls(*made, vocoder)

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        negative_prompt: str | None = None,
        duration: float | None = None,
        seed: int | Sequence[int] | None = None,
        preset: str = "fast",
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        spacing: str | None = None,
        num_waveforms_per_prompt: int | None = None,
        batch_size: int = 1,
        guidance_interval: tuple[float, float] | None = None,
        reuse: int | None = None,
        transcription: str | None = None,
        phonemes: str | None = None,
        given: Given | None = None,
        keep_candidates: bool = False,
        with_scores: bool = False,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> Clip:
        """Sound for `prompt`, or for each of several.

        negative_prompt: what it should not sound like. duration: seconds, exactly kept, from 0.3 to 600;
        by default 10, or what the checkpoint was trained on if that is shorter.
        seed: 0 to 2**63 - 1; the same seed makes the same clip, whatever the batch; None takes a new one; several are
        one for each prompt.
        preset: "fast" (DPM-Solver++, 10 steps, 1 candidate), "fine" (25 of them), "draft" (10, reuse 3) or "original"
        (DDIM, 200 steps, eta 1, the best of 3); what follows overrides parts. num_waveforms_per_prompt: candidates, of
        which the one that CLAP finds nearest to the prompt is kept. batch_size: candidates made at once;
        more need more memory, and are faster only on a GPU. guidance_interval: the part of the steps, from 0 to 1, that
        is guided; the others take half the time. reuse: how many guided steps use the same deep features of the UNet;
        all but the first of them take a tenth of the time. UNets with film (AudioLDM 1's) allow 1 only, so no "draft".
        transcription: the words to say, or phonemes: how they are pronounced, as espeak writes it; a speech
        checkpoint needs one of them, and the prompt says who speaks. What does not fit is an error: `speech.speak` says
        any length. given: what to start from besides the prompt, see `given.Given`; where that holds LOA tokens the
        prompt may be absent (None). keep_candidates: return all candidates too, as `Clip.candidates`. with_scores: have
        CLAP score a prompt's only candidate, too. progress: called after every step; stops the run, with `Cancelled`,
        when it returns False. `Cancelled`, and `Interrupted` after Ctrl-C, carry the best of what was complete.
        Raises ValueError for a value out of range, naming it and what is allowed.
        """
        options = Options.from_preset(
            preset,
            negative_prompt=negative_prompt,
            duration=self.default_duration if duration is None else duration,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
            eta=eta,
            spacing=spacing,
            num_waveforms_per_prompt=num_waveforms_per_prompt,
            batch_size=batch_size,
            guidance_interval=guidance_interval,
            reuse=reuse,
        )
        absent = prompt is None and given is not None and given.loa is not None
        texts = [prompt] if isinstance(prompt, str) else prompt
        prompts = [""] if absent else options.check_prompts(texts)  # type: ignore[arg-type]  # it is what checks
        known = None if absent else self.checkpoint.known_sounds
        if known and (warning := known.warning(self.checkpoint.name, prompts)):
            logger.warning("%s", warning)
        # Given LOA tokens are what would be spoken.
        needs_words = given is None or given.loa is None
        spoken = self._phoneme_ids(transcription, phonemes) if needs_words else None
        # Without a prompt nothing says which candidate is the best.
        count = 1 if absent and not keep_candidates else options.num_waveforms_per_prompt
        return Generation(
            self.config,
            self._engine,
            self._encoder,
            self._schedule,
            options,
            prompts,
            _seeds(seed, len(prompts), count),
            phonemes=spoken,
            given=given,
            keep_candidates=keep_candidates,
            with_scores=with_scores,
            progress=progress,
        ).run()

    @property
    def default_duration(self) -> float:
        """Seconds of a clip if `duration` is not given."""
        return default_duration(self.config.diffusion.clip_seconds)

    def latent_frames(self, duration: float, circular: bool = False) -> int:
        """How many latent frames a clip of `duration` seconds has; see `chunks.latent_frames`."""
        return latent_frames(self.config, round(duration * self.config.sample_rate), circular)

    def recorded_loa(self, waveform: np.ndarray) -> np.ndarray:
        """The LOA tokens (N, 768) of a recording (samples,), for `Given.loa`; see `recorded_loa.recorded_loa`."""
        return recorded_loa(self.checkpoint, self._engine, waveform)

    def encode_audio(self, waveform: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Latents (channels, T, bands) float32, scaled as the UNet sees them, of a recording.

        waveform: (samples,) floating point at `config.sample_rate`, up to 10 minutes; T is `latent_frames` of its
        duration, the rest is filled with silence. With a seed a sample of the VAE's posterior, else its mean.
        Raises ValueError for a waveform that is empty, too long, not finite, not 1-D or not floating point.
        """
        waveform = checked_waveform(waveform)
        if len(waveform) > MAX_DURATION * self.config.sample_rate:
            seconds = len(waveform) / self.config.sample_rate
            raise ValueError(f"the recording lasts {seconds:.1f} seconds, allowed: up to {MAX_DURATION:g}")
        return encode(self._engine, self.config, mel_of(self.config, waveform), seed)

    def decode_latents(self, latents: np.ndarray, circular: bool = False) -> np.ndarray:
        """The waveforms (B, T * samples_per_latent) float32 of scaled latents (B, channels, T, bands) float32.

        circular: the end of each continues in its start. Raises ValueError for latents of another shape.
        """
        channels, bands = self.config.vae.latent_channels, self.config.latent_bands
        if latents.ndim != 4 or latents.shape[1::2] != (channels, bands) or 0 in latents.shape:
            raise ValueError(f"latents have shape {latents.shape}, expected (B, {channels}, T, {bands})")
        mel = decode(self._engine, self.config, self._engine.asarray(latents.astype(np.float32)), circular)
        return vocode(self._engine, self.config, mel, circular)

    def _phoneme_ids(self, transcription: str | None, phonemes: str | None) -> np.ndarray | None:
        """What a speech checkpoint is to say, (1, 310) int64. Raises ValueError if that is missing, or for another."""
        encoder = self.config.phoneme_encoder
        if encoder is None:
            if transcription is not None or phonemes is not None:
                raise ValueError(f"transcription is for speech checkpoints: {', '.join(speech_names())}")
            return None
        if (transcription is None) == (phonemes is None):
            raise ValueError("transcription is missing: a speech checkpoint needs it, or phonemes, and not both")
        from ppaudioldm.text.phonemes import phoneme_ids, to_phonemes

        if phonemes is None:
            assert transcription is not None
            phonemes = to_phonemes(transcription)
        ids = phoneme_ids(phonemes, encoder.max_phonemes)
        if ids.max() >= encoder.vocab_size:
            raise CheckpointError(f"phoneme {ids.max()} is needed, but the checkpoint knows {encoder.vocab_size}")
        return ids


def _config(checkpoint: Description, vocoder: str | None) -> ModelConfig:
    """The checkpoint's, with another vocoder. Raises ValueError for one that it does not have."""
    config = checkpoint.config
    if vocoder is None:
        return config
    if vocoder not in VOCODERS:
        raise ValueError(f"unknown vocoder {vocoder!r}, choose from {', '.join(VOCODERS)}")
    if vocoder == "network" and config.vocoder.method != "network":
        raise ValueError(f"{checkpoint.name} has no vocoder network, its vocoder is {config.vocoder.method}")
    return replace(config, vocoder=replace(config.vocoder, method=vocoder))


def _seeds(seed: int | Sequence[int] | None, prompts: int, candidates: int) -> list[list[int]]:
    """Of the candidates of each prompt. Raises ValueError unless there is one for all prompts, or one for each."""
    if seed is None:
        seed = secrets.randbelow(2**32)
    if not isinstance(seed, Sequence):
        return [item_seeds(seed, candidates)] * prompts
    if len(seed) != prompts:
        raise ValueError(f"{len(seed)} seeds for {prompts} prompts, allowed: one for all, or one for each")
    return [item_seeds(one, candidates) for one in seed]
