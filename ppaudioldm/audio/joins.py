"""Joining generated sound with a recording: cross-fades of constant power, gains that match levels, limited peaks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ppaudioldm.audio.levels import exceeds
from ppaudioldm.audio.limiter import attenuation, limited

FADE_S = 0.02  # seconds of the recording, before and after a generated span, that are cross-faded with it
COMPARED_S = 0.5  # seconds on either side of a join whose levels are compared
MAX_GAIN = 4.0  # of generated sound, by the levels at a join: 12 dB

Span = tuple[int, int]  # samples: from the first up to, not including, the second


def fade_weights(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-fade weights (n, 1), for `old`, falling, and for `new`, rising, both (n, channels), at constant power.

    Equal-power weights would make correlated sounds swell in the middle, and equal-gain weights let uncorrelated ones
    dip: these go from equal power, where the two are uncorrelated, to equal gain, where they are the same.
    """
    rise = np.sin(np.pi / 2 * (np.arange(len(old)) + 0.5) / len(old))[:, None] ** 2
    fall = 1 - rise
    energy = float(np.sqrt((old**2).sum() * (new**2).sum()))
    correlation = min(max(float((old * new).sum()) / energy, 0.0), 1.0) if energy > 0 else 1.0
    norm = np.sqrt(rise**2 + fall**2 + 2 * correlation * rise * fall)
    return fall / norm, rise / norm


def join(
    samples: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    span: Span,
    fade: int,
    gains: Sequence[np.ndarray],
    limit: float = math.inf,
    block: int = 1,
) -> None:
    """Replace `old`, one component of the sum `samples`, by `new` within `span`, in place. All are (n, channels).

    old: a copy of the samples, or of one frequency band of them. fade: samples before and after the span over which
    `old` and `new` are cross-faded, fewer at the ends; samples further away are not written to. gains: of `new`, at the
    start and the end of the span, (channels,) each; between them they change linearly. limit: the largest amplitude of
    the result, no lower than the peak of `samples`; `new` is attenuated where the sum would exceed it, by gains that
    change over two blocks of `block` samples.
    """
    start, end = span
    first, last = with_fades(span, fade, len(samples))
    incoming = new[first:last] * gain_ramp(span, (first, last), gains)
    outgoing = old[first:last]
    old_weight, new_weight = np.zeros((last - first, 1), np.float32), np.ones((last - first, 1), np.float32)
    if first < start:
        side = slice(0, start - first)
        old_weight[side], new_weight[side] = fade_weights(outgoing[side], incoming[side])
    if end < last:
        side = slice(end - first, last - first)
        new_weight[side], old_weight[side] = fade_weights(incoming[side], outgoing[side])
    old_weight, new_weight = old_weight[:, 0], new_weight[:, 0]
    for changed, leaving, arriving in zip(samples[first:last].T, outgoing.T, incoming.T, strict=True):
        removed, added = (old_weight - 1) * leaving, new_weight * arriving
        joined = changed + (removed + added)
        within = np.abs(joined).max(initial=0) <= limit
        changed[:] = joined if within else limited_sum(changed + removed, added, block, limit)


def limited_sum(rest: np.ndarray, added: np.ndarray, block: int, limit: float) -> np.ndarray:
    """`rest` (n,) plus `added` (n,), attenuated where the sum would exceed `limit`: (n,).

    Without a band of it, a sound may exceed the peak that it has with it: then `rest` is attenuated as well.
    """
    if exceeds(rest, np.zeros_like(rest), limit):
        rest = limited(rest, block, limit)
    return (rest + attenuation(rest, added, limit, block) * added).clip(-limit, limit)  # rounding


def gain_ramp(span: Span, shown: Span, gains: Sequence[np.ndarray]) -> np.ndarray:
    """Gains (samples of `shown`, channels), float32, that change linearly within `span`, and not outside it.

    gains: at its start and at its end, (channels,) each. shown: the samples, from the first up to the second.
    """
    start, end = span
    # float32, to save memory: a span may last 10 minutes.
    position = np.clip((np.arange(*shown) - start) / max(1, end - start), 0, 1).astype(np.float32)[:, None]
    left, right = (np.asarray(gain, np.float32) for gain in gains)
    return left + (right - left) * position


def with_fades(span: Span, fade: int, count: int) -> Span:
    """`span` extended by `fade` samples on either side, within `count` samples."""
    return max(0, span[0] - fade), min(count, span[1] + fade)


def complement(spans: Sequence[Span], count: int) -> list[Span]:
    """The spans of `count` samples that lie outside `spans`, which are sorted and disjoint; no empty ones."""
    edges = [0, *(edge for span in spans for edge in span), count]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


def level(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each channel, (channels,), of `samples` (n, channels)."""
    return np.sqrt((samples**2).mean(0, dtype=np.float64))


def gain(old: np.ndarray, new: np.ndarray, floor: float) -> np.ndarray | None:
    """The factors (channels,) that give `new` (n, channels) the levels of `old` (n, channels), up to MAX_GAIN.

    None if the two are empty, or if all channels of either are at or below the level `floor`: then there is no level to
    match. Where only some channels of `old` are silent, theirs become silent.
    """
    if not len(old):
        return None
    target, current = level(old), level(new)
    if target.max() <= floor or current.max() <= floor:
        return None
    return np.minimum(target / np.maximum(current, floor), MAX_GAIN)


def gains_at_joins(
    old: np.ndarray, new: np.ndarray, spans: Sequence[Span], compared: int, floor: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of `spans` the gains of `new` at its start and at its end, (channels,) each.

    old, new: (n, channels), which are to be equally loud beside the spans. compared: samples on either side of a span
    whose levels are compared. floor: see `gain`. A side without a level takes the other side's gain; if neither has
    one, the gain is 1.
    """
    edges = [0, *(edge for span in spans for edge in span), len(old)]
    ones = np.ones(old.shape[1])
    result = []
    for i, (start, end) in enumerate(spans):
        before = slice(max(edges[2 * i], start - compared), start)
        after = slice(end, min(edges[2 * i + 3], end + compared))
        left, right = gain(old[before], new[before], floor), gain(old[after], new[after], floor)
        either = left if left is not None else right if right is not None else ones
        result.append((either if left is None else left, either if right is None else right))
    return result
