"""The training stage `joint`: text encoder, GPT-2 and latent diffusion UNet together, as in arXiv:2308.05734.

From CLAP's embedding and the text encoder's states GPT-2 predicts LOA tokens; the targets are AudioMAE's tokens of the
clip. The UNet denoises the clip's latents, conditioned on LOA tokens and text states; on GPT-2's tokens more often than
on AudioMAE's, since generation from text has no others. CLAP, AudioMAE and the VAE are frozen: `pretrained.py`. The
trained networks are initialised randomly, or from a checkpoint, which is then fine-tuned. In a model that speaks, the
phoneme encoder takes the place of the text encoder before GPT-2, and the UNet is conditioned on LOA tokens alone.
Here are its batches and its loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.names import safe_name
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.framework import F, Tensor, xp
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training import precision
from ppaudioldm.training.ahead import Ahead
from ppaudioldm.training.average import set_values
from ppaudioldm.training.caption_tokenizers import CaptionTokenizers
from ppaudioldm.training.contrast import paraphrase_loss
from ppaudioldm.training.dataset import (
    ClipFeatures,
    Dataset,
    held_out_of,
    kinds_of,
    paraphrases_of,
    seeded_rng,
    synthesised_clips,
)
from ppaudioldm.training.encoded import EncodedClips, Layout, Window, decode_captions, fingerprint
from ppaudioldm.training.initialise import build_trainable, freeze
from ppaudioldm.training.joint_evaluation import evaluation_errors
from ppaudioldm.training.joint_networks import Condition, JointNetworks
from ppaudioldm.training.joint_settings import JointSettings, learnable, pretrained_of
from ppaudioldm.training.latent_map import latent_error, latent_map
from ppaudioldm.training.lora import NETWORK as LORA
from ppaudioldm.training.lora import attach_adapter
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.pretrained import PretrainedWeights, Statistics, unchanged
from ppaudioldm.training.recompute import recompute_blocks
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.runs import frozen_network
from ppaudioldm.training.samples import SOUNDS, Samples
from ppaudioldm.training.settings import as_values
from ppaudioldm.training.spoken import initialise_positions, padded_phoneme_ids
from ppaudioldm.training.spoken_times import duration_loss, padded_phoneme_times, times_in_tokens
from ppaudioldm.training.vocabulary import warn_of_other_captions

COMPILED_TOKENS = 64
MAPPED_CLIPS = 256  # that the map from LOA tokens to latents is made of
BATCHES_AHEAD = 4  # whose clips the workers synthesise while a batch is trained on
SAMPLE_STEPS = 20  # denoising steps of the samples
# From here to there, as shares of the timesteps, predictions of a trained UNet with and without the caption differ;
# alpha_bar is 0.23 and 0.002.
MIDDLE = (0.4, 0.85)


class JointStage(JointNetworks):
    name = "joint"

    def __init__(
        self, settings: JointSettings, device: str = "cpu", clips: Dataset | None = None, trains: bool = True
    ) -> None:
        """trains: False for another stage, which uses the frozen networks of a checkpoint, and its encoded clips."""
        if settings.run.workers:
            raise ValueError(f"run.workers is {settings.run.workers}, allowed: 0, this stage reads encoded clips")
        self.settings = settings
        self.ema = settings.ema
        trained = settings.learned if trains and not settings.lora.rank else ()
        # A run without a checkpoint keeps also what it does not train: it is all that the next one starts from.
        kept = trained if settings.checkpoint else learnable(settings.model)
        self.updates: Mapping[str, tuple[str, ...]] = {"all": trained or (LORA,)}
        self._device = device
        self._computed_in = precision.resolve_precision(settings.run.precision, device)
        self._schedule = NoiseSchedule(settings.model.diffusion)
        self._alpha_bars = self._schedule.alphas_cumprod.astype(np.float32)
        pretrained = pretrained_of(settings)
        if not trains:  # nor are there tokens of a recording to train on
            pretrained = replace(pretrained, audiomae={})
        self._tokenize = CaptionTokenizers(pretrained.tokenizer_json, settings.model)
        self.networks: dict[str, Any] = {}
        for name in kept:
            network_class, field_name = NETWORKS[name]
            network = build_trainable(name, network_class, getattr(settings.model, field_name), settings.seed, device)
            if name in pretrained.start:
                set_values(dict(network.named_parameters()), pretrained.start[name])
            if name not in trained:
                freeze(network)
            self.networks[name] = network
        if settings.model.phoneme_encoder and not pretrained.start:
            initialise_positions(self.networks)
        frozen = {
            name: frozen_network(name, settings.model, pretrained.start[name], device)
            for name in learnable(settings.model)
            if name not in kept
        }
        self._all = {**self.networks, **frozen}
        if settings.lora.rank:
            if settings.run.recompute:
                recompute_blocks(frozen["unet"])
            self.networks[LORA] = attach_adapter(
                frozen["unet"], settings.model.unet, settings.lora, settings.seed, device
            )
        clips = clips or synthesised_clips(settings.synthesised, settings.duration, settings.kinds)
        if settings.model.phoneme_encoder and isinstance(clips, Recordings):
            raise ValueError("recordings have captions but no phonemes, which a model that speaks is trained on")
        if not settings.checkpoint:
            warn_of_other_captions(Path(settings.tokenizers), clips)
        self._paraphrases_of = paraphrases_of(clips)
        if settings.paraphrases and self._paraphrases_of is None:
            raise ValueError(
                f"paraphrases is {settings.paraphrases}, allowed with recordings, which have one caption each: 0"
            )
        self._sounds = list(dict.fromkeys(kinds_of(clips)))  # a kind may be listed twice, to be sampled twice as often
        self._load_frozen(pretrained, clips)

    def _load_frozen(self, pretrained: PretrainedWeights, clips: Dataset) -> None:
        """Build the frozen VAE, CLAP and AudioMAE, and open the cache of the clips that they encode."""
        settings, model, device = self.settings, self.settings.model, self._device
        self.clap_text = frozen_network("clap_text", model, pretrained.clap_text, device)
        self._audiomae = None
        if not (settings.with_captions or pretrained.audiomae):
            raise ValueError(f"with_captions is false, allowed where {settings.checkpoint} has no AudioMAE: true")
        self._fbank_frames = pretrained.audiomae_config.frames if pretrained.audiomae else 0
        if pretrained.audiomae:
            self._audiomae = frozen_network(
                "audiomae", replace(model, audiomae=pretrained.audiomae_config), pretrained.audiomae, device
            )
        encoder, _ = pretrained.vae(np.zeros(model.vae.latent_channels), np.ones(model.vae.latent_channels))
        self.encoder = frozen_network("vae_encoder", model, encoder, device)
        assert model.loa
        loa = (model.loa.num_tokens, model.loa.hidden_size) if pretrained.audiomae else ()
        phonemes = model.phoneme_encoder.max_phonemes if model.phoneme_encoder else 0
        layout = Layout((model.vae.latent_channels, settings.latent_frames, model.latent_bands), loa, phonemes)
        source = {"vae": fingerprint(encoder), "audiomae": fingerprint(pretrained.audiomae), "clips": repr(clips)}
        held_out = held_out_of(clips)
        folder = Path(settings.encoded)
        self._ahead = Ahead(ClipFeatures(clips, self._fbank_frames), settings.workers)
        replaced = {"replaced_from": settings.clips} if settings.clip_uses else {}
        self._clips = EncodedClips(
            folder, settings.clips, layout, source | replaced, lambda n: self._encode(self._ahead(n))
        )
        features = ClipFeatures(held_out, self._fbank_frames)
        source["clips"] = repr(held_out)
        self._held_out = EncodedClips(
            folder, settings.held_out, layout, source, lambda n: self._encode([features(number) for number in n])
        )
        self.mean, self.deviation = pretrained.latents or self._clips.statistics()
        self.loa_mean, self.loa_deviation = self._loa_statistics(pretrained)
        self._latent_map = None
        if settings.latent_weight and pretrained.audiomae:
            rows = self._clips[range(min(MAPPED_CLIPS, settings.clips))]
            found = latent_map(self._loa(rows), self._normalised(rows["latents"]))
            self._latent_map = framework.from_numpy(found, device)
        _, decoder = pretrained.vae(self.mean, self.deviation)
        self.decoder = frozen_network("vae_decoder", model, decoder, device)

    def _loa_statistics(self, pretrained: PretrainedWeights) -> Statistics:
        """Mean and deviation that AudioMAE's tokens are normalised with, by channel."""
        is_measured = self.settings.normalise_loa and pretrained.audiomae and not pretrained.loa
        return self._clips.statistics("loa") if is_measured else pretrained.loa or unchanged(pretrained.audiomae_config)

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        latents = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        lora = {"lora": as_values(self.settings.lora)} if self.settings.lora.rank else {}
        is_normalised = self.loa_mean.any() or (self.loa_deviation != 1).any()
        loa = {"mean": self.loa_mean.tolist(), "deviation": self.loa_deviation.tolist()}
        return {
            "networks": as_values(self.settings.model),
            "latents": latents,
            "sounds": self._sounds,
            **({"loa": loa} if is_normalised else {}),
            **lora,
        }

    def data(self, index: int) -> dict[str, np.ndarray]:
        """A batch: latents, AudioMAE's LOA tokens, token ids; and all random draws, such as noise and timesteps."""
        settings = self.settings
        size = settings.batch_size
        if settings.workers:
            for later in range(index + 1, index + 1 + BATCHES_AHEAD):
                self._ahead.plan(self._clips.missing(self.draw(later)[0]))
        numbers, generator = self.draw(index)
        rows = self._clips[numbers]
        is_conditional = generator.random(size) >= settings.unconditional
        captions = [
            caption if keep and settings.with_captions else ""
            for caption, keep in zip(decode_captions(rows), is_conditional, strict=True)
        ]
        latents = self._normalised(rows["latents"])
        timesteps = self._timesteps(generator)
        batch = {
            "latents": latents,
            "noise": generator.standard_normal(latents.shape, np.float32),
            "alpha_bar": self._alpha_bars[timesteps][:, None, None, None],
            "time_features": timestep_features(timesteps, settings.model.unet.model_channels),
            "is_conditional": is_conditional.astype(np.float32)[:, None, None],
            "is_from_audiomae": (generator.random(size) < settings.recorded_loa).astype(np.float32)[:, None, None],
            "index": np.full(1, index, np.int64),
            **self._tokenize(captions),
        }
        if self._audiomae is not None:
            batch["loa"] = self._loa(rows)
        if (phonemes := self._phonemes(rows)) is not None:
            batch["phonemes"] = phonemes
        if settings.loa_passes:
            batch["passes"] = generator.integers(0, settings.loa_passes, 1, endpoint=True)
        if settings.model.phoneme_encoder and settings.model.loa:
            tokens = settings.model.loa.num_tokens
            batch["phoneme_times"] = times_in_tokens(rows["phoneme_times"], settings.duration / tokens)
        return batch | self._paraphrases(index)

    def _timesteps(self, generator: np.random.Generator) -> np.ndarray:
        """The timesteps (B,) of a batch."""
        size, count = self.settings.batch_size, self._schedule.num_train_timesteps
        timesteps = generator.integers(0, count, size)
        if share := self.settings.middle_timesteps:
            first, end = (round(bound * count) for bound in MIDDLE)
            timesteps = np.where(generator.random(size) < share, generator.integers(first, end, size), timesteps)
        return timesteps

    def _paraphrases(self, index: int) -> dict[str, np.ndarray]:
        """Token ids and masks (2 B, L) of two captions each of B clips; none where they are not trained on."""
        count = self.settings.paraphrases
        if self._paraphrases_of is None or not count:
            return {}
        pairs = [self._paraphrases_of(number) for number in range(index * count, (index + 1) * count)]
        tokens = self._tokenize([first for first, _ in pairs] + [second for _, second in pairs])
        return {"paraphrase_ids": tokens["t5_ids"], "paraphrase_mask": tokens["t5_mask"]}

    def _phonemes(self, rows: np.ndarray) -> np.ndarray | None:
        """Ids (B, max_phonemes) int64 of what is said in encoded clips; None for a model without a phoneme encoder."""
        return rows["phonemes"].astype(np.int64) if self.settings.model.phoneme_encoder else None

    def draw(self, index: int) -> tuple[list[int], np.random.Generator]:
        """The numbers of the clips in the batch of this index, and the generator for its other random draws."""
        settings = self.settings
        generator = seeded_rng(settings.seed, index)
        drawn = settings.clips_before + index * settings.batch_size
        window = Window(settings.clips, settings.clip_uses).at(drawn)
        return generator.integers(window.start, window.stop, settings.batch_size).tolist(), generator

    def encoded(self, numbers: Sequence[int], held_out: bool = False) -> tuple[np.ndarray, list[str]]:
        """Latents (B, channels, T, bands) as the UNet sees them, and captions, of the clips of these numbers."""
        rows = (self._held_out if held_out else self._clips)[numbers]
        return self._normalised(rows["latents"]), decode_captions(rows)

    @property
    def unet(self) -> Any:
        return self._all["unet"]

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of v (or the noise), the same weight at all timesteps, and of GPT-2's own LOA tokens.

        Without teacher forcing GPT-2 predicts tokens from its own earlier ones, as in generation. With paraphrases, the
        text encoder also learns which captions describe the same clip.
        """
        settings = self.settings
        if not settings.with_captions:
            error = self._error(batch, self._states(batch), batch["loa"] * batch["is_conditional"])
            return error, {self._error_name: error.detach()}
        with framework.no_grad() if settings.trains_unet_alone else nullcontext():
            condition = self.condition(batch)
        is_conditional, is_from_audiomae = batch["is_conditional"], batch["is_from_audiomae"]
        errors = {}
        if condition.durations is not None:
            errors["duration_error"] = duration_loss(condition.durations, batch["phoneme_times"])
        if "loa" not in batch:
            errors[self._error_name] = self._error(batch, condition.states, condition.loa * is_conditional)
        else:
            if "unet" in settings.learned and int(batch["index"][0]) >= settings.loa_steps:
                mixed = batch["loa"] * is_from_audiomae + condition.loa * (1 - is_from_audiomae)
                errors[self._error_name] = self._error(batch, condition.states, mixed * is_conditional)
            if not settings.trains_unet_alone:
                errors |= self._loa_errors(batch, condition)
        if "paraphrase_ids" in batch:
            mask = batch["paraphrase_mask"]
            states = self._all["flan_t5"](batch["paraphrase_ids"], mask).to(xp.float32)
            errors["paraphrase_error"] = paraphrase_loss(states, mask)
        weights = {
            "loa_error": settings.loa_weight,
            "latent_error": settings.latent_weight,
            "spoken_error": settings.latent_weight,
            "paraphrase_error": settings.paraphrase_weight,
            "duration_error": settings.duration_weight,
        }
        weighted = [error * weights.get(name, 1.0) for name, error in errors.items()]
        return sum(weighted[1:], weighted[0]), {name: error.detach() for name, error in errors.items()}

    def _states(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """The text encoder's states (B, L, D), without gradients; None for a model without one."""
        if "t5_ids" not in batch:
            return None
        with framework.no_grad():
            states: Tensor = self._all["flan_t5"](batch["t5_ids"], batch["t5_mask"]).to(xp.float32)
        return states

    def _loa_errors(self, batch: Mapping[str, Tensor], condition: Condition) -> dict[str, Tensor]:
        """Mean squared errors of the predicted tokens, and of the latents mapped from them and from the first guess."""
        errors = {"loa_error": ((condition.loa - batch["loa"]) ** 2 * batch["is_conditional"]).mean()}
        if self._latent_map is not None:
            for name, tokens in (("latent_error", condition.loa), ("spoken_error", condition.spoken)):
                if tokens is not None:
                    wrong = (tokens - batch["loa"]) * batch["is_conditional"]
                    errors[name] = latent_error(wrong, self._latent_map).mean()
        return errors

    @property
    def _error_name(self) -> str:
        return f"{self._schedule.prediction}_error"

    def _error(self, batch: Mapping[str, Tensor], states: Tensor | None, loa: Tensor) -> Tensor:
        """Mean squared error of the UNet's prediction: v, or the noise."""
        latents, noise, alpha_bar = batch["latents"], batch["noise"], batch["alpha_bar"]
        signal, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        contexts, masks = [loa], [xp.ones_like(loa[:, :, 0])]
        if states is not None and "t5_mask" in batch:
            mask = batch["t5_mask"]
            if "unet" in self.settings.run.compile:  # it is compiled for each length of the text
                padding = -states.shape[1] % COMPILED_TOKENS
                states, mask = F.pad(states, (0, 0, 0, padding)), F.pad(mask, (0, padding))
            contexts, masks = [*contexts, states], [*masks, mask]
        noisy = signal * latents + sigma * noise
        predicted = self._unet(noisy, batch["time_features"], contexts, masks)
        is_v = self._schedule.prediction == "v"
        target = signal * noise - sigma * latents if is_v else noise
        return ((predicted - target) ** 2).mean()

    def _normalised(self, latents: np.ndarray) -> np.ndarray:
        shape = (1, -1, 1, 1)
        return ((latents - self.mean.reshape(shape)) / self.deviation.reshape(shape)).astype(np.float32)

    def _loa(self, rows: np.ndarray) -> np.ndarray:
        """AudioMAE's tokens (B, tokens, channels) of encoded clips, normalised."""
        return ((rows["loa"] - self.loa_mean) / self.loa_deviation).astype(np.float32)

    def _encode(self, clips: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The fields of `EncodedClips` for clips as `ClipFeatures` returns them."""
        fields: dict[str, Any] = {"caption": [clip["caption"] for clip in clips]}
        if encoder := self.settings.model.phoneme_encoder:
            ids = padded_phoneme_ids([clip["phonemes"] for clip in clips], encoder.max_phonemes)
            times = [padded_phoneme_times(clip["phoneme_times"], row) for clip, row in zip(clips, ids, strict=True)]
            fields |= {"phonemes": ids, "phoneme_times": np.stack(times)}
        with framework.no_grad(), precision.autocast(self._computed_in, self._device):
            mels = framework.from_numpy(np.stack([clip["mel"] for clip in clips]), self._device)
            fields["latents"] = framework.to_numpy(self.encoder(mels)[0])
            if self._audiomae is not None:
                fbanks = framework.from_numpy(np.stack([clip["fbank"] for clip in clips]), self._device)
                fields["loa"] = framework.to_numpy(self._audiomae(fbanks))
        return fields

    def evaluate(self) -> dict[str, float]:
        """Errors on held-out clips: see `evaluation_errors`."""
        rows = self._held_out[range(self.settings.held_out)]
        loa = None if self._audiomae is None else self._loa(rows)
        latents, captions, phonemes = self._normalised(rows["latents"]), decode_captions(rows), self._phonemes(rows)
        return evaluation_errors(self, self._schedule, latents, captions, phonemes, loa, self._device)

    def sample(self, samples: Samples) -> None:
        """Spectrograms generated from held-out captions, the captions, and sounds of the first of them."""
        rows = self._held_out[range(min(8, self.settings.held_out))]
        captions, phonemes = decode_captions(rows), self._phonemes(rows)
        mels = self.generate(captions, 0, SAMPLE_STEPS, phonemes=phonemes)
        samples.spectrograms([[mel] for mel in mels])
        samples.text(captions)
        for caption, mel in list(zip(captions, mels, strict=True))[:SOUNDS]:
            samples.sound_of_mel(safe_name(caption, 60), mel)
