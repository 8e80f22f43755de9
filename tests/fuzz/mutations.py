"""Random changes of bytes, texts and JSON values, as damage and attacks make them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

NUMBERS = (0, 1, -1, 255, 2**31, 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 64, 0.5, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**53, 2**63, 2**200,
    "", " ", "0", "1e400", "x" * 5000, "a\nb", "\0", "\x1b[2J", "\ud800", "../../etc/passwd", "/dev/zero", "\u2028",
    [], [[]], [None], [0], [-1], [2**62] * 2, list(range(3)), [[0]] * 500, {}, {"": None}, {"a": {"b": [1]}},
)  # fmt: skip


def changed_bytes(rng: random.Random, data: bytes, tokens: Sequence[bytes] = ()) -> bytes:
    """`data` with one to four changes, which may alter its length."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        length = min(len(changed) - at, int(rng.expovariate(1 / 12)))
        kind = rng.randrange(8)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = rng.randbytes(length)
        elif kind == 4:
            source = rng.randrange(len(changed) + 1)
            changed[at : at + length] = changed[source : source + rng.randrange(1, 200)]
        elif kind == 5:
            number = rng.choice(NUMBERS).to_bytes(9, "little", signed=True)[: rng.choice((1, 2, 4, 8))]
            changed[at : at + len(number)] = number
        elif kind == 6 and tokens:
            token = rng.choice(tokens)
            changed[at : at + rng.choice((0, len(token)))] = token * rng.choice((1, 1, 1, 2, 300))
        elif kind == 7 and rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def changed_json(rng: random.Random, value: Any) -> Any:
    """A copy of the JSON `value` with one to three values replaced, removed, moved or added."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = [place for place in _places(value, ()) if place]
        if not places:
            return copy.deepcopy(rng.choice(VALUES))
        inner, key = _inside(value, place := rng.choice(places))
        kind = rng.randrange(6)
        if kind <= 2:
            inner[key] = copy.deepcopy(rng.choice(VALUES))  # later changes must not reach VALUES
        elif kind == 3:
            del inner[key]
        elif kind == 4:
            other, other_key = _inside(value, rng.choice(places))
            inner[key] = json.loads(json.dumps(other[other_key])) if len(place) < 20 else None
        elif isinstance(inner, dict):
            inner[rng.choice(("x", "", "\n", "__class__", "y" * 300, "\x1b[1m"))] = inner.pop(key)
        else:
            inner.insert(key, copy.deepcopy(rng.choice(VALUES)))
    return value


def _places(value: Any, place: tuple) -> list[tuple]:
    keys: Any = value if isinstance(value, dict) else range(min(len(value), 50)) if isinstance(value, list) else ()
    return [place, *(inner for key in keys for inner in _places(value[key], (*place, key)))]


def _inside(value: Any, place: tuple) -> tuple[Any, Any]:
    """The container of the value at `place`, and its key there."""
    for key in place[:-1]:
        value = value[key]
    return value, place[-1]
