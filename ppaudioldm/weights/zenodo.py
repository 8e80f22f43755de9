"""Downloads of published files from zenodo.org: kept in the cache folder, and resumed.

Files that AudioLDM's own program has downloaded before are used where they are.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ppaudioldm.checkpoints import CheckpointInfo
from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.storage.folders import cache_folder
from ppaudioldm.storage.lock import waiting_lock

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60.0  # without a byte


def stored_file(name: str, info: CheckpointInfo) -> Path | None:
    """The file of the published checkpoint `name` if it is on this machine: ours, or that of AudioLDM's program."""
    own = _own_path(info)
    if own.is_file():
        return own
    folder = Path(os.environ.get("AUDIOLDM_CACHE_DIR") or Path.home() / ".cache" / "audioldm")
    theirs = folder / f"{name}.ckpt"
    # The program leaves half a file behind when it is stopped, under the same name.
    is_whole = theirs.is_file() and theirs.stat().st_size >= 0.99 * info.download_bytes
    return theirs if is_whole else None


def fetch(name: str, info: CheckpointInfo) -> Path:
    """The file of the published checkpoint `name`, downloaded unless it is stored. Raises CheckpointError."""
    if stored := stored_file(name, info):
        return stored
    path = _own_path(info)
    path.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(path.with_name(f"{path.name}.lock")):
        if not path.is_file():
            _download(name, _address(info), path)
    return path


def _own_path(info: CheckpointInfo) -> Path:
    return cache_folder() / "downloads" / info.filename


def _address(info: CheckpointInfo) -> str:
    endpoint = os.environ.get("ZENODO_ENDPOINT", "https://zenodo.org").rstrip("/")
    return f"{endpoint}/record/{info.zenodo}/files/{urllib.parse.quote(info.filename)}?download=1"


def _download(name: str, address: str, path: Path) -> None:
    """Download to `path`, going on where an earlier try stopped."""
    partial = path.with_name(f".{path.name}.part")
    try:
        total = _receive(name, address, partial)
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = shown(str(getattr(error, "reason", error)) or type(error).__name__)
        raise CheckpointError(f"cannot download {name} from {address}: {reason}") from error
    if partial.stat().st_size != total:
        raise CheckpointError(
            f"the download of {name} is incomplete, {partial.stat().st_size} of {total} bytes: try again, it is resumed"
        )
    os.replace(partial, path)


def _receive(name: str, address: str, partial: Path) -> int:
    """Append to `partial` what it lacks. Returns the size of the whole file in bytes."""
    from tqdm import tqdm

    done = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        partial.unlink()  # longer than the file: of another version
        return _receive(name, address, partial)
    with response:
        done = done if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        bar = tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None)
        with open(partial, "ab" if done else "wb") as file, bar:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    return total
