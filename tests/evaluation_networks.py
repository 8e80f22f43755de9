"""Small VGGish and Cnn14 with random weights, and files of them as torchvggish and PANNs publish theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm import framework
from ppaudioldm.audio.evaluation_mels import MEL_CNN14
from ppaudioldm.audio.mel_filters import mel_filters
from ppaudioldm.models.cnn14 import Cnn14, Cnn14Config
from ppaudioldm.models.vggish import VGGish, VGGishConfig
from ppaudioldm.weights.evaluation_networks import CNN14_RULES, FILTERS_KEY, VGGISH_RULES
from ppaudioldm.weights.mapping import apply_rules, write_parameters
from ppaudioldm.weights.random import random_weight
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor
from ppaudioldm.weights.torch_files import write_torch
from tests.support import SEED

SMALL_VGGISH = VGGishConfig(channels=(4, 6, 8, 8, 10, 12), hidden_sizes=(24, 20), embedding_size=16)
SMALL_CNN14 = Cnn14Config(channels=(4, 6, 8, 10, 12, 16), embedding_size=20, num_classes=12)


def value(name: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random values with which what differs between two inputs still differs between their outputs."""
    values = random_weight(name, key, shape, SEED)
    if len(shape) > 1:
        return 2 * values  # half of what passes a layer is lost in its ReLU
    if key.startswith("input_norm.running"):  # of decibels
        return values - 30 if key.endswith("mean") else 100 * values
    return values


def network_of(network_class: type, config: Any) -> Any:
    """The network with random weights, those of `stored`."""
    with framework.empty_weights():
        network = network_class(config)
    shapes = framework.parameter_shapes(network)
    name = network_class.__name__.lower()
    framework.assign_weights(network, ((key, value(name, key, shape)) for key, shape in shapes.items()))
    return network


def stored(network_class: type, config: Any, rate: int = 16000) -> dict[str, LazyTensor]:
    """The tensors of a published file of the network, by its keys, with random values."""
    name, rules = network_class.__name__.lower(), CNN14_RULES if network_class is Cnn14 else VGGISH_RULES
    with framework.empty_weights():
        shapes = framework.parameter_shapes(network_class(config))
    parameters = {key: ComputedTensor(shape, lambda k=key, s=shape: value(name, k, s)) for key, shape in shapes.items()}
    tensors = write_parameters(name, parameters, lambda _, key: [apply_rules(rules, key)])
    if network_class is Cnn14:
        tensors |= constants(config, rate)
    return tensors


def constants(config: Cnn14Config, rate: int) -> dict[str, LazyTensor]:
    """What a file of Cnn14 has besides its parameters. The kernels of its Fourier transform are not read, so zeros."""
    filters = mel_filters(MEL_CNN14[rate]).T.astype(np.float32)
    bins, n_fft = len(filters), MEL_CNN14[rate].n_fft
    arrays = {
        FILTERS_KEY: filters,
        "spectrogram_extractor.stft.conv_real.weight": np.zeros((bins, 1, n_fft), np.float32),
        "spectrogram_extractor.stft.conv_imag.weight": np.zeros((bins, 1, n_fft), np.float32),
        "bn0.num_batches_tracked": np.array(7),
    }
    for block in range(1, len(config.channels) + 1):
        arrays |= {f"conv_block{block}.bn{n}.num_batches_tracked": np.array(7) for n in (1, 2)}
    return {key: as_tensor(array) for key, array in arrays.items()}


def as_tensor(array: np.ndarray) -> LazyTensor:
    return ComputedTensor(array.shape, lambda: array)


def write_vggish(path: Path, **changed: np.ndarray | None) -> Path:
    """A file of torchvggish. changed: other values of its keys, None for none."""
    write_torch(path, _changed(stored(VGGish, SMALL_VGGISH), changed), wrap=None)
    return path


def write_cnn14(path: Path, rate: int = 16000, **changed: np.ndarray | None) -> Path:
    """A file of PANNs for a sample rate."""
    write_torch(path, _changed(stored(Cnn14, SMALL_CNN14, rate), changed), wrap="model", numbers={"iteration": 7})
    return path


def _changed(tensors: dict[str, LazyTensor], changed: dict[str, np.ndarray | None]) -> Any:
    tensors = tensors | {key: as_tensor(array) for key, array in changed.items() if array is not None}
    return [(key, tensor) for key, tensor in tensors.items() if changed.get(key, tensor) is not None]
