"""The training stage `clap`: contrastive pre-training of a text and an audio encoder (CLAP, arXiv:2211.06687)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.clap_mel import CLAP_SAMPLE_RATE, mel_decibels, stretched
from ppaudioldm.config import ClapAudioConfig, ClapTextConfig
from ppaudioldm.framework import Tensor, nn, xp
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.models.clap_text import ClapText
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.training import tiny
from ppaudioldm.training.average import set_values
from ppaudioldm.training.contrast import MAX_PARAPHRASES, contrastive_loss
from ppaudioldm.training.dataset import (
    SPOKEN_CLIPS,
    CaptionedClip,
    Dataset,
    check_synthesised,
    held_out_of,
    paraphrases_of,
    seeded_rng,
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
FIRST_PAIR = 1_000_000  # number of the clip of the first pair of captions, beyond those that are synthesised
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
    # Captions are cheap, clips are not: pairs of captions, each pair of a clip that is not synthesised, teach the text
    # encoder which captions mean the same. 0: none.
    paraphrases: int = 0  # pairs in a batch
    paraphrase_weight: float = 0.5
    # Different clips, whose spectrograms stay in memory, 66 kB each for 5.12 s, and repeat; 0: none does.
    clips: int = 0
    # Share of the clips of which only the beginning is used: generated clips have other lengths than those of training.
    shortened: float = 0.0
    text: ClapTextConfig = tiny.MODEL.clap_text or ClapTextConfig()
    audio: ClapAudioConfig = tiny.CLAP_AUDIO
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, warmup=50, decay_steps=600))
    ema: float = 0.995
    seed: int = 0
    run: RunConfig = field(default_factory=lambda: RunConfig(steps=600))

    def __post_init__(self) -> None:
        check_synthesised(self.synthesised, self.kinds)
        check_range(self, 2, LARGEST, "batch_size")  # the loss contrasts the clips of a batch
        check_range(self, 0, LARGEST, "seed", "clips", "paraphrase_weight")
        check_range(self, 0, 1, "ema", "shortened")
        check_range(self, 0, MAX_PARAPHRASES, "paraphrases")
        if self.paraphrases == 1:
            raise ValueError("paraphrases is 1, allowed: 0, or 2 or more, which are contrasted with each other")
        check_network("clap_text", self.text)
        check_network("clap_audio", self.audio)
        widths = self.text.projection_dim, self.audio.projection_dim
        if widths[0] != widths[1]:
            raise ValueError(f"projection_dim of text and audio are {widths[0]} and {widths[1]}, allowed: equal ones")


class CaptionPairs:
    """Batches: log_mel (B, 1, 1024, 64) in dB, ids (B, L) and mask (B, L) of the captions.

    With pairs of captions, ids and mask have those of the first captions, then those of the second, below the clips'.
    """

    def __init__(self, clips: Dataset, settings: ClapSettings) -> None:
        text, config = trained_tokenizer("clap", Path(settings.tokenizers)), settings.text
        self._clips, self._settings = clips, settings
        self._tokenizer = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)
        self._paraphrases_of = paraphrases_of(clips)
        if settings.paraphrases and self._paraphrases_of is None:
            raise ValueError(
                f"paraphrases is {settings.paraphrases}, allowed with recordings, which have one caption each: 0"
            )
        self._kept: dict[int, tuple[np.ndarray, str]] = {}  # decibels and captions

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        settings, size = self._settings, self._settings.batch_size
        rng = seeded_rng(settings.seed, index)
        numbers = list(range(index * size, (index + 1) * size))
        if settings.clips:
            numbers = rng.integers(0, settings.clips, size).tolist()
        clips = [self._spectrogram_and_caption(number) for number in numbers]
        log_mel = [stretched(self._shortened(decibels, rng)) for decibels, _ in clips]
        captions, pairs = [caption for _, caption in clips], []
        if self._paraphrases_of is not None and settings.paraphrases:
            # Other words for a clip that is used again.
            captions = [
                (caption, *self._paraphrases_of(number))[rng.integers(3)]
                for number, caption in zip(numbers, captions, strict=True)
            ]
            others = range(index * settings.paraphrases, (index + 1) * settings.paraphrases)
            pairs = [self._paraphrases_of(FIRST_PAIR + number) for number in others]
        return self._arrays(log_mel, captions + [first for first, _ in pairs] + [second for _, second in pairs])

    def batch_of(self, clips: Sequence[CaptionedClip]) -> dict[str, np.ndarray]:
        return self._arrays([audio_encoder_input(clip.waveform) for clip in clips], [clip.caption for clip in clips])

    def _arrays(self, log_mel: list[np.ndarray], captions: list[str]) -> dict[str, np.ndarray]:
        ids, mask = self._tokenizer(captions)
        return {"log_mel": np.stack(log_mel), "ids": ids, "mask": mask}

    def _spectrogram_and_caption(self, number: int) -> tuple[np.ndarray, str]:
        """The mel spectrogram of a clip, (frames, 64) in dB, and its caption."""
        if number in self._kept:
            return self._kept[number]
        clip = self._clips(number)
        decibels = decibels_of(clip.waveform)
        if self._settings.clips:  # rounded from the first use on: a resumed run has not kept it yet
            decibels = decibels.astype(np.float16)
            self._kept[number] = decibels, clip.caption
        return decibels, clip.caption

    def _shortened(self, decibels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`decibels` (frames, 64), or, for the share `shortened`, a random number of its first frames."""
        if rng.random() >= self._settings.shortened:
            return decibels
        return decibels[: rng.integers(max(2, len(decibels) // 5), len(decibels) + 1)]


def decibels_of(waveform: np.ndarray) -> np.ndarray:
    """The mel spectrogram (frames, 64) in dB of `waveform` at 16 kHz, before it is stretched to CLAP's input."""
    import soxr

    return mel_decibels(soxr.resample(waveform, SAMPLE_RATE, CLAP_SAMPLE_RATE))


def audio_encoder_input(waveform: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram (1, 1024, 64) in dB that CLAP's audio encoder takes, of `waveform` at 16 kHz."""
    return stretched(decibels_of(waveform))


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
        """Symmetric cross-entropy: which clip of the batch belongs to each text, and which text to each clip.

        With pairs of captions also: which second caption belongs to each first one.
        """
        text, audio = self._embeddings(batch)
        clips = audio.shape[0]
        errors = {"loss": self._contrast(text[:clips], audio)}
        loss = errors["loss"]
        if pairs := (text.shape[0] - clips) // 2:
            first, second = text[clips : clips + pairs], text[clips + pairs :]
            errors["paraphrase_error"] = self._contrast(first, second)
            loss = loss + self.settings.paraphrase_weight * errors["paraphrase_error"]
        return loss, {name: error.detach() for name, error in errors.items()}

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        """The contrastive loss of embeddings (B, D), those of a row belonging together."""
        return contrastive_loss(self.networks["clap_scale"](xp.matmul(one, other.transpose(0, 1))))

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
