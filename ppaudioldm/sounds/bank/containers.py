"""Readers of archives that packages keep sounds in: OpenClonk's groups, OpenTTD's sound sets, GResource files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_GROUP_LIMIT_BYTES = 1 << 28  # what a group may unpack to; OpenClonk's sounds have 26 MB
_HEADER_BYTES, _ENTRY_BYTES = 204, 316  # of a group and of each of its entries
_SCRAMBLED_WITH = 237


def read_group(data: bytes) -> dict[str, bytes]:
    """The files of an OpenClonk group by their paths, such as "Animals.ocg/Monkey1.ogg".

    data: a compressed group, which is a gzip stream with another first two bytes. Raises ValueError where it is none.
    """
    if data[:2] != b"\x1e\x8c":
        raise ValueError("not an OpenClonk group: it does not begin with 1e 8c")
    stream = zlib.decompressobj(31)
    try:
        unpacked = stream.decompress(b"\x1f\x8b" + data[2:], _GROUP_LIMIT_BYTES)
    except zlib.error as error:
        raise ValueError(f"an OpenClonk group cannot be unpacked: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"an OpenClonk group unpacks to more than {_GROUP_LIMIT_BYTES} bytes")
    return dict(_group_files(unpacked, depth=0))


def _group_files(data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    header = bytearray(byte ^ _SCRAMBLED_WITH for byte in data[:_HEADER_BYTES])
    for start in range(0, _HEADER_BYTES - 2, 3):
        header[start], header[start + 2] = header[start + 2], header[start]
    if header[:24] != b"RedWolf Design GrpFolder" or depth > 8:
        raise ValueError("not an OpenClonk group: its header says something else")
    (count,) = struct.unpack_from("<i", header, 36)
    first = _HEADER_BYTES + _ENTRY_BYTES * count
    if count < 0 or first > len(data):
        raise ValueError(f"an OpenClonk group claims {count} entries, more than it has bytes for")
    for index in range(count):
        entry = data[_HEADER_BYTES + _ENTRY_BYTES * index :][:_ENTRY_BYTES]
        name = entry[:260].split(b"\0")[0].decode("latin-1")
        is_group, size, _, offset = struct.unpack_from("<iiii", entry, 264)
        content = data[first + offset : first + offset + size]
        if offset < 0 or len(content) != size:
            raise ValueError(f"entry {name!r} of an OpenClonk group lies outside it")
        if is_group:
            yield from ((f"{name}/{path}", file) for path, file in _group_files(content, depth + 1))
        else:
            yield name, content


def read_sound_set(data: bytes) -> list[tuple[str, bytes]]:
    """The entries of an OpenTTD sound set (`.cat`): the label of each, and its WAV file.

    The label is the text before the WAV file: title, author and licence in OpenSFX. Raises ValueError where it is none.
    """
    if len(data) < 8:
        raise ValueError("not an OpenTTD sound set: it has fewer than 8 bytes")
    first = struct.unpack_from("<I", data)[0] & 0x7FFFFFFF  # the highest bit marks the newer form
    if first % 8 or not 8 <= first <= len(data):
        raise ValueError(f"not an OpenTTD sound set: its table would have {first} bytes")
    entries = []
    for position in range(0, first, 8):
        offset, size = struct.unpack_from("<II", data, position)
        offset &= 0x7FFFFFFF
        if offset >= len(data):
            raise ValueError(f"sound {position // 8} of a sound set lies outside it")
        length = data[offset]
        label = data[offset + 1 : offset + 1 + length].split(b"\0")[0].decode("latin-1")
        wav = data[offset + 1 + length :][: size + 8]  # the size is that of RIFF, without its own 8 bytes
        entries.append((label, wav))
    return entries


def read_gresource(data: bytes) -> dict[str, bytes]:
    """The files of a GResource file (GLib's GVDB tables) by their paths, uncompressed ones as they are.

    Raises ValueError where `data` is none, or lies about where its parts are.
    """
    if data[:8] != b"GVariant":
        raise ValueError("not a GResource file: it does not begin with 'GVariant'")
    start, end = struct.unpack_from("<II", data, 16)
    bloom_words, buckets = struct.unpack_from("<II", data, start)
    first = start + 8 + 4 * (bloom_words & 0x07FFFFFF) + 4 * buckets
    if not start < first <= end <= len(data):
        raise ValueError("a GResource file's table lies outside it")
    items = [struct.unpack_from("<IIIHBxII", data, at) for at in range(first, end - 23, 24)]
    return {path: content for path, content in _resources(data, items) if content is not None}


def _resources(data: bytes, items: list[tuple[int, ...]]) -> Iterator[tuple[str, bytes | None]]:
    for index, (_, _, _, _, kind, begin, end) in enumerate(items):
        if kind != ord("v"):
            continue
        if not begin <= end <= len(data):
            raise ValueError(f"entry {index} of a GResource file lies outside it")
        yield _path(data, items, index), _resource(data[begin:end])


def _path(data: bytes, items: list[tuple[int, ...]], index: int) -> str:
    """The path of entry `index`: the name of each of its parents in front of its own."""
    parts: list[str] = []
    while index != 0xFFFFFFFF:
        if index >= len(items) or len(parts) > 32:
            raise ValueError("a GResource file's entries have no proper parents")
        _, parent, name, length, *_ = items[index]
        parts.insert(0, data[name : name + length].decode())
        index = parent
    return "".join(parts)


def _resource(variant: bytes) -> bytes | None:
    """The content of a variant of type (uuay): size, flags (1: zlib) and bytes, with a closing zero."""
    size, flags = struct.unpack_from("<II", variant)
    content = variant[8:]
    if flags & 1:
        content = zlib.decompressobj().decompress(content, size)
    return content[:size] if len(content) >= size else None


_NODE = struct.Struct(">IHII8x")  # of a Qt resource tree: name, flags, children or language, first child or data
_COMPRESSED, _DIRECTORY, _ZSTANDARD = 1, 2, 4


def read_qt_resource(data: bytes) -> dict[str, bytes]:
    """The files of a Qt resource file (`.rcc`, versions 2 and 3) by their paths; what Zstandard compressed is left out.

    Raises ValueError where `data` is none, or lies about where its parts are.
    """
    magic, version, tree, content, names = struct.unpack_from(">4sIIII", data.ljust(20, b"\0"))
    if magic != b"qres" or version not in (2, 3):
        raise ValueError("not a Qt resource file of version 2 or 3")
    try:
        return dict(_qt_files(data, tree, content, names, 0, "", 0))
    except struct.error as error:
        raise ValueError(f"a Qt resource file is cut short: {error}") from error


def _qt_files(
    data: bytes, tree: int, content: int, names: int, index: int, path: str, depth: int
) -> Iterator[tuple[str, bytes]]:
    """The files at and below node `index`, whose parents' names are `path`."""
    name_at, flags, children, first = _NODE.unpack_from(data, tree + _NODE.size * index)
    if index:
        length = struct.unpack_from(">H", data, names + name_at)[0]
        path += "/" + data[names + name_at + 6 :][: 2 * length].decode("utf-16-be")
    if flags & _DIRECTORY:
        # A node's children come after it, so that no tree goes in circles.
        if first <= index or depth > 32 or children > len(data):
            raise ValueError("a Qt resource file's tree goes in circles")
        for child in range(first, first + children):
            yield from _qt_files(data, tree, content, names, child, path, depth + 1)
    elif not flags & _ZSTANDARD:
        size = struct.unpack_from(">I", data, content + first)[0]
        file = data[content + first + 4 :][:size]
        yield path, zlib.decompressobj().decompress(file[4:], _GROUP_LIMIT_BYTES) if flags & _COMPRESSED else file
