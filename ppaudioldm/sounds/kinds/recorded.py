"""Clips of recordings: single events that are counted, repeated ones at a speed, and ambiences that last."""

from __future__ import annotations

import numpy as np

from ppaudioldm.sounds.kinds.base import SAMPLE_RATE, Facts, Kind, Material
from ppaudioldm.sounds.processing import faded, looped, resample, stretched
from ppaudioldm.sounds.signals import Generator, add, choose, semitones, uniform
from ppaudioldm.sounds.wording import Words

MARGIN_S = 0.06  # before the end of a clip, free of beginnings


def events(
    words: Words,
    *recordings: str,
    most: int = 5,
    shift: float = 4.0,
    gap_s: tuple[float, float] = (0.18, 0.8),
    counted: bool = True,
    syllables: bool = False,
    longest_s: float = 60.0,
) -> Kind:
    """One recording of the kinds `recordings` of the bank, one to `most` times, `gap_s` apart.

    shift: of the pitch, in semitones either way. counted: the facts name the number, unless the recording itself has
    more than one burst. syllables: several bursts are one event, as in "meow". longest_s: longer ones are cut.
    """

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        recording = material.draw(rng, *recordings)
        pitch, stretch = uniform(rng, -shift, shift), 1.0
        ratio = semitones(pitch)
        if rng.uniform() < 0.4 and recording.duration_s < 2:
            stretch = uniform(rng, 0.85, 1.2)
        _, body, bursts = material.body(recording)
        onsets = event_times(rng, duration, min(longest_s, body / ratio * stretch), most, gap_s)
        facts = {
            "bank": recording.kind,
            "recordings": [recording.name],
            "semitones": pitch,
            "stretch": stretch,
            "onsets": onsets,
        }
        countable = counted and (syllables or bursts == 1)
        return facts | ({"count": len(onsets)} if countable else {})

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        recording = material.named(facts["bank"], facts["recordings"][0])
        ratio = semitones(facts["semitones"])
        sound = stretched(resample(material.samples(recording), ratio), facts["stretch"], SAMPLE_RATE)
        sound = faded(sound[: int(longest_s * SAMPLE_RATE)], SAMPLE_RATE)
        lead = material.body(recording)[0] / ratio * facts["stretch"]
        return tiled(rng, sound, lead, facts["onsets"], duration)

    return Kind(words, draw, render)


def event_times(rng: Generator, duration: float, body_s: float, most: int, gap_s: tuple[float, float]) -> list[float]:
    """When one to `most` events begin that are loud for `body_s` each: as many as fit, all within `duration`.

    In half of the clips they come at equal distances.
    """
    usable = duration - MARGIN_S - 0.03
    fitting = 1 + max(0, int((usable - body_s) / (body_s + gap_s[0])))
    count = 1 + int(rng.integers(min(most, fitting)))
    slack = max(0.0, usable - count * body_s - (count - 1) * gap_s[0])
    widest = min(gap_s[1] - gap_s[0], 0.8 * slack / max(1, count - 1))
    gaps = gap_s[0] + rng.uniform(0, 1, count - 1) * widest
    if rng.uniform() < 0.5 and count > 1:
        gaps[:] = gaps.mean()
    rest = max(0.0, usable - count * body_s - float(gaps.sum()))
    first = 0.03 + uniform(rng, 0, min(rest, 0.4 if rng.uniform() < 0.6 else 1.5))
    return [float(first + number * body_s + gaps[:number].sum()) for number in range(count)]


def tiled(rng: Generator, sound: np.ndarray, lead_s: float, onsets: list[float], duration: float) -> np.ndarray:
    """(samples,) with `sound`, which gets loud after `lead_s`, at each of `onsets`, every time a little different."""
    out = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    for number, onset in enumerate(onsets):
        piece = sound if number == 0 else resample(sound, semitones(uniform(rng, -0.25, 0.25)))
        start = int((onset - lead_s) * SAMPLE_RATE)
        add(out, piece[max(0, -start) :] * np.float32(uniform(rng, 0.8, 1)), max(0, start) / SAMPLE_RATE, SAMPLE_RATE)
    return faded(out, SAMPLE_RATE)


