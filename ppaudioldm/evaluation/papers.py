"""The measures by which papers compare models, as audioldm_eval has them: FAD over VGGish; KL, IS and FD over PANNs.

What differs: soxr resamples a recording of another rate, and only its first `folders.MAX_SECONDS` are evaluated.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ppaudioldm.audio.evaluation_mels import N_MELS, VGGISH_FRAMES, cnn14_log_mel, vggish_examples
from ppaudioldm.evaluation import distances
from ppaudioldm.evaluation.folders import naming_clip, pairs_by_name, read_channels
from ppaudioldm.evaluation.network_runner import RunnableNetwork
from ppaudioldm.evaluation.pipeline_stages import resampled
from ppaudioldm.models.functions import Input
from ppaudioldm.weights.evaluation_networks import (
    CNN14_FILES,
    VGGISH_FILE,
    read_cnn14,
    read_vggish,
    stored_cnn14,
    stored_vggish,
)

logger = logging.getLogger(__name__)

FEW_CLIPS = 500  # papers have about a thousand; a covariance of Cnn14's embeddings alone has 2,048 dimensions
Pairs = Sequence[tuple[int, int]]
Progress = Callable[[int, int], None]  # called with the number of clips done, and of all


@dataclass
class PaperFeatures:
    """What the networks say of clips, in their order.

    examples: for each clip VGGish's embeddings (examples, 128). embeddings, logits: for each clip those of Cnn14,
    (2048,) and (527,). Empty where the network is not at hand.
    """

    examples: list[np.ndarray] = field(default_factory=list)
    embeddings: list[np.ndarray] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)

    @property
    def clips(self) -> int:
        return max(len(self.examples), len(self.logits))


class PaperNetworks:
    """VGGish and Cnn14, or one of them, of files of their weights.

    vggish, panns: the files; None leaves out the measures of that network. engine, device: as for
    `AudioLDM.from_pretrained`. Raises CheckpointError for a file that is none of the network.
    """

    def __init__(
        self,
        vggish: str | os.PathLike | None = None,
        panns: str | os.PathLike | None = None,
        engine: str | None = None,
        device: str | None = None,
    ) -> None:
        read = read_vggish(vggish) if vggish else None, read_cnn14(panns) if panns else None
        of_examples, of_clips = Input("log_mel", (None, VGGISH_FRAMES, N_MELS)), Input("log_mel", (None, None, N_MELS))
        self._vggish = RunnableNetwork(read[0], of_examples, engine, device) if read[0] else None
        self._cnn14 = RunnableNetwork(read[1], of_clips, engine, device) if read[1] else None

    @classmethod
    def stored(cls, engine: str | None = None, device: str | None = None) -> PaperNetworks:
        """Those whose published files are on this machine, where the programs that download them keep them."""
        return cls(stored_vggish(), stored_cnn14(), engine, device)

    def add(self, features: PaperFeatures, samples: np.ndarray, sample_rate: int) -> None:
        """Add what the networks say of a clip to `features`.

        samples: (n, channels), float32. As in audioldm_eval, VGGish gets the mean of the channels, Cnn14 the first.
        Raises ValueError for samples, or outputs, that are not finite.
        """
        if self._vggish:
            size = self._vggish.network.config.embedding_size
            mel = vggish_examples(resampled(samples.mean(1), sample_rate, self._vggish.network.sample_rate))
            features.examples.append(self._vggish(mel)[0] if len(mel) else np.zeros((0, size), np.float32))
        if self._cnn14:
            rate = self._cnn14.network.sample_rate
            mel = cnn14_log_mel(resampled(samples[:, 0], sample_rate, rate), rate)
            embeddings, logits = self._cnn14(mel[None])
            features.embeddings.append(embeddings[0])
            features.logits.append(logits[0])

    def of_files(self, files: Sequence[Path], progress: Progress | None = None) -> PaperFeatures:
        """The features of sound files. Raises ValueError or OSError for the first that cannot be read as audio."""
        features = PaperFeatures()
        for done, path in enumerate(files, 1):
            samples, rate = read_channels(path)
            with naming_clip(path):
                self.add(features, samples, rate)
            if progress is not None:
                progress(done, len(files))
        return features

    def compare(
        self, generated: Sequence[Path], reference: Sequence[Path], progress: Progress | None = None
    ) -> dict[str, float]:
        """The measures of files against others, which may be none, by name. Logs what makes them say little."""
        features = self.of_files(generated, progress), self.of_files(reference, progress) if reference else None
        pairs = pairs_by_name(generated, reference)
        for line in self.cautions(*features, pairs):
            logger.warning(line)
        return self.measures(*features, pairs)

    def measures(self, generated: PaperFeatures, reference: PaperFeatures | None, pairs: Pairs) -> dict[str, float]:
        """All measures that can be had, by name; `reference` is needed for all but IS.

        pairs: indices into generated and reference of clips that correspond, for KL.
        """
        measures: dict[str, float] = {}
        if self._vggish and reference:
            measures |= _fad(generated, reference)
        if self._cnn14:
            measures["panns_sample_rate"] = self._cnn14.network.sample_rate
            measures |= _of_panns(generated, reference, pairs)
        return measures

    def cautions(self, generated: PaperFeatures, reference: PaperFeatures | None, pairs: Pairs) -> list[str]:
        """A line for each reason why `measures` is without some, or has others than papers."""
        counts = [features.clips for features in (generated, reference) if features]
        lines = []
        if min(counts) < FEW_CLIPS:
            lines.append(
                f"{' and '.join(map(str, counts))} clips are few: distances are larger and IS smaller than of the "
                "thousand or so that papers have"
            )
        if self._cnn14:
            lines += _cautions_of_panns(generated, reference, pairs)
        if self._vggish and reference:
            lines += _cautions_of_vggish(generated, reference)
        return lines


def missing_networks(vggish: object, panns: object) -> str:
    """One line that says which measures need files that are not there, and how to name them; "" for none."""
    files = " or ".join(CNN14_FILES.values())
    missing = [] if vggish else [f"FAD over VGGish needs {VGGISH_FILE} (--vggish FILE)"]
    missing += [] if panns else [f"KL, IS and FD over PANNs need {files} (--panns FILE)"]
    return f"not found here: {'; '.join(missing)}; see docs/evaluation.md" if missing else ""


def _fad(generated: PaperFeatures, reference: PaperFeatures) -> dict[str, float]:
    examples = [np.concatenate(features.examples) for features in (generated, reference)]
    return {"fad_vggish": distances.frechet_distance(*examples)} if min(map(len, examples)) > 1 else {}


def _cautions_of_vggish(generated: PaperFeatures, reference: PaperFeatures) -> list[str]:
    examples = [np.concatenate(features.examples) for features in (generated, reference)]
    if min(map(len, examples)) < 2:
        return ["FAD is left out: it needs two examples of 0.975 s of each side"]
    short = sum(not len(x) for x in [*generated.examples, *reference.examples])
    return [f"FAD is without the {short} clips that are shorter than 0.975 s"] if short else []


def _of_panns(generated: PaperFeatures, reference: PaperFeatures | None, pairs: Pairs) -> dict[str, float]:
    measures: dict[str, float] = {}
    if reference and min(generated.clips, reference.clips) > 1:
        embeddings = [np.stack(features.embeddings) for features in (generated, reference)]
        measures["fd_panns"] = distances.frechet_distance(*embeddings)
    if reference and pairs:
        first, second = np.array(pairs).T
        of_reference, of_generated = np.stack(reference.logits)[second], np.stack(generated.logits)[first]
        softmax, sigmoid = distances.kl_of_logits(of_reference, of_generated)
        measures |= {"kl_panns_softmax": softmax, "kl_panns_sigmoid": sigmoid}
    if generated.clips >= distances.INCEPTION_SPLITS:
        mean, deviation = distances.inception_score(np.stack(generated.logits))
        measures |= {"is_panns": mean, "is_panns_deviation": deviation}
    return measures


def _cautions_of_panns(generated: PaperFeatures, reference: PaperFeatures | None, pairs: Pairs) -> list[str]:
    lines = []
    if generated.clips < distances.INCEPTION_SPLITS:
        lines.append(f"IS is left out: it divides the clips into {distances.INCEPTION_SPLITS} parts")
    if reference and min(generated.clips, reference.clips) < 2:
        lines.append("FD is left out: it needs two clips of each side")
    if reference and not pairs:
        lines.append("KL is left out: no clip has the same name in both folders")
    elif reference and not len(pairs) == generated.clips == reference.clips:
        lines.append(f"KL is of the {len(pairs)} clips with the same name in both folders; audioldm_eval wants 99 %")
    return lines
