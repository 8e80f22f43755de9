"""ID3 tags, which begin MP3 files, and which WAV files may carry as a chunk. Written as version 2.4, in UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

SIGNATURE = b"ID3"
HEADER_BYTES = 10  # of the tag, and of each of its frames
MOST_FRAMES = 1000  # that are read
# Names of tags that have a frame of their own; all others are user-defined texts, TXXX.
FRAMES = {"ENCODER": b"TSSE", "TITLE": b"TIT2", "ARTIST": b"TPE1", "DATE": b"TDRC"}
ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
UTF_8 = b"\x03"


def packed(tags: Mapping[str, str], xmp: bytes = b"") -> bytes:
    """`tags` as an ID3 tag. COMMENT is a comment in English. xmp: a packet that is added as a private frame."""
    frames = b"".join(_frame_of(name, value) for name, value in tags.items())
    if xmp:
        frames += _frame(b"PRIV", b"XMP\0" + xmp)
    return SIGNATURE + b"\x04\0\0" + _as_syncsafe(len(frames)) + frames


def read_tags(file: BinaryIO, most_bytes: int) -> Iterator[dict[str, str]]:
    """The texts of the tag in `file`, which stands at its start; nothing of one of more than `most_bytes`."""
    header = file.read(HEADER_BYTES)
    if header[:3] != SIGNATURE or len(header) < HEADER_BYTES:
        return
    version, flags, size = header[3], header[5], _syncsafe(header[6:])
    # Version 2.2 has other frames; the flags mark what we do not write: rewritten bytes, further headers.
    if version in (3, 4) and not flags and size <= most_bytes:
        yield unpacked(file.read(size), version)


def skip(file: BinaryIO) -> None:
    """Move `file`, which stands at the start of a tag, behind it."""
    header = file.read(HEADER_BYTES)
    file.seek(_syncsafe(header[6:]), 1)


def unpacked(frames: bytes, version: int) -> dict[str, str]:
    """The texts of the frames of a tag, with names in upper case; of damaged ones, those before the damage."""
    tags: dict[str, str] = {}
    names = {frame: name for name, frame in FRAMES.items()}
    start = 0
    for _ in range(MOST_FRAMES):
        kind, size_field = frames[start : start + 4], frames[start + 4 : start + 8]
        if len(size_field) < 4 or not kind.strip(b"\0"):
            break
        size = _syncsafe(size_field) if version == 4 else int.from_bytes(size_field, "big")
        content = frames[start + HEADER_BYTES : start + HEADER_BYTES + size]
        start += HEADER_BYTES + size
        if len(content) < size or size < 1 or content[0] >= len(ENCODINGS):
            continue
        if kind == b"TXXX":
            name, _, value = _text(content).partition("\0")
        elif kind == b"COMM":
            name, value = "COMMENT", _text(content[:1] + content[4:]).partition("\0")[2]
        elif kind in names:
            name, value = names[kind], _text(content)
        else:
            continue
        if name.isascii():
            tags.setdefault(name.upper(), value.rstrip("\0"))
    return tags


def _text(content: bytes) -> str:
    """The text of a frame; a byte order mark may begin each of its parts."""
    return content[1:].decode(ENCODINGS[content[0]], "replace").replace("\ufeff", "").replace("\ufffe", "")


def _frame_of(name: str, value: str) -> bytes:
    text = value.encode()
    if name == "COMMENT":
        return _frame(b"COMM", UTF_8 + b"eng\0" + text)
    if name in FRAMES:
        return _frame(FRAMES[name], UTF_8 + text)
    return _frame(b"TXXX", UTF_8 + name.encode() + b"\0" + text)


def _frame(kind: bytes, content: bytes) -> bytes:
    return kind + _as_syncsafe(len(content)) + b"\0\0" + content


def _as_syncsafe(number: int) -> bytes:
    """Seven bits a byte, so that no byte looks like the start of a frame of sound."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _syncsafe(data: bytes) -> int:
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number