def repeated(
    words: Words,
    *recordings: str,
    slow_s: tuple[float, float],
    fast_s: tuple[float, float],
    shift: float = 3.0,
    jitter: float = 0.03,
    most: int = 0,
) -> Kind:
    """One recording again and again, slowly or fast: every `slow_s` or `fast_s` seconds.

    jitter: of the times, in intervals. most: in a third of the clips it is counted instead, up to this number.
    """
    single = events(words, *recordings, most=max(1, most), shift=shift, gap_s=(0.2, 0.5))

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        if most and rng.uniform() < 0.33:
            return single.draw(rng, material, duration)
        recording = material.draw(rng, *recordings)
        speed = choose(rng, "slow", "fast")
        interval = uniform(rng, *(slow_s if speed == "slow" else fast_s))
        first = uniform(rng, 0.03, min(0.4, interval))
        count = 1 + int((duration - MARGIN_S - first) / interval)
        times = [first + interval * (k + jitter * uniform(rng, -1, 1)) for k in range(count)]
        return {
            "bank": recording.kind,
            "recordings": [recording.name],
            "semitones": uniform(rng, -shift, shift),
            "speed": speed,
            "interval": interval,
            "onsets": [max(0.0, time) for time in times],
        }

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        if "interval" not in facts:
            return single.render(rng, material, facts, duration)
        recording = material.named(facts["bank"], facts["recordings"][0])
        ratio = semitones(facts["semitones"])
        lead = material.body(recording)[0] / ratio
        sound = resample(material.samples(recording), ratio)
        # The next one cuts off what is left of it.
        longest = int((lead + 1.15 * facts["interval"]) * SAMPLE_RATE)
        return tiled(rng, faded(sound[:longest], SAMPLE_RATE, 0, 0.06), lead, facts["onsets"], duration)

    return Kind(words, draw, render)


def ambience(words: Words, *recordings: str, shift: float = 2.0, shortest_s: float = 1.5) -> Kind:
    """A steady sound from a random moment on, for the whole clip, or once what happens once, such as a take-off.

    shortest_s: shorter recordings are not used, for one would hear them start again.
    """

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        recording = material.draw(rng, *recordings, shortest_s=shortest_s)
        pitch = uniform(rng, -shift, shift)
        facts = {"bank": recording.kind, "recordings": [recording.name], "semitones": pitch}
        if recording.loopable:
            return facts | {"start": uniform(rng, 0, recording.duration_s), "onsets": [0.0]}
        body = material.body(recording)[1] / semitones(pitch)
        return facts | {"onsets": event_times(rng, duration, body, 1, (0, 0))}

    return Kind(words, draw, lasting_sound, lasting=True)


def lasting_sound(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
    """The recording that `facts` name: from its second "start" on as long as the clip, or at its onset."""
    recording = material.named(facts["bank"], facts["recordings"][0])
    ratio = semitones(facts["semitones"])
    if "start" not in facts:
        sound = faded(resample(material.samples(recording), ratio), SAMPLE_RATE)
        return tiled(rng, sound, material.body(recording)[0] / ratio, facts["onsets"], duration)
    samples = round(duration * SAMPLE_RATE)
    # A little more than needed, so that the edge that resampling leaves is cut off.
    needed, start = int(samples * ratio) + 400, int(facts["start"] * SAMPLE_RATE)
    out = resample(looped(material.samples(recording), needed, start, SAMPLE_RATE), ratio)[:samples]
    return out * swelling(rng, samples)


def swelling(rng: Generator, samples: int) -> np.ndarray:
    """A level (samples,) for a sound that lasts: constant, or in a fifth of the clips slowly rising or falling."""
    if rng.uniform() > 0.2:
        return np.ones(samples, np.float32)
    low = uniform(rng, 0.3, 1)
    start, end = (low, 1.0) if rng.uniform() < 0.5 else (1.0, low)
    return np.linspace(start, end, samples, dtype=np.float32)


def either(words: Words, *alternatives: tuple[float, Kind]) -> Kind:
    """One of several ways to make the same kind of sound, each with its share of the clips."""
    shares = np.cumsum([share for share, _ in alternatives])
    kinds = [kind for _, kind in alternatives]

    def draw(rng: Generator, material: Material, duration: float) -> Facts:
        number = int(np.searchsorted(shares, rng.uniform() * shares[-1], "right"))
        return kinds[number].draw(rng, material, duration) | {"way": number}

    def render(rng: Generator, material: Material, facts: Facts, duration: float) -> np.ndarray:
        return kinds[facts["way"]].render(rng, material, facts, duration)

    lasting = all(kind.lasting for kind in kinds)
    return Kind(words, draw, render, lasting, all(kind.placeable for kind in kinds))
