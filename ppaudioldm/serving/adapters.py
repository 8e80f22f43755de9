"""The LoRA adapters of a server: its owner names files and folders, and requests choose among the names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ppaudioldm.choices import FRAMEWORKS
from ppaudioldm.errors import CheckpointError, quoted
from ppaudioldm.installed import is_installed
from ppaudioldm.serving.models import Models
from ppaudioldm.weights.lora import CONFIG_FILE, read_adapter

MOST_NAMED = 1000
NAME_PATTERN = re.compile(r"[\w.-]{1,64}")


def named_adapters(values: Sequence[str]) -> dict[str, Path]:
    """Name -> path of the adapters that `values` name: NAME=PATH each, or a folder of adapters with their files' names.

    Each is read once. Raises ValueError for what is neither, for a name twice, and for an adapter that is damaged.
    """
    adapters: dict[str, Path] = {}
    for value in values:
        for name, path in _named(value):
            if not NAME_PATTERN.fullmatch(name):
                raise ValueError(
                    f"lora: the name {quoted(name)} is not allowed: letters, digits, dots, - and _, up to 64"
                )
            if name in adapters:
                raise ValueError(f"lora: {name} is both {adapters[name]} and {path}, allowed: a name once")
            read_adapter(path)
            adapters[name] = path
    if len(adapters) > MOST_NAMED:
        raise ValueError(f"lora: {len(adapters)} adapters, allowed: up to {MOST_NAMED}")
    return adapters


def _named(value: str) -> Iterator[tuple[str, Path]]:
    name, equals, path = value.partition("=")
    if equals:
        yield name.strip(), Path(path.strip())
        return
    folder = Path(value)
    if not folder.is_dir():
        raise ValueError(f"lora is {quoted(value)}, allowed: NAME=PATH, or a folder of adapters")
    if (folder / CONFIG_FILE).exists():
        yield folder.name, folder
        return
    found = [*folder.glob("*.safetensors"), *(path.parent for path in folder.glob(f"*/{CONFIG_FILE}"))]
    if not found:
        raise ValueError(f"lora: {value} holds no adapters")
    for file in sorted(found):
        yield file.stem if file.suffix == ".safetensors" else file.name, file


def check_fit_any(adapters: Mapping[str, Path], models: Models) -> None:
    """Raise CheckpointError for an adapter that fits none of the `models`: better now than in the first request.

    Without a framework, with which the sizes of a network are found out, nothing is checked.
    """
    if not adapters or not any(map(is_installed, FRAMEWORKS)):
        return
    from ppaudioldm.weights.lora_merge import check_fits

    for path in adapters.values():
        adapter, problems = read_adapter(path), []
        for model in models.all:
            try:
                check_fits(adapter, model.pipeline.config, model.name)
            except CheckpointError as error:
                problems.append(error)
        if len(problems) == len(models.all):
            raise problems[0]
