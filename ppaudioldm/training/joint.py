"""Training what makes latents from a caption: text encoder, GPT-2 and UNet together, as in arXiv:2308.05734.

GPT-2 continues CLAP's embedding and the text encoder's states with LOA tokens, which are to be what AudioMAE hears in
the clip. The UNet removes noise from the clip's latents, listening to both; it hears GPT-2's own tokens more often than
AudioMAE's, since it will only ever have those. CLAP, AudioMAE and the VAE are finished before and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.audio.files import safe_name, write_audio
from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.config import AudioMAEConfig, ModelConfig
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule, add_noise
from ppaudioldm.framework import Tensor, xp
from ppaudioldm.loa_generation import empty_cache, generate_loa
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.clips import Clip, Clips, SynthesisedClips, generator_of, held_out_of, mel_of
from ppaudioldm.training.encoded import EncodedClips, Layout, captions_of, fingerprint
from ppaudioldm.training.initialise import freeze, trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.parts import finished, run_of, trained
from ppaudioldm.training.settings import RunConfig, as_values, changed, check_positive
from ppaudioldm.training.sounds import LEVEL_A
from ppaudioldm.training.texts import CaptionTokenizers
from ppaudioldm.training.vae import exported

LEARNED = ("unet", "flan_t5", "gpt2", "loa")
WATCHED = (850, 950)  # timesteps at which the caption decides
HEARD_SAMPLES = 4
MEL_RANGE = (-12.0, 4.0)  # natural logarithms, of a spectrogram of sound
Heard = tuple[list[Tensor], list[Tensor]]  # contexts and masks of the UNet


@dataclass(frozen=True)
class JointSettings:
    """Defaults train the small model.

    vae, clap, audiomae: folders of finished runs; without AudioMAE, "", only the UNet says what LOA is. tokenizers: a
    folder of both.
    """

    vae: str = "runs/vae"
    clap: str = "runs/clap"
    audiomae: str = "runs/audiomae"
    tokenizers: str = "runs/tokenizers"
    encoded: str = "runs/encoded"  # where clips are kept once they are encoded
    start: str = ""  # a run of this stage whose averaged weights this one begins with
    kinds: tuple[str, ...] = ()
    duration: float = tiny.CLIP_SECONDS
    clips: int = 4000  # different ones; may grow from one run to the next
    batch_size: int = 8
    unconditional: float = 0.1  # of the clips are heard without their caption
    recorded_loa: float = 0.25  # of the clips are heard with AudioMAE's tokens instead of GPT-2's
    loa_weight: float = 1.0
    loa_steps: int = 200  # before the UNet joins
    model: ModelConfig = tiny.MODEL
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(rate=6e-4, warmup=300, decay_steps=60000)
    )
    held_out: int = 32  # clips for measures
    ema: float = 0.998
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=60000))

    def __post_init__(self) -> None:
        check_positive(self, "batch_size", "clips", "held_out")
        step = self.model.unet.downsampling
        if self.latent_frames % step or not self.latent_frames:
            seconds = step * self.model.samples_per_latent / self.model.sample_rate
            raise ValueError(f"duration is {self.duration:g}, expected a multiple of {seconds:g} seconds")

    @property
    def latent_frames(self) -> int:
        return round(self.duration * self.model.sample_rate) // self.model.samples_per_latent


class JointStage:
    name = "joint"
    turns: Mapping[str, tuple[str, ...]] = {"all": LEARNED}

    def __init__(self, settings: JointSettings, device: str = "cpu", clips: Clips | None = None) -> None:
        if settings.run.workers:
            raise ValueError(f"run.workers is {settings.run.workers}, but this stage reads what is encoded: expected 0")
        self.settings = settings
        self.ema = settings.ema
        self._device = device
        self._schedule = NoiseSchedule(settings.model.diffusion)
        self._alpha_bars = self._schedule.alphas_cumprod.astype(np.float32)
        self._tokenize = CaptionTokenizers(Path(settings.tokenizers), settings.model)
        before = trained(Path(settings.start), "joint") if settings.start else {}
        self.networks: dict[str, Any] = {}
        for name in LEARNED:
            network_class, field_name = NETWORKS[name]
            network = trainable(name, network_class, getattr(settings.model, field_name), settings.seed, device)
            if before:
                set_values(dict(network.named_parameters()), before[name])
            self.networks[name] = network
        clips = clips or SynthesisedClips(settings.duration, settings.kinds)
        self._sounds = clips.kinds or LEVEL_A if isinstance(clips, SynthesisedClips) else ()
        self._listen(clips)

    def _listen(self, clips: Clips) -> None:
        """Load what is finished: VAE, CLAP, AudioMAE; open the clips that they encoded."""
        settings, model = self.settings, self.settings.model
        vae = trained(Path(settings.vae), "vae")
        self.clap_text = finished("clap_text", model, trained(Path(settings.clap), "clap")["clap_text"], self._device)
        mae: dict[str, np.ndarray] = {}
        self._audiomae = None
        if settings.audiomae:
            folder = Path(settings.audiomae)
            mae = trained(folder, "audiomae")["audiomae"]
            self._heard_by = changed(AudioMAEConfig(), run_of(folder, "audiomae").facts["model"]["encoder"])
            with framework.empty_weights():
                self._audiomae = AudioMAE(self._heard_by)
            framework.assign_weights(self._audiomae, mae.items(), self._device)
            freeze(self._audiomae)
        no_shift = np.zeros(model.vae.latent_channels), np.ones(model.vae.latent_channels)
        self.encoder = finished("vae_encoder", model, exported(*_both(vae), *no_shift)[0], self._device)
        assert model.loa
        loa = (model.loa.num_tokens, model.loa.hidden_size) if mae else ()
        layout = Layout((model.vae.latent_channels, settings.latent_frames, model.latent_bands), loa)
        source = {"vae": fingerprint(vae["vae_encoder"]), "audiomae": fingerprint(mae), "clips": repr(clips)}
        held_out = held_out_of(clips)
        folder = Path(settings.encoded)
        self._clips = EncodedClips(folder, settings.clips, layout, source, lambda n: self._encoded(clips, n))
        source["clips"] = repr(held_out)
        self._held_out = EncodedClips(folder, settings.held_out, layout, source, lambda n: self._encoded(held_out, n))
        self.mean, self.deviation = self._clips.statistics()
        _, decoder = exported(*_both(vae), self.mean, self.deviation)
        self.decoder = finished("vae_decoder", model, decoder, self._device)

    def optimizer(self, turn: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        latents = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {"networks": as_values(self.settings.model), "latents": latents, "sounds": list(self._sounds)}

    def data(self, index: int) -> dict[str, np.ndarray]:
        """Latents, LOA tokens, token ids, and what is drawn at random: noise, timesteps, which conditions are heard."""
        settings = self.settings
        generator = generator_of(settings.seed, index)
        size = settings.batch_size
        rows = self._clips[generator.integers(0, settings.clips, size).tolist()]
        is_heard = generator.random(size) >= settings.unconditional
        captions = [caption if heard else "" for caption, heard in zip(captions_of(rows), is_heard, strict=True)]
        latents = self._normalised(rows["latents"])
        timesteps = generator.integers(0, self._schedule.num_train_timesteps, size)
        batch = {
            "latents": latents,
            "noise": generator.standard_normal(latents.shape, np.float32),
            "alpha_bar": self._alpha_bars[timesteps][:, None, None, None],
            "time_features": timestep_features(timesteps, settings.model.unet.model_channels),
            "is_heard": is_heard.astype(np.float32)[:, None, None],
            "is_recorded": (generator.random(size) < settings.recorded_loa).astype(np.float32)[:, None, None],
            "index": np.full(1, index, np.int64),
            **self._tokenize(captions),
        }
        if self._audiomae is not None:
            batch["loa"] = rows["loa"].astype(np.float32)
        return batch

    def loss(self, turn: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of v, weighted plainly, and of the LOA tokens that GPT-2 makes by itself."""
        settings = self.settings
        states, loa = self.conditions(batch)
        is_heard, is_recorded = batch["is_heard"], batch["is_recorded"]
        if "loa" not in batch:
            v_error = self._v_error(batch, states, loa * is_heard)
            return v_error, {"v_error": v_error.detach()}
        loa_error = ((loa - batch["loa"]) ** 2 * is_heard).mean()
        loss = settings.loa_weight * loa_error
        if int(batch["index"][0]) < settings.loa_steps:
            return loss, {"loa_error": loa_error.detach()}
        v_error = self._v_error(batch, states, (batch["loa"] * is_recorded + loa * (1 - is_recorded)) * is_heard)
        return loss + v_error, {"v_error": v_error.detach(), "loa_error": loa_error.detach()}

    def conditions(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The text encoder's states (B, L, width), and the LOA tokens that GPT-2 makes of them and CLAP's embedding."""
        model, networks = self.settings.model, self.networks
        assert model.loa and model.gpt2
        states = networks["flan_t5"](batch["t5_ids"], batch["t5_mask"]).to(xp.float32)
        with framework.no_grad():
            clap = self.clap_text(batch["clap_ids"], batch["clap_mask"]).to(xp.float32).unsqueeze(1)
        one = xp.ones_like(batch["t5_mask"][:, :1])
        prefix, mask = networks["loa"]([clap, states], [one, batch["t5_mask"]])
        cache = framework.from_numpy(empty_cache(model.gpt2, len(clap)), self._device)
        tokens = generate_loa(
            prefix.to(xp.float32), mask, cache, self._gpt2, model.loa.num_tokens, xp.concat, model.gpt2.max_positions
        )
        return states, tokens

    def _gpt2(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        hidden, added = self.networks["gpt2"](*inputs)
        return hidden.to(xp.float32), added.to(xp.float32)

    def _v_error(self, batch: Mapping[str, Tensor], states: Tensor, loa: Tensor) -> Tensor:
        latents, noise, alpha_bar = batch["latents"], batch["noise"], batch["alpha_bar"]
        of_latents, of_noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        contexts, masks = [loa, states], [xp.ones_like(loa[:, :, 0]), batch["t5_mask"]]
        noisy = of_latents * latents + of_noise * noise
        v = self.networks["unet"](noisy, batch["time_features"], contexts, masks).to(xp.float32)
        return ((v - (of_latents * noise - of_noise * latents)) ** 2).mean()

    def _normalised(self, latents: np.ndarray) -> np.ndarray:
        shape = (1, -1, 1, 1)
        return ((latents - self.mean.reshape(shape)) / self.deviation.reshape(shape)).astype(np.float32)

    def _encoded(self, clips: Clips, numbers: Sequence[int]) -> dict[str, Any]:
        """What `EncodedClips` keeps of the clips of `numbers`."""
        found = [clips(number) for number in numbers]
        fields: dict[str, Any] = {"caption": [clip.caption.encode() for clip in found]}
        with framework.no_grad():
            mels = framework.from_numpy(np.stack([mel_of(clip) for clip in found]), self._device)
            fields["latents"] = framework.to_numpy(self.encoder(mels)[0])
            if self._audiomae is not None:
                fields["loa"] = framework.to_numpy(self._audiomae(self._heard(found)))
        return fields

    def _heard(self, clips: Sequence[Clip]) -> Tensor:
        frames = self._heard_by.frames
        return framework.from_numpy(np.stack([audiomae_fbank(clip.waveform, frames) for clip in clips]), self._device)

    def evaluate(self) -> dict[str, float]:
        """Error of the clean latents guessed at WATCHED timesteps of held-out clips, with the right, no, and a wrong
        caption: how much the caption counts. 1 is the error of guessing the mean."""
        size = self.settings.held_out
        rows = self._held_out[range(size)]
        right = captions_of(rows)
        wrong = right[size // 2 :] + right[: size // 2]
        found = {}
        for name, captions in (("right", right), ("empty", [""] * size), ("wrong", wrong)):
            for timestep in WATCHED:
                found[f"x0_error_{timestep}_{name}"] = self._x0_error(rows, captions, timestep)
        return found

    def _x0_error(self, rows: np.ndarray, captions: Sequence[str], timestep: int) -> float:
        alpha_bar = self._schedule.alpha_bar(timestep)
        latents = framework.from_numpy(self._normalised(rows["latents"]), self._device)
        noise = generator_of(timestep).standard_normal(rows["latents"].shape, np.float32)
        noisy = add_noise(latents, framework.from_numpy(noise, self._device), alpha_bar)
        x0 = self._schedule.to_x0(self.predict(noisy, timestep, self.heard(captions)), noisy, alpha_bar)
        return float(((x0 - latents) ** 2).mean())

    def heard(self, captions: Sequence[str]) -> Heard:
        """What the UNet listens to for `captions`, of which "" is none."""
        arrays = self._tokenize(captions)
        texts = {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}
        states, loa = self.conditions(texts)
        is_heard = np.array([bool(caption) for caption in captions], np.float32)[:, None, None]
        loa = loa * framework.from_numpy(is_heard, self._device)
        return [loa, states], [xp.ones_like(loa[:, :, 0]), texts["t5_mask"]]

    def predict(self, noisy: Tensor, timestep: int, heard: Heard) -> Tensor:
        """v of `noisy` latents as the UNet says."""
        features = timestep_features(np.full(len(noisy), timestep), self.settings.model.unet.model_channels)
        return self.networks["unet"](noisy, framework.from_numpy(features, self._device), *heard).to(xp.float32)

    def generate(self, captions: Sequence[str], seed: int, steps: int = 20, guidance: float = 3.0) -> np.ndarray:
        """Log-mel spectrograms (B, frames, 64) of `captions`."""
        shape = (len(captions), *self._held_out[[0]]["latents"].shape[1:])
        latents = framework.from_numpy(generator_of(seed).standard_normal(shape, np.float32), self._device)
        sampler = make_sampler("dpm++", self._schedule, steps)
        with framework.no_grad():
            with_caption, without = self.heard(captions), self.heard([""] * len(captions))
            for i, timestep in enumerate(sampler.timesteps):
                empty = self.predict(latents, timestep, without)
                guided = empty + guidance * (self.predict(latents, timestep, with_caption) - empty)
                latents = sampler.step(i, guided, latents)
            return framework.to_numpy(self.decoder(latents))

    def sample(self, folder: Path, step: int) -> None:
        """A few held-out captions as sounds, through Griffin-Lim, and all their spectrograms as NumPy arrays."""
        captions = captions_of(self._held_out[range(min(8, self.settings.held_out))])
        mels = self.generate(captions, 0)
        np.savez(folder / f"joint-{step:06d}.npz", mel=mels, captions=captions)
        for caption, mel in list(zip(captions, mels, strict=True))[:HEARD_SAMPLES]:
            path = folder / f"joint-{step:06d}-{safe_name(caption, 60)}.wav"
            # What an untrained network says may be anything.
            waveform = griffin_lim(np.clip(np.nan_to_num(mel), *MEL_RANGE))
            write_audio(path, waveform, self.settings.model.sample_rate)


def _both(vae: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    return vae["vae_encoder"], vae["vae_decoder"]
