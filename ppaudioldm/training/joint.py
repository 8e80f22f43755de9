"""Training what makes latents from a caption: text encoder, GPT-2 and UNet together, as in arXiv:2308.05734.

GPT-2 continues CLAP's embedding and the text encoder's states with LOA tokens, which are to be what AudioMAE hears in
the clip. The UNet removes noise from the clip's latents, listening to both; it hears GPT-2's own tokens more often than
AudioMAE's, since it will only ever have those. CLAP, AudioMAE and the VAE are finished before and stay as they are:
`listening.py`. Learned networks begin at random, or with those of a checkpoint, which is then trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.fbank import audiomae_fbank
from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.audio.names import safe_name
from ppaudioldm.audio.write import write_audio
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.features import timestep_features
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule, add_noise
from ppaudioldm.engines.states import Continued, empty_states
from ppaudioldm.framework import Tensor, xp
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.models.build import NETWORKS
from ppaudioldm.sounds import LEVEL_A
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.clips import Clip, Clips, SynthesisedClips, generator_of, held_out_of, mel_of
from ppaudioldm.training.encoded import EncodedClips, Layout, captions_of, fingerprint
from ppaudioldm.training.initialise import trainable
from ppaudioldm.training.listening import Listening, check_trainable, of_checkpoint, of_runs
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.parts import finished
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.texts import CaptionTokenizers
from ppaudioldm.weights.checkpoint import open_checkpoint

LEARNED = ("unet", "flan_t5", "gpt2", "loa")
WATCHED = (850, 950)  # timesteps at which the caption decides
HEARD_SAMPLES = 4
MEL_RANGE = (-12.0, 4.0)  # natural logarithms, of a spectrogram of sound
Heard = tuple[list[Tensor], list[Tensor]]  # contexts and masks of the UNet


@dataclass(frozen=True)
class JointSettings:
    """Defaults train the small model.

    vae, clap, audiomae: folders of finished runs; without AudioMAE, "", only the UNet says what LOA is. tokenizers: a
    folder of both. All are the checkpoint's where there is one: see `settings_for`.
    """

    vae: str = "runs/vae"
    clap: str = "runs/clap"
    audiomae: str = "runs/audiomae"
    tokenizers: str = "runs/tokenizers"
    encoded: str = "runs/encoded"  # where clips are kept once they are encoded
    start: str = ""  # a run of this stage whose averaged weights this one begins with
    checkpoint: str = ""  # a name or a path, to be trained on
    learned: tuple[str, ...] = LEARNED  # the others stay as they are in the checkpoint
    kinds: tuple[str, ...] = ()
    duration: float = tiny.CLIP_SECONDS
    clips: int = 6000  # different ones; may grow from one run to the next
    batch_size: int = 8
    unconditional: float = 0.1  # of the clips are heard without their caption
    recorded_loa: float = 0.25  # of the clips are heard with AudioMAE's tokens instead of GPT-2's
    loa_weight: float = 1.0
    loa_steps: int = 200  # before the UNet joins
    model: ModelConfig = tiny.MODEL
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(rate=6e-4, warmup=300, decay_steps=12000)
    )
    held_out: int = 32  # clips for measures
    ema: float = 0.998
    seed: int = 0
    # Of so many small operations a CPU computes none faster in half precision.
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=12000, precision="f32"))

    def __post_init__(self) -> None:
        check_range(self, 1, LARGEST, "batch_size", "clips", "held_out")
        check_range(self, 0, LARGEST, "loa_weight", "loa_steps", "seed")
        check_range(self, 0, 1, "unconditional", "recorded_loa", "ema")
        if not self.learned or not set(self.learned) <= set(LEARNED):
            raise ValueError(f"learned is {list(self.learned)}, allowed: some of {', '.join(LEARNED)}")
        if set(self.learned) != set(LEARNED) and not self.checkpoint:
            raise ValueError(f"learned is {list(self.learned)}, but without a checkpoint all have to be")
        if self.loa_steps and set(self.learned) == {"unet"}:
            raise ValueError(
                f"loa_steps is {self.loa_steps}, but of what makes the tokens nothing is learned: expected 0"
            )
        step = self.model.unet.downsampling
        if self.latent_frames % step or not self.latent_frames:
            seconds = step * self.model.samples_per_latent / self.model.sample_rate
            raise ValueError(f"duration is {self.duration:g}, allowed: multiples of {seconds:g} seconds")

    @property
    def latent_frames(self) -> int:
        return round(self.duration * self.model.sample_rate) // self.model.samples_per_latent


def settings_for(name_or_path: str) -> JointSettings:
    """Defaults that train a checkpoint on. Raises ValueError for one that this stage cannot train."""
    model = open_checkpoint(name_or_path).config
    check_trainable(name_or_path, model)
    return JointSettings(
        checkpoint=name_or_path,
        model=model,
        duration=model.diffusion.clip_seconds,
        loa_steps=0,
        optimizer=OptimizerConfig(rate=1e-4, warmup=50, decay_steps=2000),
        run=RunConfig(steps=2000, precision="f32"),
    )


class JointStage:
    name = "joint"

    def __init__(self, settings: JointSettings, device: str = "cpu", clips: Clips | None = None) -> None:
        if settings.run.workers:
            raise ValueError(f"run.workers is {settings.run.workers}, but this stage reads what is encoded: expected 0")
        self.settings = settings
        self.ema = settings.ema
        self.turns: Mapping[str, tuple[str, ...]] = {"all": settings.learned}
        self._device = device
        self._schedule = NoiseSchedule(settings.model.diffusion)
        self._alpha_bars = self._schedule.alphas_cumprod.astype(np.float32)
        listening = _listening(settings)
        self._tokenize = CaptionTokenizers(listening.tokenizer_json, settings.model)
        self.networks: dict[str, Any] = {}
        for name in settings.learned:
            network_class, field_name = NETWORKS[name]
            network = trainable(name, network_class, getattr(settings.model, field_name), settings.seed, device)
            if name in listening.start:
                set_values(dict(network.named_parameters()), listening.start[name])
            self.networks[name] = network
        kept = [name for name in LEARNED if name not in settings.learned]
        others = {name: finished(name, settings.model, listening.start[name], device) for name in kept}
        self._all = {**self.networks, **others}
        clips = clips or SynthesisedClips(settings.duration, settings.kinds)
        kinds = clips.kinds or LEVEL_A if isinstance(clips, SynthesisedClips) else ()
        self._sounds = list(dict.fromkeys(kinds))  # one may be named twice, to be heard twice as often
        self._listen(listening, clips)

    def _listen(self, listening: Listening, clips: Clips) -> None:
        """Load what is finished: VAE, CLAP, AudioMAE; open the clips that they encoded."""
        settings, model, device = self.settings, self.settings.model, self._device
        self.clap_text = finished("clap_text", model, listening.clap_text, device)
        self._heard_by = listening.heard_by
        self._audiomae = None
        if listening.audiomae:
            self._audiomae = finished(
                "audiomae", replace(model, audiomae=listening.heard_by), listening.audiomae, device
            )
        encoder, _ = listening.vae(np.zeros(model.vae.latent_channels), np.ones(model.vae.latent_channels))
        self.encoder = finished("vae_encoder", model, encoder, device)
        assert model.loa
        loa = (model.loa.num_tokens, model.loa.hidden_size) if listening.audiomae else ()
        layout = Layout((model.vae.latent_channels, settings.latent_frames, model.latent_bands), loa)
        source = {"vae": fingerprint(encoder), "audiomae": fingerprint(listening.audiomae), "clips": repr(clips)}
        held_out = held_out_of(clips)
        folder = Path(settings.encoded)
        self._clips = EncodedClips(folder, settings.clips, layout, source, lambda n: self._encoded(clips, n))
        source["clips"] = repr(held_out)
        self._held_out = EncodedClips(folder, settings.held_out, layout, source, lambda n: self._encoded(held_out, n))
        self.mean, self.deviation = listening.latents or self._clips.statistics()
        _, decoder = listening.vae(self.mean, self.deviation)
        self.decoder = finished("vae_decoder", model, decoder, device)

    def optimizer(self, turn: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        latents = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {"networks": as_values(self.settings.model), "latents": latents, "sounds": self._sounds}

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
        """Squared error of v (or the noise), weighted plainly, and of the LOA tokens that GPT-2 makes by itself."""
        settings = self.settings
        states, loa = self.conditions(batch)
        is_heard, is_recorded = batch["is_heard"], batch["is_recorded"]
        if "loa" not in batch:
            error = self._error(batch, states, loa * is_heard)
            return error, {self._error_name: error.detach()}
        loa_error = ((loa - batch["loa"]) ** 2 * is_heard).mean()
        loss = settings.loa_weight * loa_error
        if int(batch["index"][0]) < settings.loa_steps:
            return loss, {"loa_error": loa_error.detach()}
        error = self._error(batch, states, (batch["loa"] * is_recorded + loa * (1 - is_recorded)) * is_heard)
        return loss + error, {self._error_name: error.detach(), "loa_error": loa_error.detach()}

    @property
    def _error_name(self) -> str:
        return f"{self._schedule.prediction}_error"

    def conditions(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The text encoder's states (B, L, width), and the LOA tokens that GPT-2 makes of them and CLAP's embedding."""
        model, networks = self.settings.model, self._all
        assert model.loa and model.gpt2
        states = networks["flan_t5"](batch["t5_ids"], batch["t5_mask"]).to(xp.float32)
        with framework.no_grad():
            clap = self.clap_text(batch["clap_ids"], batch["clap_mask"]).to(xp.float32).unsqueeze(1)
        one = xp.ones_like(batch["t5_mask"][:, :1])
        prefix, mask = networks["loa"]([clap, states], [one, batch["t5_mask"]])
        gpt2 = Continued(self._gpt2, self._empty_cache)
        tokens = generate_loa(
            prefix.to(xp.float32), mask, gpt2, model.loa.num_tokens, xp.concat, model.gpt2.max_positions
        )
        return states, tokens

    def _gpt2(self, *inputs: Any) -> tuple[Tensor, list[Tensor]]:
        hidden, cache = self._all["gpt2"](*inputs)
        return hidden.to(xp.float32), [x.to(xp.float32) for x in cache]

    def _empty_cache(self, batch: int) -> list[Tensor]:
        return [framework.from_numpy(x, self._device) for x in empty_states("gpt2", self.settings.model, batch)]

    def _error(self, batch: Mapping[str, Tensor], states: Tensor, loa: Tensor) -> Tensor:
        """Mean squared error of what the UNet predicts, of what the model is to predict."""
        latents, noise, alpha_bar = batch["latents"], batch["noise"], batch["alpha_bar"]
        of_latents, of_noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        contexts, masks = [loa, states], [xp.ones_like(loa[:, :, 0]), batch["t5_mask"]]
        noisy = of_latents * latents + of_noise * noise
        predicted = self._unet(noisy, batch["time_features"], contexts, masks)
        is_v = self._schedule.prediction == "v"
        return ((predicted - (of_latents * noise - of_noise * latents if is_v else noise)) ** 2).mean()

    def _unet(self, *inputs: Any) -> Tensor:
        return self._all["unet"](*inputs).to(xp.float32)

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
        """v, or the noise, of `noisy` latents as the UNet says."""
        features = timestep_features(np.full(len(noisy), timestep), self.settings.model.unet.model_channels)
        return self._unet(noisy, framework.from_numpy(features, self._device), *heard)

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


def _listening(settings: JointSettings) -> Listening:
    if settings.checkpoint:
        checkpoint = open_checkpoint(settings.checkpoint)
        check_trainable(settings.checkpoint, checkpoint.config)
        if checkpoint.config != settings.model:
            raise ValueError(f"{settings.checkpoint}: model is another one's; --checkpoint takes the checkpoint's own")
        return of_checkpoint(checkpoint, LEARNED)
    audiomae = Path(settings.audiomae) if settings.audiomae else None
    start = Path(settings.start) if settings.start else None
    return of_runs(Path(settings.vae), Path(settings.clap), audiomae, Path(settings.tokenizers), start)
