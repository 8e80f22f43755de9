"""The wheel and the source distribution: what they hold, what they need, and what a package index says of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ppaudioldm

ROOT = Path(__file__).parents[1]
FEATURES = {
    "c2pa",
    "mcp",
    "media",
    "ray",
    "recognition",
    "serve",
    "speech",
    "train",
    "ui",
}  # extras that bring what a part of the package needs
FRAMEWORKS = {"paddlepaddle", "paddlepaddle-gpu", "torch", "openvino"}
NOT_CODE = {".css", ".gz", ".js", ".json", ".safetensors", ".svg", ".typed"}


@dataclass(frozen=True)
class Built:
    """wheel, source: names of the files in each, of the source below its folder. paths: of both archives."""

    metadata: Message
    wheel: set[str]
    source: set[str]
    paths: list[Path]

    def requirements(self, extra: str) -> set[str]:
        """What `pip install ppaudioldm[extra]` requires, as names of projects; "" for no extra."""
        found: set[str] = set()
        for requirement in map(Requirement, self.metadata.get_all("Requires-Dist", [])):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            if requirement.name == "ppaudioldm":
                found |= {name for inner in requirement.extras for name in self.requirements(inner)}
            else:
                found.add(requirement.name)
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    # Four seconds: a wheel from a source distribution, as an index would get them.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel_path,), (source_path,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel_path) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        parsed = Parser().parsestr(wheel.read(metadata).decode())
    with tarfile.open(source_path) as source:
        files = {member.name.partition("/")[2] for member in source.getmembers() if member.isfile()}
    return Built(parsed, names, files, [wheel_path, source_path])


def test_an_index_would_accept_them(built):
    check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.paths)]
    result = subprocess.run(check, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_metadata(built):
    metadata = built.metadata
    assert metadata["Version"] == ppaudioldm.__version__
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# ppaudioldm")
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["Author"] and metadata["Project-URL"]
    assert metadata["Requires-Python"] == ">=3.10" and "Typing :: Typed" in metadata.get_all("Classifier")


def test_no_framework_unless_it_is_asked_for(built):
    assert not built.requirements("") & FRAMEWORKS
    for feature in FEATURES:
        assert built.requirements(feature) and not built.requirements(feature) & FRAMEWORKS, feature
    assert built.requirements("cpu") & FRAMEWORKS == {"paddlepaddle", "openvino"}
    assert built.requirements("paddle") & FRAMEWORKS == {"openvino"}  # which leaves an installed paddlepaddle-gpu
    assert built.requirements("torch") & FRAMEWORKS == {"torch"}


def test_all_is_every_feature(built):
    assert built.requirements("all") == set().union(*map(built.requirements, FEATURES))
    extras = set(built.metadata.get_all("Provides-Extra"))
    assert extras - FEATURES == {"all", "cpu", "paddle", "torch", "s3", "test", "cluster", "browser", "parity"}


def test_every_extra_that_a_message_names_exists(built):
    extras = set(built.metadata.get_all("Provides-Extra"))
    texts = [*ROOT.glob("ppaudioldm/**/*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]
    named = {
        extra
        for path in texts
        for found in re.findall(r"(?:ppaudioldm|'\.|\"\.)\[([a-z,]+)\]", path.read_text("utf-8"))
        for extra in found.split(",")
    }
    assert {"cpu", "speech", "torch"} <= named and named <= extras, named - extras


def test_what_they_hold(built):
    code = {str(path.relative_to(ROOT)) for path in ROOT.glob("ppaudioldm/**/*.py")}
    models = {str(path.relative_to(ROOT)) for path in ROOT.glob("ppaudioldm/built_in/**/*") if path.is_file()}
    for name in ("tiny", "tiny-speech"):
        assert f"ppaudioldm/built_in/{name}/unet.safetensors" in models
    for files in (built.wheel, built.source):
        assert code | models | {"ppaudioldm/py.typed"} <= files
    others = {name for name in built.wheel - code if ".dist-info/" not in name}
    assert {Path(name).suffix for name in others} == NOT_CODE and all(name.startswith("ppaudioldm/") for name in others)
    beside = {name for name in built.source if not name.startswith("ppaudioldm")}
    credits = {"assets/CREDITS.md", "assets/VOICES.md"}  # of what built-in models are trained on
    assert beside == {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"} | credits
    licences = {name.partition(".dist-info/licenses/")[2] for name in built.wheel}
    assert licences >= {"LICENSE"} | credits
