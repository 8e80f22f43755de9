"""The result of an editing task: a clip that contains samples of a recording, at its rate and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppaudioldm.audio.formats import FORMATS
from ppaudioldm.audio.joins import FADE_S, Span
from ppaudioldm.audio.tagging.content_credentials import Signer
from ppaudioldm.audio.write import write_audio
from ppaudioldm.generation.clip import Clip


@dataclass(frozen=True)
class EditedClip(Clip):
    """A clip with samples of a recording in it: waveforms (1, samples), or (1, samples, channels) of several; the first
    axis is longer for `variations`.

    Its rate, channels and dtype are the recording's. kept: the spans whose samples are the recording's own, to the bit.
    fade: seconds before and behind what was generated over which one gives way to the other. subtype: the depth that
    `save` writes, see `write_audio`. cutoff: of `upscale`, in Hz: where the recording's own sound ends.
    """

    kept: tuple[Span, ...] = ()
    fade: float = FADE_S
    subtype: str = "float"
    cutoff: float | None = None

    def save(self, path: str | Path, tags: str = "all", signer: Signer | None = None) -> list[Path]:
        """Write the clip to `path`: as deep as the recording, or as the format allows where that is less."""
        _, encodings = FORMATS.get(Path(path).suffix.lower(), ("", {}))
        deepest = list(encodings)[-1] if encodings else None  # none: `write_audio` says what is wrong
        subtype = self.subtype if self.subtype in encodings else deepest
        path = Path(path)
        paths = [path]
        if len(self.waveforms) > 1:
            paths = [path.with_name(f"{path.stem}_{i}{path.suffix}") for i in range(len(self.waveforms))]
        return [
            write_audio(one, self.waveform(i), self.sample_rate, subtype, made.tags(tags), made.signing(signer))
            for i, one in enumerate(paths)
            for made in [self.provenance_of(i)]
        ]
