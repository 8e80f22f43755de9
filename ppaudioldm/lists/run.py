"""A sound for every line of a list, each written as soon as it is made; a run that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.audio.formats import FORMATS
from ppaudioldm.audio.names import safe_name
from ppaudioldm.diffusion.noise import check_seed
from ppaudioldm.generation.options import Options, Progress
from ppaudioldm.lists.manifest import Manifest, opened, part
from ppaudioldm.lists.prompt_list import Line, PromptList, read_list
from ppaudioldm.lists.write import Extras, write_clip

if TYPE_CHECKING:
    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.pipeline import AudioLDM

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A line that can be made. seed: None takes a new one. key: the same for the same line in every run."""

    line: Line
    options: Options
    seed: int | None
    key: str
    file: str = ""  # its name, once it is planned

    @property
    def title(self) -> str:
        return self.line.name or self.line.prompt


@dataclass
class Report:
    """What became of a list: how many lines were `made`, how many were `there`, and what is `wrong` with which line."""

    total: int = 0
    there: int = 0
    made: int = 0
    wrong: dict[int, str] = field(default_factory=dict)


def generate_list(
    list_path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    open_pipeline: Callable[[], AudioLDM],
    *,
    checkpoint: str,
    extension: str = ".wav",
    extras: Extras | None = None,
    seed: int | None = None,
    preset: str = "fast",
    progress: Callable[[Progress], bool | None] | None = None,
    notify: Callable[[dict[str, Any]], None] = lambda record: None,
    report: Report | None = None,
    **settings: Any,
) -> Report:
    """Make a sound for each line of `list_path` (see `prompt_list`) in `folder`, and a line in its manifest.jsonl.

    checkpoint: its name, for the manifest; open_pipeline is called when there is something to make. extension: of the
    sounds. seed: of all lines that have none of their own; each line that says the same as an earlier one takes the
    next seeds. preset, settings: of `AudioLDM.generate`, for what a line leaves open; batch_size sounds of equal
    settings are made at once, and sound as they would alone. notify: called with each new line of the manifest. report:
    kept up to date, and returned.
    A line is done if the manifest has it with its files, wherever it stands in the list now. The others are made; what
    fails is in the report, and the next line is tried.
    Raises ValueError for a list or setting that is none, OutputError where nothing can be written.
    """
    extras = extras or Extras()
    extras.check()
    if extension not in FORMATS:
        raise ValueError(f"unknown format {extension!r}, choose from {', '.join(FORMATS)}")
    if seed is not None:
        check_seed(seed)
    settings["preset"] = preset
    Options.from_preset(**settings)
    listed = read_list(list_path)
    if listed.unused:
        logger.warning("%s: columns without a meaning here: %s", list_path, ", ".join(listed.unused)[:200])
    fixed = [str(checkpoint), extension, dataclasses.asdict(extras)]
    report = report or Report()
    report.total = len(listed.lines) + len(listed.bad)
    report.wrong |= listed.bad
    items = list(_items(listed, settings, seed, fixed, report.wrong))
    with opened(Path(folder)) as manifest:
        done = {record.get("key") for record in manifest.records}
        waiting = _planned([item for item in items if item.key not in done], manifest, extension, extras)
        report.there = len(items) - len(waiting)
        _tell_of_others(manifest, items)
        if waiting:
            run = _Run(open_pipeline(), manifest, str(checkpoint), extras, progress, notify, report)
            for batch in _batches(waiting):
                run.make(batch)
    return report


def _items(
    listed: PromptList, settings: dict[str, Any], seed: int | None, fixed: list[Any], wrong: dict[int, str]
) -> Iterator[Item]:
    """What is to be made; lines with settings that cannot be go to `wrong`."""
    seen: dict[str, int] = {}
    for line in listed.lines:
        try:
            own = {keyword: value for keyword, value in line.settings.items() if keyword != "seed"}
            options = Options.from_preset(**{**settings, **own})
            line_seed = line.settings.get("seed", seed)
            if line_seed is not None:
                check_seed(line_seed)
        except ValueError as error:
            wrong[line.number] = str(error)
            continue
        # The batch makes no difference to the sound.
        values = dataclasses.asdict(options) | {"batch_size": None}
        content = json.dumps([line.prompt, line.name, values, line_seed, *fixed])
        repeated = seen.get(content, 0)
        seen[content] = repeated + 1
        key = hashlib.sha256(f"{repeated} {content}".encode()).hexdigest()[:16]
        if line_seed is not None and "seed" not in line.settings:
            line_seed += repeated * options.num_waveforms_per_prompt
        yield Item(line, options, line_seed, key)


