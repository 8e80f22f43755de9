from __future__ import annotations

import filecmp
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, LICENCE, UNTRAINED
from ppaudioldm.weights import convert
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from ppaudioldm.weights.tokenizer_files import byte_tokenizer_json
from tests.support import CONSISTENCYTTA
from tests.weights.examples import error_of
from tests.weights.hub_server import Hub, serving

REPOSITORY = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"  # nothing listens there
NAMES = {"original": "audioldm2-full", "diffusers": "cvssp/audioldm2"}

# huggingface_hub reads its environment when it is imported, so each case is a process of its own.
START = """
import json, logging, sys
from ppaudioldm.weights.locate import locate
from ppaudioldm.weights.tokenizer_files import tokenizer_json
name = sys.argv[1]
"""
LOG = """
# After the imports: none of them may have taken the root logger for itself.
handler = logging.StreamHandler(sys.stdout)
handler.addFilter(logging.Filter("ppaudioldm"))
logging.basicConfig(format="LOG %(message)s", handlers=[handler])
"""
# Finding a checkpoint and its tokenizer takes no framework, and so a fraction of the time.
LOCATE = f"""{START}{LOG}
try:
    path = locate(name).path
    tokenizer_json("clap", path)
    print("RESULT", json.dumps(str(path)))
except ValueError as error:
    print("ERROR", error)
"""
# The name of the table stands for a tiny checkpoint there.
OPEN = f"""{START}
import hashlib
from ppaudioldm.weights.checkpoint import open_checkpoint
{LOG}
opened = open_checkpoint(name)
digest = hashlib.sha256()
for network in opened.networks:
    for _, values in opened.weights(network):
        digest.update(values.tobytes())
digest.update(opened.tokenizer_json("clap").encode())
print("RESULT", json.dumps([opened.name, opened.layout, digest.hexdigest()]))
"""


