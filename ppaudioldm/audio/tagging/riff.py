"""The chunks of WAV files that hold tags: LIST/INFO, which every program shows, XMP, and ID3."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ppaudioldm.audio.tagging.id3 import packed as packed_id3
from ppaudioldm.audio.tagging.id3 import read_tags as read_id3

SIGNATURES = b"RIFF", b"RF64"
MOST_CHUNKS = 10_000  # that are passed over in a file that is read
INFO = {"ENCODER": b"ISFT", "COMMENT": b"ICMT", "TITLE": b"INAM", "ARTIST": b"IART", "DATE": b"ICRD"}
XMP, ID3, PEAK, DATA = b"_PMX", b"id3 ", b"PEAK", b"data"


def with_tags(content: bytes, tags: Mapping[str, str], xmp: bytes) -> bytes:
    """`content`, a WAV file, with chunks of `tags` behind what it has, the samples included."""
    texts = [_chunk(INFO[name], value.encode() + b"\0") for name, value in tags.items() if name in INFO]
    chunks = [_chunk(b"LIST", b"INFO" + b"".join(texts)), _chunk(XMP, xmp), _chunk(ID3, packed_id3(tags))]
    added = b"\0" * (len(content) % 2) + b"".join(chunks)
    size = struct.pack("<I", len(content) - 8 + len(added))
    return b"".join([content[:4], size, memoryview(content)[8:], added])


def without_time(content: bytes) -> bytes:
    """`content`, a WAV file, without the time of writing that libsndfile notes beside the peaks of float samples."""
    start = 12
    while start + 8 <= len(content):
        kind, size = content[start : start + 4], int.from_bytes(content[start + 4 : start + 8], "little")
        if kind == PEAK:
            return content[: start + 12] + b"\0\0\0\0" + content[start + 16 :]
        if kind == DATA:
            break
        start += 8 + size + size % 2
    return content


def read_tags(file: BinaryIO, most_bytes: int) -> Iterator[dict[str, str]]:
    """The texts of each chunk of `file`, which stands at its start, that has some, of up to `most_bytes` in all."""
    file.seek(12)
    left = most_bytes
    for _ in range(MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        padded = size + size % 2
        if kind.lower() in (ID3, b"list", XMP.lower()) and size <= left:
            left -= size
            chunk = file.read(padded)[:size]
            if kind.lower() == ID3:
                yield from read_id3(io.BytesIO(chunk), most_bytes)
            elif kind == XMP:
                yield from _source_type(chunk)
            elif chunk[:4] == b"INFO":
                yield _info(chunk[4:])
        else:
            file.seek(padded, 1)


def _source_type(xmp: bytes) -> Iterator[dict[str, str]]:
    """The digital source type in an XMP packet, as a tag, if it has one."""
    # Not parsed: XML of a stranger can grow without bound.
    if match := re.search(rb"DigitalSourceType>\s*([^<]{1,200}?)\s*<", xmp):
        yield {"DIGITALSOURCETYPE": match[1].decode("utf-8", "replace")}


def _info(chunk: bytes) -> dict[str, str]:
    names = {kind: name for name, kind in INFO.items()}
    tags: dict[str, str] = {}
    start = 0
    while start + 8 <= len(chunk):
        kind, size = chunk[start : start + 4], int.from_bytes(chunk[start + 4 : start + 8], "little")
        if kind in names:
            text = chunk[start + 8 : start + 8 + size].partition(b"\0")[0]
            tags.setdefault(names[kind], text.decode("utf-8", "replace"))
        start += 8 + size + size % 2
    return tags


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
