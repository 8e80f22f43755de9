"""The framework of a process, and what it leaves as it is."""

from __future__ import annotations

import argparse
import os
import threading

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.choices import FRAMEWORKS
from ppaudioldm.cli import main
from ppaudioldm.commands.arguments import choose_framework
from ppaudioldm.engines.choice import chosen_engine
from tests.support import noise

(OTHER,) = (name for name in FRAMEWORKS if name != framework.NAME)
TOO_LATE = f"was chosen too late: this process already uses {framework.NAME}"


def test_another_framework_after_the_first_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("PPAUDIOLDM_FRAMEWORK", framework.NAME)
    with pytest.raises(ValueError, match=f"framework '{OTHER}' {TOO_LATE}"):
        choose_framework(argparse.Namespace(framework=OTHER))
    assert os.environ["PPAUDIOLDM_FRAMEWORK"] == framework.NAME
    choose_framework(argparse.Namespace(framework=framework.NAME))
    assert main(["generate", "rain", "-c", "untrained", "--framework", OTHER]) == 2
    assert TOO_LATE in capsys.readouterr().err


def test_another_framework_by_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_FRAMEWORK", OTHER)
    with pytest.raises(ValueError, match=f"framework '{OTHER}' in PPAUDIOLDM_FRAMEWORK {TOO_LATE}"):
        chosen_engine("eager", "cpu", "f32", False)


@pytest.mark.skipif(framework.NAME != "torch", reason="Paddle's transposed convolution is its own")
def test_a_transposed_convolution_is_exact_and_leaves_onednn_on():
    """Of a size for which oneDNN's is wrong. In other threads oneDNN stays on, meanwhile and afterwards."""
    torch = framework.xp
    layer = framework.ConvTranspose1d(768, 384, 10, stride=5, padding=2)
    for index, parameter in enumerate(layer.parameters()):
        parameter.data = torch.from_numpy(noise(*parameter.shape, seed=index) / 100)
    x = torch.from_numpy(noise(2, 768, 24))
    results: list[np.ndarray] = []

    def convolve() -> None:
        with torch.no_grad():
            results.extend(layer(x).numpy() for _ in range(3))

    threads = [threading.Thread(target=convolve) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert torch.backends.mkldnn.enabled
    assert torch.backends.mkldnn.enabled
    with torch.no_grad():
        exact = torch.nn.functional.conv_transpose1d(
            x.double(), layer.weight.double(), layer.bias.double(), stride=5, padding=2
        ).numpy()
    assert len(results) == 6
    for result in results:
        np.testing.assert_allclose(result, exact, atol=1e-4)
