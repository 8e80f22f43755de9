"""Which notes of which instruments the bank takes."""

from __future__ import annotations

from dataclasses import dataclass

# Keys of the Salamander piano: all that its package has between the second and the seventh octave.
SALAMANDER_NOTES = tuple(f"{name}{octave}" for octave in range(2, 7) for name in ("C", "D#", "F#", "A"))
_SEMITONES = {"C": 0, "D#": 3, "F#": 6, "A": 9}


@dataclass(frozen=True)
class Instrument:
    """Notes of a preset of the Fluid SoundFont.

    bank, program: of the preset. lowest, highest: keys, 60 is middle C; in between every `step` semitones.
    held_s, released_s: how long a key is down, and what follows.
    """

    kind: str
    bank: int
    program: int
    lowest: int
    highest: int
    step: int
    held_s: float
    released_s: float


def note_key(name: str) -> int:
    """The key of one of `SALAMANDER_NOTES`: 60 for "C4"."""
    return 12 * (int(name[-1]) + 1) + _SEMITONES[name[:-1]]


def _struck(kind: str, program: int, lowest: int, highest: int, step: int = 3, bank: int = 0) -> Instrument:
    """An instrument whose notes die away by themselves."""
    return Instrument(kind, bank, program, lowest, highest, step, held_s=2.8, released_s=0.2)


def _sustained(kind: str, program: int, lowest: int, highest: int, step: int = 3, bank: int = 0) -> Instrument:
    """An instrument that sounds as long as it is played."""
    return Instrument(kind, bank, program, lowest, highest, step, held_s=2.2, released_s=0.6)


INSTRUMENTS: tuple[Instrument, ...] = (
    _struck("piano", 0, 33, 96, 4),
    _struck("electric_piano", 4, 36, 88, 4),
    _struck("harpsichord", 6, 36, 84, 4),
    _struck("clavinet", 7, 36, 84, 4),
    _struck("celesta", 8, 60, 96),
    _struck("glockenspiel", 9, 72, 100, 2),
    _struck("music_box", 10, 60, 96),
    _struck("vibraphone", 11, 53, 89),
    _struck("marimba", 12, 48, 88),
    _struck("xylophone", 13, 65, 96),
    _struck("tubular_bell", 14, 60, 79, 2),
    _struck("church_bell", 14, 48, 68, 4, bank=8),
    _struck("dulcimer", 15, 50, 84),
    _struck("timpani", 47, 40, 57, 2),
    _struck("steel_drum", 114, 55, 84),
    _struck("kalimba", 108, 60, 88),
    _struck("nylon_guitar", 24, 40, 79),
    _struck("steel_guitar", 25, 40, 79),
    _struck("electric_guitar", 27, 40, 80),
    _struck("bass_guitar", 33, 28, 55),
    _struck("slap_bass", 36, 28, 55),
    _struck("harp", 46, 36, 91, 4),
    _struck("sitar", 104, 48, 77),
    _struck("banjo", 105, 48, 81),
    _struck("shamisen", 106, 50, 79),
    _struck("koto", 107, 50, 84),
    _struck("mandolin", 25, 55, 86, bank=16),
    _struck("ukulele", 24, 60, 84, bank=8),
    _struck("pizzicato", 45, 38, 86, 4),
    _sustained("distorted_guitar", 30, 40, 80),
    _sustained("rock_organ", 18, 36, 88, 4),
    _sustained("church_organ", 19, 36, 88, 4),
    _sustained("accordion", 21, 53, 89),
    _sustained("harmonica", 22, 60, 89),
    _sustained("violin", 40, 55, 91),
    _sustained("viola", 41, 48, 84),
    _sustained("cello", 42, 36, 72),
    _sustained("contrabass", 43, 28, 55),
    _sustained("strings", 48, 36, 88, 4),
    _sustained("choir", 52, 48, 79),
    _sustained("trumpet", 56, 55, 84),
    _sustained("muted_trumpet", 59, 55, 84),
    _sustained("trombone", 57, 43, 73),
    _sustained("tuba", 58, 28, 58),
    _sustained("french_horn", 60, 41, 77),
    _sustained("brass_section", 61, 41, 82),
    _sustained("soprano_saxophone", 64, 56, 84),
    _sustained("saxophone", 65, 49, 80),
    _sustained("oboe", 68, 58, 88),
    _sustained("english_horn", 69, 52, 81),
    _sustained("bassoon", 70, 34, 67),
    _sustained("clarinet", 71, 50, 83),
    _sustained("piccolo", 72, 74, 102),
    _sustained("flute", 73, 60, 94),
    _sustained("recorder", 74, 60, 91),
    _sustained("pan_flute", 75, 60, 91),
    _sustained("shakuhachi", 77, 55, 84),
    _sustained("tin_whistle", 78, 67, 96),
    _sustained("ocarina", 79, 60, 91),
    _sustained("bagpipe", 109, 55, 76, 2),
    _sustained("shehnai", 111, 55, 81),
)
