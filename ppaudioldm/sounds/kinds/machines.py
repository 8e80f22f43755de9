"""Tools and machines: recordings."""

from __future__ import annotations

from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import ambience, events, repeated
from ppaudioldm.sounds.words import machines as words

KINDS: dict[str, Kind] = {
    "chainsaw": ambience(words.CHAINSAW, "chainsaw", shift=3),
    "saw": ambience(words.SAW, "saw", shift=3),
    "jackhammer": ambience(words.JACKHAMMER, "jackhammer", shift=3),
    "anvil": repeated(words.ANVIL, "anvil", slow_s=(0.7, 1.0), fast_s=(0.26, 0.36), most=5),
    "metal": events(words.METAL, "metal_hit", shift=4, gap_s=(0.25, 0.8)),
    "wood_chop": repeated(words.WOOD_CHOP, "wood_chop", slow_s=(0.7, 1.0), fast_s=(0.28, 0.4), most=5),
}
