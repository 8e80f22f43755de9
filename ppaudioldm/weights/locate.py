"""Finding a checkpoint by name or path, without opening it or importing a framework."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ppaudioldm.checkpoints import CHECKPOINTS, unknown_name
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError, shown
from ppaudioldm.weights.hub import fetch_checkpoint
from ppaudioldm.weights.known_sounds import KnownSounds


@dataclass(frozen=True)
class Description:
    """A checkpoint without its weights.

    layout: "original", "diffusers", "native", "paddlemix" or "random". tokenizer_json(kind): the text of a
    tokenizer.json; kind is "clap" or "flan_t5". known_sounds: None where the checkpoint does not list them.
    """

    name: str
    layout: str
    config: ModelConfig
    tokenizer_json: Callable[[str], str]
    known_sounds: KnownSounds | None = field(default=None, kw_only=True)

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
        """A hash of the names, sizes and modification times of its files; for random weights, of the configuration."""
        if self.path is None:
            facts: object = [self.name, CHECKPOINTS[self.name].config.to_dict()]
        else:
            files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
            stats = [(str(file.relative_to(self.path)), file.stat()) for file in files if file.is_file()]
            facts = [str(self.path.resolve()), [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def locate(name_or_path: str | Path, *, random_weights: bool = False) -> Located:
    """Find a published checkpoint by name, downloading it if necessary, or any file or folder by path.

    A path that exists takes precedence over a name. random_weights: use random weights of the configuration of a name,
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
    if exists:
        return Located(path.stem, path)
    if name not in CHECKPOINTS:
        raise unknown_name(name)
    info = CHECKPOINTS[name]
    if info.layout == "built-in":
        return Located(name, BUILT_IN / name)
    return Located(name, None if info.layout == "random" else fetch_checkpoint(name, info))
