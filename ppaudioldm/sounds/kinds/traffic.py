"""Vehicles and streets: recordings, with synthesised engines, horns and trains among them."""

from __future__ import annotations

from ppaudioldm.sounds import alarms, machines
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import ambience, either, events
from ppaudioldm.sounds.kinds.synthesised import first_and_interval, synthesised
from ppaudioldm.sounds.words import traffic as words

KINDS: dict[str, Kind] = {
    "engine": either(
        words.ENGINE,
        (0.7, ambience(words.ENGINE, "engine", shift=3)),
        (0.3, synthesised(words.ENGINE, machines.ENGINE, lasting=True)),
    ),
    "car_horn": either(
        words.HORN,
        (0.6, events(words.HORN, "car_horn", shift=4, gap_s=(0.15, 0.6), longest_s=1.2)),
        (0.4, synthesised(words.HORN, alarms.HORN, first_and_interval)),
    ),
    "traffic": ambience(words.TRAFFIC, "city", shift=3),
    "train": either(
        words.TRAIN,
        (0.75, ambience(words.TRAIN, "train", shift=3, shortest_s=3)),
        (0.25, synthesised(words.TRAIN, machines.TRAIN, lasting=True)),
    ),
    "steam_whistle": events(words.STEAM_WHISTLE, "steam_whistle", most=2, shift=3, counted=False),
    "ship_horn": events(words.SHIP_HORN, "ship_horn", most=2, shift=3, counted=False),
    "helicopter": either(
        words.HELICOPTER,
        (0.7, ambience(words.HELICOPTER, "helicopter", shift=3)),
        (0.3, synthesised(words.HELICOPTER, machines.HELICOPTER, lasting=True)),
    ),
    "plane": ambience(words.PLANE, "propeller_plane", shift=3),
    "jet": ambience(words.JET, "jet", shift=3),
    "crash": events(words.CRASH, "crash", most=1, shift=4, counted=False),
    "boat": ambience(words.BOAT, "boat", shift=3),
}
