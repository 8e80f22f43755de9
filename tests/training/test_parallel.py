"""Two processes, started by each framework's own launcher, learn what one learns from both their batches."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training import loop
from ppaudioldm.training.state import load_state
from tests.training.test_loop import RUN, LineStage

PROGRAM = """
import sys
from pathlib import Path
from ppaudioldm.training import loop, parallel
from tests.training.test_loop import RUN, LineStage
process = parallel.join("cpu")
assert process.count == 2
loop.train(LineStage(), RUN, Path(sys.argv[1]), process)
parallel.leave(process)
"""


class BothStage(LineStage):
    def data(self, index):
        one, two = super().data(2 * index), super().data(2 * index + 1)
        return {name: np.concatenate([one[name], two[name]]) for name in one}


def launcher(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    if framework.NAME == "torch":
        return ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    return [
        "paddle.distributed.launch",
        "--nproc_per_node",
        "2",
        "--log_dir",
        str(folder / "log"),
        "--start_port",
        port,
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the launchers' CPU backends are for Linux")
def test_two_processes_learn_from_both_batches(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    program = [str(tmp_path / "program.py"), str(tmp_path / "two")]
    here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    environment = {**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-m", *launcher(tmp_path), *program],
        env=environment,
        capture_output=True,
        timeout=120,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    loop.train(BothStage(), RUN, tmp_path / "one")
    one, two = load_state(tmp_path / "one"), load_state(tmp_path / "two")
    assert two.facts["processes"] == 2 and two.step == RUN.steps
    for name, value in one.section("weights").items():
        assert np.allclose(two.section("weights")[name], value, rtol=1e-4, atol=1e-6), name
    with pytest.raises(CheckpointError, match="processes is 1, was 2"):
        loop.train(LineStage(), replace(RUN, steps=20), tmp_path / "two")
