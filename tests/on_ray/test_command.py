"""The command on a cluster of this machine: the same bytes as one process, Ctrl-C, a killed driver, a store."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cluster.md"
PATIENCE_S = 600.0
SETTINGS = ["-c", "untrained", "-d", "0.3", "--steps", "1", "--seed", "3"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
ENVIRONMENT.pop("RAY_AUTH_MODE", None)
# As a worker has one core, so has the process that it is compared with: another number of threads adds in other orders.
COMMAND = [sys.executable, "-m", "ppaudioldm", "generate", "--list"]


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    one_core = "--ray" not in arguments

    def pin() -> None:
        if one_core:
            os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])

    return subprocess.run(
        command,
        env={**ENVIRONMENT, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=pin,
    )


def our_lines(error: str) -> list[str]:
    """What is on stderr, without the lines of a start that took Ray too long."""
    return [
        line for line in error.splitlines() if not line.startswith("ppaudioldm: warning: Ray did not start in time")
    ]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The list, and the sounds of one process."""
    folder = tmp_path_factory.mktemp("alone")
    path = folder / "list.txt"
    path.write_text("\n".join(f"sound {i % 12}" for i in range(16)))
    assert run(path, "--output-dir", folder / "out", *SETTINGS).returncode == 0
    return path, folder / "out"


def assert_equal(out: Path, alone: Path) -> None:
    assert names(out) == names(alone)
    for name in names(alone):
        if name != "manifest.jsonl":
            assert (out / name).read_bytes() == (alone / name).read_bytes(), name
    both = [(place / "manifest.jsonl").read_text().splitlines() for place in (out, alone)]
    assert [sorted(json.loads(line)["line"] for line in lines) for lines in both] == [list(range(1, 17))] * 2
    assert sorted(both[0]) == sorted(both[1])


def test_the_sounds_of_one_process_byte_for_byte(alone, tmp_path):
    path, expected = alone
    done = run(path, "--output-dir", tmp_path / "out", *SETTINGS, "--ray", "--ray-workers", "2")
    assert done.returncode == 0, done.stderr
    note = "ppaudioldm: note: untrained has random weights, so this is noise and not the sound of the prompt"
    assert our_lines(done.stderr) == [note, "ppaudioldm: 16 of 16 generated"]
    assert_equal(tmp_path / "out", expected)
    assert not (Path.home() / ".ray").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_and_started_again(alone, tmp_path, number):
    path, expected = alone
    out = tmp_path / "out"
    arguments = [str(path), "--output-dir", str(out), *SETTINGS, "--ray", "--ray-workers", "1"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and len(names(out) if out.exists() else ()) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    error = process.communicate(timeout=PATIENCE_S)[1]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert re.search(r"stopped: \d+ of 16 are missing, the same command generates them", error)
    before = {name: (out / name).stat().st_mtime_ns for name in names(out) if name.endswith(".wav")}
    assert before
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    existed = int(re.search(r"(\d+) existed", done.stderr)[1])  # type: ignore[index]
    assert existed >= len(before)
    assert_equal(out, expected)
    assert all((out / name).stat().st_mtime_ns == at for name, at in before.items())


def test_a_checkpoint_that_no_worker_can_open(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a")
    done = run(path, "--output-dir", tmp_path / "out", "-c", str(tmp_path / "none"), "--ray", "--ray-workers", "1")
    (line,) = our_lines(done.stderr)
    assert done.returncode == 2 and line.startswith("ppaudioldm: error: ") and "none" in line


@pytest.fixture
def s3():
    """moto's server: an address, and an empty bucket called sounds."""
    pytest.importorskip("s3fs", reason="needs the extra s3")
    server_module = pytest.importorskip("moto.server", reason="needs moto[s3] and flask-cors")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    import s3fs

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    files = s3fs.S3FileSystem(
        key="test", secret="test", endpoint_url=keys["AWS_ENDPOINT_URL"], use_listings_cache=False
    )
    files.mkdir("sounds")
    yield files, keys
    server.stop()


def test_a_bucket(alone, s3):
    path, expected = alone
    files, keys = s3
    arguments = [path, "--output-dir", "s3://sounds/first", *SETTINGS, "--ray", "--ray-workers", "2"]
    done = run(*arguments, **keys)
    assert done.returncode == 0, done.stderr
    found = {name.rpartition("/")[2]: files.cat_file(name) for name in files.find("sounds/first")}
    assert sorted(found) == names(expected)
    for name in names(expected):
        if name != "manifest.jsonl":
            assert found[name] == (expected / name).read_bytes()
    files.rm_file("sounds/first/sound_3.wav")
    again = run(*arguments, **keys)
    assert again.stderr.splitlines()[-1] == "ppaudioldm: 1 of 16 generated, 15 existed"
    assert files.cat_file("sounds/first/sound_3.wav") == found["sound_3.wav"]


def test_the_documented_commands_run_as_written(tmp_path):
    """Those of the page's blocks that are marked bash; another machine's are marked sh."""
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    script = "set -e\n" + "".join(blocks)
    binary = tmp_path / "bin"
    binary.mkdir()
    for name, module in (("ppaudioldm", "ppaudioldm"), ("ray", "ray.scripts.scripts")):
        (binary / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
        (binary / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PATH": f"{binary}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sounds" / "manifest.jsonl").read_text().count("\n") == 3
