"""The UNet step through torch.compile: minutes on a small machine, so not among the default tests."""

from __future__ import annotations

import pytest

from ppaudioldm import framework
from ppaudioldm.engines.eager import EagerEngine
from tests.engines.test_eager import CHECKPOINT, guided_step
from tests.support import relative_error

if framework.NAME != "torch":
    pytest.skip("PyTorch compiles, Paddle does not", allow_module_level=True)


def test_compiled_step_is_the_step():
    compiled = guided_step(EagerEngine(CHECKPOINT, "cpu", compile_step=True))
    assert relative_error(compiled, guided_step(EagerEngine(CHECKPOINT, "cpu"))) < 1e-5
