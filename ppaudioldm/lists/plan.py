"""What a list has to generate: its valid lines, with their settings, seeds, keys and file names, in batches."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppaudioldm.audio.formats import FORMATS
from ppaudioldm.audio.names import safe_name
from ppaudioldm.diffusion.noise import check_seed, item_seeds
from ppaudioldm.errors import one_line, quoted
from ppaudioldm.generation.options import Options, check_level
from ppaudioldm.generation.prompt_schedule import split_first
from ppaudioldm.lists.keys import KeyMaker
from ppaudioldm.lists.prompt_list import Line, PromptList, read_list
from ppaudioldm.lists.write import OutputOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A valid line. seed: None draws a new one. key: the same for the same line in every run. file: its name.

    earlier_keys: those that earlier versions may have written for it. variation: from 1, of a line that has several.
    """

    line: Line
    options: Options
    seed: int | None
    key: str
    earlier_keys: tuple[str, ...] = ()
    file: str = ""
    variation: int | None = None

    @property
    def title(self) -> str:
        return self.line.name or self.line.prompt

    def is_among(self, keys: Set[str]) -> bool:
        """Whether one of its keys is."""
        return self.key in keys or not keys.isdisjoint(self.earlier_keys)


@dataclass
class ListReport:
    """The outcome of a list: how many sounds were `generated` now, how many were `existing`; failed: line -> reason.

    A line has a sound for each of its variations. failed_sounds: how many could not be generated.
    """

    total: int = 0
    existing: int = 0
    generated: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    failed_sounds: int = 0

    @property
    def missing(self) -> int:
        """How many sounds neither exist nor failed."""
        return self.total - self.existing - self.generated - self.failed_sounds

    def fail(self, line: int, reason: str) -> None:
        """Note that a sound of that line cannot be generated."""
        self.failed[line] = reason
        self.failed_sounds += 1


def read_items(
    list_path: str | os.PathLike[str],
    report: ListReport,
    *,
    checkpoint: str,
    extension: str,
    output: OutputOptions,
    seed: int | None,
    settings: dict[str, Any],
) -> list[Item]:
    """All sounds of the list, with the arguments of `run.generate_list`; lines that are wrong are in the report.

    Raises ValueError for a bad list or setting.
    """
    output.check()
    if extension not in FORMATS:
        raise ValueError(f"unknown format {quoted(extension)}, choose from {', '.join(FORMATS)}")
    if seed is not None:
        check_seed(seed)
    check_level(Options.from_preset(**settings), output.loudness)
    prompt_list = read_list(list_path)
    if prompt_list.unused:
        logger.warning(
            "%s: columns without a meaning here: %s", list_path, one_line(", ".join(prompt_list.unused)[:200])
        )
    keys = KeyMaker([checkpoint, extension], output)
    report.failed |= prompt_list.bad
    items = list(_items(prompt_list, settings, seed, keys, report.failed, output.loudness))
    report.total = len(items) + len(report.failed)
    report.failed_sounds = len(report.failed)
    return items


def missing_items(
    items: list[Item],
    records: list[dict[str, Any]],
    existing: Iterable[str],
    extension: str,
    output: OutputOptions,
    report: ListReport,
) -> list[Item]:
    """The items that no record is of, with their files. existing: names of all files in the folder."""
    done = {str(record.get("key")) for record in records}
    missing = _with_files([item for item in items if not item.is_among(done)], existing, extension, output)
    report.existing = len(items) - len(missing)
    return missing


def _items(
    prompt_list: PromptList,
    settings: dict[str, Any],
    seed: int | None,
    keys: KeyMaker,
    failed: dict[int, str],
    loudness: float | None,
) -> Iterator[Item]:
    """The variations of the valid lines; lines with invalid settings are added to `failed`."""
    for line in prompt_list.lines:
        try:
            own = {keyword: value for keyword, value in line.settings.items() if keyword != "seed"}
            options = Options.from_preset(**{**settings, **own})
            split_first(line.prompt, options.prompt_schedule)  # an error for two prompts at the start
            line_seed = line.settings.get("seed", seed)
            if line_seed is not None:
                item_seeds(line_seed, options.candidates * options.variations)
            check_level(options, loudness)
        except ValueError as error:
            failed[line.number] = str(error)
            continue
        count, options = options.variations, dataclasses.replace(options, variations=1)
        for variation in range(count):  # as if the line were there as often, but with seeds that follow its own
            (key, *earlier), repeated = keys.keys(line, options, line_seed)
            item_seed = line_seed
            if item_seed is not None:
                further = variation if "seed" in line.settings else repeated
                item_seed += further * options.candidates
            number = variation + 1 if count > 1 else None
            yield Item(line, options, item_seed, key, tuple(earlier), variation=number)


def _with_files(items: Iterable[Item], existing: Iterable[str], extension: str, output: OutputOptions) -> list[Item]:
    """`items` with file names that are not taken, neither by `existing` files of the folder nor by an earlier item."""
    # Some file systems take "Dog" for "dog".
    taken = {name.casefold() for name in existing}
    numbers: dict[str, int] = {}
    planned = []
    for item in items:
        stem, own_extension = _stem(item.title, extension)
        output.check_format(Path(f"x{own_extension}"))
        if item.variation is not None:
            stem += f"-{item.variation}"
        number = numbers.get(stem.casefold(), 1)
        while True:
            file = Path(f"{stem}-{number}{own_extension}" if number > 1 else f"{stem}{own_extension}")
            number += 1
            names = {path.name.casefold() for path in output.files(file, item.options.candidates)}
            if not names & taken:
                break
        numbers[stem.casefold()] = number
        taken |= names
        planned.append(dataclasses.replace(item, file=file.name))
    return planned


def _stem(title: str, extension: str) -> tuple[str, str]:
    """The safe form of `title`, and the extension: its own if that is one of a sound file."""
    own = Path(title).suffix.lower() if len(title) < 256 else ""
    return (safe_name(title[: -len(own)]), own) if own in FORMATS else (safe_name(title), extension)


def in_batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """`items` in batches of equal settings, as large as the batch size allows."""
    groups: dict[Options, list[Item]] = {}
    for item in items:
        groups.setdefault(item.options, []).append(item)
    for options, group in groups.items():
        size = max(1, options.batch_size // options.candidates)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def warn_of_other_sounds(folder: object, records: Iterable[dict[str, Any]], items: Iterable[Item]) -> None:
    """Warn if some `records` of the manifest in `folder` are of none of the items."""
    keys = {key for item in items for key in (item.key, *item.earlier_keys)}
    others = sum(record.get("key") not in keys for record in records)
    if others:
        logger.warning(
            "%s holds %d sounds of other lines or settings than this list has now: they stay", folder, others
        )
