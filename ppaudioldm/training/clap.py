"""The training stage `clap`: contrastive pre-training of a text and an audio encoder (CLAP, arXiv:2211.06687)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.clap_mel import CLAP_SAMPLE_RATE, clap_log_mel
from ppaudioldm.config import ClapAudioConfig, ClapTextConfig
from ppaudioldm.framework import Tensor, nn, xp
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.models.clap_text import ClapText
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.contrast import contrastive_loss
from ppaudioldm.training.dataset import (
    SPOKEN_CLIPS,
    CaptionedClip,
    Dataset,
    check_synthesised,
    held_out_of,
    synthesised_clips,
)
from ppaudioldm.training.initialise import build_trainable
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.samples import Samples
from ppaudioldm.training.settings import LARGEST, RunConfig, as_values, check_range
from ppaudioldm.training.vocabulary import prepare_tokenizers, trained_tokenizer
from ppaudioldm.weights.config_check import check_network

SAMPLE_RATE = 16000  # Hz, of the clips
STATISTICS_CLIPS = 128  # from which the mean and variance of the mel bands are measured
HELD_OUT = 128  # clips
INITIAL_LOG_SCALE, MAX_LOG_SCALE = math.log(1 / 0.07), math.log(100)  # of the logits; CLIP, arXiv:2103.00020


@dataclass(frozen=True)
class ClapSettings:
    """Settings of the stage; the defaults train the networks of the checkpoint `tiny`.

    tokenizers: a folder; if it does not exist, tokenizers are trained on the captions and written there. One of other
    captions is an error, unless keep_vocabulary.
    """

    synthesised: str = "sounds"  # or "speech": what is trained on where there are no recordings
    kinds: tuple[str, ...] = ()  # of sound, or speakers; () for all
    duration: float = tiny.CLIP_SECONDS
    tokenizers: str = "runs/tokenizers"
    keep_vocabulary: bool = False
    batch_size: int = 32
    text: ClapTextConfig = tiny.MODEL.clap_text or ClapTextConfig()
    audio: ClapAudioConfig = tiny.CLAP_AUDIO
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, warmup=50, decay_steps=600))
    ema: float = 0.995
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=600))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        check_range(self, 2, LARGEST, "batch_size")  # the loss contrasts the clips of a batch
        check_range(self, 0, LARGEST, "seed")
        check_range(self, 0, 1, "ema")
        check_network("clap_text", self.text)
        check_network("clap_audio", self.audio)
        widths = self.text.projection_dim, self.audio.projection_dim
        if widths[0] != widths[1]:
            raise ValueError(f"projection_dim of text and audio are {widths[0]} and {widths[1]}, allowed: equal ones")


class CaptionPairs:
    """Batches: log_mel (B, 1, 1024, 64) in dB, ids (B, L) and mask (B, L) of the captions."""

    def __init__(self, clips: Dataset, settings: ClapSettings) -> None:
        text, config = trained_tokenizer("clap", Path(settings.tokenizers)), settings.text
        self._clips, self._size = clips, settings.batch_size
        self._tokenizer = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        return self.batch_of([self._clips(number) for number in range(index * self._size, (index + 1) * self._size)])

    def batch_of(self, clips: Sequence[CaptionedClip]) -> dict[str, np.ndarray]:
        ids, mask = self._tokenizer([clip.caption for clip in clips])
        return {"log_mel": np.stack([audio_encoder_input(clip.waveform) for clip in clips]), "ids": ids, "mask": mask}


def audio_encoder_input(waveform: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram (1, 1024, 64) in dB that CLAP's audio encoder takes, of `waveform` at 16 kHz."""
    import soxr

    return clap_log_mel(soxr.resample(waveform, SAMPLE_RATE, CLAP_SAMPLE_RATE))


class LogitScale(nn.Module):
    """The learned inverse temperature of the similarities, at most 100."""

    def __init__(self, config: None) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(xp.empty([1]))

    def forward(self, x: Tensor) -> Tensor:
        return x * xp.exp(xp.clip(self.logarithm, max=MAX_LOG_SCALE))


