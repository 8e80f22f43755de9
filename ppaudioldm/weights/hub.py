"""Downloads of checkpoints, most from the Hugging Face hub.

Cached, resumed, from a mirror (HF_ENDPOINT) or offline (HF_HUB_OFFLINE=1).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppaudioldm.checkpoints import CheckpointInfo
from ppaudioldm.errors import CheckpointError
from ppaudioldm.storage.documents import json_object
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.weights import zenodo
from ppaudioldm.weights.components import components_of
from ppaudioldm.weights.consistencytta_files import T5_REPO, UNET_FILE, VAE_FILE

logger = logging.getLogger(__name__)

# The files of a diffusers folder that generation needs. Some repositories have weights as safetensors and as pickles.
FOLDER_FILES = ("model_index.json", "*/config.json", "*/*.json", "*/*.safetensors")
PICKLE_FILES = ("*/*.bin",)
INDEX_LIMIT_BYTES = 64 << 20  # of the index of a file in shards


def fetch_file(repo: str, filename: str, name: str = "") -> Path:
    """The local path of `filename` in `repo`, downloaded unless cached. Raises CheckpointError in one line.

    name: of what is downloaded, in an error.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repo, filename)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(hf_hub_download(repo, filename))
    except Exception as error:
        raise _download_error(name or repo, repo, f"{repo}/{filename}", error) from error


def fetch_checkpoint(name: str, info: CheckpointInfo) -> Path:
    """The local file or folder of the published checkpoint `name`. Logs its licence before a download."""
    from huggingface_hub import constants, try_to_load_from_cache

    if info.config.unet.is_audioldm1 and info.filename and (stored := zenodo.stored_file(name, info)):
        return stored
    if info.zenodo:
        if constants.HF_HUB_OFFLINE:
            raise CheckpointError(f"cannot get {name}: it is not stored, and HF_HUB_OFFLINE=1 forbids a download")
        _warn_of_download(name, info, "zenodo.org")
        return zenodo.fetch(name, info)
    if info.layout == "consistencytta":
        return _fetch_consistencytta(name, info)
    probe = info.filename or "model_index.json"
    if not isinstance(try_to_load_from_cache(info.repo, probe), str) and not constants.HF_HUB_OFFLINE:
        _warn_of_download(name, info, info.repo)
    return fetch_file(info.repo, info.filename, name) if info.filename else _fetch_folder(info.repo, name)


def _fetch_consistencytta(name: str, info: CheckpointInfo) -> Path:
    """The folder with ConsistencyTTA's two files, which are in a Space of the hub, not in a model's repository."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    files = [f"{info.filename}/{file}" for file in (UNET_FILE, VAE_FILE)]
    cached = [try_to_load_from_cache(info.repo, file, repo_type="space") for file in files]
    if all(isinstance(path, str) for path in cached):
        return Path(str(cached[0])).parent
    if not constants.HF_HUB_OFFLINE:
        _warn_of_download(name, info, f"the Space {info.repo}, FLAN-T5 from {T5_REPO}")
    try:
        paths = [Path(hf_hub_download(info.repo, file, repo_type="space")) for file in files]
        return paths[0].parent
    except Exception as error:
        raise _download_error(name, info.repo, info.repo, error, kind="spaces") from error


def _warn_of_download(name: str, info: CheckpointInfo, source: str) -> None:
    message = "downloading %s (about %.1f GB) from %s; its weights are licensed %s"
    logger.warning(message, name, info.download_gb, source, info.licence)


def _fetch_folder(repo: str, name: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(FOLDER_FILES)))
        if not has_weights(folder / "unet", ("safetensors",)):
            folder = Path(snapshot_download(repo, allow_patterns=[*FOLDER_FILES, *PICKLE_FILES]))
        if not is_complete(folder):
            # Without a connection, what the cache has of a folder counts as all of it: find out whether there is one.
            HfApi().model_info(repo)
        return folder
    except Exception as error:
        raise _download_error(name, repo, repo, error) from error


def is_complete(folder: Path) -> bool:
    """Whether every component of the diffusers folder `folder` has its configuration and weights."""
    index: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        index = json_object(read_bounded(folder / "model_index.json", INDEX_LIMIT_BYTES))
    parts = [folder / component for component in components_of(index)]
    configs = [folder / "scheduler" / "scheduler_config.json", *(part / "config.json" for part in parts)]
    return all(config.is_file() for config in configs) and all(has_weights(part) for part in parts)


def has_weights(folder: Path, extensions: Sequence[str] = ("safetensors", "bin")) -> bool:
    """Whether `folder` has a file of weights with one of `extensions`, and every shard that an index of it names."""
    files = [file for extension in extensions for file in folder.glob(f"*.{extension}")]
    for index in folder.glob("*.index*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError):
            shards = json_object(read_bounded(index, INDEX_LIMIT_BYTES))["weight_map"].values()
            files += [folder / shard for shard in set(map(str, shards))]
    return bool(files) and all(file.is_file() for file in files)


def snapshot_of(cache: Path) -> Path:
    """The files of a repository in `cache`, a folder models--owner--name of the hub's cache: those of `main`, or else
    the only ones. Raises CheckpointError if there are none."""
    with contextlib.suppress(OSError):
        commit = (cache / "refs" / "main").read_text("utf-8").strip()
        if commit.isalnum() and (cache / "snapshots" / commit).is_dir():
            return cache / "snapshots" / commit
    snapshots = sorted(path for path in (cache / "snapshots").glob("*") if path.is_dir())
    if len(snapshots) != 1:
        raise CheckpointError(f"{cache}: a folder of the hub's cache with {len(snapshots)} snapshots, expected 1")
    return snapshots[0]


def _is_begun(repo: str, kind: str) -> bool:
    """Whether the cache holds a piece of `repo`. kind: "models" or "spaces"."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE) / f"{kind}--{repo.replace('/', '--')}"
    return any(next(cache.glob(pattern), None) for pattern in ("blobs/*", "snapshots/*/*"))


def _download_error(name: str, repo: str, what: str, error: Exception, kind: str = "models") -> CheckpointError:
    """One line for any of the errors that huggingface_hub and its HTTP client raise."""
    from huggingface_hub import constants

    if getattr(error, "response", None) is None and _is_begun(repo, kind):
        forbidden = " (HF_HUB_OFFLINE=1)" if constants.HF_HUB_OFFLINE else ""
        return CheckpointError(f"the download of {name} is incomplete and the hub cannot be reached{forbidden}")
    if constants.HF_HUB_OFFLINE:
        reason = "it is not in the local cache, and HF_HUB_OFFLINE=1 forbids a download"
    else:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2])[:300] or type(error).__name__
    return CheckpointError(
        f"cannot get {what} from {os.environ.get('HF_ENDPOINT', 'the Hugging Face hub')}: {reason}"
        " (a mirror can be set in HF_ENDPOINT)"
    )
