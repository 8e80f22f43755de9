"""Notes and effects of the Fluid SoundFont, rendered by TinySoundFont."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.sounds.bank.originals import Notice, Original
from ppaudioldm.sounds.bank.reading import SAMPLE_RATE

_RENDER_RATE = (
    48_000  # TinySoundFont interpolates linearly: at three times our rate what that mirrors is out of hearing
)
_SILENT_AFTER_S = 0.1  # a note that is stopped fades for some milliseconds, which would begin the next one
DRUMS = 128  # the bank of drum kits
_DRUM_CHANNEL = 9


@dataclass(frozen=True)
class Key:
    """A key of a preset, pressed for `held_s` and followed for `released_s`.

    bank, program: of the preset; 128 is the bank of drum kits. key: 60 is middle C. velocity: 1 to 127.
    """

    bank: int
    program: int
    key: int
    held_s: float
    released_s: float
    velocity: int = 100

    @property
    def pitch_hz(self) -> float:
        return 440.0 * 2 ** ((self.key - 69) / 12)


def fluid(folder: Path) -> Callable[[Key], Original]:
    """The keys of the SoundFont in an unpacked package. Raises ValueError without TinySoundFont or the MIT licence."""
    copyright_file = next(folder.glob("usr/share/doc/*/copyright"))
    if "I hereby release Fluid under the MIT license" not in copyright_file.read_text(encoding="utf-8"):
        raise ValueError(f"{copyright_file} does not release Fluid under the MIT license")
    try:
        import tinysoundfont
    except ImportError as error:
        raise ValueError(
            "rendering SoundFonts takes TinySoundFont: `pip install --no-deps tinysoundfont` (--no-deps, because it "
            "asks for PyAudio, which only playing needs)"
        ) from error
    synth = tinysoundfont.Synth(samplerate=_RENDER_RATE)
    (path,) = folder.glob("usr/share/sounds/sf2/*.sf2")
    font = synth.sfload(str(path))

    def original(key: Key) -> Original:
        synth.sounds_off()
        _generated(synth, _SILENT_AFTER_S)
        channel = _DRUM_CHANNEL if key.bank == DRUMS else 0
        synth.program_select(channel, font, key.bank, key.program, key.bank == DRUMS)
        name = synth.sfpreset_name(font, key.bank, key.program)
        synth.noteon(channel, key.key, key.velocity)
        held = _generated(synth, key.held_s)
        synth.noteoff(channel, key.key)
        samples = np.concatenate([held, _generated(synth, key.released_s)])
        title = f"Fluid (R3): {name}, key {key.key}"
        return Original(_at_our_rate(samples), Notice(title, "Frank Wen", "MIT", ""))

    return original


def _generated(synth: object, duration_s: float) -> np.ndarray:
    """The next samples of the left channel: Fluid's effects play twice, and their mean would be a comb filter's."""
    buffer = synth.generate(round(duration_s * _RENDER_RATE))  # type: ignore[attr-defined]
    return np.frombuffer(bytes(buffer), np.float32).reshape(-1, 2)[:, 0]


def _at_our_rate(samples: np.ndarray) -> np.ndarray:
    import soxr

    return np.asarray(soxr.resample(samples, _RENDER_RATE, SAMPLE_RATE, "VHQ"), dtype=np.float32)
