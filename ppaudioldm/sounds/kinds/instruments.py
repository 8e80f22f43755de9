"""Instruments from recorded notes: single notes, counted ones, melodies, scales, arpeggios and chords."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppaudioldm.sounds.bank import Recording
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.kinds.recorded import MARGIN_S, events
from ppaudioldm.sounds.processing import faded, looped, resample
from ppaudioldm.sounds.signals import Generator, add, choose, uniform
from ppaudioldm.sounds.wording import Words
from ppaudioldm.sounds.words import instruments as words
from ppaudioldm.sounds.words.slots import NOTES

# Seconds from one note to the next; "" is a speed that captions do not name.
TEMPO_S = {"slow": (0.5, 0.72), "": (0.27, 0.36), "fast": (0.12, 0.18)}
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}  # semitones
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
OUTER = 0.33  # of the range of an instrument is "low", as much "high"


@dataclass(frozen=True)
class Range:
    """What an instrument plays.

    low, high: MIDI numbers (60 is middle C). held: its notes last, and end when they are released.
    chords: it plays several notes at once. named: its notes have a clear pitch, which captions may name.
    """

    low: int
    high: int
    held: bool = False
    chords: bool = True
    named: bool = True


def midi_hertz(midi: float) -> float:
    """The frequency in Hz of a note in equal temperament, A4 = 440 Hz."""
    return 440 * 2 ** ((midi - 69) / 12)


def note_name(midi: int) -> str:
    """ "C sharp" for 61."""
    return NOTES[midi % 12]


def instrument(words: Words, span: Range, *recordings: str) -> Kind:
    """The kind of an instrument whose notes are the kinds `recordings` of the bank, one of them a clip."""

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        form = _form(rng, span)
        facts: Facts = {"form": form, "bank": choose(rng, *recordings), "layer": choose(rng, "soft", "loud")}
        return facts | _FORMS[form](rng, span, duration)

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        return played(rng, material, span, facts, duration)

    return Kind(words, draw, render)


def _form(rng: Generator, span: Range) -> str:
    shares = {"note": 0.36, "notes": 0.12, "melody": 0.28, "scale": 0.09, "arpeggio": 0.06, "chord": 0.09}
    if not span.chords:
        del shares["chord"]
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]


# ---- What is played: notes, their onsets and lengths in s


def _register(rng: Generator, span: Range, width: int = 0) -> tuple[str, int]:
    """ "low", "" or "high", and a note of that part of the range with room for `width` semitones above."""
    register = ("low", "", "", "high")[int(rng.integers(4))]
    size = span.high - span.low
    low, high = {
        "low": (span.low, span.low + int(OUTER * size)),
        "": (span.low + math.ceil(OUTER * size), span.high - math.ceil(OUTER * size)),
        "high": (span.high - int(OUTER * size), span.high),
    }[register]
    return register, int(rng.integers(low, max(low, min(high, span.high - width)) + 1))


def _named(register: str) -> Facts:
    return {"pitch": register} if register else {}


def _note(rng: Generator, span: Range, duration: float) -> Facts:
    register, midi = _register(rng, span)
    onset = 0.03 + uniform(rng, 0, 0.12) * duration
    seconds = uniform(rng, 0.5, 1.0) * min(2.6, duration - onset - MARGIN_S)
    name, octave = note_name(midi), midi // 12 - 1
    facts: Facts = {"form": "note", "count": 1, "notes": [midi], "onsets": [onset], "seconds": [seconds]}
    if span.named:
        key = f"{name.replace(' sharp', '#')}{octave}"
        facts |= {"note": name, "octave": octave, "key": key, "hertz": midi_hertz(midi)}
    return facts | _named(register)


def _notes(rng: Generator, span: Range, duration: float) -> Facts:
    """Two to five separate notes, the same or others, with silence between: they can be counted."""
    interval = uniform(rng, 0.45, 0.85)
    onset = uniform(rng, 0.03, 0.3)
    fitting = int((duration - MARGIN_S - onset) / interval)
    if fitting < 2:
        return _note(rng, span, duration)
    count = int(rng.integers(2, min(5, fitting) + 1))
    _, root = _register(rng, span, 7)
    steps = [0] * count if rng.uniform() < 0.5 else [int(n) for n in rng.integers(0, 8, count)]
    return {
        "count": count,
        "notes": [min(span.high, root + step) for step in steps],
        "onsets": [onset + interval * number for number in range(count)],
        "seconds": [0.62 * interval] * count,
    }


def _tempo(rng: Generator, least: int, duration: float) -> tuple[str, float]:
    """A speed at which `least` notes fit into `duration`, and the seconds from one to the next."""
    speed = ("slow", "slow", "", "fast", "fast")[int(rng.integers(5))]
    interval = uniform(rng, *TEMPO_S[speed])
    if interval * least > duration - 0.2:
        speed, interval = "fast", uniform(rng, *TEMPO_S["fast"])
    return speed, interval


def _melody(rng: Generator, span: Range, duration: float) -> Facts:
    speed, interval = _tempo(rng, 2, duration)
    register, root = _register(rng, span, 9)
    scale = SCALES[choose(rng, "major", "minor")]
    onsets, notes, seconds = [], [], []
    time, position = uniform(rng, 0.03, 0.2), int(rng.integers(0, 5))
    while time < duration - 0.12:
        length = interval * (2 if rng.uniform() < 0.15 else 1)
        onsets.append(time)
        seconds.append(min(length, duration - time - 0.02))
        notes.append(max(span.low, min(span.high, root + 12 * (position // 7) + scale[position % 7])))
        position = abs(position + int(rng.integers(1, 3)) * (1 if rng.uniform() < 0.5 else -1))
        position = position if position < 9 else 16 - position
        time += length
    return (
        _named(register)
        | ({"speed": speed} if speed else {})
        | {"interval": interval, "notes": notes, "onsets": onsets, "seconds": seconds}
    )


def _run(rng: Generator, span: Range, duration: float, steps: Sequence[int]) -> Facts:
    """The notes `steps` semitones above a root one by one, upwards or downwards, as many as fit."""
    speed, interval = _tempo(rng, min(5, len(steps)), duration)
    onset = uniform(rng, 0.03, 0.25)
    count = max(3, min(len(steps), int((duration - MARGIN_S - onset) / interval)))
    steps = steps[:count]
    root = int(rng.integers(span.low, max(span.low, span.high - steps[-1]) + 1))
    direction = choose(rng, "rising", "falling")
    notes = [min(span.high, root + step) for step in (steps if direction == "rising" else steps[::-1])]
    seconds = [interval] * (count - 1) + [min(1.2, duration - onset - interval * (count - 1) - 0.02)]
    return ({"speed": speed} if speed else {}) | {
        "direction": direction,
        "interval": interval,
        "notes": notes,
        "onsets": [onset + interval * number for number in range(count)],
        "seconds": seconds,
    }


def _scale(rng: Generator, span: Range, duration: float) -> Facts:
    quality = choose(rng, "major", "minor")
    return _run(rng, span, duration, [*SCALES[quality], 12, 14, 12 + SCALES[quality][2]][: int(rng.integers(6, 11))])


def _arpeggio(rng: Generator, span: Range, duration: float) -> Facts:
    quality = choose(rng, "major", "minor")
    octaves = 2 if span.high - span.low >= 26 else 1
    steps = [12 * octave + step for octave in range(octaves) for step in TRIADS[quality]] + [12 * octaves]
    return _run(rng, span, duration, steps) | {"quality": quality}


def _chord(rng: Generator, span: Range, duration: float) -> Facts:
    quality = choose(rng, "major", "minor")
    root = int(rng.integers(span.low, max(span.low, span.high - 12) + 1))
    root = max(root, min(45, span.high - 12))  # low triads are mud
    onset = 0.03 + uniform(rng, 0, 0.12) * duration
    seconds = uniform(rng, 0.6, 1.0) * min(2.6, duration - onset - MARGIN_S)
    strum = uniform(rng, 0, 0.03)
    notes = [root + step for step in (*TRIADS[quality], 12)]
    return {
        "quality": quality,
        "notes": notes,
        "onsets": [onset + strum * number for number in range(len(notes))],
        "seconds": [seconds] * len(notes),
    }


_FORMS = {"note": _note, "notes": _notes, "melody": _melody, "scale": _scale, "arpeggio": _arpeggio, "chord": _chord}


# ---- How it sounds


def played(rng: Generator, material: Material, span: Range, facts: Facts, duration: float) -> np.ndarray:
    """(samples,): the notes of `facts`, each from the recording nearest in pitch."""
    out = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    recordings = material.notes(facts["bank"])
    velocity = str(facts.get("loudness", facts["layer"]))
    layer = [recording for recording in recordings if velocity in recording.name] or list(recordings)
    known: dict[tuple[int, float], np.ndarray] = {}
    for midi, onset, seconds in zip(facts["notes"], facts["onsets"], facts["seconds"], strict=True):
        recording = _nearest(layer, midi_hertz(midi))
        key = midi, seconds
        if key not in known:
            known[key] = _tone(material, recording, midi_hertz(midi), seconds, span.held)
        assert recording.pitch_hz
        lead = recording.onset_s * recording.pitch_hz / midi_hertz(midi)
        start = int((onset - lead) * SAMPLE_RATE)
        level = np.float32(uniform(rng, 0.75, 1))
        add(out, known[key][max(0, -start) :] * level, max(0, start) / SAMPLE_RATE, SAMPLE_RATE)
    return faded(out, SAMPLE_RATE)


def _nearest(recordings: Sequence[Recording], hertz: float) -> Recording:
    return min(recordings, key=lambda recording: abs(math.log((recording.pitch_hz or 1e-9) / hertz)))


def _tone(material: Material, recording: Recording, hertz: float, seconds: float, held: bool) -> np.ndarray:
    """A note of `hertz` that is let go after `seconds`: a held one falls silent, another one rings on a little."""
    assert recording.pitch_hz
    ratio = hertz / recording.pitch_hz
    release = 0.09 if held else max(0.12, min(0.5, 0.5 * seconds))
    needed = int((recording.onset_s / ratio + seconds + release) * SAMPLE_RATE * ratio) + 400
    sound = material.samples(recording)
    if held and recording.loopable and needed > len(sound):
        sound = looped(sound, needed, 0, SAMPLE_RATE)
    tone = resample(sound[:needed], ratio)
    longest = int((recording.onset_s / ratio + seconds + release) * SAMPLE_RATE)
    return faded(tone[:longest], SAMPLE_RATE, 0.0, release)


# ---- Drums

# Bars of eight eighth notes: kick (k) and snare (s), and the hi-hat (x closed, o open).
PATTERNS = (
    ("k.s.k.s.", "xxxxxxxx"),
    ("k.s.kks.", "xxxxxxxx"),
    ("k..ks.k.", "x.x.x.x."),
    ("kks.k.s.", "x.xxx.xx"),
    ("k.s..ks.", "xxxoxxxo"),
    ("k.k.s..k", "x.xox.xo"),
    ("k.s.k.ss", "xxxxxxxo"),
)
BEAT_S = {"slow": (0.31, 0.4), "fast": (0.155, 0.2)}  # seconds an eighth note
DRUM_OF = {"k": "kick", "s": "snare", "x": "hi_hat", "o": "open_hi_hat"}


def _draw_drums(rng: Generator, material: Material, duration: float) -> Facts:
    speed = choose(rng, "slow", "fast")
    beat, first = uniform(rng, *BEAT_S[speed]), uniform(rng, 0.03, 0.25)
    count = 1 + int((duration - MARGIN_S - first) / beat)
    pattern = int(rng.integers(len(PATTERNS)))
    strokes = [number for number in range(count) if {PATTERNS[pattern][row][number % 8] for row in (0, 1)} != {"."}]
    return {
        "speed": speed,
        "interval": beat,
        "pattern": pattern,
        "onsets": [first + beat * number for number in strokes],
        "recordings": [material.draw(rng, drum).name for drum in DRUM_OF.values()],
    }


def _drums(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
    out = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    pieces, leads = {}, {}
    for (letter, drum), name in zip(DRUM_OF.items(), facts["recordings"], strict=True):
        recording = material.named(drum, name)
        level = np.float32({"k": 1.0, "s": 0.8}.get(letter, 0.4))
        pieces[letter], leads[letter] = material.samples(recording) * level, material.body(recording)[0]
    first = facts["onsets"][0]
    for onset in facts["onsets"]:
        number = round((onset - first) / facts["interval"])
        for row in PATTERNS[facts["pattern"]]:
            letter = row[number % 8]
            if letter != ".":
                start = max(0.0, onset - leads[letter])
                add(out, pieces[letter] * np.float32(uniform(rng, 0.8, 1)), start, SAMPLE_RATE)
    return faded(out, SAMPLE_RATE)


KINDS: dict[str, Kind] = {
    "piano": instrument(words.PIANO, Range(33, 96), "piano"),
    "electric_piano": instrument(words.ELECTRIC_PIANO, Range(36, 88), "electric_piano"),
    "harpsichord": instrument(words.HARPSICHORD, Range(36, 84), "harpsichord"),
    "music_box": instrument(words.MUSIC_BOX, Range(60, 96), "music_box"),
    "vibraphone": instrument(words.VIBRAPHONE, Range(53, 89), "vibraphone"),
    "marimba": instrument(words.MARIMBA, Range(48, 84), "marimba"),
    "xylophone": instrument(words.XYLOPHONE, Range(65, 96), "xylophone"),
    "church_organ": instrument(words.CHURCH_ORGAN, Range(36, 84, held=True), "church_organ"),
    "accordion": instrument(words.ACCORDION, Range(51, 88, held=True), "accordion"),
    "harmonica": instrument(words.HARMONICA, Range(60, 86, held=True), "harmonica"),
    "guitar": instrument(words.GUITAR, Range(40, 79), "nylon_guitar", "steel_guitar"),
    "electric_guitar": instrument(words.ELECTRIC_GUITAR, Range(40, 82), "electric_guitar"),
    "distorted_guitar": instrument(words.DISTORTED_GUITAR, Range(40, 82, held=True), "distorted_guitar"),
    "bass_guitar": instrument(words.BASS_GUITAR, Range(28, 55, chords=False), "bass_guitar"),
    "violin": instrument(words.VIOLIN, Range(55, 93, held=True, chords=False), "violin"),
    "cello": instrument(words.CELLO, Range(36, 70, held=True, chords=False), "cello"),
    "strings": instrument(words.STRINGS, Range(40, 86, held=True), "strings"),
    "harp": instrument(words.HARP, Range(36, 91), "harp"),
    "choir": instrument(words.CHOIR, Range(48, 79, held=True), "choir"),
    "trumpet": instrument(words.TRUMPET, Range(54, 84, held=True, chords=False), "trumpet"),
    "trombone": instrument(words.TROMBONE, Range(40, 69, held=True, chords=False), "trombone"),
    "tuba": instrument(words.TUBA, Range(29, 55, held=True, chords=False), "tuba"),
    "saxophone": instrument(words.SAXOPHONE, Range(50, 81, held=True, chords=False), "saxophone"),
    "oboe": instrument(words.OBOE, Range(58, 88, held=True, chords=False), "oboe"),
    "clarinet": instrument(words.CLARINET, Range(50, 86, held=True, chords=False), "clarinet"),
    "bassoon": instrument(words.BASSOON, Range(34, 64, held=True, chords=False), "bassoon"),
    "flute": instrument(words.FLUTE, Range(60, 91, held=True, chords=False), "flute"),
    "pan_flute": instrument(words.PAN_FLUTE, Range(60, 88, held=True, chords=False), "pan_flute"),
    "sitar": instrument(words.SITAR, Range(48, 77, chords=False), "sitar"),
    "banjo": instrument(words.BANJO, Range(48, 81), "banjo"),
    "kalimba": instrument(words.KALIMBA, Range(58, 88), "kalimba"),
    "bagpipe": instrument(words.BAGPIPE, Range(54, 77, held=True, chords=False), "bagpipe"),
    "steel_drum": instrument(words.STEEL_DRUM, Range(53, 84), "steel_drum"),
    "timpani": instrument(words.TIMPANI, Range(38, 57, chords=False, named=False), "timpani"),
    "drums": Kind(words.DRUMS, _draw_drums, _drums),
    "cymbal": events(words.CYMBAL, "crash_cymbal", most=3, shift=2, gap_s=(0.25, 0.8), longest_s=2.0),
}
