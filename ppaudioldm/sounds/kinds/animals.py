"""Animals: recordings, and a synthesised bee, frog and cricket."""

from __future__ import annotations

from ppaudioldm.sounds import animals as synthesised_animals
from ppaudioldm.sounds.kinds.base import Kind
from ppaudioldm.sounds.kinds.recorded import ambience, either, events
from ppaudioldm.sounds.kinds.synthesised import synthesised
from ppaudioldm.sounds.words import animals as words

SHIFT = 2.0  # semitones: an animal that is resampled further becomes another one

KINDS: dict[str, Kind] = {
    "dog": events(words.DOG, "dog_bark", shift=SHIFT, gap_s=(0.12, 0.7)),
    "cat": events(words.CAT, "cat_meow", shift=SHIFT, gap_s=(0.2, 0.8), syllables=True),
    "cow": events(words.COW, "cow", most=3, shift=SHIFT, gap_s=(0.25, 0.8)),
    "sheep": events(words.SHEEP, "sheep", most=3, shift=SHIFT, gap_s=(0.25, 0.8)),
    "horse": events(words.HORSE, "horse_neigh", most=1, shift=SHIFT, counted=False),
    "gallop": ambience(words.GALLOP, "gallop", shift=SHIFT),
    "pig": events(words.PIG, "pig", shift=SHIFT, most=3, counted=False),
    "duck": events(words.DUCK, "duck", shift=SHIFT, most=3, counted=False),
    "rooster": events(words.ROOSTER, "rooster", most=1, shift=SHIFT, counted=False),
    "owl": events(words.OWL, "owl", most=2, shift=SHIFT, counted=False),
    "lion": events(words.LION, "lion", most=2, shift=SHIFT, counted=False),
    "crow": events(words.CROW, "crow", most=4, shift=SHIFT, counted=False),
    "frog": either(
        words.FROG,
        (0.75, ambience(words.FROG, "frog", shift=SHIFT)),
        (0.25, synthesised(words.FROG, synthesised_animals.FROG, lasting=True)),
    ),
    "birds": either(
        words.BIRDS,
        (0.8, ambience(words.BIRDS, "birds", shift=SHIFT)),
        (0.2, events(words.BIRDS, "bird_call", most=4, shift=SHIFT, counted=False)),
    ),
    "crickets": either(
        words.CRICKETS,
        (0.75, ambience(words.CRICKETS, "crickets", shift=SHIFT)),
        (0.25, synthesised(words.CRICKETS, synthesised_animals.CRICKETS, lasting=True)),
    ),
    "bee": either(
        words.BEE,
        (0.5, ambience(words.BEE, "mosquito", shift=SHIFT)),
        (0.5, synthesised(words.BEE, synthesised_animals.BEE, lasting=True)),
    ),
}
