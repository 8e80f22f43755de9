"""Finding and reading the weights of VGGish and PANNs' Cnn14, the networks that papers evaluate sounds with.

The files are read as checkpoints are: nothing in them is run. None is downloaded.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.evaluation_mels import MEL_CNN14, VGGISH_SAMPLE_RATE
from ppaudioldm.audio.mel_filters import mel_filters
from ppaudioldm.errors import naming
from ppaudioldm.models.cnn14 import Cnn14, Cnn14Config
from ppaudioldm.models.vggish import VGGish, VGGishConfig
from ppaudioldm.storage.regular import open_regular
from ppaudioldm.weights.file_kinds import HEAD_BYTES, is_safetensors
from ppaudioldm.weights.mapping import Layout, Placement, Rule, apply_rules, check_all_used, read_parameters
from ppaudioldm.weights.safetensors_files import read_safetensors
from ppaudioldm.weights.tensors import LazyTensor
from ppaudioldm.weights.torch_files import read_torch

logger = logging.getLogger(__name__)

VGGISH_FILE = "vggish-10086976.pth"
CNN14_FILES = {16000: "Cnn14_16k_mAP=0.438.pth", 32000: "Cnn14_mAP=0.431.pth"}  # by sample rate in Hz
FILE_BYTES_LIMIT = 1 << 30  # the published ones have a third of that
FILTERS_KEY = "logmel_extractor.melW"
FILTERS_TOLERANCE = 1e-3  # relative; librosa computes them in float32

# Numbers of the convolutions in torchvggish's list of all layers, and of the linear layers in its second list.
VGGISH_CONVS, VGGISH_LINEARS = (0, 3, 6, 8, 11, 13), (0, 2, 4)
VGGISH_RULES = [
    *[Rule(rf"convs\.{ours}", f"features.{theirs}") for ours, theirs in enumerate(VGGISH_CONVS)],
    *[Rule(rf"layers\.{ours}", f"embeddings.{theirs}") for ours, theirs in enumerate(VGGISH_LINEARS)],
]
VGGISH_IGNORED = re.compile(r"pproc\..*")  # whitening, of which audioldm_eval makes no use
CNN14_RULES = [
    Rule(r"input_norm", "bn0"),
    *[
        Rule(rf"blocks\.{block}\.{ours}([12])", rf"conv_block{block + 1}.{theirs}\1")
        for block in range(len(Cnn14Config().channels))
        for ours, theirs in (("conv", "conv"), ("norm", "bn"))
    ],
    Rule("embedding", "fc1"),
    Rule("classes", "fc_audioset"),
]
CNN14_IGNORED = re.compile(r".*\.num_batches_tracked|spectrogram_extractor\..*|logmel_extractor\..*")


@dataclass(frozen=True)
class EvaluationNetwork:
    """A network that is read from `path`. sample_rate: Hz, of the sound that it takes."""

    path: Path
    sample_rate: int
    network_class: type
    config: Any
    parameters: Mapping[str, LazyTensor]

    def build(self, device: str = "cpu") -> Any:
        """The network with its weights. Raises CheckpointError for values that are not finite."""
        with framework.empty_weights():
            network = self.network_class(self.config)
        with naming(self.path):
            framework.assign_weights(network, self._values(), device)
        return network

    def _values(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, parameter in self.parameters.items():
            values = np.asarray(parameter.read(), np.float32)
            if not np.isfinite(values).all():
                raise ValueError(f"the values of {name} are not all finite")
            yield name, values


def read_vggish(path: str | os.PathLike) -> EvaluationNetwork:
    """VGGish from a file of torchvggish. Raises CheckpointError, in one line, for anything else."""
    path = Path(path)
    stored = _read(path)
    published = VGGishConfig()
    with naming(path):
        size = partial(_rows, stored)
        channels = [size(f"features.{n}.weight", c) for n, c in zip(VGGISH_CONVS, published.channels, strict=True)]
        sizes = (*published.hidden_sizes, published.embedding_size)
        *hidden, embedding = [size(f"embeddings.{n}.weight", c) for n, c in zip(VGGISH_LINEARS, sizes, strict=True)]
    config = VGGishConfig(tuple(channels), tuple(hidden), embedding)
    _warn_of_another_size(path, config, published)
    parameters = _parameters("VGGish", VGGish, config, _layout(VGGISH_RULES), stored, VGGISH_IGNORED, path)
    return EvaluationNetwork(path, VGGISH_SAMPLE_RATE, VGGish, config, parameters)


def read_cnn14(path: str | os.PathLike) -> EvaluationNetwork:
    """Cnn14 from a file of PANNs, whose mel filters say at which sample rate it works.

    Raises CheckpointError, in one line, for anything else.
    """
    path = Path(path)
    stored = _read(path)
    published = Cnn14Config()
    with naming(path):
        size = partial(_rows, stored)
        channels = [size(f"conv_block{n}.conv2.weight", c) for n, c in enumerate(published.channels, 1)]
        embedding = size("fc1.weight", published.embedding_size)
        config = Cnn14Config(tuple(channels), embedding, size("fc_audioset.weight", published.num_classes))
    _warn_of_another_size(path, config, published)
    parameters = _parameters("Cnn14", Cnn14, config, _layout(CNN14_RULES), stored, CNN14_IGNORED, path)
    with naming(path):
        rate = _sample_rate(stored.get(FILTERS_KEY))
    return EvaluationNetwork(path, rate, Cnn14, config, parameters)


def _read(path: Path) -> Mapping[str, LazyTensor]:
    """The tensors of a file of PyTorch or safetensors."""
    with naming(path), open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > FILE_BYTES_LIMIT:
            raise ValueError(f"{size:,} bytes, allowed: {FILE_BYTES_LIMIT:,}")
        head = file.read(HEAD_BYTES)
    return read_safetensors(path) if is_safetensors(head) else read_torch(path)


def _rows(stored: Mapping[str, LazyTensor], key: str, published: int) -> int:
    """The first size of the tensor `key`; the published one where there is no such tensor, which is found out later.

    Raises ValueError for one that is larger than the published one.
    """
    tensor = stored.get(key)
    rows = tensor.shape[0] if tensor is not None and tensor.shape else published
    if not 1 <= rows <= published:
        raise ValueError(f"{key} has {rows} rows, allowed: 1 to {published}")
    return rows


def _warn_of_another_size(path: Path, config: object, published: object) -> None:
    if config != published:
        logger.warning("%s: not of the published size, so its figures are not those of papers: %s", path, config)


def _layout(rules: Sequence[Rule]) -> Layout:
    def placements(network: str, name: str) -> list[Placement]:
        return [apply_rules(rules, name)]

    return placements


def _parameters(
    name: str,
    network_class: Callable[[Any], Any],
    config: object,
    layout: Layout,
    stored: Mapping[str, LazyTensor],
    ignored: re.Pattern[str],
    path: Path,
) -> dict[str, LazyTensor]:
    """All parameters of the network as lazy tensors. Raises CheckpointError for a key that is missing or not known."""
    with framework.empty_weights():
        shapes = framework.parameter_shapes(network_class(config))
    found, used = read_parameters(name, shapes, layout, stored, str(path))
    check_all_used(stored, used, ignored, str(path))
    return found


def _sample_rate(filters: LazyTensor | None) -> int:
    """The rate of the variant of MEL_CNN14 that has these mel filters (bins, bands). Raises ValueError for others."""
    if filters is None:
        raise ValueError(f"it has no {FILTERS_KEY}, which tells the sample rate")
    for rate, config in MEL_CNN14.items():
        expected = mel_filters(config).T
        if filters.shape == expected.shape:
            difference = np.linalg.norm(np.asarray(filters.read(), np.float64) - expected)
            if not difference <= FILTERS_TOLERANCE * np.linalg.norm(expected):  # nor NaN
                raise ValueError(f"the mel filters of {FILTERS_KEY} are not those of Cnn14 at {rate} Hz")
            return rate
    known = ", ".join(f"{[*mel_filters(config).T.shape]} at {rate} Hz" for rate, config in MEL_CNN14.items())
    raise ValueError(f"{FILTERS_KEY} is {[*filters.shape]}, allowed: {known}")


# ---- Finding the files


def stored_vggish() -> Path | None:
    """The published file of VGGish, where torchvggish or the hub keep it."""
    return _stored(VGGISH_FILE)


def stored_cnn14() -> Path | None:
    """The published file of Cnn14, where audioldm_eval, panns_inference or the hub keep it; at 16 kHz if there is one.

    audioldm_eval evaluates at 16 kHz unless asked otherwise.
    """
    return next((path for name in CNN14_FILES.values() if (path := _stored(name))), None)


def _stored(name: str) -> Path | None:
    names = (name, name.replace("=", "%3D"))  # as some programs keep the name from the address
    paths = [folder / spelled for folder in _folders() for spelled in names]
    return next((path for path in paths if path.is_file()), None)


def _folders() -> list[Path]:
    """Where other programs keep the files that they download, PyTorch's hub first."""
    from huggingface_hub import constants

    home, caches = Path.home(), Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hub = Path(os.environ.get("TORCH_HOME") or caches / "torch") / "hub"
    snapshots = sorted(Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*"))
    return [hub / "checkpoints", hub, home / ".cache" / "audioldm_eval" / "ckpt", home / "panns_data", *snapshots]
