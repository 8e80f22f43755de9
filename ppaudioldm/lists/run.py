"""Generating a sound for every line of a list, each written at once; a run that was stopped resumes where it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.generation.options import Progress
from ppaudioldm.lists.generator import ItemGenerator
from ppaudioldm.lists.manifest import opened, staging_path
from ppaudioldm.lists.plan import Item, ListReport, in_batches, missing_items, read_items, warn_of_other_sounds
from ppaudioldm.lists.write import OutputOptions

if TYPE_CHECKING:
    from ppaudioldm.pipeline import AudioLDM

__all__ = ["Item", "ListReport", "generate_list"]


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
    report = report or ListReport()
    items = read_items(
        list_path,
        report,
        checkpoint=str(checkpoint),
        extension=extension,
        output=output,
        seed=seed,
        settings={**settings, "preset": preset},
    )
    with opened(Path(folder)) as manifest:
        missing = missing_items(items, manifest.records, os.listdir(folder), extension, output, report)
        warn_of_other_sounds(folder, manifest.records, items)
        if not missing:
            return report
        generator = ItemGenerator(
            open_pipeline(), lambda name: staging_path(manifest.folder / name), str(checkpoint), output, progress
        )
        for batch in in_batches(missing):
            for item, outcome in generator.outcomes(batch):
                if isinstance(outcome, str):
                    report.fail(item.line.number, outcome)
                    continue
                manifest.add(outcome)
                report.generated += 1
                notify(outcome)
    return report
