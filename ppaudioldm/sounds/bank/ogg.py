"""Ogg files that are equal where their content is."""

from __future__ import annotations

import struct

_POLYNOMIAL = 0x04C11DB7
_SERIAL_AT, _CHECKSUM_AT, _SEGMENTS_AT = 14, 22, 26


def with_serial(data: bytes, serial: int) -> bytes:
    """The Ogg file `data` with the stream number `serial` on every page, in place of the random one of its writer.

    Raises ValueError where `data` is no Ogg file. Source: RFC 3533.
    """
    pages, table = [], _checksum_table()
    position = 0
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            raise ValueError(f"not an Ogg file: no page begins at byte {position}")
        segments = data[position + _SEGMENTS_AT]
        header = position + _SEGMENTS_AT + 1 + segments
        end = header + sum(data[header - segments : header])
        page = bytearray(data[position:end])
        page[_SERIAL_AT : _SERIAL_AT + 8] = struct.pack("<I", serial) + page[_SERIAL_AT + 4 : _SERIAL_AT + 8]
        page[_CHECKSUM_AT : _CHECKSUM_AT + 4] = bytes(4)
        page[_CHECKSUM_AT : _CHECKSUM_AT + 4] = struct.pack("<I", _checksum(page, table))
        pages.append(bytes(page))
        position = end
    return b"".join(pages)


def _checksum_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


def _checksum(page: bytearray, table: list[int]) -> int:
    value = 0
    for byte in page:
        value = (value << 8) & 0xFFFFFFFF ^ table[value >> 24 ^ byte]
    return value
