"""VGGish and Cnn14 against torchvggish and panns_inference, from a sound file's samples to the embedding."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ppaudioldm import framework
from ppaudioldm.audio.evaluation_mels import MEL_CNN14, cnn14_log_mel, vggish_examples
from ppaudioldm.models.cnn14 import Cnn14, Cnn14Config
from ppaudioldm.models.vggish import VGGish, VGGishConfig
from tests.evaluation_networks import SMALL_CNN14, SMALL_VGGISH, network_of, stored
from tests.models.test_evaluation_networks import cnn14_mel, vggish_mel
from tests.support import noise, relative_error, run, save_golden

torchvggish = pytest.importorskip("torchvggish")
CLASSES = 527


@pytest.fixture(scope="module")
def panns(tmp_path_factory) -> Any:
    """panns_inference's networks. Its import would download the names of the classes, unless they are in the home."""
    home = tmp_path_factory.mktemp("home")
    (home / "panns_data").mkdir()
    names = ["index,mid,display_name", *(f"{n},/m/{n},class {n}" for n in range(CLASSES))]
    (home / "panns_data" / "class_labels_indices.csv").write_text("\n".join(names) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setattr(os, "system", lambda command: pytest.fail(f"would run {command}"))
        assert Path.home() == home
        return pytest.importorskip("panns_inference.models")


def state_of(network_class: type, config: Any, rate: int = 16000) -> dict[str, torch.Tensor]:
    tensors = stored(network_class, config, rate)
    return {key: torch.from_numpy(np.array(tensor.read())) for key, tensor in tensors.items()}


def reference_vggish(config: VGGishConfig) -> torch.nn.Module:
    """torchvggish's class; where sizes are other than published, with other layers in its lists."""
    reference = torchvggish.torchvggish._vgg(postprocess=False)
    if config != VGGishConfig():
        sizes = iter((1, *config.channels))
        previous = next(sizes)
        for index, layer in enumerate(reference.features):
            if isinstance(layer, torch.nn.Conv2d):
                size = next(sizes)
                reference.features[index], previous = torch.nn.Conv2d(previous, size, 3, padding=1), size
        sizes = (config.flat_size, *config.hidden_sizes, config.embedding_size)
        for index, (a, b) in enumerate(pairwise(sizes)):
            reference.embeddings[2 * index] = torch.nn.Linear(a, b)
    reference.load_state_dict(state_of(VGGish, config), strict=True)
    reference.embeddings = reference.embeddings[:-1]  # as audioldm_eval removes the last ReLU
    return reference.eval()


def reference_cnn14(panns: Any, config: Cnn14Config, rate: int) -> torch.nn.Module:
    mel = MEL_CNN14[rate]
    reference = panns.Cnn14(rate, mel.n_fft, mel.hop_length, mel.n_mels, int(mel.f_min), int(mel.f_max), CLASSES)
    if config != Cnn14Config():
        sizes = (1, *config.channels)
        for number, (a, b) in enumerate(pairwise(sizes), 1):
            setattr(reference, f"conv_block{number}", panns.ConvBlock(a, b))
        reference.fc1 = torch.nn.Linear(config.channels[-1], config.embedding_size)
        reference.fc_audioset = torch.nn.Linear(config.embedding_size, config.num_classes)
    # The file's kernels of the Fourier transform are zeros here: the class's own stay.
    state = {k: v for k, v in state_of(Cnn14, config, rate).items() if not k.startswith("spectrogram_extractor")}
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected and all(name.startswith("spectrogram_extractor") for name in missing)
    return reference.eval()


def from_mel(reference: torch.nn.Module, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reference's embedding and probabilities of a spectrogram in place of a waveform."""
    reference.spectrogram_extractor = reference.logmel_extractor = torch.nn.Identity()
    with torch.no_grad():
        found = reference(torch.from_numpy(mel)[:, None])
    return found["embedding"].numpy(), found["clipwise_output"].numpy()


def probabilities(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("config", [SMALL_VGGISH, VGGishConfig()], ids=["reduced", "full"])
def test_vggish(config, request):
    mel = vggish_mel()
    with torch.no_grad():
        expected = reference_vggish(config)(torch.from_numpy(mel)[:, None]).numpy()
    error = relative_error(run(network_of(VGGish, config), mel), expected)
    print(f"vggish on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-5
    if config is SMALL_VGGISH and request.config.getoption("--write-golden"):
        save_golden("vggish", embedding=expected)


@pytest.mark.parametrize("config", [SMALL_CNN14, Cnn14Config()], ids=["reduced", "full"])
def test_cnn14(config, panns, request):
    mel = cnn14_mel()
    embedding, expected = from_mel(reference_cnn14(panns, config, 16000), mel)
    ours = run(network_of(Cnn14, config), mel)
    errors = relative_error(ours[0], embedding), relative_error(probabilities(ours[1]), expected)
    print(f"cnn14 on {framework.NAME}: relative errors {errors[0]:.1e}, {errors[1]:.1e}")
    assert max(errors) <= 1e-5
    if config is SMALL_CNN14 and request.config.getoption("--write-golden"):
        save_golden("cnn14", embedding=embedding, probabilities=expected)


@pytest.mark.parametrize("samples", [15_600, 16_000, 30_799, 160_000])
def test_vggish_of_a_waveform(samples):
    waveform = 0.1 * noise(samples).astype(np.float64)
    expected = torchvggish.vggish_input.waveform_to_examples(waveform, 16000).detach().numpy()[:, 0]
    ours = vggish_examples(waveform)
    assert ours.shape == expected.shape
    assert relative_error(ours, expected) <= 1e-6


@pytest.mark.parametrize("rate", MEL_CNN14)
def test_cnn14_of_a_waveform(rate, panns):
    """With the kernels of the Fourier transform that the class computes; audioldm_eval subtracts the mean before."""
    reference = reference_cnn14(panns, SMALL_CNN14, rate)
    waveform = 0.1 * noise(2 * rate + 123) + 0.05
    centred = torch.from_numpy(waveform - waveform.mean())[None]
    with torch.no_grad():
        mel = reference.logmel_extractor(reference.spectrogram_extractor(centred))[0, 0].numpy()
        found = reference(centred)
    ours = cnn14_log_mel(waveform, rate)
    assert ours.shape == mel.shape and np.abs(ours - mel).max() <= 2e-3  # dB
    embedding, logits = run(network_of(Cnn14, SMALL_CNN14), ours[None])
    assert relative_error(embedding, found["embedding"].numpy()) <= 1e-4
    assert relative_error(probabilities(logits), found["clipwise_output"].numpy()) <= 1e-4