def in_process(program: str, name: str, cache: Path, **environment: str) -> list[str]:
    """The lines that `program` prints for checkpoint `name`, with an own cache and `environment`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    kept |= {"HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    kept |= {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(REPOSITORY), "no_proxy": "127.0.0.1"}
    run = subprocess.run(
        [sys.executable, "-c", program, name], capture_output=True, text=True, env=kept | environment, timeout=120
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


def result(lines: list[str]) -> Any:
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
    lines = in_process(OPEN, name, tmp_path, HF_ENDPOINT=hub.url)
    checkpoint = random_checkpoint("untrained", UNTRAINED, 0)
    networks = [n for n in checkpoint.networks if n != "audiomae" or layout == "original"]  # the others have none
    digest = hashlib.sha256(b"".join(v.tobytes() for n in networks for _, v in checkpoint.weights(n)))
    digest.update(byte_tokenizer_json("clap").encode())
    assert result(lines) == [name, layout, digest.hexdigest()]
    info = CHECKPOINTS[name]
    (licence,) = (line for line in lines if line.startswith("LOG"))
    expected = f"LOG downloading {name} (about {info.download_gb:.1f} GB) from {info.repo}; its weights are licensed"
    assert licence == f"{expected} {LICENCE}"

    hub.requests.clear()
    (line,) = in_process(LOCATE, name, tmp_path, HF_ENDPOINT=hub.url)  # nothing about the licence
    assert str(tmp_path) in line
    assert not [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]

    assert in_process(LOCATE, name, tmp_path, HF_HUB_OFFLINE="1") == [line]
    assert in_process(LOCATE, name, tmp_path, HF_ENDPOINT=NOWHERE) == [line]


def test_only_what_is_needed_of_a_folder_is_downloaded(hub: Hub, tmp_path):
    files = [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "tokenizer/tokenizer.json",
    ]
    others = ["unet/diffusion_pytorch_model.bin", "README.md", "sample.wav", "pipeline.py", "unet/modeling.py"]
    for file in [*files, *others]:
        (tmp_path / "repo" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / file).write_bytes(b"x" * 1000)
    hub.repos["cvssp/audioldm2"] = tmp_path / "repo"
    folder = Path(result(in_process(LOCATE, "cvssp/audioldm2", tmp_path / "cache", HF_ENDPOINT=hub.url)))
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(files)

    # A folder that has its weights as pickles alone.
    (tmp_path / "repo" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    folder = Path(result(in_process(LOCATE, "cvssp/audioldm2", tmp_path / "other", HF_ENDPOINT=hub.url)))
    assert (folder / "unet" / "diffusion_pytorch_model.bin").is_file() and not list(folder.rglob("*.py"))


def test_a_broken_download_is_resumed(hub: Hub, tmp_path):
    hub.cut_after = 30_000_000
    lines = in_process(LOCATE, "audioldm2-full", tmp_path, HF_ENDPOINT=hub.url)
    if any(line.startswith("ERROR") for line in lines):  # the client gave up: the next run goes on
        lines = in_process(LOCATE, "audioldm2-full", tmp_path, HF_ENDPOINT=hub.url)
    file = next(iter(hub.repos["haoheliu/audioldm2-full"].iterdir()))
    assert filecmp.cmp(result(lines), file, shallow=False)
    (resumed,) = (request for request in hub.requests if ".pth bytes=" in request)
    assert int(resumed.rpartition("=")[2].rstrip("-")) > 10_000_000


def test_consistencytta_is_in_a_space_and_flan_t5_elsewhere(hub: Hub, tmp_path):
    info, written = CHECKPOINTS["consistencytta"], tmp_path / "space" / "consistencytta_clapft_ckpt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHECKPOINTS, "consistencytta", replace(info, config=CONSISTENCYTTA))
        patch.setattr(convert, "read_manifest", lambda name: {})
        convert.write_random("consistencytta", written, "consistencytta", seed=0)
    (written / "flan-t5-large").rename(tmp_path / "t5")
    hub.repos |= {f"spaces/{info.repo}": written.parent, "google/flan-t5-large": tmp_path / "t5"}
    cache = tmp_path / "cache"
    lines = in_process(OPEN, "consistencytta", cache, HF_ENDPOINT=hub.url)
    checkpoint = random_checkpoint("consistencytta", CONSISTENCYTTA, 0)
    digest = hashlib.sha256(b"".join(v.tobytes() for n in checkpoint.networks for _, v in checkpoint.weights(n)))
    digest.update(byte_tokenizer_json("clap").encode())
    assert result(lines) == ["consistencytta", "consistencytta", digest.hexdigest()]
    (licence,) = (line for line in lines if line.startswith("LOG"))
    assert licence == (
        "LOG downloading consistencytta (about 5.8 GB) from the Space Bai-YT/ConsistencyTTA, FLAN-T5 from"
        " google/flan-t5-large; its weights are licensed CC-BY-NC-ND-4.0"
    )
    assert in_process(OPEN, "consistencytta", cache, HF_HUB_OFFLINE="1") == [lines[-1]]


@pytest.mark.parametrize("name", [*NAMES.values(), "consistencytta"])
def test_offline_without_a_cache(tmp_path, name):
    message = error(in_process(LOCATE, name, tmp_path, HF_HUB_OFFLINE="1"))
    assert message.startswith(f"cannot get {CHECKPOINTS[name].repo}")
    assert "it is not in the local cache, and HF_HUB_OFFLINE=1 forbids a download" in message


INCOMPLETE = "the download of {} is incomplete and the hub cannot be reached"


@pytest.mark.parametrize(
    "missing", ["unet/config.json", "scheduler/scheduler_config.json", "vae/diffusion_pytorch_model.safetensors"]
)
def test_half_a_folder_without_a_network(hub: Hub, tmp_path, missing):
    name = NAMES["diffusers"]
    folder = Path(result(in_process(LOCATE, name, tmp_path, HF_ENDPOINT=hub.url)))
    (folder / missing).resolve().unlink()  # the link to it stays, as after a download that stopped
    assert error(in_process(LOCATE, name, tmp_path, HF_ENDPOINT=NOWHERE)) == INCOMPLETE.format(name)
    offline = error(in_process(LOCATE, name, tmp_path, HF_HUB_OFFLINE="1"))
    assert offline == INCOMPLETE.format(name) + " (HF_HUB_OFFLINE=1)"
    (folder / missing).unlink()
    assert error(in_process(LOCATE, name, tmp_path, HF_ENDPOINT=NOWHERE)) == INCOMPLETE.format(name)
    again = Path(result(in_process(LOCATE, name, tmp_path, HF_ENDPOINT=hub.url)))  # and goes on where it stopped
    assert (again / missing).is_file()


def test_half_a_file_without_a_network(tmp_path):
    info = CHECKPOINTS[NAMES["original"]]
    cache = tmp_path / "hub" / f"models--{info.repo.replace('/', '--')}"
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / "0123.incomplete").write_bytes(b"x" * 1000)
    message = error(in_process(LOCATE, NAMES["original"], tmp_path, HF_HUB_OFFLINE="1"))
    assert message == INCOMPLETE.format(NAMES["original"]) + " (HF_HUB_OFFLINE=1)"


@pytest.mark.parametrize("layout, status", [("original", 404), ("diffusers", 401), ("diffusers", 503)])
def test_a_mirror_that_fails(hub: Hub, tmp_path, layout, status):
    hub.status, name = status, NAMES[layout]
    message = error(in_process(LOCATE, name, tmp_path, HF_ENDPOINT=hub.url))
    assert message.startswith(f"cannot get {CHECKPOINTS[name].repo}") and f"from {hub.url}: " in message
    if layout == "diffusers":  # of a file, a 404 that does not come from a hub counts as no connection
        assert str(status) in message


def test_a_mirror_that_is_not_there(tmp_path):
    # A single file would be asked for again for half a minute.
    message = error(in_process(LOCATE, NAMES["diffusers"], tmp_path, HF_ENDPOINT=NOWHERE))
    assert f"from {NOWHERE}: " in message and "(a mirror can be set in HF_ENDPOINT)" in message


def test_a_mirror_without_this_checkpoint(hub: Hub, tmp_path):
    hub.repos.clear()
    message = error(in_process(LOCATE, NAMES["original"], tmp_path, HF_ENDPOINT=hub.url))
    assert "404 Client Error. Repository Not Found for url: " in message


def test_a_mirror_that_sends_something_else(hub: Hub, tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "audioldm2-full.pth").write_text("<html>Please log in</html>")
    hub.repos["haoheliu/audioldm2-full"] = folder
    path = result(in_process(LOCATE, "audioldm2-full", tmp_path / "cache", HF_ENDPOINT=hub.url))
    assert "audioldm2-full.pth: " in error_of(open_checkpoint, path)