def _planned(items: Iterable[Item], manifest: Manifest, extension: str, extras: Extras) -> list[Item]:
    """`items` with names for their files, of which none is taken, in this folder or by an earlier one of them."""
    # Some file systems take "Dog" for "dog".
    taken = {name.casefold() for name in os.listdir(manifest.folder)}
    numbers: dict[str, int] = {}
    planned = []
    for item in items:
        stem, extension_of_it = _stem(item.title, extension)
        number = numbers.get(stem.casefold(), 1)
        while True:
            file = Path(f"{stem}-{number}{extension_of_it}" if number > 1 else f"{stem}{extension_of_it}")
            number += 1
            names = {path.name.casefold() for path in extras.files(file, item.options.num_waveforms_per_prompt)}
            if not names & taken:
                break
        numbers[stem.casefold()] = number
        taken |= names
        planned.append(dataclasses.replace(item, file=file.name))
    return planned


def _stem(title: str, extension: str) -> tuple[str, str]:
    """The safe form of `title`, and the extension: its own if it is a sound's."""
    own = Path(title).suffix.lower() if len(title) < 256 else ""
    return (safe_name(title[: -len(own)]), own) if own in FORMATS else (safe_name(title), extension)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """`items` of equal settings, as many together as the networks take at once."""
    groups: dict[Options, list[Item]] = {}
    for item in items:
        groups.setdefault(item.options, []).append(item)
    for options, group in groups.items():
        size = max(1, options.batch_size // options.num_waveforms_per_prompt)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _tell_of_others(manifest: Manifest, items: Iterable[Item]) -> None:
    keys = {item.key for item in items}
    others = sum(record.get("key") not in keys for record in manifest.records)
    if others:
        logger.warning(
            "%s holds %d sounds of other lines or settings than are asked for now: they stay", manifest.folder, others
        )


class _Run:
    """Makes items, writes them and reports."""

    def __init__(
        self,
        pipeline: AudioLDM,
        manifest: Manifest,
        checkpoint: str,
        extras: Extras,
        progress: Callable[[Progress], bool | None] | None,
        notify: Callable[[dict[str, Any]], None],
        report: Report,
    ) -> None:
        self.pipeline = pipeline
        self.manifest = manifest
        self.checkpoint = checkpoint
        self.extras = extras
        self.progress = progress
        self.notify = notify
        self.report = report

    def make(self, items: list[Item]) -> None:
        """`items`, of equal options, at once; what fails so is tried alone."""
        from ppaudioldm.generation.clip import Cancelled

        seeds = [secrets.randbelow(2**32) if item.seed is None else item.seed for item in items]
        try:
            clip = self.pipeline.generate(
                [item.line.prompt for item in items],
                seed=seeds,
                keep_candidates=self.extras.all_candidates,
                with_scores=True,
                progress=self.progress,
                **dataclasses.asdict(items[0].options),
            )
        except (Cancelled, OSError):
            raise
        except Exception as error:  # whatever it is, it must not cost a night
            if len(items) == 1:
                self.report.wrong[items[0].line.number] = f"{type(error).__name__}: {error}"
                logger.debug("line %d", items[0].line.number, exc_info=True)
                return
            for item in items:
                self.make([item])
            return
        for index, (item, seed) in enumerate(zip(items, seeds, strict=True)):
            self.write(item, clip, index, seed)

    def write(self, item: Item, clip: Clip, index: int, seed: int) -> None:
        folder = self.manifest.folder
        made = write_clip(folder / item.file, clip, self.extras, seed, index, part)
        files = self.extras.files(folder / item.file, item.options.num_waveforms_per_prompt)
        settings = dataclasses.asdict(item.options)
        if item.options.duration is None:
            settings["duration"] = made["samples"] / made["sample_rate"]
        record = {
            "line": item.line.number,
            "key": item.key,
            **{name: value for name, value in made.items() if name not in ("spectrogram", "candidates")},
            "file": item.file,
            "files": [path.name for path in files],
            "checkpoint": self.checkpoint,
            "settings": settings,
        }
        if "candidates" in made:
            record["candidates"] = [c | {"file": Path(c["file"]).name} for c in made["candidates"]]
        if self.extras.loudness is not None:
            record["loudness"] = self.extras.loudness
        self.manifest.add(record)
        self.report.made += 1
        self.notify(record)
