"""Training CLAP: texts and recordings that belong together get the same direction (arXiv:2211.06687)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.mel import CLAP_SAMPLE_RATE, clap_log_mel
from ppaudioldm.config import ClapAudioConfig, ClapTextConfig
from ppaudioldm.framework import F, Tensor, constant, nn, xp
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.models.clap_text import ClapText
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.clips import Clip, Clips, SynthesisedClips, held_out_of
from ppaudioldm.training.initialise import trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.vocabulary import captions_of, write_tokenizers
from ppaudioldm.weights.tokenizer_files import tokenizer_json

SAMPLE_RATE = 16000  # Hz, of the clips
STATISTICS_CLIPS = 128  # that the mean and variance of mel bands are measured on
HELD_OUT = 128  # clips
FIRST_SCALE, LARGEST_SCALE = math.log(1 / 0.07), math.log(100)  # of the logits, as natural logarithms


@dataclass(frozen=True)
class ClapSettings:
    """Defaults train the small model's. tokenizers: a folder; where there is none, it is made of the captions."""

    kinds: tuple[str, ...] = ()
    duration: float = tiny.CLIP_SECONDS
    tokenizers: str = "runs/tokenizers"
    batch_size: int = 32
    text: ClapTextConfig = tiny.MODEL.clap_text or ClapTextConfig()
    audio: ClapAudioConfig = tiny.CLAP_AUDIO
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, warmup=50, decay_steps=600))
    ema: float = 0.995
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=600))

    def __post_init__(self) -> None:
        check_range(self, 2, LARGEST, "batch_size")  # the loss contrasts the clips of a batch
        check_range(self, 0, LARGEST, "seed")
        check_range(self, 0, 1, "ema")
        widths = self.text.projection_dim, self.audio.projection_dim
        if widths[0] != widths[1]:
            raise ValueError(
                f"projection_dim of text and audio are {widths[0]} and {widths[1]}, expected to be the same"
            )


class Pairs:
    """Batches: log_mel (B, 1, 1024, 64) in dB, ids (B, L) and mask (B, L) of the captions."""

    def __init__(self, clips: Clips, settings: ClapSettings) -> None:
        text, config = tokenizer_json("clap", Path(settings.tokenizers)), settings.text
        self._clips, self._size = clips, settings.batch_size
        self._tokenizer = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        return self.of([self._clips(number) for number in range(index * self._size, (index + 1) * self._size)])

    def of(self, clips: Sequence[Clip]) -> dict[str, np.ndarray]:
        ids, mask = self._tokenizer([clip.caption for clip in clips])
        return {"log_mel": np.stack([heard(clip.waveform) for clip in clips]), "ids": ids, "mask": mask}


def heard(waveform: np.ndarray) -> np.ndarray:
    """CLAP's view (1, 1024, 64) of `waveform` at 16 kHz."""
    import soxr

    return clap_log_mel(soxr.resample(waveform, SAMPLE_RATE, CLAP_SAMPLE_RATE))


class Scale(nn.Module):
    """How sharply similarities decide: a learned factor, at most 100."""

    def __init__(self, config: None) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(xp.empty([1]))

    def forward(self, x: Tensor) -> Tensor:
        return x * xp.exp(xp.clip(self.logarithm, max=LARGEST_SCALE))


class ClapStage:
    name = "clap"
    turns: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: ClapSettings, device: str = "cpu", clips: Clips | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or SynthesisedClips(settings.duration, settings.kinds)
        if not Path(settings.tokenizers).exists():
            write_tokenizers(Path(settings.tokenizers), captions_of(clips))
        self.data = Pairs(clips, settings)
        self._held_out = held_out_of(clips)
        audio = trainable("clap_audio", ClapAudio, settings.audio, settings.seed, device)
        # Measured once, not followed from batch to batch as batch normalisation does: the data stays the same.
        bands = np.stack([heard(clips(number).waveform) for number in range(STATISTICS_CLIPS)])
        norm = audio.input_norm
        set_values(
            {"mean": norm.running_mean, "variance": norm.running_var},
            {"mean": bands.mean((0, 1, 2)), "variance": bands.var((0, 1, 2))},
        )
        scale = trainable("clap_scale", Scale, None, settings.seed, device)
        set_values({"": scale.logarithm}, {"": np.full(1, FIRST_SCALE, np.float32)})
        text = trainable("clap_text", ClapText, settings.text, settings.seed, device)
        self.networks: dict[str, Any] = {"clap_text": text, "clap_audio": audio, "clap_scale": scale}
        self.turns = {"all": tuple(self.networks)}
        self._device = device

    def optimizer(self, turn: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return {"text": as_values(self.settings.text), "audio": as_values(self.settings.audio)}

    def loss(self, turn: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of finding each text's recording in the batch, and each recording's text."""
        text, audio = self._embeddings(batch)
        logits = self.networks["clap_scale"](xp.matmul(text, audio.transpose(0, 1)))
        right = constant(np.arange(logits.shape[0]), logits)
        loss = (F.cross_entropy(logits, right) + F.cross_entropy(logits.transpose(0, 1), right)) / 2
        return loss, {"loss": loss.detach()}

    def _embeddings(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        text = self.networks["clap_text"](batch["ids"], batch["mask"]).to(xp.float32)
        return text, self.networks["clap_audio"](batch["log_mel"]).to(xp.float32)

    def evaluate(self) -> dict[str, float]:
        """On held-out clips and phrasings: how often the nearest of the other modality is of the same kind, or where
        kinds are not known has the same caption.

        text_to_audio and audio_to_text: shares of right ones; chance: what guessing would give.
        """
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        text, audio = self._embedded(clips)
        kinds = np.array([clip.kind or clip.caption for clip in clips])
        similarity = text @ audio.T
        # Without a clip's own partner: a kind is to be recognised, not a clip.
        np.fill_diagonal(similarity, -2)
        same = kinds[:, None] == kinds
        return {
            "text_to_audio": float(np.mean(kinds[similarity.argmax(1)] == kinds)),
            "audio_to_text": float(np.mean(kinds[similarity.argmax(0)] == kinds)),
            "chance": float((same.sum() - len(kinds)) / (len(kinds) * (len(kinds) - 1))),
        }

    def sample(self, folder: Path, step: int) -> None:
        """Captions of held-out clips, and for each the caption of the clip that is nearest to it."""
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        text, audio = self._embedded(clips)
        nearest = (text @ audio.T).argmax(1)
        lines = [f"{clip.caption} -> {clips[number].caption}" for clip, number in zip(clips, nearest, strict=True)]
        (folder / f"clap-{step:06d}.txt").write_text("\n".join(lines) + "\n", "utf-8")

    def _embedded(self, clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of captions and of sounds, each (clips, projection_dim)."""
        found: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for start in range(0, len(clips), self.settings.batch_size):
            arrays = self.data.of(clips[start : start + self.settings.batch_size])
            batch = {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}
            for parts, embedding in zip(found, self._embeddings(batch), strict=True):
                parts.append(framework.to_numpy(embedding))
        return np.concatenate(found[0]), np.concatenate(found[1])
