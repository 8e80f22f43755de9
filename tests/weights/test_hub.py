from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, LICENCE
from ppaudioldm.weights.tokenizer_files import byte_tokenizer_json
from tests.weights.hub_server import Hub, serving

REPOSITORY = Path(__file__).parents[2]
NAMES = {"original": "audioldm2-full", "diffusers": "cvssp/audioldm2"}

# huggingface_hub reads its environment when it is imported, so each case is a process of its own. The names of the
# table stand for tiny checkpoints there.
PROGRAM = """
import hashlib, json, logging, sys
from dataclasses import replace
from ppaudioldm.checkpoints import CHECKPOINTS, TINY
from ppaudioldm.weights import checkpoint, hub
# After the imports: none of them may have taken the root logger for itself.
handler = logging.StreamHandler(sys.stdout)
handler.addFilter(logging.Filter("ppaudioldm"))
logging.basicConfig(format="LOG %(message)s", handlers=[handler])
for name in list(CHECKPOINTS):
    CHECKPOINTS[name] = replace(CHECKPOINTS[name], config=TINY)
try:
    opened = checkpoint.open_checkpoint(sys.argv[1])
    digest = hashlib.sha256()
    for network in opened.networks:
        for name, values in opened.weights(network):
            digest.update(values.tobytes())
    digest.update(opened.tokenizer_json("clap").encode())
    print("RESULT", json.dumps([opened.name, opened.layout, digest.hexdigest()]))
except ValueError as error:
    print("ERROR", error)
"""


def open_in_process(name: str, cache: Path, **environment: str) -> list[str]:
    """The lines that opening checkpoint `name` prints, with an own cache and `environment`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    kept |= {"HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    kept |= {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(REPOSITORY), "no_proxy": "127.0.0.1"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], capture_output=True, text=True, env=kept | environment, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture(scope="module")
def repos(layouts, tmp_path_factory) -> dict[str, Path]:
    """The hub's repositories: a published file, a diffusers folder, a tokenizer."""
    folder = tmp_path_factory.mktemp("repos")
    file = CHECKPOINTS[NAMES["original"]]
    (folder / "original").mkdir()
    (folder / "original" / file.filename).hardlink_to(layouts["original"])
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text(byte_tokenizer_json("clap"), "utf-8")
    return {
        file.repo: folder / "original",
        CHECKPOINTS[NAMES["diffusers"]].repo: layouts["diffusers"],
        "FacebookAI/roberta-base": folder / "tokenizer",
    }


@pytest.fixture
def hub(repos):
    with serving(dict(repos)) as hub:
        yield hub


def result(lines: list[str]) -> list[str]:
    (line,) = (line for line in lines if not line.startswith("LOG"))
    assert line.startswith("RESULT "), line
    return json.loads(line.removeprefix("RESULT "))


def error(lines: list[str]) -> str:
    (line,) = (line for line in lines if not line.startswith("LOG"))
    assert line.startswith("ERROR ") and len(line) < 500
    return line.removeprefix("ERROR ")


@pytest.mark.parametrize("layout", NAMES)
def test_downloaded_once_and_then_used_offline(hub: Hub, tmp_path, layout):
    name = NAMES[layout]
    lines = open_in_process(name, tmp_path, HF_ENDPOINT=hub.url)
    first = result(lines)
    assert first[:2] == [name, layout]
    info = CHECKPOINTS[name]
    (licence,) = (line for line in lines if line.startswith("LOG"))
    expected = f"LOG downloading {name} (about {info.download_gb:.1f} GB) from {info.repo}; its weights are licensed"
    assert licence == f"{expected} {LICENCE}"

    hub.requests.clear()
    (line,) = again = open_in_process(name, tmp_path, HF_ENDPOINT=hub.url)  # nothing about the licence
    assert result(again) == first
    assert not [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]

    hub.status = 503
    assert open_in_process(name, tmp_path, HF_HUB_OFFLINE="1") == [line]


def test_both_layouts_hold_the_same(hub: Hub, tmp_path):
    found = [result(open_in_process(name, tmp_path, HF_ENDPOINT=hub.url))[2:] for name in NAMES.values()]
    assert found[0] == found[1]


def test_only_what_is_needed_of_a_folder_is_downloaded(hub: Hub, tmp_path, layouts):
    folder = tmp_path / "repo"
    for path in layouts["diffusers"].rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(layouts["diffusers"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    for extra in ("unet/diffusion_pytorch_model.bin", "README.md", "sample.wav", "pipeline.py"):
        (folder / extra).write_bytes(b"x" * 1000)
    hub.repos["cvssp/audioldm2"] = folder
    result(open_in_process("cvssp/audioldm2", tmp_path / "cache", HF_ENDPOINT=hub.url))
    assert not [request for request in hub.requests if request.endswith((".bin", ".md", ".wav", ".py"))]


def test_a_broken_download_is_resumed(hub: Hub, tmp_path):
    hub.cut_after = 30_000_000
    lines = open_in_process("audioldm2-full", tmp_path, HF_ENDPOINT=hub.url)
    if any(line.startswith("ERROR") for line in lines):  # the client gave up: the next run goes on
        lines = open_in_process("audioldm2-full", tmp_path, HF_ENDPOINT=hub.url)
    assert result(lines)[0] == "audioldm2-full"
    (resumed,) = (request for request in hub.requests if ".pth bytes=" in request)
    assert int(resumed.rpartition("=")[2].rstrip("-")) > 10_000_000


@pytest.mark.parametrize("name", NAMES.values())
def test_offline_without_a_cache(tmp_path, name):
    message = error(open_in_process(name, tmp_path, HF_HUB_OFFLINE="1"))
    assert message.startswith(f"cannot get {CHECKPOINTS[name].repo}")
    assert "it is not in the local cache, and HF_HUB_OFFLINE=1 forbids a download" in message


@pytest.mark.parametrize("layout, status", [("original", 404), ("diffusers", 401), ("diffusers", 503)])
def test_a_mirror_that_fails(hub: Hub, tmp_path, layout, status):
    hub.status, name = status, NAMES[layout]
    message = error(open_in_process(name, tmp_path, HF_ENDPOINT=hub.url))
    assert message.startswith(f"cannot get {CHECKPOINTS[name].repo}") and f"from {hub.url}: " in message
    if layout == "diffusers":  # of a file, a 404 that does not come from a hub counts as no connection
        assert str(status) in message


def test_a_mirror_that_is_not_there(tmp_path):
    # A single file would be asked for again for half a minute.
    message = error(open_in_process(NAMES["diffusers"], tmp_path, HF_ENDPOINT="http://127.0.0.1:9"))
    assert "from http://127.0.0.1:9: " in message and "(a mirror can be set in HF_ENDPOINT)" in message


def test_a_mirror_without_this_checkpoint(hub: Hub, tmp_path):
    hub.repos.clear()
    message = error(open_in_process(NAMES["original"], tmp_path, HF_ENDPOINT=hub.url))
    assert "404 Client Error. Repository Not Found for url: " in message


def test_a_mirror_that_sends_something_else(hub: Hub, tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "audioldm2-full.pth").write_text("<html>Please log in</html>")
    hub.repos["haoheliu/audioldm2-full"] = folder
    message = error(open_in_process("audioldm2-full", tmp_path / "cache", HF_ENDPOINT=hub.url))
    assert "audioldm2-full.pth: " in message
