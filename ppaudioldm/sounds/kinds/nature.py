"""Weather, water and fire: recordings, with synthesised rain and wind over or in place of them."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds import water, weather
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.kinds.recorded import ambience, either, events, lasting_sound
from ppaudioldm.sounds.kinds.synthesised import synthesised
from ppaudioldm.sounds.signals import Generator, choose, noise, uniform, wander
from ppaudioldm.sounds.wording import Words
from ppaudioldm.sounds.words import nature as words


def _strong(words: Words, recordings: str, draw_layer: Kind, heavy_below_hz: float) -> Kind:
    """A recording with a synthesised layer over it: light, thin and soft, or heavy, full and loud."""
    recorded = ambience(words, recordings)

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        strength = choose(rng, "light", "heavy")
        share = uniform(rng, 0.0, 0.5) if rng.uniform() < 0.7 else 1.0  # at times nothing is recorded
        return recorded.draw(rng, material, duration) | {"strength": strength, "synthesised_share": share}

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        layer = draw_layer.render(rng, material, facts, duration)
        layer = layer / max(1e-9, float(np.sqrt(np.mean(layer**2))))
        share = facts["synthesised_share"]
        out = share * layer
        if share < 1:
            sound = lasting_sound(rng, material, facts, duration)
            out += (1 - share) * sound / max(1e-9, float(np.sqrt(np.mean(sound**2))))
        samples = len(out)
        if facts["strength"] == "light":
            spectrum = np.fft.rfft(out)
            hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
            spectrum *= 1 / np.sqrt(1 + (heavy_below_hz / np.maximum(hertz, 1)) ** 3)
            return np.fft.irfft(spectrum, samples).astype(np.float32) * np.float32(0.3)
        gusts = wander(rng, samples, SAMPLE_RATE, 0.8, 0.7, 1.1)
        body = noise(rng, samples, SAMPLE_RATE, 60, heavy_below_hz, order=1)
        return ((out + np.float32(0.6) * body) * gusts).astype(np.float32)

    return Kind(words, draw, render, lasting=True)


KINDS: dict[str, Kind] = {
    "rain": _strong(words.RAIN, "rain", synthesised(words.RAIN, weather.RAIN, lasting=True), 700.0),
    "thunder": events(words.THUNDER, "thunder", most=1, shift=4, counted=False),
    "wind": _strong(words.WIND, "wind", synthesised(words.WIND, weather.WIND, lasting=True), 220.0),
    "sea": ambience(words.SEA, "sea", shift=3),
    "stream": ambience(words.STREAM, "stream", shift=3),
    "drips": synthesised(words.WATERDROPS, water.DRIPS, lasting=True),
    "bubbles": either(
        words.BUBBLES,
        (0.6, ambience(words.BUBBLES, "bubbles", "boiling", shift=3)),
        (0.4, synthesised(words.BUBBLES, water.BUBBLES, lasting=True)),
    ),
    "splash": events(words.SPLASH, "splash", most=3, shift=4, gap_s=(0.3, 0.9)),
    "fire": ambience(words.FIRE, "fire", shift=3),
}
