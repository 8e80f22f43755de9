"""Messages of the commands on stderr, one line each, and the progress bar."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ppaudioldm.commands.signals import raise_if_interrupted
from ppaudioldm.generation.options import Progress

if TYPE_CHECKING:
    from ppaudioldm.pipeline import AudioLDM


def notify(message: str) -> None:
    print(f"ppaudioldm: {message}", file=sys.stderr, flush=True)


def notify_if_random(pipeline: AudioLDM) -> None:
    """Say that a checkpoint has random weights."""
    if pipeline.checkpoint.is_random:
        notify_of_random(pipeline.checkpoint.name)


def notify_of_random(name: str) -> None:
    """Say that the checkpoint of that name has random weights."""
    notify(f"note: {name} has random weights, so this is noise and not the sound of the prompt")


class ProgressBar:
    """A bar on stderr, where that is a terminal: the stage, the steps of the longest one, and the time left.

    title: text before the name of the stage.
    """

    title = ""

    def __enter__(self) -> ProgressBar:
        from tqdm import tqdm

        self._shown = ("", 0)
        self._bar = tqdm(
            total=0, disable=None, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {remaining} left"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def clear(self) -> None:
        """Make way for a line on stdout; the next `show` draws the bar again."""
        self._bar.clear()

    def show(self, progress: Progress) -> None:
        raise_if_interrupted()
        if (progress.stage, progress.total) != self._shown:
            self._shown = progress.stage, progress.total
            self._bar.reset(progress.total)
            self._bar.set_description_str(f"{self.title}{progress.stage:8}")
        self._bar.n = progress.done
        self._bar.refresh()
