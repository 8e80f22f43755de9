"""Where a generated part meets a recording: the level it needs there, and the cross-fade."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FADE = 0.02  # seconds of the recording, before and behind a generated part, over which one gives way to the other
NEAR = 0.5  # seconds on either side of a join in which levels are compared
BLOCK = 1 << 20  # samples that are joined at once
LOUDEST_GAIN = 4.0  # a generated part is never amplified more: 12 dB

Span = tuple[int, int]  # samples: from the first up to, not including, the second


def fade_weights(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n, 1) of `old` and `new` (n, channels) while the one gives way to the other, the power staying even.

    Like sounds would swell under weights for unlike ones, and unlike sounds sink under weights for like ones: the
    weights follow from how alike these two are.
    """
    rise = np.sin(np.pi / 2 * (np.arange(len(old)) + 0.5) / len(old))[:, None] ** 2
    fall = 1 - rise
    energy = float(np.sqrt((old**2).sum() * (new**2).sum()))
    likeness = min(max(float((old * new).sum()) / energy, 0.0), 1.0) if energy > 0 else 1.0
    norm = np.sqrt(rise**2 + fall**2 + 2 * likeness * rise * fall)
    return fall / norm, rise / norm


def join(
    samples: np.ndarray, old: np.ndarray, new: np.ndarray, span: Span, fade: int, gains: Sequence[np.ndarray]
) -> None:
    """Put `new` in the place of `old`, which is a part of `samples`, all (n, channels): in `span`, of `samples` itself.

    old: a copy of the samples, or of a band of them. fade: samples before and behind the span over which `new` comes
    and goes, as far as there are any; what lies further away is not written to. gains: (channels,) each, what `new` is
    multiplied with at the start and the end of the span.
    """
    start, end = span
    first, last = touched(span, fade, len(samples))
    # float32: a span may be 10 minutes, and these are many arrays.
    way = np.clip((np.arange(first, last) - start) / max(1, end - start), 0, 1).astype(np.float32)[:, None]
    left, right = (np.asarray(gain, np.float32) for gain in gains)
    coming = new[first:last] * (left + (right - left) * way)
    going = old[first:last]
    keep, come = np.zeros((last - first, 1), np.float32), np.ones((last - first, 1), np.float32)
    if first < start:
        side = slice(0, start - first)
        keep[side], come[side] = fade_weights(going[side], coming[side])
    if end < last:
        side = slice(end - first, last - first)
        come[side], keep[side] = fade_weights(coming[side], going[side])
    changed = samples[first:last]
    for block in range(0, last - first, BLOCK):
        rows = slice(block, block + BLOCK)
        changed[rows] += (keep[rows] - 1) * going[rows] + come[rows] * coming[rows]


def touched(span: Span, fade: int, count: int) -> Span:
    """`span` with its fades, within `count` samples."""
    return max(0, span[0] - fade), min(count, span[1] + fade)


def between(spans: Sequence[Span], count: int) -> list[Span]:
    """What `spans`, in order and apart, leave of `count` samples."""
    edges = [0, *(edge for span in spans for edge in span), count]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


def level(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each channel, (channels,), of `samples` (n, channels)."""
    return np.sqrt((samples**2).mean(0, dtype=np.float64))


def gain(old: np.ndarray, new: np.ndarray, floor: float) -> np.ndarray | None:
    """What `new` (n, channels) must be multiplied with, (channels,), to be as loud as `old`, which stands beside it.

    None where either is empty, or nowhere louder than `floor`: nothing can be said then. A channel that is silent
    beside another that is not is to stay so.
    """
    if not len(old):
        return None
    wanted, found = level(old), level(new)
    if wanted.max() <= floor or found.max() <= floor:
        return None
    return np.minimum(wanted / np.maximum(found, floor), LOUDEST_GAIN)


def gains_at_joins(
    old: np.ndarray, new: np.ndarray, spans: Sequence[Span], near: int, floor: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of `spans` what `new` must be multiplied with at its start and at its end, (channels,) each.

    old, new: (n, channels), which should be equally loud outside the spans. near: samples on either side of a span that
    are compared. floor: see `gain`. A side that says nothing takes the other's; where neither does, `new` stays.
    """
    edges = [0, *(edge for span in spans for edge in span), len(old)]
    ones = np.ones(old.shape[1])
    result = []
    for i, (start, end) in enumerate(spans):
        before = slice(max(edges[2 * i], start - near), start)
        behind = slice(end, min(edges[2 * i + 3], end + near))
        left, right = gain(old[before], new[before], floor), gain(old[behind], new[behind], floor)
        either = left if left is not None else right if right is not None else ones
        result.append((either if left is None else left, either if right is None else right))
    return result
