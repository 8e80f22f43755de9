"""Weapons, explosions and games: recordings, and synthesised lasers."""

from __future__ import annotations

from ppaudioldm.sounds import tones
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import events
from ppaudioldm.sounds.kinds.synthesised import synthesised
from ppaudioldm.sounds.words import action as words

KINDS: dict[str, Kind] = {
    "gunshot": events(words.GUNSHOT, "gunshot", shift=4, gap_s=(0.2, 0.8), longest_s=1.5),
    "explosion": events(words.EXPLOSION, "explosion", most=3, shift=4, gap_s=(0.3, 0.8), longest_s=3.0),
    "arrow": events(words.ARROW, "arrow", most=3, shift=4, gap_s=(0.3, 0.9)),
    "laser": synthesised(words.LASER, tones.LASER),
    "scratch": events(words.SCRATCH, "vinyl_scratch", most=3, shift=3, counted=False),
}
