"""Opening and loading keeps the parameters once, whatever the file, with little memory those of one network at a time.

Measured on a checkpoint of 210 MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import T5Config
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights import original
from ppaudioldm.weights.mapping import Layout, Placement, write_parameters
from ppaudioldm.weights.tensors import ComputedTensor, LazyTensor
from ppaudioldm.weights.torch_files import write_torch
from tests.weights.examples import one_naming, paddlemix_layout
from tests.weights.paddle_writer import write_paddle

REPOSITORY = Path(__file__).parents[2]
T5_WIDTH = 512
MEDIUM = replace(
    UNTRAINED,
    unet=replace(UNTRAINED.unet, context_dims=(128, T5_WIDTH)),
    flan_t5=T5Config(16_000, T5_WIDTH, 8, 8, 64, 2048),
    loa=replace(UNTRAINED.loa, condition_dims=(64, T5_WIDTH)),
)
MOST = 1.3  # times the parameters

PROGRAM = """
import json, sys
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.models.build import build_empty, network_names
from ppaudioldm.weights.checkpoint import open_checkpoint

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

for network in network_names(UNTRAINED):
    build_empty(network, UNTRAINED)  # PyTorch imports half of itself at the first layers without values
before = kilobytes("VmRSS")
checkpoint = open_checkpoint(sys.argv[1])
engine = EagerEngine(checkpoint, "cpu", low_memory=sys.argv[2] == "True")
for network in checkpoint.networks:
    engine._ready(network)
print(json.dumps(1024 * (kilobytes("VmHWM") - before)))
"""


def one_copy(layout: Layout) -> Layout:
    """Text encoders are stored twice; their sizes are read off the second."""

    def placements(network: str, name: str) -> Sequence[Placement]:
        found = layout(network, name)
        return found[-1:] if network in ("clap_text", "flan_t5") else found[:1]

    return placements


def tensors_of(layout: Layout) -> dict[str, LazyTensor]:
    """Parameters of MEDIUM, with values that are quickly made."""
    tensors: dict[str, LazyTensor] = {}
    for network in network_names(MEDIUM):
        parameters = {
            key: ComputedTensor(shape, lambda shape=shape: np.ones(shape, np.float32))
            for key, shape in parameter_shapes(network, MEDIUM).items()
        }
        tensors.update(write_parameters(network, parameters, one_copy(layout)))
    return tensors


def bytes_of(network: str) -> int:
    return 4 * sum(int(np.prod(shape)) for shape in parameter_shapes(network, MEDIUM).values())


def peak(path: Path, low_memory: bool) -> int:
    """Bytes that opening the file and loading all networks takes at most, over what the framework takes."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(low_memory)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by Linux' /proc")
@pytest.mark.parametrize("suffix", [".pth", ".pdparams"])
def test_parameters_are_in_memory_once(tmp_path, suffix):
    path = tmp_path / f"medium{suffix}"
    if suffix == ".pth":
        write_torch(path, tensors_of(original.layout(MEDIUM)).items())
    else:
        write_paddle(path, tensors_of(one_naming(paddlemix_layout(MEDIUM), published=False)).items())
    sizes = [bytes_of(network) for network in network_names(MEDIUM)]
    assert sum(sizes) > 150e6
    usual, low = peak(path, low_memory=False), peak(path, low_memory=True)
    path.unlink()
    print(f"{suffix}: {usual / sum(sizes):.3f} times {sum(sizes) / 1e6:.0f} MB, {low / max(sizes):.3f} times the most")
    assert usual < MOST * sum(sizes)
    assert low < MOST * max(sizes)
