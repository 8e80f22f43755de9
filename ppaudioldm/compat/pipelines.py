"""The pipelines of `compat`, with the arguments of diffusers 0.42 and ppdiffusers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppaudioldm.compat.base import (
    AudioPipelineOutput,
    Callback,
    Pipeline,
    check_output_type,
    negative_texts,
    texts_of,
)
from ppaudioldm.compat.embeddings import Embeddings, PromptEmbedder
from ppaudioldm.compat.tensors import as_tensor, to_numpy
from ppaudioldm.config import ModelConfig
from ppaudioldm.generation.text_condition import Conditioning, conditioning_of_embeddings

__all__ = ["AudioLDM2Pipeline", "AudioLDMPipeline", "AudioPipelineOutput"]


class AudioLDM2Pipeline(Pipeline):
    """Text, or speech, to sound with an AudioLDM 2 checkpoint, under diffusers' names.

    The same arguments and noise give the latents of diffusers; clips longer than those of training are decoded in
    chunks. `num_waveforms_per_prompt` are ranked by CLAP without further packages.
    """

    def _check_checkpoint(self) -> None:
        if not self._pipeline.config.contexts:
            raise ValueError(f"{self._located.name} is conditioned by FiLM: use AudioLDMPipeline")
        if self._pipeline.config.unet.guidance_dim:
            raise ValueError(
                f"{self._located.name} is a consistency model, which diffusers lacks: use ppaudioldm.AudioLDM"
            )

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        device: Any = None,
        num_waveforms_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        transcription: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: Any = None,
        negative_prompt_embeds: Any = None,
        generated_prompt_embeds: Any = None,
        negative_generated_prompt_embeds: Any = None,
        attention_mask: Any = None,
        negative_attention_mask: Any = None,
        max_new_tokens: int | None = None,
    ) -> tuple[Any, Any, Any]:
        """prompt_embeds, attention_mask and generated_prompt_embeds of `prompt`, see `__call__`.

        With guidance the unconditional half comes first in each, so that they have twice as many items.
        device: not used.
        """
        embeddings = self._embeddings(
            prompt, transcription, prompt_embeds, attention_mask, generated_prompt_embeds, max_new_tokens
        )
        result = embeddings.repeated(num_waveforms_per_prompt)
        if do_classifier_free_guidance:
            negative = self._negative(
                embeddings, negative_prompt, negative_prompt_embeds, negative_attention_mask,
                negative_generated_prompt_embeds, max_new_tokens,
            )  # fmt: skip
            result = result.after(negative.repeated(num_waveforms_per_prompt))
        arrays = (result.prompt_embeds, result.attention_mask, result.generated_prompt_embeds)
        embeds, mask, generated = (None if array is None else as_tensor(array, self._library) for array in arrays)
        return embeds, mask, generated

    def __call__(
        self,
        prompt: str | list[str] | None = None,
        transcription: str | list[str] | None = None,
        audio_length_in_s: float | None = None,
        num_inference_steps: int = 200,
        guidance_scale: float = 3.5,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int | None = 1,
        eta: float = 0.0,
        generator: Any = None,
        latents: Any = None,
        prompt_embeds: Any = None,
        negative_prompt_embeds: Any = None,
        generated_prompt_embeds: Any = None,
        negative_generated_prompt_embeds: Any = None,
        attention_mask: Any = None,
        negative_attention_mask: Any = None,
        max_new_tokens: int | None = None,
        return_dict: bool = True,
        callback: Callback | None = None,
        callback_steps: int | None = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
        output_type: str | None = "np",
    ) -> Any:
        """Sound for `prompt`, as `.audios` (B, samples), at `pipe.vocoder.config.sampling_rate`.

        transcription: what a speech checkpoint says. audio_length_in_s: exactly kept; by default 10.24. guidance_scale:
        above 1 guides away from negative_prompt, or from an empty text. num_waveforms_per_prompt: of each prompt,
        ranked by CLAP, the best first. eta: of DDIM. generator: see `tensors.NoiseSource`. latents: standard normal
        noise (B, channels, T, bands) to start from. prompt_embeds, attention_mask, generated_prompt_embeds and their
        negatives: what `encode_prompt` computes, in its place. callback(step, timestep, latents): every callback_steps.
        return_dict: False for a tuple. cross_attention_kwargs: "scale" of the LoRA adapters. output_type: "np", "pt"
        (PyTorch), "pd" (Paddle) or "latent". Raises ValueError for a value out of range or a combination that makes no
        sense.
        """
        check_output_type(output_type)
        frames, samples = self._lengths(audio_length_in_s)
        count = checked_count(num_waveforms_per_prompt)
        if prompt is not None and prompt_embeds is not None:
            raise ValueError("prompt and prompt_embeds are both given, allowed: one of them")
        if negative_prompt is not None and negative_prompt_embeds is not None:
            raise ValueError("negative_prompt and negative_prompt_embeds are both given, allowed: one of them")
        embeddings = self._embeddings(
            prompt, transcription, prompt_embeds, attention_mask, generated_prompt_embeds, max_new_tokens
        )
        contexts = self._pipeline.config.contexts
        unconditional = None
        if guidance_scale > 1:
            negative = self._negative(
                embeddings, negative_prompt, negative_prompt_embeds, negative_attention_mask,
                negative_generated_prompt_embeds, max_new_tokens,
            )  # fmt: skip
            unconditional = negative.repeated(count).conditioning(contexts)
        conditioning = embeddings.repeated(count).conditioning(contexts)
        denoised = self._sample(
            conditioning, unconditional, frames, num_inference_steps, guidance_scale, eta, generator, latents,
            callback, callback_steps, cross_attention_kwargs,
        )  # fmt: skip
        if output_type == "latent":
            return AudioPipelineOutput(as_tensor(self._pipeline.engine.to_numpy(denoised), self._library))
        audio = self._audio(denoised, samples)
        if count > 1 and prompt is not None:
            audio = self._ranked(texts_of(prompt), audio, count)
        return self._output(audio, output_type, return_dict)

    @property
    def _embedder(self) -> PromptEmbedder:
        return PromptEmbedder(self._pipeline.checkpoint, self._pipeline.engine)

    def _embeddings(
        self,
        prompt: str | list[str] | None,
        transcription: str | list[str] | None,
        prompt_embeds: Any,
        attention_mask: Any,
        generated_prompt_embeds: Any,
        max_new_tokens: int | None,
    ) -> Embeddings:
        """What the caller computed, or else what the text encoders make of the prompt."""
        if prompt_embeds is None:
            if prompt is None:
                raise ValueError("prompt is missing, or else prompt_embeds and generated_prompt_embeds are")
            texts = texts_of(prompt)
            return self._embedder.embed(texts, self._phonemes(transcription, len(texts)), max_new_tokens)
        if generated_prompt_embeds is None and "loa" in self._pipeline.config.contexts:
            raise ValueError("generated_prompt_embeds are missing: prompt_embeds need them")
        return _given(self._pipeline.config, "", prompt_embeds, attention_mask, generated_prompt_embeds)

    def _negative(
        self,
        embeddings: Embeddings,
        negative_prompt: str | list[str] | None,
        prompt_embeds: Any,
        attention_mask: Any,
        generated_prompt_embeds: Any,
        max_new_tokens: int | None,
    ) -> Embeddings:
        """The unconditional half beside `embeddings`."""
        assert embeddings.prompt_embeds is not None
        batch, length = embeddings.prompt_embeds.shape[:2]
        if prompt_embeds is None:
            return self._embedder.embed_negative(negative_texts(negative_prompt, batch), length, max_new_tokens)
        if generated_prompt_embeds is None and "loa" in self._pipeline.config.contexts:
            raise ValueError("negative_generated_prompt_embeds are missing: negative_prompt_embeds need them")
        negative = _given(self._pipeline.config, "negative_", prompt_embeds, attention_mask, generated_prompt_embeds)
        assert negative.prompt_embeds is not None
        if negative.prompt_embeds.shape != embeddings.prompt_embeds.shape:
            raise ValueError(
                f"negative_prompt_embeds have shape {negative.prompt_embeds.shape}, and prompt_embeds"
                f" {embeddings.prompt_embeds.shape}, allowed: the same"
            )
        return negative

    def _phonemes(self, transcription: str | list[str] | None, count: int) -> np.ndarray | None:
        """The phonemes (count, 310) of `transcription`; None for a checkpoint that does not speak."""
        encoder = self._pipeline.config.phoneme_encoder
        if encoder is None:
            return None
        if transcription is None:
            raise ValueError("transcription is missing: a speech checkpoint needs it")
        texts = texts_of(transcription, "transcription")
        if len(texts) not in (1, count):
            raise ValueError(f"{len(texts)} transcriptions for {count} prompts, allowed: one for all, or one for each")
        from ppaudioldm.text.phonemes import phoneme_ids, to_phonemes

        ids = [phoneme_ids(to_phonemes(text), encoder.max_phonemes) for text in texts]
        return np.concatenate(ids if len(ids) == count else ids * count)


class AudioLDMPipeline(Pipeline):
    """Text to sound with a checkpoint whose UNet gets CLAP's embedding by FiLM, under diffusers' names.

    That is AudioLDM 1, and `audioldm_48k`.
    """

    def _check_checkpoint(self) -> None:
        if not self._pipeline.config.unet.film_dim:
            raise ValueError(f"{self._located.name} is an AudioLDM 2 checkpoint: use AudioLDM2Pipeline")

    def __call__(
        self,
        prompt: str | list[str] | None = None,
        audio_length_in_s: float | None = None,
        num_inference_steps: int = 10,
        guidance_scale: float = 2.5,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int | None = 1,
        eta: float = 0.0,
        generator: Any = None,
        latents: Any = None,
        prompt_embeds: Any = None,
        negative_prompt_embeds: Any = None,
        return_dict: bool = True,
        callback: Callback | None = None,
        callback_steps: int | None = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
        output_type: str | None = "np",
    ) -> Any:
        """Sound for `prompt`: the arguments of `AudioLDM2Pipeline`, of which this architecture has fewer.

        prompt_embeds, negative_prompt_embeds: CLAP's embeddings (B, 512), of length 1. Waveforms are in the order in
        which they were generated: this pipeline does not rank them.
        """
        check_output_type(output_type)
        frames, samples = self._lengths(audio_length_in_s)
        count = checked_count(num_waveforms_per_prompt)
        for name, text, embeds in (
            ("prompt", prompt, prompt_embeds),
            ("negative_prompt", negative_prompt, negative_prompt_embeds),
        ):
            if text is not None and embeds is not None:
                raise ValueError(f"{name} and {name}_embeds are both given, allowed: one of them")
        embeddings = self._clap("prompt_embeds", None if prompt is None else texts_of(prompt), prompt_embeds)
        unconditional = None
        if guidance_scale > 1:
            texts = negative_texts(negative_prompt, len(embeddings))
            negative = self._clap("negative_prompt_embeds", texts, negative_prompt_embeds)
            if negative.shape != embeddings.shape:
                raise ValueError(f"negative_prompt_embeds have shape {negative.shape}, expected {embeddings.shape}")
            unconditional = Conditioning((), (), np.repeat(negative, count, axis=0))
        denoised = self._sample(
            Conditioning((), (), np.repeat(embeddings, count, axis=0)), unconditional, frames, num_inference_steps,
            guidance_scale, eta, generator, latents, callback, callback_steps, cross_attention_kwargs,
        )  # fmt: skip
        if output_type == "latent":
            return AudioPipelineOutput(as_tensor(self._pipeline.engine.to_numpy(denoised), self._library))
        return self._output(self._audio(denoised, samples), output_type, return_dict)

    def _clap(self, name: str, texts: list[str] | None, embeds: Any) -> np.ndarray:
        """CLAP's embeddings (B, 512): the caller's, or those of `texts`."""
        pipeline = self._pipeline
        if embeds is None:
            if texts is None:
                raise ValueError(f"prompt is missing, or else {name} are")
            return PromptEmbedder(pipeline.checkpoint, pipeline.engine).embed_clap(texts)
        array = to_numpy(embeds)
        if array.ndim != 2 or array.shape[1] != pipeline.config.unet.film_dim:
            raise ValueError(f"{name} have shape {array.shape}, expected (B, {pipeline.config.unet.film_dim})")
        return array


def checked_count(num_waveforms_per_prompt: int | None) -> int:
    count = 1 if num_waveforms_per_prompt is None else num_waveforms_per_prompt
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"num_waveforms_per_prompt is {count!r}, allowed: whole numbers from 1")
    return count


def _given(
    config: ModelConfig, prefix: str, prompt_embeds: Any, attention_mask: Any, generated_prompt_embeds: Any
) -> Embeddings:
    """Embeddings that a caller computed. Raises ValueError for what does not fit the checkpoint or each other."""
    embeds = to_numpy(prompt_embeds)
    mask = np.ones(embeds.shape[:2], np.float32) if attention_mask is None else to_numpy(attention_mask)
    generated = None if generated_prompt_embeds is None else to_numpy(generated_prompt_embeds)
    attends = "flan_t5" in config.contexts  # of a speech checkpoint, they only count
    conditioning_of_embeddings(config, embeds if attends else None, mask if attends else None, generated, prefix)
    return Embeddings(embeds, mask.astype(np.float32), generated)
