"""Vorbis comments: the list of NAME=value that FLAC and Ogg files carry."""

from __future__ import annotations

import struct
from collections.abc import Mapping

MOST_FIELDS = 1000  # that are read


def packed(tags: Mapping[str, str], vendor: bytes) -> bytes:
    """`tags` as the comment header of `vendor`, the library that encoded the sound."""
    fields = [f"{name}={value}".encode() for name, value in tags.items()]
    lengths = [struct.pack("<I", len(field)) + field for field in fields]
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(fields)) + b"".join(lengths)


def vendor_of(header: bytes) -> bytes:
    """The name of the encoding library in a comment header; empty where that is damaged."""
    (size,) = struct.unpack_from("<I", header) if len(header) >= 4 else (0,)
    return header[4 : 4 + size] if 4 + size <= len(header) else b""


def unpacked(header: bytes) -> dict[str, str]:
    """The fields of a comment header, with their names in upper case; of a damaged one, those before the damage."""
    tags: dict[str, str] = {}
    start = 8 + len(vendor_of(header))
    for _ in range(MOST_FIELDS):
        if start + 4 > len(header):
            break
        (size,) = struct.unpack_from("<I", header, start)
        field = header[start + 4 : start + 4 + size]
        if len(field) < size:
            break
        start += 4 + size
        name, equals, value = field.partition(b"=")
        if equals and name.isascii():
            tags.setdefault(name.decode().upper(), value.decode("utf-8", "replace"))
    return tags
