"""benchmarks/gpu.py without a GPU: how its processes report, and the tables of their reports."""

import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def started(gpu, program):
    process = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True)
    contender = gpu.Contender("one", process)
    threading.Thread(target=contender.read, daemon=True).start()
    return contender


def test_reports_of_a_process_come_line_by_line(gpu):
    program = "print('loading'); print('{\"ready\": true}', flush=True); print('{\"seconds\": {\"1\": 2.5}}')"
    contender = started(gpu, program)
    deadline = time.monotonic() + 60
    assert contender.wait(deadline) == {"ready": True} and contender.wait(deadline) == {"seconds": {"1": 2.5}}


@pytest.mark.parametrize(
    "program, seconds, error",
    [
        ("import sys; sys.exit(3)", 60, "ended with 3"),
        ('print(\'{"error": "no fp16"}\')', 60, "no fp16"),
        ("import time; time.sleep(60)", 0.1, "not ready in time"),
    ],
)
def test_a_process_that_does_not_report_is_left_out_with_the_reason(gpu, program, seconds, error):
    contender = started(gpu, program)
    assert contender.wait(time.monotonic() + seconds) is None
    assert contender.report == {"error": error}
    assert contender.process.wait() != 0 or error == "no fp16"


def test_the_tables(gpu):
    errors = {precision: dict.fromkeys(gpu.FUNCTIONS, 0.001) for precision in ("f32", "bf16")}
    reports = {
        "parity": {"errors": errors},
        "ppaudioldm eager 1 16": {"seconds": {"1": 2.0, "16": 8.0}, "memory_gb": 5.5},
        "diffusers compiled 16": {"error": "not ready in time"},
    }
    lines = gpu.as_text(reports, "a GPU", False, 100.0).splitlines()
    assert "| bf16 | 1.0e-03 | 1.0e-03 | 1.0e-03 |" in lines
    assert "| ppaudioldm, eager | 16 | 8.000 s | 0.500 s | 5.5 GB |" in lines
    assert "| diffusers, compiled | 16 | not ready in time |  |  |" in lines
    without = gpu.as_text({"parity": {"error": "no memory"}}, "a GPU", True, 1.0)
    assert "parity: no memory" in without
