"""Generating a sound for every line of a list, each written at once; a run that was stopped resumes where it was."""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppaudioldm.audio.formats import FORMATS
from ppaudioldm.audio.names import safe_name
from ppaudioldm.diffusion.noise import check_seed, item_seeds
from ppaudioldm.errors import one_line, quoted
from ppaudioldm.generation.options import Options, Progress, check_level
from ppaudioldm.generation.prompt_schedule import split_first
from ppaudioldm.lists.keys import KeyMaker
from ppaudioldm.lists.manifest import Manifest, opened, staging_path
from ppaudioldm.lists.prompt_list import Line, PromptList, read_list
from ppaudioldm.lists.write import OutputOptions, write_clip

if TYPE_CHECKING:
    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.pipeline import AudioLDM

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


def generate_list(
    list_path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    open_pipeline: Callable[[], AudioLDM],
    *,
    checkpoint: str,
    extension: str = ".wav",
    output: OutputOptions | None = None,
    seed: int | None = None,
    preset: str = "fast",
    progress: Callable[[Progress], bool | None] | None = None,
    notify: Callable[[dict[str, Any]], None] = lambda record: None,
    report: ListReport | None = None,
    **settings: Any,
) -> ListReport:
    """Generate a sound for each line of `list_path` (see `prompt_list`) in `folder`, with a line in its manifest.jsonl.

    checkpoint: its name, for the manifest; open_pipeline is called if there is something to generate. extension: of the
    sounds. output: further files of each. seed: of all lines without their own; a line equal to an earlier one takes
    the next seeds. preset, settings: of `AudioLDM.generate`, where a line leaves them open; batch_size sounds of equal
    settings are generated at once, and sound as they would alone. notify: called with each new line of the manifest.
    report: kept up to date, and returned.
    A line is complete if the manifest has it with its files, wherever it is in the list now. The others are generated;
    a line that fails is in the report, and the next one is tried.
    Raises ValueError for a bad list or setting, OutputError where nothing can be written.
    """
    output = output or OutputOptions()
    output.check()
    if extension not in FORMATS:
        raise ValueError(f"unknown format {quoted(extension)}, choose from {', '.join(FORMATS)}")
    if seed is not None:
        check_seed(seed)
    settings["preset"] = preset
    check_level(Options.from_preset(**settings), output.loudness)
    prompt_list = read_list(list_path)
    if prompt_list.unused:
        logger.warning(
            "%s: columns without a meaning here: %s", list_path, one_line(", ".join(prompt_list.unused)[:200])
        )
    keys = KeyMaker([str(checkpoint), extension], output)
    report = report or ListReport()
    report.failed |= prompt_list.bad
    items = list(_items(prompt_list, settings, seed, keys, report.failed, output.loudness))
    report.total = len(items) + len(report.failed)
    report.failed_sounds = len(report.failed)
    with opened(Path(folder)) as manifest:
        done = {str(record.get("key")) for record in manifest.records}
        waiting = _planned([item for item in items if not item.is_among(done)], manifest, extension, output)
        report.existing = len(items) - len(waiting)
        _warn_of_other_sounds(manifest, items)
        if waiting:
            run = _Run(open_pipeline(), manifest, str(checkpoint), output, progress, notify, report)
            for batch in _batches(waiting):
                run.generate(batch)
    return report


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
                item_seeds(line_seed, options.num_waveforms_per_prompt * options.variations)
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
                item_seed += further * options.num_waveforms_per_prompt
            number = variation + 1 if count > 1 else None
            yield Item(line, options, item_seed, key, tuple(earlier), variation=number)


def _planned(items: Iterable[Item], manifest: Manifest, extension: str, output: OutputOptions) -> list[Item]:
    """`items` with file names that are not taken, neither in the folder nor by an earlier item."""
    # Some file systems take "Dog" for "dog".
    taken = {name.casefold() for name in os.listdir(manifest.folder)}
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
            names = {path.name.casefold() for path in output.files(file, item.options.num_waveforms_per_prompt)}
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


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """`items` in batches of equal settings, as large as the batch size allows."""
    groups: dict[Options, list[Item]] = {}
    for item in items:
        groups.setdefault(item.options, []).append(item)
    for options, group in groups.items():
        size = max(1, options.batch_size // options.num_waveforms_per_prompt)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _warn_of_other_sounds(manifest: Manifest, items: Iterable[Item]) -> None:
    keys = {key for item in items for key in (item.key, *item.earlier_keys)}
    others = sum(record.get("key") not in keys for record in manifest.records)
    if others:
        logger.warning(
            "%s holds %d sounds of other lines or settings than this list has now: they stay", manifest.folder, others
        )


class _Run:
    """Generates items, writes and reports them."""

    def __init__(
        self,
        pipeline: AudioLDM,
        manifest: Manifest,
        checkpoint: str,
        output: OutputOptions,
        progress: Callable[[Progress], bool | None] | None,
        notify: Callable[[dict[str, Any]], None],
        report: ListReport,
    ) -> None:
        self.pipeline = pipeline
        self.manifest = manifest
        self.checkpoint = checkpoint
        self.output = output
        self.progress = progress
        self.notify = notify
        self.report = report

    def generate(self, items: list[Item]) -> None:
        """Generate `items`, of equal options, in one batch; if that fails, each alone."""
        from ppaudioldm.generation.clip import Cancelled

        seeds = [secrets.randbelow(2**32) if item.seed is None else item.seed for item in items]
        try:
            clip = self.pipeline.generate(
                [item.line.prompt for item in items],
                seed=seeds,
                keep_candidates=self.output.all_candidates,
                with_scores=self.pipeline.config.ranks,
                progress=self.progress,
                options=items[0].options,
            )
        except (Cancelled, OSError):
            raise
        except Exception as error:  # whatever it is, the other lines of a long list must not be lost
            if len(items) == 1:
                self.report.fail(items[0].line.number, f"{type(error).__name__}: {error}")
                logger.debug("line %d", items[0].line.number, exc_info=True)
                return
            for item in items:
                self.generate([item])
            return
        for index, (item, seed) in enumerate(zip(items, seeds, strict=True)):
            if np.isfinite(clip.waveforms[index]).all():
                self.write(item, clip, index, seed)
            else:
                self.report.fail(item.line.number, "the networks computed samples that are not finite")

    def write(self, item: Item, clip: Clip, index: int, seed: int) -> None:
        folder = self.manifest.folder
        written = write_clip(folder / item.file, clip, self.output, seed, index, staging_path)
        files = [written["file"], *([written["spectrogram"]] if self.output.spectrogram else [])]
        files += [candidate["file"] for candidate in written.get("candidates", ())]
        settings = dataclasses.asdict(self.pipeline.with_defaults(item.options))
        if item.options.duration is None:
            seconds = written["samples"] / written["sample_rate"]
            settings["duration"] = self.pipeline.default_duration if item.options.trim else seconds
        record = {
            "line": item.line.number,
            "key": item.key,
            **{name: value for name, value in written.items() if name not in ("spectrogram", "candidates")},
            "file": item.file,
            "files": [Path(file).name for file in files],
            "checkpoint": self.checkpoint,
            "settings": settings,
        }
        if "candidates" in written:
            record["candidates"] = [c | {"file": Path(c["file"]).name} for c in written["candidates"]]
        if self.output.loudness is not None:
            record["loudness"] = self.output.loudness
        self.manifest.add(record)
        self.report.generated += 1
        self.notify(record)
