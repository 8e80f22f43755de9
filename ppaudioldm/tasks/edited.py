"""The result of an editing task: a clip that contains samples of a recording, at its rate and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppaudioldm.audio.formats import FORMATS
from ppaudioldm.audio.joins import FADE_S, Span
from ppaudioldm.audio.write import write_audio
from ppaudioldm.generation.clip import Clip


@dataclass(frozen=True)
class EditedClip(Clip):
    """One clip, with samples of a recording in it: waveforms (1, samples), or (1, samples, channels) of several.

    Its rate, channels and dtype are the recording's. kept: the spans whose samples are the recording's own, to the bit.
    fade: seconds before and behind what was generated over which one gives way to the other. subtype: the depth that
    `save` writes, see `write_audio`. cutoff: of `upscale`, in Hz: where the recording's own sound ends.
    """

    kept: tuple[Span, ...] = ()
    fade: float = FADE_S
    subtype: str = "float"
    cutoff: float | None = None

    def save(self, path: str | Path) -> list[Path]:
        """Write the clip to `path`: as deep as the recording, or as the format allows where that is less."""
        _, encodings = FORMATS.get(Path(path).suffix.lower(), ("", {}))
        deepest = list(encodings)[-1] if encodings else None  # none: `write_audio` says what is wrong
        subtype = self.subtype if self.subtype in encodings else deepest
        return [write_audio(path, self.waveforms[0], self.sample_rate, subtype)]