class ClapStage:
    name = "clap"
    updates: Mapping[str, tuple[str, ...]]

    def __init__(self, settings: ClapSettings, device: str = "cpu", clips: Dataset | None = None) -> None:
        self.settings = settings
        self.ema = settings.ema
        clips = clips or synthesised_clips(settings.synthesised, settings.duration, settings.kinds, SPOKEN_CLIPS)
        prepare_tokenizers(Path(settings.tokenizers), clips, settings.text.vocab_size, keep=settings.keep_vocabulary)
        self.data = CaptionPairs(clips, settings)
        self._held_out = held_out_of(clips)
        audio = build_trainable("clap_audio", ClapAudio, settings.audio, settings.seed, device)
        # Measured once instead of averaged over batches, as batch normalisation does: the data does not change.
        bands = np.stack([audio_encoder_input(clips(number).waveform) for number in range(STATISTICS_CLIPS)])
        norm = audio.input_norm
        set_values(
            {"mean": norm.running_mean, "variance": norm.running_var},
            {"mean": bands.mean((0, 1, 2)), "variance": bands.var((0, 1, 2))},
        )
        scale = build_trainable("clap_scale", LogitScale, None, settings.seed, device)
        set_values({"": scale.logarithm}, {"": np.full(1, INITIAL_LOG_SCALE, np.float32)})
        text = build_trainable("clap_text", ClapText, settings.text, settings.seed, device)
        self.networks: dict[str, Any] = {"clap_text": text, "clap_audio": audio, "clap_scale": scale}
        self.updates = {"all": tuple(self.networks)}
        self._device = device

    def optimizer(self, update: str) -> OptimizerConfig:
        return self.settings.optimizer

    def model(self) -> Any:
        return {"text": as_values(self.settings.text), "audio": as_values(self.settings.audio)}

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Symmetric cross-entropy: which clip of the batch belongs to each text, and which text to each clip."""
        text, audio = self._embeddings(batch)
        loss = contrastive_loss(self.networks["clap_scale"](xp.matmul(text, audio.transpose(0, 1))))
        return loss, {"loss": loss.detach()}

    def _embeddings(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        text = self.networks["clap_text"](batch["ids"], batch["mask"]).to(xp.float32)
        return text, self.networks["clap_audio"](batch["log_mel"]).to(xp.float32)

    def evaluate(self) -> dict[str, float]:
        """Retrieval on held-out clips and phrasings: is the nearest clip of the other modality of the same kind?

        Where kinds are not known, it has to have the same caption. text_to_audio and audio_to_text: accuracies;
        chance: the accuracy of guessing.
        """
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        text, audio = self._embedded(clips)
        kinds = np.array([clip.kind or clip.caption for clip in clips])
        similarity = text @ audio.T
        # Without each clip's own caption: the measure is of kinds, not of single clips.
        np.fill_diagonal(similarity, -2)
        same = kinds[:, None] == kinds
        return {
            "text_to_audio": float(np.mean(kinds[similarity.argmax(1)] == kinds)),
            "audio_to_text": float(np.mean(kinds[similarity.argmax(0)] == kinds)),
            "chance": float((same.sum() - len(kinds)) / (len(kinds) * (len(kinds) - 1))),
        }

    def sample(self, samples: Samples) -> None:
        """The captions of held-out clips, and beside each the caption of the clip nearest to it."""
        clips = [self._held_out(number) for number in range(HELD_OUT)]
        text, audio = self._embedded(clips)
        nearest = (text @ audio.T).argmax(1)
        samples.text(
            [f"{clip.caption} -> {clips[number].caption}" for clip, number in zip(clips, nearest, strict=True)]
        )

    def _embedded(self, clips: Sequence[CaptionedClip]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the captions and of the waveforms, (clips, projection_dim) each."""
        embeddings: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for start in range(0, len(clips), self.settings.batch_size):
            arrays = self.data.batch_of(clips[start : start + self.settings.batch_size])
            batch = {name: framework.from_numpy(array, self._device) for name, array in arrays.items()}
            for rows, embedding in zip(embeddings, self._embeddings(batch), strict=True):
                rows.append(framework.to_numpy(embedding))
        return np.concatenate(embeddings[0]), np.concatenate(embeddings[1])
