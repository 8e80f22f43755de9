"""Electronic signals, which are synthesised, and bells, some of which are recorded."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds import alarms, resonant, tones
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.kinds.recorded import ambience, either, event_times, tiled
from ppaudioldm.sounds.kinds.synthesised import counted, only_onset, synthesised
from ppaudioldm.sounds.processing import faded, resample
from ppaudioldm.sounds.signals import Generator, choose, log_uniform, ringing, uniform
from ppaudioldm.sounds.words import signals as words

BELL_SECONDS = (0.8, 2.0)  # for which the loudest partials of a stroke decay to 1/e
LOW_BELL_HZ, HIGH_BELL_HZ = (120.0, 300.0), (500.0, 1300.0)


def _draw_bell(rng: Generator, material: Material, duration: float) -> Facts:
    """One to five strokes of a recorded or a synthesised bell."""
    pitch = choose(rng, "low", "high")
    facts: Facts = {
        "pitch": pitch,
        "hertz": log_uniform(rng, *(LOW_BELL_HZ if pitch == "low" else HIGH_BELL_HZ)),
        "seconds": uniform(rng, *BELL_SECONDS),
    }
    if rng.uniform() < 0.6:
        facts["bank"] = "church_bell" if pitch == "low" else "tubular_bell"
    facts["onsets"] = event_times(rng, duration, 0.35, 5, (0.5, 1.2))
    return facts | {"count": len(facts["onsets"])}


def _bell(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
    hertz = facts["hertz"]
    if "bank" in facts:
        notes = [note for note in material.notes(facts["bank"]) if note.pitch_hz]
        note = min(notes, key=lambda found: abs(np.log((found.pitch_hz or 1) / hertz)))
        assert note.pitch_hz
        stroke = resample(material.samples(note), hertz / note.pitch_hz)
        lead = note.onset_s * note.pitch_hz / hertz
    else:
        stroke, lead = _church_bell(rng, hertz, facts["seconds"], duration), 0.0
    return tiled(rng, faded(stroke, SAMPLE_RATE, 0, 0.2), lead, facts["onsets"], duration)


def _church_bell(rng: Generator, hertz: float, seconds: float, duration: float) -> np.ndarray:
    """A stroke whose modes are pairs of close frequencies, which beat as those of real bells do."""
    ratios = resonant.BELL_RATIOS
    frequencies = hertz * ratios * rng.uniform(0.995, 1.005, len(ratios))
    amplitudes = rng.uniform(0.5, 1.0, len(ratios)) / ratios**0.5
    decays = seconds * 1.5 / (0.6 + ratios**0.8)
    pairs = np.concatenate([frequencies, frequencies + rng.uniform(0.8, 4, len(frequencies))])
    samples = int(min(duration, 4 * seconds) * SAMPLE_RATE)
    return ringing(pairs, np.tile(amplitudes, 2), np.tile(decays, 2), samples, SAMPLE_RATE)


KINDS: dict[str, Kind] = {
    "tone": synthesised(words.TONE, tones.TONE, only_onset, placeable=False),
    "sweep": synthesised(words.SWEEP, tones.SWEEP, only_onset, placeable=False),
    "siren": either(
        words.SIREN,
        (0.2, ambience(words.SIREN, "siren", shift=3)),
        (0.8, synthesised(words.SIREN, tones.SIREN, lasting=True)),
    ),
    "alarm": synthesised(words.ALARM, alarms.ALARM, lasting=True),
    "beeps": counted(words.BEEPS, alarms.BEEPS, {"slow": (0.45, 0.75), "fast": (0.17, 0.26)}, placeable=False),
    "dialling": synthesised(words.DIALLING, alarms.DIALLING, placeable=False),
    "bell": Kind(words.BELL, _draw_bell, _bell),
    "chimes": either(
        words.CHIMES,
        (0.5, ambience(words.CHIMES, "wind_chimes", shift=3)),
        (0.5, synthesised(words.CHIMES, resonant.CHIMES, lasting=True)),
    ),
}
