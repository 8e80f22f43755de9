"""The cache folder of OpenVINO models: networks are translated once, and a later start needs no framework.

An entry is a folder for one checkpoint and precision: its description (`entry.json`), its tokenizers, and a folder for
every function that was ever requested, with its model and with what OpenVINO compiled from that. Each file or folder
appears complete or not at all. A UNet with LoRA adapters is an entry of its own, of which a checkpoint has
MOST_ADAPTED: a server's clients choose adapters and scales, which must not fill the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino

from ppaudioldm import __version__
from ppaudioldm.checkpoints import licence_of
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.functions import FLOAT32_FUNCTIONS
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.folders import cache_folder
from ppaudioldm.storage.lock import waiting_lock
from ppaudioldm.weights.known_sounds import KnownSounds
from ppaudioldm.weights.locate import Description, Located
from ppaudioldm.weights.lora import Adapter

if TYPE_CHECKING:  # a network from the cache runs without a framework
    from ppaudioldm.openvino_engine.translator import Translator
    from ppaudioldm.weights.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

FORMAT = 8  # increased when the content of an entry changes: entries of another format are not used
ENTRY = "entry.json"
CHECKSUM = "sum.json"  # written last: a folder without it holds no model
MOST_VARIANTS = 16  # of a function, compiled for different shapes: a few megabytes each
MOST_ADAPTED = 8  # entries of a checkpoint with LoRA adapters, those that were used last: a UNet each


@dataclass(frozen=True)
class Entry:
    """One checkpoint in the cache. functions: those with a model. size: in bytes, of all files. lora: its adapters."""

    folder: Path
    name: str
    precision: str
    functions: tuple[str, ...]
    size: int
    lora: tuple[str, ...] = ()


class ModelCache:
    """The models of the checkpoint `located`, from the cache `root`, or else translated and added to it.

    precision: "bf16" stores constants as float16, half the size, whose error is far below that of bf16 arithmetic,
    except those of functions that stay in float32; "f32" stores float32. adapters: LoRA adapters with their scales,
    merged into the UNet before it is translated. Translating a model imports Paddle.
    """

    def __init__(
        self,
        located: Located,
        ema: bool | None,
        precision: str,
        root: Path | None = None,
        adapters: Sequence[tuple[Adapter, float]] = (),
    ) -> None:
        # The default is False here as it was before there was a choice, so that such entries are found.
        choice = "never" if ema is False else bool(ema)
        facts: list[Any] = [FORMAT, __version__, openvino.get_version(), located.fingerprint(), choice, precision]
        self._base = _key(facts)
        key = _key([*facts, [(a.digest, scale) for a, scale in adapters]]) if adapters else self._base
        self._adapters = adapters
        self._located = located
        self._ema = ema
        self._precision = precision
        self._core = openvino.Core()
        self._checkpoint: Checkpoint | None = None
        self._translator: Translator | None = None
        self.folder = (root or cache_folder()) / f"{_plain(located.name)}-{key}"

    def description(self) -> Description:
        """The checkpoint without its weights, from the cache if possible."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads((self.folder / ENTRY).read_text("utf-8"))
            config = ModelConfig.from_dict(values["config"])
            known_sounds = KnownSounds.from_dict(values["knows"]) if values["knows"] else None
            name, layout = str(values["name"]), str(values["layout"])
            licence = values.get("licence") or licence_of(name, layout)  # earlier entries have none
            return Description(name, layout, config, self._tokenizer_json, known_sounds=known_sounds, licence=licence)
        opened = self._opened()
        return Description(
            opened.name,
            opened.layout,
            opened.config,
            self._tokenizer_json,
            known_sounds=opened.known_sounds,
            licence=opened.licence,
        )

    def model(self, function: str) -> openvino.Model:
        """The model of `function`, see `engines.engine`. A damaged one is translated again."""
        if self._adapters:
            self._make_room()
        with _locked(self.folder):
            found = self._read(function)
            if found is None:
                self._write(function)
                found = self._read(function)
            if found is None:
                raise OSError(f"{self.folder / function}: cannot be read back after it was written")
            return found

    def has(self, function: str) -> bool:
        """Whether the cache has an undamaged model of `function`."""
        folder = self.folder / function
        with contextlib.suppress(OSError, ValueError):
            return _summary(folder) == json.loads((folder / CHECKSUM).read_text("utf-8"))
        return False

    def constants_bytes(self, function: str) -> int:
        """The size of the constants in the model of `function`, which must be in the cache."""
        return (self.folder / function / "model.bin").stat().st_size

    def load_compiled(self, function: str, variant: str) -> tuple[bytes, Path] | None:
        """What `store_compiled` stored for this model, and the file with the model's constants; None if nothing."""
        with contextlib.suppress(OSError), _locked(self.folder):
            content = self._compiled_path(function, variant).read_bytes()
            digest, blob = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
            if hashlib.sha256(blob).digest() == digest and self.has(function):
                os.utime(self._compiled_path(function, variant))  # it was used last
                return blob, self.folder / function / "model.bin"
        return None

    def store_compiled(self, function: str, variant: str, compiled: bytes) -> bool:
        """Store what OpenVINO compiled from the model of `function`. Returns whether that worked.

        Only the MOST_VARIANTS variants that were used last stay.
        """
        path = self._compiled_path(function, variant)
        try:
            with _locked(self.folder):
                # Left by a process that was killed: a running one would hold the lock.
                for stale in path.parent.glob(".compiled-*"):
                    stale.unlink()
                with atomic_path(path) as temporary:
                    temporary.write_bytes(hashlib.sha256(compiled).digest() + compiled)
                variants = sorted(path.parent.glob("compiled-*"), key=lambda file: file.stat().st_mtime_ns)
                for old in variants[:-MOST_VARIANTS]:
                    old.unlink()
                return True
        except OSError as error:  # the cache is only for speed
            logger.warning("cannot store %s: %s", path, error.strerror or error)
            return False

    def _compiled_path(self, function: str, variant: str) -> Path:
        return self.folder / function / f"compiled-{variant}"

    def _read(self, function: str) -> openvino.Model | None:
        folder = self.folder / function
        try:
            expected = json.loads((folder / CHECKSUM).read_text("utf-8"))
            if _summary(folder) != expected:
                raise ValueError("files have changed since they were written")
            return self._core.read_model(folder / "model.xml")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RuntimeError) as error:
            logger.warning("%s is damaged and translated again: %s", folder, str(error).splitlines()[0])
            return None

    def _write(self, function: str) -> None:
        checkpoint = self._opened()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ENTRY).is_file():
            self._write_entry(checkpoint)
        # Left by a process that was killed: a running one would hold the lock.
        for stale in self.folder.glob(f".{function}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        if self._translator is None:
            from ppaudioldm.openvino_engine.translator import Translator

            self._translator = Translator(checkpoint)
        model = self._translator(function)
        half = self._precision == "bf16" and function not in FLOAT32_FUNCTIONS
        with atomic_path(self.folder / function) as temporary:
            temporary.mkdir()
            openvino.save_model(model, temporary / "model.xml", compress_to_fp16=half)
            (temporary / CHECKSUM).write_text(json.dumps(_summary(temporary)), "utf-8")

    def _write_entry(self, checkpoint: Checkpoint) -> None:
        values: dict[str, Any] = {
            "name": checkpoint.name,
            "layout": checkpoint.layout,
            "precision": self._precision,
            "config": checkpoint.config.to_dict(),
            "knows": checkpoint.known_sounds and checkpoint.known_sounds.to_dict(),
            "licence": checkpoint.licence,
        }
        if self._adapters:
            values["base"] = self._base
            values["lora"] = [f"{Path(adapter.name).name}:{scale:g}" for adapter, scale in self._adapters]
        with atomic_path(self.folder / ENTRY) as temporary:
            temporary.write_text(json.dumps(values, indent=1), "utf-8")

    def _opened(self) -> Checkpoint:
        if self._checkpoint is None:
            from ppaudioldm.weights.checkpoint import open_checkpoint

            self._checkpoint = open_checkpoint(self._located, ema=self._ema)
            if self._adapters:
                from ppaudioldm.weights.lora_merge import with_adapters

                self._checkpoint = with_adapters(self._checkpoint, self._adapters)
        return self._checkpoint

    def _make_room(self) -> None:
        """Mark this entry as used, and remove those of the checkpoint with other adapters that were used long ago."""
        with contextlib.suppress(OSError):
            os.utime(self.folder / ENTRY)
        others = []
        for path in self.folder.parent.glob(f"*/{ENTRY}"):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if path.parent != self.folder and json.loads(path.read_text("utf-8")).get("base") == self._base:
                    others.append((path.stat().st_mtime_ns, path.parent))
        for _, folder in sorted(others, reverse=True)[MOST_ADAPTED - 1 :]:
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
                _lock_file(folder).unlink(missing_ok=True)  # while it is held, see `storage.lock`

    def _tokenizer_json(self, kind: str) -> str:
        """The tokenizer.json of `kind` from the cache, which it is added to when it is first requested."""
        path = self.folder / f"{kind}-tokenizer.json"
        with contextlib.suppress(OSError, ValueError):
            return path.read_text("utf-8")
        text = self._opened().tokenizer_json(kind)
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
        return text


def entries(root: Path | None = None) -> list[Entry]:
    """All entries of the cache, sorted by name."""
    root = root or cache_folder()
    found = []
    for path in sorted(root.glob(f"*/{ENTRY}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads(path.read_text("utf-8"))
            functions = tuple(sorted(file.parent.name for file in path.parent.glob(f"*/{CHECKSUM}")))
            size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
            lora = tuple(map(str, values.get("lora", ())))
            found.append(Entry(path.parent, str(values["name"]), str(values["precision"]), functions, size, lora))
    return found


def clear(name: str | None = None, root: Path | None = None) -> list[Entry]:
    """Remove the entries called `name`, or all entries, and return those removed."""
    removed = [entry for entry in entries(root) if name in (None, entry.name)]
    for entry in removed:
        with _locked(entry.folder):
            shutil.rmtree(entry.folder)
    return removed


def _summary(folder: Path) -> dict[str, Any]:
    """The size of the constants and a hash of the graph, by which a truncated or exchanged file is detected."""
    graph = (folder / "model.xml").read_bytes()
    return {"constants": (folder / "model.bin").stat().st_size, "graph": hashlib.sha256(graph).hexdigest()}


def _locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The lock of the entry `folder`, for one process and thread at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return waiting_lock(_lock_file(folder))


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _key(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:60]
