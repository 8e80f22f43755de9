"""Mutated checkpoints of every layout are opened: `python -m tests.fuzz.checkpoints --count 20000`."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import pickletools
import random
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppaudioldm.checkpoints import CHECKPOINTS, UNTRAINED
from ppaudioldm.weights.checkpoint import open_checkpoint, random_checkpoint
from tests.fuzz.harness import Case, Messages, main
from tests.fuzz.mutations import changed_bytes, changed_json
from tests.weights.examples import LAYOUTS, paddlemix_tensors, write_layout
from tests.weights.paddle_writer import write_paddle

WINDOW_BYTES = 400  # that are changed together
MOST_JSON_BYTES = 4 << 20
OPCODES = [getattr(pickle, name) for name in pickle.__all__ if isinstance(getattr(pickle, name), bytes)]
NAMES = (b"cos\nsystem\n", b"cbuiltins\neval\n", b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n", b"(lp0\n")
TOKENS = (*OPCODES, *NAMES, b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x80\x02", b"Q", b"R.", b"}(", b"ctorch\nQInt8Storage\n")
OTHERS = (b"", b"\0" * 4000, b"<html>", b"version https://git-lfs.github.com/spec/v1\n", b"{}", b"PK\5\6" + b"\0" * 18)
NEW_NAMES = ("model.fp16.safetensors", "x.safetensors", "pytorch_model.bin", "config.json", "model.safetensors")


# Few tensors, for every case opens all of them.
SMALL = replace(
    UNTRAINED,
    unet=replace(UNTRAINED.unet, channel_mult=(1, 2), attention_levels=(1,)),
    clap_text=replace(UNTRAINED.clap_text, num_layers=1),
    clap_audio=replace(UNTRAINED.clap_audio, depths=(1, 1)),
    flan_t5=replace(UNTRAINED.flan_t5, num_layers=1),
    gpt2=replace(UNTRAINED.gpt2, num_layers=1),
)


@dataclass(frozen=True)
class Source:
    """A checkpoint to mutate. places: for each file, offsets around which bytes are changed; () for anywhere."""

    name: str
    path: Path
    places: dict[Path, Sequence[int]]

    def files(self) -> list[Path]:
        return list(self.places)


def sources(folder: Path) -> Iterator[Source]:
    """The untrained checkpoint in every layout, and in the other forms that each has."""
    import torch
    from safetensors.torch import save_file

    from ppaudioldm.weights.torch_files import read_torch

    paths = {layout: _written(layout, folder) for layout in LAYOUTS}
    tensors = {key: torch.from_numpy(tensor.read()) for key, tensor in read_torch(paths["original"]).items()}
    save_file(tensors, paths.setdefault("safetensors", folder / "o.safetensors"))
    training = {"state_dict": tensors, "args": argparse.Namespace(lr=0.1), "ema": {"a": torch.zeros(3)}, "epoch": 3}
    torch.save(training, paths.setdefault("legacy", folder / "legacy.ckpt"), _use_new_zipfile_serialization=False)
    torch.save(training, paths.setdefault("lightning", folder / "lightning.ckpt"))
    paths["bin"] = shutil.copytree(paths["diffusers"], folder / "bin")
    for file in sorted(paths["bin"].glob("*/*.safetensors")):
        from safetensors.torch import load_file

        name = "pytorch_model.bin" if file.name == "model.safetensors" else file.with_suffix(".bin").name
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    paths["shards"] = shutil.copytree(paths["diffusers"], folder / "shards")
    _into_shards(paths["shards"] / "unet" / "diffusion_pytorch_model.safetensors", "fp16")
    for name, path in paths.items():
        files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
        files = [file for file in files if not file.parent.name.startswith("tokenizer")]  # read later, by a library
        yield Source(name, path, {file: _places(file) for file in files})


def _written(layout: str, folder: Path) -> Path:
    """SMALL in a layout: of the untrained checkpoint in place of its own configuration."""
    CHECKPOINTS["untrained"] = replace(CHECKPOINTS["untrained"], config=SMALL)
    if not layout.startswith("paddlemix"):
        return write_layout(layout, folder)
    tensors = paddlemix_tensors(random_checkpoint("untrained", SMALL, 0), layout)
    write_paddle(path := folder / f"{layout}.pdparams", tensors.items())
    return path


def _into_shards(file: Path, variant: str) -> None:
    """Replace `file` by a variant in two shards and their index."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    names = sorted(tensors)
    index = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        shard = file.with_name(f"{file.stem}.{variant}-{number:05d}-of-00002.safetensors")
        save_file({name: tensors[name] for name in part}, shard)
        index |= dict.fromkeys(part, shard.name)
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": index})
    file.with_name(f"{file.stem}.safetensors.index.{variant}.json").write_text(text)
    file.unlink()


def _places(file: Path) -> Sequence[int]:
    """Offsets in `file` of what describes its tensors."""
    if file.suffix == ".json":
        return ()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            pickled = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
            directory = range(archive.start_dir, file.stat().st_size)
            return [*range(pickled.header_offset, pickled.header_offset + pickled.file_size), *directory]
    with file.open("rb") as opened:
        if file.suffix == ".safetensors":
            return range(8 + struct.unpack("<Q", opened.read(8))[0])
        places: list[int] = []
        for _ in range(5 if file.suffix == ".ckpt" else 1):  # the pickles of a file of torch.save before the tensors
            places += [position for _, _, position in pickletools.genops(opened) if position is not None]
        return places


