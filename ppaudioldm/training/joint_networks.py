"""The forward passes of the stage `joint`: captions to contexts, noisy latents to predictions, noise to mels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.engines.states import Stateful, empty_states
from ppaudioldm.framework import Tensor, xp
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.training.caption_tokenizers import CaptionTokenizers
from ppaudioldm.training.dataset import seeded_rng
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.spoken import parallel_loa
from ppaudioldm.training.spoken_times import true_durations

Contexts = tuple[list[Tensor], list[Tensor]]  # the UNet's contexts (B, L, D) and their masks (B, L)


@dataclass(frozen=True)
class Condition:
    """What the networks make of captions and phonemes, and what they are trained on besides.

    states: of the text or phoneme encoder, (B, L, D). loa: GPT-2's tokens, (B, tokens, D). durations: of phonemes, in
    tokens, (B, L), and spoken: the first guess at the tokens, (B, tokens, D), where they are predicted.
    """

    states: Tensor
    loa: Tensor
    durations: Tensor | None = None
    spoken: Tensor | None = None


class JointNetworks:
    """The base class of the stage, which sets the attributes: training, evaluation and samples compute alike."""

    settings: JointSettings
    clap_text: Any
    decoder: Any
    _all: dict[str, Any]  # those that are trained, and those that stay as they are
    _device: str
    _schedule: NoiseSchedule
    _tokenize: CaptionTokenizers

    def condition(self, batch: Mapping[str, Tensor]) -> Condition:
        """The text or phoneme encoder's states, and the LOA tokens that GPT-2 predicts.

        batch: token ids and masks, as CaptionTokenizers gives them; ids of phonemes for a model that speaks. With
        `passes`, GPT-2 predicts all tokens at once, see `parallel_loa`; without, one after the other.
        """
        model, networks = self.settings.model, self._all
        assert model.loa and model.gpt2
        if model.phoneme_encoder:
            states, states_mask = (x.to(xp.float32) for x in networks["phoneme_encoder"](batch["phonemes"]))
        else:
            states_mask = batch["t5_mask"]
            states = networks["flan_t5"](batch["t5_ids"], states_mask).to(xp.float32)
        with framework.no_grad():
            clap = self.clap_text(batch["clap_ids"], batch["clap_mask"]).to(xp.float32).unsqueeze(1)
        masks = [xp.ones_like(states_mask[:, :1]), states_mask]
        durations = known = None
        if model.loa.duration_dim:
            durations = networks["loa"].durations([clap, states], states_mask).to(xp.float32)
            known = true_durations(batch["phoneme_times"], durations) if "phoneme_times" in batch else durations
        prefix, mask, *spoken = (x.to(xp.float32) for x in networks["loa"]([clap, states], masks, known))
        if "passes" in batch:
            empty = self._empty_cache(len(prefix))
            history = np.zeros((len(prefix), model.loa.num_tokens - 1, model.loa.hidden_size), np.float32)
            history = framework.from_numpy(history, self._device)
            loa = parallel_loa(self._gpt2, prefix, mask, empty, history, int(batch["passes"][0]), *spoken)
            return Condition(states, loa, durations, *spoken)
        gpt2 = Stateful(self._gpt2, self._empty_cache)
        loa = generate_loa(prefix, mask, gpt2, model.loa.num_tokens, xp.concat, model.gpt2.max_positions, *spoken)
        return Condition(states, loa, durations, *spoken)

    def _gpt2(self, *inputs: Any) -> tuple[Tensor, list[Tensor]]:
        hidden, cache = self._all["gpt2"](*inputs)
        return hidden.to(xp.float32), [x.to(xp.float32) for x in cache]

    def _empty_cache(self, batch: int) -> list[Tensor]:
        return [framework.from_numpy(x, self._device) for x in empty_states("gpt2", self.settings.model, batch)]

    def _unet(self, *inputs: Any) -> Tensor:
        return self._all["unet"](*inputs).to(xp.float32)

    def contexts(self, captions: Sequence[str], phonemes: np.ndarray | None = None) -> Contexts:
        """The UNet's contexts of `captions`: LOA tokens and text states. "" is the unconditional context.

        phonemes: (B, max_phonemes) int64, of a model that speaks.
        """
        arrays = self._tokenize(captions)
        if phonemes is not None:
            arrays["phonemes"] = phonemes
        tokens = {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}
        condition = self.condition(tokens)
        is_conditional = np.array([bool(caption) for caption in captions], np.float32)[:, None, None]
        loa = condition.loa * framework.from_numpy(is_conditional, self._device)
        contexts, masks = [loa], [xp.ones_like(loa[:, :, 0])]
        if "t5_mask" in tokens:
            contexts, masks = [*contexts, condition.states], [*masks, tokens["t5_mask"]]
        return contexts, masks

    def predict(self, noisy: Tensor, timestep: float, contexts: Contexts) -> Tensor:
        """The UNet's prediction of v, or the noise, for `noisy` latents (B, channels, T, bands)."""
        features = timestep_features(np.full(len(noisy), timestep), self.settings.model.unet.model_channels)
        return self._unet(noisy, framework.from_numpy(features, self._device), *contexts)

    def generate(
        self,
        captions: Sequence[str],
        seed: int,
        steps: int,
        guidance: float = 3.0,
        phonemes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Log-mel spectrograms (B, frames, 64) generated from `captions`, with classifier-free guidance.

        phonemes: as in `contexts`.
        """
        model = self.settings.model
        shape = (len(captions), model.vae.latent_channels, self.settings.latent_frames, model.latent_bands)
        latents = framework.from_numpy(seeded_rng(seed).standard_normal(shape, np.float32), self._device)
        sampler = make_sampler("dpm++", self._schedule, steps)
        with framework.no_grad():
            with_caption, without = (self.contexts(c, phonemes) for c in (captions, [""] * len(captions)))
            for i, timestep in enumerate(sampler.timesteps):
                empty = self.predict(latents, timestep, without)
                guided = empty + guidance * (self.predict(latents, timestep, with_caption) - empty)
                latents = sampler.step(i, guided, latents)
            return framework.to_numpy(self.decoder(latents))
