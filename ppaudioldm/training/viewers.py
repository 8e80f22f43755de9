"""What watches a training run: TensorBoard and VisualDL. Each reads a folder of event files, and is optional.

Imports no NumPy: `train --help` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ppaudioldm.errors import shown

if TYPE_CHECKING:
    import numpy as np

# Name -> the package that writes its files.
VIEWERS = {"tensorboard": "tensorboardX", "visualdl": "visualdl"}


class Viewer(Protocol):
    """Writes what a viewer shows."""

    def scalars(self, values: Mapping[str, float], step: int) -> None: ...

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """picture: (height, width, 3) uint8."""

    def sound(self, name: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        """waveform: (samples,), full scale is 1."""

    def text(self, name: str, text: str, step: int) -> None: ...

    def close(self) -> None:
        """Write what is not yet on disk."""


def check_viewers(names: Sequence[str]) -> None:
    """Raise ValueError for a name that is unknown, or whose package is not installed."""
    for name in names:
        if name not in VIEWERS:
            raise ValueError(f"viewers has {shown(name)}, choose from {', '.join(VIEWERS)}")
        if find_spec(VIEWERS[name]) is None:
            raise ValueError(f"viewers has {name!r}, which needs {VIEWERS[name]}: pip install 'ppaudioldm[train]'")


def open_viewers(names: Sequence[str], folder: Path, step: int) -> list[Viewer]:
    """The viewers `names`, whose files are in a folder of that name in `folder`. step: of the run that is resumed.

    Raises as `check_viewers`.
    """
    check_viewers(names)
    classes: dict[str, Any] = {"tensorboard": TensorBoard, "visualdl": VisualDL}
    return [classes[name](folder / name, step) for name in names]


class TensorBoard:
    """Event files for TensorBoard, which hides those of a killed run after `step`."""

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            str(folder),
            purge_step=step + 1 if step else None,
            filename_suffix=f".{step}",  # names have seconds: a run resumed within one would overwrite its own file
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def sound(self, name: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        self._writer.add_audio(name, _within_full_scale(waveform), step, sample_rate)

    def text(self, name: str, text: str, step: int) -> None:
        self._writer.add_text(name, text.replace("\n", "  \n"), step)  # it shows Markdown

    def close(self) -> None:
        self._writer.close()


class VisualDL:
    """Log files for VisualDL."""

    def __init__(self, folder: Path, step: int) -> None:
        from visualdl import LogWriter

        self._writer = LogWriter(logdir=str(folder))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            if math.isfinite(value):  # it draws nothing else
                self._writer.add_scalar(tag=name, value=value, step=step)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self._writer.add_image(tag=name, img=picture, step=step)

    def sound(self, name: str, waveform: np.ndarray, sample_rate: int, step: int) -> None:
        samples = _within_full_scale(waveform)
        self._writer.add_audio(tag=name, audio_array=samples, step=step, sample_rate=sample_rate)

    def text(self, name: str, text: str, step: int) -> None:
        self._writer.add_text(tag=name, text_string=text, step=step)

    def close(self) -> None:
        self._writer.close()


def _within_full_scale(waveform: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.clip(np.nan_to_num(waveform), -1, 1)
