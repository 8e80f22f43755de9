"""Things at home: recordings, a synthesised clock and telephone."""

from __future__ import annotations

from ppaudioldm.sounds import alarms, rhythm
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import ambience, either, events
from ppaudioldm.sounds.kinds.synthesised import synthesised
from ppaudioldm.sounds.words import home as words

KINDS: dict[str, Kind] = {
    "door": events(words.DOOR, "door", most=2, shift=3, counted=False),
    "creak": events(words.CREAK, "creak", most=2, shift=3, counted=False),
    "glass": events(words.GLASS, "glass_break", most=1, shift=4, counted=False),
    "clock": synthesised(words.CLOCK, rhythm.CLOCK, lasting=True),
    "coins": events(words.COINS, "coins", most=2, shift=3, counted=False),
    "telephone": either(
        words.TELEPHONE,
        (0.6, events(words.TELEPHONE, "telephone", most=3, shift=3, gap_s=(0.3, 1.0), counted=False)),
        (0.4, synthesised(words.TELEPHONE, alarms.TELEPHONE, lasting=True)),
    ),
    "cafe": ambience(words.CAFE, "cafe", shift=2),
}
