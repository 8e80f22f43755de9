"""The training stage `joint`: text encoder, GPT-2 and latent diffusion UNet together, as in arXiv:2308.05734.

From CLAP's embedding and the text encoder's states GPT-2 predicts LOA tokens; the targets are AudioMAE's tokens of the
clip. The UNet denoises the clip's latents, conditioned on LOA tokens and text states; on GPT-2's tokens more often than
on AudioMAE's, since generation from text has no others. CLAP, AudioMAE and the VAE are frozen: `pretrained.py`. The
trained networks are initialised randomly, or from a checkpoint, which is then fine-tuned. In a model that speaks, the
phoneme encoder takes the place of the text encoder before GPT-2, and the UNet is conditioned on LOA tokens alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.names import safe_name
from ppaudioldm.checkpoints import derivatives_warning
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule, add_noise
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.engines.states import Stateful, empty_states
from ppaudioldm.errors import shown
from ppaudioldm.framework import F, Tensor, xp
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training import precision, tiny
from ppaudioldm.training.ahead import Ahead
from ppaudioldm.training.average import set_values
from ppaudioldm.training.caption_tokenizers import CaptionTokenizers
from ppaudioldm.training.dataset import (
    ClipFeatures,
    Dataset,
    check_synthesised,
    held_out_of,
    kinds_of,
    seeded_rng,
    synthesised_clips,
)
from ppaudioldm.training.encoded import EncodedClips, Layout, Window, decode_captions, fingerprint
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.lora import NETWORK as LORA
from ppaudioldm.training.lora import LoraSettings, attach_adapter
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.pretrained import (
    PretrainedWeights,
    Statistics,
    check_trainable,
    from_checkpoint,
    from_runs,
    unchanged,
)
from ppaudioldm.training.recompute import recompute_blocks
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.runs import frozen_network
from ppaudioldm.training.samples import SOUNDS, Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.spoken import initialise_positions, padded_phoneme_ids, teacher_forced_loa
from ppaudioldm.training.vocabulary import warn_of_other_captions
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.config_check import check_config

logger = logging.getLogger(__name__)

LEARNED = ("unet", "flan_t5", "gpt2", "loa")
LEARNED_TO_SPEAK = ("unet", "phoneme_encoder", "gpt2", "loa")
EVALUATED_TIMESTEPS = (850, 950)  # nearly all noise: where the prediction depends on the caption
COMPILED_TOKENS = 64
BATCHES_AHEAD = 4  # whose clips the workers synthesise while a batch is trained on
SAMPLE_STEPS = 20  # denoising steps of the samples
Contexts = tuple[list[Tensor], list[Tensor]]  # the UNet's contexts (B, L, D) and their masks (B, L)


@dataclass(frozen=True)
class JointSettings:
    """Settings of the stage; the defaults train the networks of the checkpoint `tiny`.

    vae, clap, audiomae: folders of finished runs; audiomae may be "": then GPT-2 has no target tokens and learns from
    the UNet's loss alone. tokenizers: a folder with both. With a checkpoint all of these are the checkpoint's own: see
    `settings_for`.
    """

    vae: str = "runs/vae"
    clap: str = "runs/clap"
    audiomae: str = "runs/audiomae"
    tokenizers: str = "runs/tokenizers"
    encoded: str = "runs/encoded"  # folder of the cache of encoded clips
    start: str = ""  # folder of a run of this stage, whose averaged weights are the initial weights
    checkpoint: str = ""  # name or path of a checkpoint to fine-tune
    learned: tuple[str, ...] = LEARNED  # the networks to train; the others stay as in the checkpoint
    lora: LoraSettings = field(
        default_factory=LoraSettings
    )  # with a rank, an adapter of the UNet is all that is trained
    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    clips: int = 20000  # in the training set at a time; may grow from one run to the next
    clip_uses: float = 20.0  # on average, then a clip is replaced by a new one; 0: the clips stay the same
    workers: int = 0  # processes that synthesise or read clips ahead of time; 0: the training process does
    batch_size: int = 16
    unconditional: float = 0.1  # share of the clips without caption, for classifier-free guidance
    recorded_loa: float = 0.25  # share of the clips with AudioMAE's tokens instead of GPT-2's
    loa_weight: float = 1.0
    normalise_loa: bool = True  # AudioMAE's tokens, by channel: most of a token is the same in all clips
    # GPT-2 predicts each LOA token from AudioMAE's tokens before it, all at once; without, from its own, one after the
    # other as in generation, which takes too long for many tokens.
    teacher_forcing: bool = False
    scheduled_sampling: float = 0.5  # with teacher forcing: share of AudioMAE's tokens that GPT-2's own replace
    sampling_passes: int = 1  # of GPT-2, without gradients, to predict those
    loa_steps: int = 200  # at the start, which train GPT-2 and text encoder without the UNet
    model: ModelConfig = tiny.MODEL
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(rate=6e-4, warmup=500, decay_steps=100_000)
    )
    held_out: int = 64  # clips for evaluation
    ema: float = 0.9995
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=100_000, evaluate_every=1000))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        check_range(self, 1, LARGEST, "batch_size", "clips", "held_out", "sampling_passes")
        check_range(self, 0, LARGEST, "clip_uses", "workers", "loa_weight", "loa_steps", "seed")
        check_range(self, 0, 1, "unconditional", "recorded_loa", "scheduled_sampling", "ema")
        networks = learnable(self.model)
        if not self.learned or not set(self.learned) <= set(networks):
            raise ValueError(f"learned is {list(self.learned)}, allowed: some of {', '.join(networks)}")
        if set(self.learned) != set(networks) and not self.checkpoint:
            raise ValueError(f"learned is {list(self.learned)}, allowed without a checkpoint: all networks")
        if self.lora.rank and (self.learned != ("unet",) or not self.checkpoint):
            raise ValueError(
                f"lora.rank is {self.lora.rank}, allowed with a checkpoint, and with unet alone as learned: 0"
            )
        if self.teacher_forcing and not (self.audiomae or self.checkpoint):
            raise ValueError("teacher_forcing is true, allowed with audiomae, whose tokens GPT-2 is given")
        if self.model.phoneme_encoder and self.synthesised != "speech":
            raise ValueError(f"synthesised is {shown(self.synthesised)}, allowed with a phoneme encoder: speech")
        if self.loa_steps and set(self.learned) == {"unet"}:
            raise ValueError(
                f"loa_steps is {self.loa_steps}, but no network that predicts LOA tokens is trained, allowed: 0"
            )
        check_config(self.model)
        step = self.model.unet.downsampling
        mel_frames = round(self.duration * self.model.sample_rate) // self.model.vocoder.hop_length
        if mel_frames % (step * self.model.vae.downsampling) or not mel_frames:
            seconds = step * self.model.samples_per_latent / self.model.sample_rate
            raise ValueError(f"duration is {self.duration:g}, allowed: multiples of {seconds:g} seconds")

    @property
    def latent_frames(self) -> int:
        return round(self.duration * self.model.sample_rate) // self.model.samples_per_latent


def learnable(model: ModelConfig) -> tuple[str, ...]:
    """The networks of `model` that this stage trains."""
    return LEARNED_TO_SPEAK if model.phoneme_encoder else LEARNED


def settings_for(name_or_path: str, lora: LoraSettings | None = None) -> JointSettings:
    """Default settings to fine-tune a checkpoint, or to train an adapter for it.

    Raises ValueError for one that this stage cannot train.
    """
    checkpoint = open_checkpoint(name_or_path)
    model = checkpoint.config
    check_trainable(name_or_path, model)
    if warning := derivatives_warning(checkpoint.licence, "what is trained"):
        logger.warning("%s", warning)
    return JointSettings(
        checkpoint=name_or_path,
        learned=("unet",) if lora else learnable(model),
        lora=lora or LoraSettings(),
        model=model,
        duration=model.diffusion.clip_seconds,
        clips=6000,
        clip_uses=0,
        batch_size=8,
        loa_steps=0,
        optimizer=OptimizerConfig(rate=1e-4, warmup=50, decay_steps=2000),
        held_out=32,
        ema=0.998,
        run=RunConfig(steps=2000),
    )


class JointStage:
    name = "joint"

    def __init__(self, settings: JointSettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        if settings.run.workers:
            raise ValueError(f"run.workers is {settings.run.workers}, allowed: 0, this stage reads encoded clips")
        self.settings = settings
        self.ema = settings.ema
        trained = () if settings.lora.rank else settings.learned
        self.updates: Mapping[str, tuple[str, ...]] = {"all": trained or (LORA,)}
        self._device = device
        self._computed_in = precision.resolve_precision(settings.run.precision, device)
        self._schedule = NoiseSchedule(settings.model.diffusion)
        self._alpha_bars = self._schedule.alphas_cumprod.astype(np.float32)
        pretrained = _pretrained(settings)
        self._tokenize = CaptionTokenizers(pretrained.tokenizer_json, settings.model)
        self.networks: dict[str, Any] = {}
        for name in trained:
            network_class, field_name = NETWORKS[name]
            network = build_trainable(name, network_class, getattr(settings.model, field_name), settings.seed, device)
            if name in pretrained.start:
                set_values(dict(network.named_parameters()), pretrained.start[name])
            self.networks[name] = network
        if settings.model.phoneme_encoder and not pretrained.start:
            initialise_positions(self.networks)
        frozen = {
            name: frozen_network(name, settings.model, pretrained.start[name], device)
            for name in learnable(settings.model)
            if name not in trained
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
        self._sounds = list(dict.fromkeys(kinds_of(clips)))  # a kind may be listed twice, to be sampled twice as often
        self._load_frozen(pretrained, clips)

    def _load_frozen(self, pretrained: PretrainedWeights, clips: Dataset) -> None:
        """Build the frozen VAE, CLAP and AudioMAE, and open the cache of the clips that they encode."""
        settings, model, device = self.settings, self.settings.model, self._device
        self.clap_text = frozen_network("clap_text", model, pretrained.clap_text, device)
        self._audiomae = None
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
                self._ahead.plan(self._clips.missing(self._draw(later)[0]))
        numbers, generator = self._draw(index)
        rows = self._clips[numbers]
        is_conditional = generator.random(size) >= settings.unconditional
        captions = [
            caption if keep else "" for caption, keep in zip(decode_captions(rows), is_conditional, strict=True)
        ]
        latents = self._normalised(rows["latents"])
        timesteps = generator.integers(0, self._schedule.num_train_timesteps, size)
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
        if settings.teacher_forcing:
            is_sampled = generator.random((size, batch["loa"].shape[1], 1)) < settings.scheduled_sampling
            batch["is_sampled"] = is_sampled.astype(np.float32)
        return batch

    def _phonemes(self, rows: np.ndarray) -> np.ndarray | None:
        """Ids (B, max_phonemes) int64 of what is said in encoded clips; None for a model without a phoneme encoder."""
        return rows["phonemes"].astype(np.int64) if self.settings.model.phoneme_encoder else None

    def _draw(self, index: int) -> tuple[list[int], np.random.Generator]:
        """The numbers of the clips in the batch of this index, and the generator for its other random draws."""
        settings = self.settings
        generator = seeded_rng(settings.seed, index)
        window = Window(settings.clips, settings.clip_uses).at(index * settings.batch_size)
        return generator.integers(window.start, window.stop, settings.batch_size).tolist(), generator

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of v (or the noise), the same weight at all timesteps, and of GPT-2's own LOA tokens.

        Without teacher forcing GPT-2 predicts tokens from its own earlier ones, as in generation.
        """
        settings = self.settings
        states, loa = self.condition(batch)
        is_conditional, is_from_audiomae = batch["is_conditional"], batch["is_from_audiomae"]
        if "loa" not in batch:
            error = self._error(batch, states, loa * is_conditional)
            return error, {self._error_name: error.detach()}
        loa_error = ((loa - batch["loa"]) ** 2 * is_conditional).mean()
        loss = settings.loa_weight * loa_error
        if int(batch["index"][0]) < settings.loa_steps:
            return loss, {"loa_error": loa_error.detach()}
        mixed = batch["loa"] * is_from_audiomae + loa * (1 - is_from_audiomae)
        error = self._error(batch, states, mixed * is_conditional)
        return loss + error, {self._error_name: error.detach(), "loa_error": loa_error.detach()}

    @property
    def _error_name(self) -> str:
        return f"{self._schedule.prediction}_error"

    def condition(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The text or phoneme encoder's states (B, L, D), and the LOA tokens (B, tokens, D) that GPT-2 predicts.

        batch: token ids and masks, as CaptionTokenizers gives them; ids of phonemes for a model that speaks; with
        `is_sampled`, AudioMAE's tokens too, for teacher forcing. Without, GPT-2 predicts tokens from its own.
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
        prefix, mask = networks["loa"]([clap, states], [xp.ones_like(states_mask[:, :1]), states_mask])
        prefix = prefix.to(xp.float32)
        if "is_sampled" in batch:
            empty = self._empty_cache(len(prefix))
            return states, teacher_forced_loa(
                lambda embeddings, mask: self._gpt2(embeddings, mask, empty)[0],
                prefix,
                mask,
                batch["loa"],
                batch["is_sampled"],
                self.settings.sampling_passes,
            )
        gpt2 = Stateful(self._gpt2, self._empty_cache)
        return states, generate_loa(prefix, mask, gpt2, model.loa.num_tokens, xp.concat, model.gpt2.max_positions)

    def _gpt2(self, *inputs: Any) -> tuple[Tensor, list[Tensor]]:
        hidden, cache = self._all["gpt2"](*inputs)
        return hidden.to(xp.float32), [x.to(xp.float32) for x in cache]

    def _empty_cache(self, batch: int) -> list[Tensor]:
        return [framework.from_numpy(x, self._device) for x in empty_states("gpt2", self.settings.model, batch)]

    def _error(self, batch: Mapping[str, Tensor], states: Tensor, loa: Tensor) -> Tensor:
        """Mean squared error of the UNet's prediction: v, or the noise."""
        latents, noise, alpha_bar = batch["latents"], batch["noise"], batch["alpha_bar"]
        signal, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        contexts, masks = [loa], [xp.ones_like(loa[:, :, 0])]
        if "t5_mask" in batch:
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

    def _unet(self, *inputs: Any) -> Tensor:
        return self._all["unet"](*inputs).to(xp.float32)

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
            fields["phonemes"] = padded_phoneme_ids([clip["phonemes"] for clip in clips], encoder.max_phonemes)
        with framework.no_grad(), precision.autocast(self._computed_in, self._device):
            mels = framework.from_numpy(np.stack([clip["mel"] for clip in clips]), self._device)
            fields["latents"] = framework.to_numpy(self.encoder(mels)[0])
            if self._audiomae is not None:
                fbanks = framework.from_numpy(np.stack([clip["fbank"] for clip in clips]), self._device)
                fields["loa"] = framework.to_numpy(self._audiomae(fbanks))
        return fields

    def evaluate(self) -> dict[str, float]:
        """Error of the predicted clean latents (x0) of held-out clips, with the right, an empty and a wrong caption.

        At EVALUATED_TIMESTEPS. The differences show how much the prediction depends on the caption; predicting the mean
        gives 1. For a model that speaks, the wrong caption comes with wrong phonemes; `recorded` is the error with
        AudioMAE's tokens; loa_error is the error of the tokens that GPT-2 generates, predicting their mean gives 1.
        """
        size = self.settings.held_out
        rows = self._held_out[range(size)]
        captions, phonemes = decode_captions(rows), self._phonemes(rows)
        others = np.roll(np.arange(size), size // 2)
        contexts_of = {
            "right": self.contexts(captions, phonemes),
            "empty": self.contexts([""] * size, phonemes),
            "wrong": self.contexts([captions[i] for i in others], None if phonemes is None else phonemes[others]),
        }
        errors = {}
        if self._audiomae is not None:
            targets = self._loa(rows)
            difference = framework.to_numpy(contexts_of["right"][0][0]) - targets
            errors["loa_error"] = float((difference**2).mean() / max(1e-6, targets.var(0).mean()))
            (_, *states), masks = contexts_of["right"]
            contexts_of["recorded"] = [framework.from_numpy(targets, self._device), *states], masks
        for name, contexts in contexts_of.items():
            for timestep in EVALUATED_TIMESTEPS:
                errors[f"x0_error_{timestep}_{name}"] = self._x0_error(rows, contexts, timestep)
        return errors

    def _x0_error(self, rows: np.ndarray, contexts: Contexts, timestep: int) -> float:
        alpha_bar = self._schedule.alpha_bar(timestep)
        latents = framework.from_numpy(self._normalised(rows["latents"]), self._device)
        noise = seeded_rng(timestep).standard_normal(rows["latents"].shape, np.float32)
        noisy = add_noise(latents, framework.from_numpy(noise, self._device), alpha_bar)
        x0 = self._schedule.to_x0(self.predict(noisy, timestep, contexts), noisy, alpha_bar)
        return float(((x0 - latents) ** 2).mean())

    def contexts(self, captions: Sequence[str], phonemes: np.ndarray | None = None) -> Contexts:
        """The UNet's contexts of `captions`: LOA tokens and text states. "" is the unconditional context.

        phonemes: (B, max_phonemes) int64, of a model that speaks.
        """
        arrays = self._tokenize(captions)
        if phonemes is not None:
            arrays["phonemes"] = phonemes
        tokens = {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}
        states, loa = self.condition(tokens)
        is_conditional = np.array([bool(caption) for caption in captions], np.float32)[:, None, None]
        loa = loa * framework.from_numpy(is_conditional, self._device)
        contexts, masks = [loa], [xp.ones_like(loa[:, :, 0])]
        return ([*contexts, states], [*masks, tokens["t5_mask"]]) if "t5_mask" in tokens else (contexts, masks)

    def predict(self, noisy: Tensor, timestep: float, contexts: Contexts) -> Tensor:
        """The UNet's prediction of v, or the noise, for `noisy` latents (B, channels, T, bands)."""
        features = timestep_features(np.full(len(noisy), timestep), self.settings.model.unet.model_channels)
        return self._unet(noisy, framework.from_numpy(features, self._device), *contexts)

    def generate(
        self,
        captions: Sequence[str],
        seed: int,
        steps: int = SAMPLE_STEPS,
        guidance: float = 3.0,
        phonemes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Log-mel spectrograms (B, frames, 64) generated from `captions`, with classifier-free guidance.

        phonemes: as in `contexts`.
        """
        shape = (len(captions), *self._held_out[[0]]["latents"].shape[1:])
        latents = framework.from_numpy(seeded_rng(seed).standard_normal(shape, np.float32), self._device)
        sampler = make_sampler("dpm++", self._schedule, steps)
        with framework.no_grad():
            with_caption, without = (self.contexts(c, phonemes) for c in (captions, [""] * len(captions)))
            for i, timestep in enumerate(sampler.timesteps):
                empty = self.predict(latents, timestep, without)
                guided = empty + guidance * (self.predict(latents, timestep, with_caption) - empty)
                latents = sampler.step(i, guided, latents)
            return framework.to_numpy(self.decoder(latents))

    def sample(self, samples: Samples) -> None:
        """Spectrograms generated from held-out captions, the captions, and sounds of the first of them."""
        rows = self._held_out[range(min(8, self.settings.held_out))]
        captions, phonemes = decode_captions(rows), self._phonemes(rows)
        mels = self.generate(captions, 0, SAMPLE_STEPS, phonemes=phonemes)
        samples.spectrograms([[mel] for mel in mels])
        samples.text(captions)
        for caption, mel in list(zip(captions, mels, strict=True))[:SOUNDS]:
            samples.sound_of_mel(safe_name(caption, 60), mel)


def _pretrained(settings: JointSettings) -> PretrainedWeights:
    if settings.checkpoint:
        checkpoint = open_checkpoint(settings.checkpoint)
        check_trainable(settings.checkpoint, checkpoint.config)
        if checkpoint.config != settings.model:
            raise ValueError(
                f"{settings.checkpoint}: model differs from the checkpoint's; --checkpoint takes the checkpoint's own"
            )
        return from_checkpoint(checkpoint, LEARNED)
    audiomae = Path(settings.audiomae) if settings.audiomae else None
    start = Path(settings.start) if settings.start else None
    return from_runs(Path(settings.vae), Path(settings.clap), audiomae, Path(settings.tokenizers), start)
