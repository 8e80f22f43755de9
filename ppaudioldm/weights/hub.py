"""Downloads from the Hugging Face hub: cached, resumed, from a mirror (HF_ENDPOINT) or offline (HF_HUB_OFFLINE=1)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ppaudioldm.checkpoints import CheckpointInfo
from ppaudioldm.errors import CheckpointError

logger = logging.getLogger(__name__)

# The files of a diffusers folder that generation needs. Some repositories have weights as safetensors and as pickles.
FOLDER_FILES = ("model_index.json", "*/config.json", "*/*.json", "*/*.safetensors")
PICKLE_FILES = ("*/*.bin",)


def fetch_file(repo: str, filename: str) -> Path:
    """The local path of `filename` in `repo`, downloaded unless cached. Raises CheckpointError in one line."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repo, filename)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(hf_hub_download(repo, filename))
    except Exception as error:
        raise _download_error(f"{repo}/{filename}", error) from error


def fetch_checkpoint(name: str, info: CheckpointInfo) -> Path:
    """The local file or folder of the published checkpoint `name`. Logs its licence before a download."""
    from huggingface_hub import constants, try_to_load_from_cache

    probe = info.filename or "model_index.json"
    if not isinstance(try_to_load_from_cache(info.repo, probe), str) and not constants.HF_HUB_OFFLINE:
        logger.warning(
            "downloading %s (about %.1f GB) from %s; its weights are licensed %s", name, info.download_gb, info.repo,
            info.licence,
        )  # fmt: skip
    return fetch_file(info.repo, info.filename) if info.filename else _fetch_folder(info.repo)


def _fetch_folder(repo: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(FOLDER_FILES)))
        if _has_weights(folder, ("safetensors",)):
            return folder
        return Path(snapshot_download(repo, allow_patterns=[*FOLDER_FILES, *PICKLE_FILES]))
    except Exception as error:
        raise _download_error(repo, error) from error


def _has_weights(folder: Path, extensions: Sequence[str]) -> bool:
    return any(next(folder.glob(f"unet/*.{extension}"), None) for extension in extensions)


def _download_error(what: str, error: Exception) -> CheckpointError:
    """One line for any of the errors that huggingface_hub and its HTTP client raise."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        reason = "it is not in the local cache, and HF_HUB_OFFLINE=1 forbids a download"
    else:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2])[:300] or type(error).__name__
    return CheckpointError(
        f"cannot get {what} from {os.environ.get('HF_ENDPOINT', 'the Hugging Face hub')}: {reason}"
        " (a mirror can be set in HF_ENDPOINT)"
    )
