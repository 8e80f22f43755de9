"""Samples of a training run: pictures, sounds and texts as files, and the same for the viewers that watch the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.audio.griffin_lim import griffin_lim
from ppaudioldm.audio.mel_filters import MEL_16K, MelConfig
from ppaudioldm.audio.sheet import BRIGHTEST, DARKEST, sheet
from ppaudioldm.audio.spectrogram import write_png
from ppaudioldm.audio.write import write_audio
from ppaudioldm.training.viewers import Viewer

MEL_RANGE = (-12.0, 4.0)  # natural logarithms, of the spectrograms of sounds
SOUNDS = 4  # that a stage writes at a time, of those that Griffin-Lim makes


@dataclass(frozen=True)
class Samples:
    """Where the stage of that name writes what its networks computed after `step`.

    folder: of the files. viewers: they get the same pictures, sounds and texts.
    """

    folder: Path
    stage: str
    step: int
    viewers: Sequence[Viewer] = ()

    def path(self, extension: str, name: str = "") -> Path:
        """The file of a sample. name: what distinguishes it from others of the same kind."""
        return self.folder / f"{self.stage}-{self.step:06d}{f'-{name}' if name else ''}{extension}"

    def spectrograms(
        self, rows: Sequence[Sequence[np.ndarray]], levels: tuple[float, float] = (DARKEST, BRIGHTEST)
    ) -> None:
        """A picture of spectrograms (frames, bands) in rows. levels: of the darkest and the brightest colour."""
        picture = sheet(rows, levels=levels)
        write_png(self.path(".png"), picture)
        for viewer in self.viewers:
            viewer.picture("spectrograms", picture, self.step)

    def sound(self, name: str, waveform: np.ndarray, sample_rate: int) -> None:
        """A sound (samples,)."""
        write_audio(self.path(".wav", name), waveform, sample_rate)
        tag = (name or self.stage).replace("%", "").strip()  # VisualDL takes no %
        for viewer in self.viewers:
            viewer.sound(tag, waveform, sample_rate, self.step)

    def sound_of_mel(self, name: str, mel: np.ndarray, config: MelConfig = MEL_16K) -> None:
        """The sound of a log-mel spectrogram (frames, bands), by Griffin-Lim."""
        # An untrained network may predict anything.
        waveform = griffin_lim(np.clip(np.nan_to_num(mel), *MEL_RANGE), config)
        self.sound(name, waveform, config.sample_rate)

    def text(self, lines: Sequence[str]) -> None:
        """Lines of text, such as captions in the order of the spectrograms."""
        self.path(".txt").write_text("\n".join(lines) + "\n", "utf-8")
        for viewer in self.viewers:
            viewer.text("texts", "\n".join(lines), self.step)
