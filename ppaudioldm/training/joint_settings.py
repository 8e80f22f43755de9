"""Settings of the training stage `joint`, and what it begins with: finished runs, or a checkpoint."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from ppaudioldm.checkpoints import derivatives_warning
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import shown
from ppaudioldm.training import tiny
from ppaudioldm.training.contrast import MAX_PARAPHRASES
from ppaudioldm.training.dataset import check_synthesised
from ppaudioldm.training.lora import LoraSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.pretrained import PretrainedWeights, check_trainable, from_checkpoint, from_runs
from ppaudioldm.training.settings import LARGEST, RunConfig, check_range
from ppaudioldm.weights.checkpoint import open_checkpoint
from ppaudioldm.weights.config_check import check_config

logger = logging.getLogger(__name__)

LEARNED = ("unet", "flan_t5", "gpt2", "loa")
LEARNED_TO_SPEAK = ("unet", "phoneme_encoder", "gpt2", "loa")


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
    learned: tuple[str, ...] = LEARNED  # the networks to train; the others stay as in `start` or the checkpoint
    lora: LoraSettings = field(
        default_factory=LoraSettings
    )  # with a rank, an adapter of the UNet is all that is trained
    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    clips: int = 20000  # in the training set at a time; may grow from one run to the next
    clip_uses: float = 20.0  # on average, then a clip is replaced by a new one; 0: the clips stay the same
    clips_before: int = 0  # drawn by earlier runs with the same cache: this one goes on with the newest in it
    workers: int = 0  # processes that synthesise or read clips ahead of time; 0: the training process does
    batch_size: int = 16
    unconditional: float = 0.1  # share of the clips without caption, for classifier-free guidance
    # Share of the clips whose timestep is drawn from the middle, where the caption decides most: before it the noise
    # hides all, after it the latents say themselves what they are. The others are drawn from all timesteps.
    middle_timesteps: float = 0.0
    recorded_loa: float = 0.25  # share of the clips with AudioMAE's tokens instead of GPT-2's
    with_captions: bool = True  # False: the UNet learns from AudioMAE's tokens alone, before GPT-2 can predict any
    loa_weight: float = 1.0
    latent_weight: float = 0.0  # of the errors of GPT-2's tokens by how they change the latents, see `latent_map`
    normalise_loa: bool = True  # AudioMAE's tokens, by channel: most of a token is the same in all clips
    # GPT-2 predicts all LOA tokens at once, in up to so many passes and one more: see `parallel_loa`. 0: one after the
    # other as in generation, which takes too long for many tokens.
    loa_passes: int = 0
    duration_weight: float = 1.0  # of the durations of phonemes, in a model that predicts them
    loa_steps: int = 200  # at the start, which train GPT-2 and text encoder without the UNet
    # A small text encoder that learns from the sounds alone takes new phrasings for other sounds. Pairs of captions,
    # each of a clip whose sound is not made, are many more than the clips; 0: none.
    paraphrases: int = 0  # pairs in a batch
    paraphrase_weight: float = 0.1
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
        check_range(self, 1, LARGEST, "batch_size", "clips", "held_out")
        check_range(
            self,
            0,
            LARGEST,
            "clip_uses",
            "clips_before",
            "workers",
            "loa_weight",
            "loa_steps",
            "seed",
            "paraphrase_weight",
        )
        check_range(self, 0, LARGEST, "loa_passes", "duration_weight", "latent_weight")
        check_range(self, 0, MAX_PARAPHRASES, "paraphrases")
        check_range(self, 0, 1, "unconditional", "recorded_loa", "middle_timesteps", "ema")
        networks = learnable(self.model)
        if not self.learned or not set(self.learned) <= set(networks):
            raise ValueError(f"learned is {list(self.learned)}, allowed: some of {', '.join(networks)}")
        missing = set(networks) - {"unet", *self.learned}
        if missing and self.with_captions and not (self.checkpoint or self.start):
            raise ValueError(
                f"learned is {list(self.learned)}, allowed without checkpoint and start: all networks, or all but unet"
            )
        if self.lora.rank and (self.learned != ("unet",) or not self.checkpoint):
            raise ValueError(
                f"lora.rank is {self.lora.rank}, allowed with a checkpoint, and with unet alone as learned: 0"
            )
        if self.model.phoneme_encoder and self.synthesised != "speech":
            raise ValueError(f"synthesised is {shown(self.synthesised)}, allowed with a phoneme encoder: speech")
        if not self.with_captions and not (self.trains_unet_alone and self.recorded_loa == 1 and self.audiomae):
            raise ValueError(
                "with_captions is false, allowed with AudioMAE, learned = ['unet'] and recorded_loa = 1: true"
            )
        if self.loa_steps and self.trains_unet_alone:
            raise ValueError(
                f"loa_steps is {self.loa_steps}, but no network that predicts LOA tokens is trained, allowed: 0"
            )
        if self.paraphrases == 1:
            raise ValueError("paraphrases is 1, allowed: 0, or 2 or more, which are contrasted with each other")
        if self.paraphrases and "flan_t5" not in self.learned:
            raise ValueError(f"paraphrases is {self.paraphrases}, allowed where no text encoder is trained: 0")
        check_config(self.model)
        step = self.model.unet.downsampling
        mel_frames = round(self.duration * self.model.sample_rate) // self.model.vocoder.hop_length
        if mel_frames % (step * self.model.vae.downsampling) or not mel_frames:
            seconds = step * self.model.samples_per_latent / self.model.sample_rate
            raise ValueError(f"duration is {self.duration:g}, allowed: multiples of {seconds:g} seconds")
        frames = self.model.unet.loa_frames * (self.model.loa.num_tokens if self.model.loa else 0)
        if self.latent_weight and frames != self.latent_frames:
            raise ValueError(
                f"latent_weight is {self.latent_weight:g}, allowed where the LOA tokens are not those of all"
                f" {self.latent_frames} latent frames by unet.loa_frames: 0"
            )

    @property
    def trains_unet_alone(self) -> bool:
        """Whether text encoder and GPT-2 stay as they are."""
        return set(self.learned) == {"unet"}

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


def pretrained_of(settings: JointSettings) -> PretrainedWeights:
    """The weights that the stage begins with. Raises ValueError for a checkpoint of another configuration."""
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
