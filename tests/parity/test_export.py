"""Every function of tiny as a program of Paddle Inference and as a model of OpenVINO, and docs/deployment.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.cli import main
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.export.export import exportable_functions
from ppaudioldm.export.runner import Programs, generate
from ppaudioldm.models.functions import network_and_method
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.checkpoint import open_checkpoint
from tests.support import relative_error

if framework.NAME != "paddle":
    pytest.skip("networks are traced by Paddle", allow_module_level=True)

from tests.openvino_engine.test_translated_networks import EXAMPLES, eager

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deployment.md"
CHECKPOINT = open_checkpoint("tiny")


@pytest.fixture(scope="module", params=["paddle", "openvino"])
def programs(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / request.param
    assert main(["export", "tiny", str(folder), "--format", request.param, "--prompt", "a big bell"]) == 0
    return Programs(folder)


@pytest.fixture(scope="module")
def engine():
    return EagerEngine(CHECKPOINT, "cpu")


@pytest.mark.parametrize("function", exportable_functions(CHECKPOINT.config))
def test_function(function, programs, engine):
    network, method = network_and_method(function)
    engine.prepare(function)
    for batch, length in ((1, 2), (2, 3)):
        inputs = EXAMPLES[function](CHECKPOINT.config, batch, length)
        expected = eager(engine._networks[network], method, inputs)
        if function == "gpt2":
            outputs: Any = programs.gpt2()(*inputs[:2])
        else:
            outputs = programs.run(function, *inputs)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        errors = [relative_error(actual, right) for actual, right in zip(outputs, expected, strict=True)]
        assert max(errors) < 1e-5, errors
    print(f"{programs.manifest['format']} {function}: {max(errors):.1e}")


def test_clip(programs):
    tokens = {kind: ids for kind, ids in _tokens(programs).items()}
    pipeline = AudioLDM.from_pretrained("tiny", engine="eager", device="cpu")
    # In several windows, and one attempt, as the runner makes.
    expected = pipeline.generate("a big bell", duration=6, seed=1, num_waveforms_per_prompt=1).waveforms[0]
    error = relative_error(generate(programs, tokens, seconds=6, seed=1), expected)
    print(f"{programs.manifest['format']} clip: {error:.1e}")
    # Griffin-Lim starts from the mel spectrogram, and amplifies what OpenVINO rounds otherwise.
    assert error < (1e-5 if programs.manifest["format"] == "paddle" else 1e-3)


def _tokens(programs: Programs) -> dict[str, list[int]]:
    import json

    return json.loads((programs.folder / "prompts.json").read_text("utf-8"))[0]["tokens"]


def test_the_pages_commands_run_as_written(tmp_path):
    """With `ppaudioldm` and `python` of this environment."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, command in (("ppaudioldm", f"{sys.executable} -m ppaudioldm"), ("python", sys.executable)):
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in blocks:
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{block}\n{result.stderr}"
    assert np.isfinite(np.load(tmp_path / "bell.npy")).all() and (tmp_path / "bell.wav").stat().st_size > 50_000
