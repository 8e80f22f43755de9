"""People: recorded voices and steps, synthesised knocks, claps, heartbeats and whistling."""

from __future__ import annotations

from ppaudioldm.sounds import music, percussive
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import ambience, either, events, repeated
from ppaudioldm.sounds.kinds.synthesised import counted, synthesised
from ppaudioldm.sounds.words import people as words

KINDS: dict[str, Kind] = {
    "applause": either(
        words.APPLAUSE,
        (0.7, ambience(words.APPLAUSE, "applause", shift=3)),
        (0.3, synthesised(words.APPLAUSE, percussive.APPLAUSE, lasting=True)),
    ),
    "laugh": events(words.LAUGH, "laugh", most=1, shift=3, counted=False),
    "scream": events(words.SCREAM, "scream", most=1, shift=3, counted=False),
    "steps": either(
        words.STEPS,
        (0.7, repeated(words.STEPS, "footstep", slow_s=(0.5, 0.65), fast_s=(0.24, 0.32), shift=3, most=5)),
        (0.3, synthesised(words.STEPS, percussive.STEPS)),
    ),
    "knocks": either(
        words.KNOCKS,
        (0.6, counted(words.KNOCKS, percussive.KNOCKS, {"": (0.2, 0.42)})),
        (0.4, events(words.KNOCKS, "wood_hit", shift=3, gap_s=(0.1, 0.4))),
    ),
    "claps": either(
        words.CLAPS,
        (0.8, synthesised(words.CLAPS, percussive.CLAPS)),
        (0.2, repeated(words.CLAPS, "hand_clap", slow_s=(0.5, 0.7), fast_s=(0.2, 0.28))),
    ),
    "heart": either(
        words.HEART,
        (0.4, repeated(words.HEART, "heartbeat", slow_s=(0.8, 1.0), fast_s=(0.42, 0.52), jitter=0.01)),
        (0.6, synthesised(words.HEART, percussive.HEART, lasting=True)),
    ),
    "whistling": synthesised(words.WHISTLING, music.WHISTLE),
}
