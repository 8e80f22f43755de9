"""The metadata blocks of FLAC files, of which one holds Vorbis comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ppaudioldm.audio.tagging import vorbis_comments

SIGNATURE = b"fLaC"
COMMENTS = 4  # the type of a block
MOST_BLOCKS = 128  # before the comments, in a file that is read
MOST_BYTES = (1 << 24) - 1  # of a block


def with_tags(content: bytes, tags: Mapping[str, str]) -> bytes:
    """`content`, a FLAC file, with `tags` in place of its comments. The frames stay as they are."""
    blocks: list[tuple[int, bytes]] = []
    start, is_last = len(SIGNATURE), False
    while not is_last:
        kind, size = content[start], int.from_bytes(content[start + 1 : start + 4], "big")
        is_last = kind & 0x80 != 0
        blocks.append((kind & 0x7F, content[start + 4 : start + 4 + size]))
        start += 4 + size
    vendor = next((vorbis_comments.vendor_of(block) for kind, block in blocks if kind == COMMENTS), b"")
    comments = vorbis_comments.packed(tags, vendor)
    assert len(comments) <= MOST_BYTES
    kept = [(kind, block) for kind, block in blocks if kind != COMMENTS]
    blocks = [kept[0], (COMMENTS, comments), *kept[1:]]  # the description of the stream comes first
    headers = [
        bytes([kind | (0x80 if index == len(blocks) - 1 else 0)]) + len(block).to_bytes(3, "big") + block
        for index, (kind, block) in enumerate(blocks)
    ]
    return b"".join([SIGNATURE, *headers, content[start:]])


def read_tags(file: BinaryIO, most_bytes: int) -> Iterator[dict[str, str]]:
    """The comments of `file`, which stands behind its signature; a block of more than `most_bytes` is passed over."""
    for _ in range(MOST_BLOCKS):
        header = file.read(4)
        if len(header) < 4:
            return
        size = int.from_bytes(header[1:], "big")
        if header[0] & 0x7F == COMMENTS and size <= most_bytes:
            yield vorbis_comments.unpacked(file.read(size))
            return
        file.seek(size, 1)
        if header[0] & 0x80:
            return
