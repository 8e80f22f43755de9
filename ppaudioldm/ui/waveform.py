"""The waveform of a recording as HTML, on which a range is chosen by mouse, finger or keyboard; see range.js."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.audio.recording import downmixed, open_recording
from ppaudioldm.serving.settings import Limits

COLUMNS = 400  # of the drawing
FIRST_SHARE = (0.4, 0.6)  # of the recording: the range that is chosen at first
EMPTY = '<p class="empty">Choose a recording: its waveform appears here, to mark the range to regenerate.</p>'


@dataclass(frozen=True)
class Outline:
    """The drawing of a recording. levels: lowest and highest sample of each column, at most 1. duration: seconds."""

    levels: tuple[tuple[float, float], ...]
    duration: float

    @classmethod
    def of(cls, path: str | Path, limits: Limits) -> Outline:
        """Read the file `path`. Raises ValueError for one that is not a sound file, or is longer than the limit."""
        try:
            recording = open_recording(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "the recording")) from None
        if recording.duration > limits.duration_s:
            raise ValueError(
                f"the recording lasts {recording.duration:.1f} seconds,"
                f" allowed on this server: up to {limits.duration_s:g}"
            )
        mono = downmixed(recording.samples)
        loudest = float(np.abs(mono).max()) or 1.0
        starts = np.unique(np.linspace(0, len(mono), COLUMNS, endpoint=False).astype(int))
        low, high = np.minimum.reduceat(mono, starts) / loudest, np.maximum.reduceat(mono, starts) / loudest
        return cls(tuple(zip(low.tolist(), high.tolist(), strict=True)), recording.duration)

    @property
    def first_range(self) -> tuple[float, float]:
        """Seconds."""
        start, end = (round(share * self.duration, 2) for share in FIRST_SHARE)
        return start, end

    def html(self, start: float | None, end: float | None) -> str:
        """The drawing with the range from `start` to `end` seconds chosen; None is the beginning, or the end."""
        left = min(max(0.0, start or 0.0), self.duration)
        right = min(max(left, self.duration if end is None else end), self.duration)
        path = "".join(
            f"M{i + 0.5:g} {50 - 48 * high:.1f}V{50 - 48 * low + 0.5:.1f}" for i, (low, high) in enumerate(self.levels)
        )
        percent = [100 * value / self.duration for value in (left, right)]
        handles = "".join(
            f'<span class="handle" role="slider" tabindex="0" data-which="{which}" style="left:{at:.3f}%"'
            f' aria-label="{label}" aria-valuemin="0" aria-valuemax="{self.duration:.3f}" aria-valuenow="{value:.3f}"'
            f' aria-valuetext="{value:.2f} seconds"></span>'
            for which, label, value, at in (
                ("start", "Start of the range", left, percent[0]),
                ("end", "End of the range", right, percent[1]),
            )
        )
        return (
            f'<div class="waveform" data-duration="{self.duration:.6f}" data-start="{left:.3f}" data-end="{right:.3f}">'
            f'<svg viewBox="0 0 {len(self.levels)} 100" preserveAspectRatio="none" aria-hidden="true">'
            f'<path d="{path}"/></svg>'
            f'<span class="chosen" style="left:{percent[0]:.3f}%;width:{percent[1] - percent[0]:.3f}%"></span>'
            f"{handles}</div>"
            f'<p class="hint">{self.duration:.2f} s. Drag over the range to regenerate. With the keyboard:'
            " the arrow keys move its ends.</p>"
        )
