"""Networks translated once and kept in a cache folder, so that a later start needs no framework.

An entry is a folder for one checkpoint, with the options that matter: what is known of it (`entry.json`), its
tokenizers, and a model for every function that was ever asked for, each of which appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino

from ppaudioldm import __version__
from ppaudioldm.config import ModelConfig
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.folders import cache_folder
from ppaudioldm.storage.lock import waiting_lock
from ppaudioldm.weights.known_sounds import KnownSounds
from ppaudioldm.weights.locate import Description, Located

if TYPE_CHECKING:  # a prepared network runs without a framework
    from ppaudioldm.openvino_engine.translator import Translator
    from ppaudioldm.weights.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

FORMAT = 7  # raised when what is kept changes: other entries are then left alone, and made anew
ENTRY = "entry.json"
SUM = "sum.json"
KEPT_VARIANTS = 16  # of a function, compiled for different shapes: a few megabytes each


@dataclass(frozen=True)
class Entry:
    """What the cache holds of one checkpoint. size: bytes."""

    folder: Path
    name: str
    precision: str
    functions: tuple[str, ...]
    size: int


class PreparedModels:
    """The models of the checkpoint `located`, from the cache where they are there, else made and put there.

    precision: "bf16" keeps constants as float16, half the size, whose error is far below that of bf16 arithmetic;
    "f32" keeps float32. Making a model imports Paddle.
    """

    def __init__(self, located: Located, ema: bool, precision: str, root: Path | None = None) -> None:
        facts = [FORMAT, __version__, openvino.get_version(), located.fingerprint(), ema, precision]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._located = located
        self._ema = ema
        self._precision = precision
        self._core = openvino.Core()
        self._checkpoint: Checkpoint | None = None
        self._translator: Translator | None = None
        self.folder = (root or cache_folder()) / f"{_plain(located.name)}-{key}"

    def description(self) -> Description:
        """What is known of the checkpoint, from the cache if it is there."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads((self.folder / ENTRY).read_text("utf-8"))
            config = ModelConfig.from_dict(values["config"])
            known_sounds = KnownSounds.from_dict(values["knows"]) if values["knows"] else None
            name, layout = str(values["name"]), str(values["layout"])
            return Description(name, layout, config, self._tokenizer_json, known_sounds=known_sounds)
        opened = self._opened()
        name, layout, config = opened.name, opened.layout, opened.config
        return Description(name, layout, config, self._tokenizer_json, known_sounds=opened.known_sounds)

    def model(self, function: str) -> openvino.Model:
        """The model of `function`, see `engines.engine`. A broken one is made again."""
        with _locked(self.folder):
            found = self._read(function)
            if found is None:
                self._write(function)
                found = self._read(function)
            if found is None:
                raise OSError(f"{self.folder / function}: cannot be read back after it was written")
            return found

    def has(self, function: str) -> bool:
        """Whether the model of `function` is there and whole."""
        folder = self.folder / function
        with contextlib.suppress(OSError, ValueError):
            return _summary(folder) == json.loads((folder / SUM).read_text("utf-8"))
        return False

    def size(self, function: str) -> int:
        """Bytes of the constants of the model of `function`, which is there."""
        return (self.folder / function / "model.bin").stat().st_size

    def compiled(self, function: str, variant: str) -> tuple[bytes, Path] | None:
        """What `keep` was given for the model that is there now, and the file with the model's constants."""
        with contextlib.suppress(OSError), _locked(self.folder):
            content = self._compiled_path(function, variant).read_bytes()
            digest, blob = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
            if hashlib.sha256(blob).digest() == digest and self.has(function):
                os.utime(self._compiled_path(function, variant))  # the one used last
                return blob, self.folder / function / "model.bin"
        return None

    def keep(self, function: str, variant: str, compiled: bytes) -> bool:
        """Keep what was compiled from the model of `function`, if it can be; of many variants those used last stay."""
        path = self._compiled_path(function, variant)
        try:
            with _locked(self.folder):
                # Whoever wrote these is gone, or it would hold the lock.
                for stale in path.parent.glob(".compiled-*"):
                    stale.unlink()
                with atomic_path(path) as temporary:
                    temporary.write_bytes(hashlib.sha256(compiled).digest() + compiled)
                kept = sorted(path.parent.glob("compiled-*"), key=lambda file: file.stat().st_mtime_ns)
                for old in kept[:-KEPT_VARIANTS]:
                    old.unlink()
                return True
        except OSError as error:  # it is only faster with it
            logger.warning("cannot keep %s: %s", path, error.strerror or error)
            return False

    def _compiled_path(self, function: str, variant: str) -> Path:
        return self.folder / function / f"compiled-{variant}"

    def _read(self, function: str) -> openvino.Model | None:
        folder = self.folder / function
        try:
            expected = json.loads((folder / SUM).read_text("utf-8"))
            if _summary(folder) != expected:
                raise ValueError("files are not as they were written")
            return self._core.read_model(folder / "model.xml")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RuntimeError) as error:
            logger.warning("%s is broken and made again: %s", folder, str(error).splitlines()[0])
            return None

    def _write(self, function: str) -> None:
        checkpoint = self._opened()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ENTRY).is_file():
            self._write_entry(checkpoint)
        # Whoever made these is gone, or it would hold the lock.
        for stale in self.folder.glob(f".{function}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        if self._translator is None:
            from ppaudioldm.openvino_engine.translator import Translator

            self._translator = Translator(checkpoint)
        model = self._translator(function)
        with atomic_path(self.folder / function) as temporary:
            temporary.mkdir()
            openvino.save_model(model, temporary / "model.xml", compress_to_fp16=self._precision == "bf16")
            (temporary / SUM).write_text(json.dumps(_summary(temporary)), "utf-8")

    def _write_entry(self, checkpoint: Checkpoint) -> None:
        values = {
            "name": checkpoint.name,
            "layout": checkpoint.layout,
            "precision": self._precision,
            "config": checkpoint.config.to_dict(),
            "knows": checkpoint.known_sounds and checkpoint.known_sounds.to_dict(),
        }
        with atomic_path(self.folder / ENTRY) as temporary:
            temporary.write_text(json.dumps(values, indent=1), "utf-8")

    def _opened(self) -> Checkpoint:
        if self._checkpoint is None:
            from ppaudioldm.weights.checkpoint import open_checkpoint

            self._checkpoint = open_checkpoint(self._located, ema=self._ema)
        return self._checkpoint

    def _tokenizer_json(self, kind: str) -> str:
        """From the cache; kept there the first time it is asked for."""
        path = self.folder / f"{kind}-tokenizer.json"
        with contextlib.suppress(OSError, ValueError):
            return path.read_text("utf-8")
        text = self._opened().tokenizer_json(kind)
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
        return text


def entries(root: Path | None = None) -> list[Entry]:
    """What the cache holds, by name."""
    root = root or cache_folder()
    found = []
    for path in sorted(root.glob(f"*/{ENTRY}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads(path.read_text("utf-8"))
            functions = tuple(sorted(file.parent.name for file in path.parent.glob(f"*/{SUM}")))
            size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
            found.append(Entry(path.parent, str(values["name"]), str(values["precision"]), functions, size))
    return found


def clear(name: str | None = None, root: Path | None = None) -> list[Entry]:
    """Remove the entries called `name`, or all, and return them."""
    removed = [entry for entry in entries(root) if name in (None, entry.name)]
    for entry in removed:
        with _locked(entry.folder):
            shutil.rmtree(entry.folder)
    return removed


def _summary(folder: Path) -> dict[str, Any]:
    """Size of the constants, and a hash of the graph: a cut or mixed-up model differs."""
    graph = (folder / "model.xml").read_bytes()
    return {"constants": (folder / "model.bin").stat().st_size, "graph": hashlib.sha256(graph).hexdigest()}


def _locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """One process and thread at a time works on the entry `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return waiting_lock(folder.with_name(f"{folder.name}.lock"))


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:60]
