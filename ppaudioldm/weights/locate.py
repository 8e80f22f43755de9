"""Finding a checkpoint by name or path, without opening it or importing a framework."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ppaudioldm.checkpoints import CHECKPOINTS, unknown_name
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.weights.components import COMPONENTS, FEATURE_EXTRACTOR, PADDLEMIX_FILE, SCHEDULER
from ppaudioldm.weights.consistencytta_files import consistencytta_files, is_consistencytta
from ppaudioldm.weights.hub import fetch_checkpoint, snapshot_of
from ppaudioldm.weights.known_sounds import KnownSounds
from ppaudioldm.weights.tokenizer_files import TOKENIZERS, folder_of

logger = logging.getLogger(__name__)

FILE_SUFFIXES = (".pth", ".ckpt", ".pt", ".safetensors")  # of published files


@dataclass(frozen=True)
class Description:
    """A checkpoint without its weights.

    layout: "original", "diffusers", "consistencytta", "native", "paddlemix" or "random". tokenizer_json(kind): the text
    of a tokenizer.json; kind is "clap" or "flan_t5". known_sounds: None where the checkpoint does not list them.
    licence: of the weights, None where it is not known.
    """

    name: str
    layout: str
    config: ModelConfig
    tokenizer_json: Callable[[str], str]
    known_sounds: KnownSounds | None = field(default=None, kw_only=True)
    licence: str | None = field(default=None, kw_only=True)

    @property
    def is_random(self) -> bool:
        return self.layout == "random"


BUILT_IN = Path(__file__).parents[1] / "built_in"  # a folder for each checkpoint that comes with the package


@dataclass(frozen=True)
class Located:
    """A checkpoint that was found. path: its file or folder, None for random weights, which need none."""

    name: str
    path: Path | None

    def fingerprint(self) -> str:
        """A hash of the names, sizes and modification times of the files that are read; for random weights, of the
        configuration."""
        if self.path is None:
            facts: object = [self.name, CHECKPOINTS[self.name].config.to_dict()]
        else:
            files = sorted({file for file in files_read(self.path) if file.is_file()})
            stats = [(os.path.relpath(file, self.path), file.stat()) for file in files]
            facts = [str(self.path.resolve()), [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def files_read(path: Path) -> list[Path]:
    """The files that may be read of the checkpoint at `path`; other files beside them, such as results, are not."""
    inside = [path / PADDLEMIX_FILE] if path.is_dir() else []
    files = [
        folder_of(checkpoint) / subfolder / "tokenizer.json"
        for checkpoint in (path, *inside)
        for subfolder, _ in TOKENIZERS.values()
    ]
    if not path.is_dir():
        return [path, *files]
    if is_consistencytta(path):
        return [*files, *consistencytta_files(path)]
    if not (path / "model_index.json").is_file():
        return [*files, *inside, path / "config.json", *path.glob("*.safetensors")]
    files += [path / "model_index.json", path / SCHEDULER, path / FEATURE_EXTRACTOR]
    for component in COMPONENTS:
        files += [file for pattern in ("*.json", "*.safetensors", "*.bin") for file in (path / component).glob(pattern)]
    return files


def locate(name_or_path: str | Path, *, random_weights: bool = False) -> Located:
    """Find a published checkpoint by name, downloading it if necessary, or any file or folder by path.

    A text that is a published name is that, even if there is a file or folder of the name in the working directory:
    `./tiny` is a path. A folder `models--owner--name` of the hub's cache stands for the files in it, and a folder with
    nothing but one published file for that file. random_weights: use random weights of the configuration of a name,
    which take as long to run, and download nothing. Raises ValueError for an unknown name, CheckpointError for a
    download that fails.
    """
    name = str(name_or_path)
    if random_weights:
        if name not in CHECKPOINTS:
            raise ValueError(
                f"{shown(name)}: only a published checkpoint can be filled at random: {', '.join(CHECKPOINTS)}"
            )
        return Located(name, None)
    path = Path(name)
    try:
        exists = path.exists()
    except OSError as error:  # such as a name that is too long, or a folder that may not be read
        raise CheckpointError(f"{shown(name)}: {error.strerror}") from error
    if name in CHECKPOINTS and (isinstance(name_or_path, str) or not exists):
        if exists:
            logger.warning("%s is the published checkpoint; the one in this folder is ./%s", name, name)
        return _published(name)
    if path.is_symlink() and not exists:
        raise CheckpointError(f"{path}: a link to a file that does not exist")
    if not exists:
        raise unknown_name(name)
    return _at(path)


def _published(name: str) -> Located:
    info = CHECKPOINTS[name]
    if info.layout == "built-in":
        return Located(name, BUILT_IN / name)
    return Located(name, None if info.layout == "random" else fetch_checkpoint(name, info))


def _at(path: Path) -> Located:
    """The checkpoint in the file or folder `path`."""
    name, folder = path.stem, path
    if path.is_dir() and path.name.startswith("models--"):
        name, folder = path.name.rpartition("--")[2], snapshot_of(path)
    if not folder.is_dir() or is_consistencytta(folder):
        return Located(name, folder)
    for file in (folder / marker for marker in ("model_index.json", "config.json", PADDLEMIX_FILE)):
        if file.is_symlink() and not file.exists():
            raise CheckpointError(f"{file}: a link to a file that does not exist")
        if file.exists():
            return Located(name, folder)
    published = [file for suffix in FILE_SUFFIXES for file in folder.glob(f"*{suffix}")]
    if len(published) != 1:
        return Located(name, folder)
    if not published[0].exists():
        raise CheckpointError(f"{published[0]}: a link to a file that does not exist")
    return Located(published[0].stem, published[0])
