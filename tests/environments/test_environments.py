"""The built wheel in environments of its own, made by pip as a user would: `make install-test`.

They download some gigabytes, hence not part of `make test`. The framework's own first sound takes the rest of the time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
FEATURES = ("media", "serve", "speech", "train", "ui", "all")
SOUND = ["generate", "a big bell", "--seed", "1", "-o", "bell.wav"]
# The release that tests/parity compares with: any other is another download.
TORCH = "torch==2.13.0"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


class Environment:
    """A virtual environment in `folder`, whose programs see nothing of this one's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=True)
        hidden = ("PYTHONPATH", "PPAUDIOLDM_FRAMEWORK", "PPAUDIOLDM_ENGINE")
        self._variables = {name: value for name, value in os.environ.items() if name not in hidden}
        self._variables["PPAUDIOLDM_CACHE"] = str(folder / "cache")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "venv" / "bin" / program), *arguments]
        return subprocess.run(command, cwd=self.folder, env=self._variables, capture_output=True, text=True)

    def pip(self, *arguments: str) -> str:
        result = self.run("python", "-m", "pip", "--disable-pip-version-check", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def install(self, *requirements: str) -> None:
        constraints = self.folder / "constraints.txt"
        constraints.write_text(TORCH)
        self.pip("install", "--quiet", "--constraint", str(constraints), *requirements)

    def distributions(self) -> dict[str, str]:
        """Name -> version of everything that is installed."""
        return {entry["name"].lower(): entry["version"] for entry in json.loads(self.pip("list", "--format", "json"))}

    def assert_first_sound(self) -> None:
        assert self.pip("check").strip() == "No broken requirements found."
        result = self.run("ppaudioldm", *SOUND)
        assert result.returncode == 0, result.stderr
        samples, rate = soundfile.read(self.folder / "bell.wav")
        assert rate == 16000 and len(samples) > 16000 and abs(samples).max() > 0.01


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path)


def test_without_a_framework(environment, wheel):
    environment.install(str(wheel))
    assert not {"paddlepaddle", "torch", "openvino"} & set(environment.distributions())
    result = environment.run("ppaudioldm", *SOUND)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("ppaudioldm: error: no framework is installed: pip install 'ppaudioldm[cpu]'")
    assert environment.run("ppaudioldm", "--version").returncode == 0
    # What each feature would add to this environment.
    for feature in FEATURES:
        report = json.loads(environment.pip("install", "--quiet", "--dry-run", "--report", "-", f"{wheel}[{feature}]"))
        added = {entry["metadata"]["name"].lower() for entry in report["install"]}
        assert added and not {"paddlepaddle", "torch", "openvino"} & added, feature


def test_cpu(environment, wheel):
    environment.install(f"{wheel}[cpu]")
    found = environment.distributions()
    assert {"paddlepaddle", "openvino"} <= set(found) and "torch" not in found
    environment.assert_first_sound()
    # From the cache that this left, OpenVINO needs no framework.
    environment.pip("uninstall", "--quiet", "--yes", "paddlepaddle")
    (environment.folder / "bell.wav").unlink()
    result = environment.run("ppaudioldm", *SOUND)
    assert result.returncode == 0 and (environment.folder / "bell.wav").exists(), result.stderr


def test_torch(environment, wheel):
    environment.install(f"{wheel}[torch]")
    found = environment.distributions()
    assert "torch" in found and not {"paddlepaddle", "openvino"} & set(found)
    environment.assert_first_sound()


def test_paddle_leaves_an_installed_paddlepaddle_gpu(environment, wheel):
    """The stand-in is Paddle for CPUs under the other name, since the real one needs a GPU's libraries."""
    folder = environment.folder / "wheels"
    environment.pip("download", "--quiet", "--no-deps", "--dest", str(folder), "paddlepaddle>=3.3,<3.4")
    (original,) = folder.glob("paddlepaddle-*.whl")
    stand_in = renamed(original, "paddlepaddle", "paddlepaddle_gpu")
    environment.install(str(stand_in))
    before = installed_files(environment)
    environment.install(f"{wheel}[paddle]")
    found = environment.distributions()
    assert {"paddlepaddle-gpu", "openvino"} <= set(found) and not {"paddlepaddle", "torch"} & set(found)
    assert installed_files(environment) == before
    environment.assert_first_sound()


def installed_files(environment: Environment) -> dict[str, int]:
    """Each file of Paddle with the time of its last change."""
    (packages,) = environment.folder.glob("venv/lib/python*/site-packages")
    files = [*packages.glob("paddle/**/*"), *packages.glob("paddlepaddle_gpu-*/*")]
    return {str(path): path.stat().st_mtime_ns for path in files if path.is_file() and path.suffix != ".pyc"}


def renamed(wheel: Path, old: str, new: str) -> Path:
    """A copy of `wheel` as a distribution called `new`, with the same files."""
    target = wheel.with_name(wheel.name.replace(old, new, 1))
    records = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy:
        for name in source.namelist():
            content, path = source.read(name), re.sub(rf"^{old}(-[^/]*\.dist-info/)", rf"{new}\1", name)
            if path.endswith("/RECORD"):
                record_path = path
                continue
            if path.endswith("/METADATA"):
                content = re.sub(rb"(?m)^Name: .*$", f"Name: {new.replace('_', '-')}".encode(), content, count=1)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{path},sha256={digest},{len(content)}\n")
            copy.writestr(path, content)
        copy.writestr(record_path, "".join([*records, f"{record_path},,\n"]))
    wheel.unlink()
    return target