class Checkpoints:
    """The cases: number -> a mutated checkpoint, opened."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._sources, self._seed, self._messages = list(sources(folder)), seed, Messages()
        self._undo: list[Callable[[], object]] = []

    def __call__(self, number: int) -> tuple[str, list[str]]:
        rng = random.Random(f"{self._seed} {number}")
        source = self._sources[number % len(self._sources)]
        self._messages.lines.clear()
        error = ""
        try:
            kind = self._mutate(rng, source)
            try:
                open_checkpoint(source.path, ema=rng.random() < 0.1)
            except (ValueError, OSError) as problem:
                error = str(problem) or type(problem).__name__
            return f"{source.name}, {kind}", [*self._messages.lines, error]
        finally:
            while self._undo:
                self._undo.pop()()

    def _mutate(self, rng: random.Random, source: Source) -> str:
        files = source.files()
        file = rng.choice(files)
        kinds = ["bytes"] * 6 + ["anywhere", "cut", "other"]
        if len(files) > 1:
            kinds += ["missing", "renamed", "swapped", "link"]
        if file.suffix in (".json", ".safetensors"):
            kinds += ["json"] * 6
        kind = rng.choice(kinds)
        size = file.stat().st_size
        if kind == "bytes":
            place = rng.choice(source.places[file]) if source.places[file] else rng.randrange(size + 1)
            self._change_bytes(rng, file, max(0, place - rng.randrange(WINDOW_BYTES)))
        elif kind == "anywhere":
            self._change_bytes(rng, file, rng.randrange(size + 1))
        elif kind == "json":
            self._change_json(rng, file)
        elif kind == "cut":
            self._truncate(file, rng.choice((0, 1, 8, 100, rng.randrange(size), max(0, size - rng.randrange(1, 5000)))))
        elif kind == "other":
            self._replace(file, rng.choice(OTHERS))
        elif kind == "missing":
            self._move(file, file.with_name(f".{file.name}"))
        elif kind == "renamed":
            target = file.with_name(rng.choice(NEW_NAMES))
            if not target.exists():
                self._move(file, target)
        elif kind == "swapped":
            other = rng.choice(files)
            if other != file:
                aside = file.with_name(".aside")
                for one, two in ((file, aside), (other, file), (aside, other)):
                    self._move(one, two)
        elif kind == "link":
            self._move(file, file.with_name(".aside"))
            file.symlink_to(rng.choice(("/nowhere", "/dev/zero", "..", file.name)))
            self._undo.append(file.unlink)
        return kind

    def _change_bytes(self, rng: random.Random, file: Path, start: int) -> None:
        """Change bytes at `start`, and keep the length of the file: what is behind stays at its place."""
        length = rng.choice((8, 40, WINDOW_BYTES))
        with file.open("r+b") as opened:
            opened.seek(start)
            before = opened.read(length)
            after = changed_bytes(rng, before, TOKENS)[: len(before)].ljust(len(before), b"N")
            opened.seek(start)
            opened.write(after)
        self._undo.append(lambda: _write_at(file, start, before))

    def _change_json(self, rng: random.Random, file: Path) -> None:
        """Change a configuration, or the header of safetensors, which may grow: its tensors are then not behind it."""
        if file.suffix == ".json":
            text = json.dumps(changed_json(rng, json.loads(file.read_bytes())), indent=rng.choice((None, 2)))
            self._replace(file, text.encode())
            return
        with file.open("rb") as opened:
            length = struct.unpack("<Q", opened.read(8))[0]
            before = opened.read(length)
        header = json.loads(before)
        names = rng.sample(sorted(header), min(3, len(header)))  # a whole header has thousands of values
        header |= _as_dict(changed_json(rng, {name: header[name] for name in names}))
        after = json.dumps(header, separators=(",", ":")).encode()
        if len(after) > length:
            for name in [name for name in header if name not in names][: rng.randrange(20)]:
                del header[name]
            after = json.dumps(header, separators=(",", ":")).encode()[:length]
        _write_at(file, 8, after.ljust(length))
        self._undo.append(lambda: _write_at(file, 8, before))

    def _truncate(self, file: Path, size: int) -> None:
        with file.open("rb") as opened:
            opened.seek(size)
            before = opened.read()
        os.truncate(file, size)
        self._undo.append(lambda: _write_at(file, size, before))

    def _replace(self, file: Path, content: bytes) -> None:
        self._move(file, file.with_name(".aside"))
        file.write_bytes(content)
        self._undo.append(file.unlink)

    def _move(self, file: Path, target: Path) -> None:
        os.rename(file, target)
        self._undo.append(lambda: os.rename(target, file))


def _as_dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {"x": value}


def _write_at(file: Path, start: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(data)


def make_case(folder: Path, seed: int) -> Case:
    os.environ["HF_HUB_OFFLINE"] = "1"
    return Checkpoints(folder, seed)


if __name__ == "__main__":
    sys.exit(main("tests.fuzz.checkpoints", 20_000, make_case))
