"""The pages of Ogg files, and the packet of Vorbis or Opus that holds their comments."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from ppaudioldm.audio.tagging import vorbis_comments

SIGNATURE = b"OggS"
HEADER = struct.Struct("<4sBBqIIIB")  # signature, version, flags, granule position, serial, number, CRC, segments
MOST_SEGMENTS = 255  # of a page
CONTINUED = 1  # the flag of a page that begins within a packet
NO_POSITION = -1  # the granule position of a page on which no packet ends
# How a comment packet begins, and what is behind the comments; by the codec's first packet.
CODECS = {b"\x01vorbis": (b"\x03vorbis", b"\x01"), b"OpusHead": (b"OpusTags", b"")}
HEADERS = {b"\x01vorbis": 3, b"OpusHead": 2}  # packets before the sound
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """segments: the lengths, 0 to 255, of the segments of `body`; a packet ends with the first below 255."""

    flags: int
    position: int
    segments: bytes
    body: bytes

    def packed(self, serial: int, number: int) -> bytes:
        """The page of that stream and number."""
        fields = SIGNATURE, 0, self.flags, self.position, serial, number
        header = HEADER.pack(*fields, 0, len(self.segments)) + self.segments
        checksum = crc(header + self.body)
        return HEADER.pack(*fields, checksum, len(self.segments)) + self.segments + self.body


def crc(data: bytes) -> int:
    """The CRC of Ogg: polynomial 0x04c11db7, from 0, the highest bit of a byte first. zlib's takes the lowest first."""
    reflected = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


def rewritten(content: bytes, tags: Mapping[str, str] | None) -> bytes:
    """`content`, an Ogg file of one stream, with `tags` in place of its comments; None leaves them.

    The packets of the sound stay as they are. The serial number of the stream follows from its content: libsndfile
    draws one at random, with which no two files would be equal.
    """
    pages = list(_pages(content))
    codec = next((start for start in CODECS if pages[0].body.startswith(start)), None)
    if tags is not None and codec is not None:
        count, headers = _packets(pages, HEADERS[codec])  # the sound begins on a page of its own
        start, end = CODECS[codec]
        vendor = vorbis_comments.vendor_of(headers[1][len(start) :])
        headers[1] = start + vorbis_comments.packed(tags, vendor) + end
        pages = [pages[0], *_paged(headers[1:]), *pages[count:]]
    serial = zlib.crc32(b"".join(page.body for page in pages))
    return b"".join(page.packed(serial, number) for number, page in enumerate(pages))


def read_tags(file: BinaryIO, most_bytes: int) -> Iterator[dict[str, str]]:
    """The comments of `file`, which stands at its start; nothing is read beyond `most_bytes`."""
    _, packets = _packets(_read_pages(file, most_bytes), 2)
    if len(packets) < 2:
        return
    codec = next((start for start in CODECS if packets[0].startswith(start)), None)
    if codec is not None and packets[1].startswith(CODECS[codec][0]):
        yield vorbis_comments.unpacked(packets[1][len(CODECS[codec][0]) :])


def _read_pages(file: BinaryIO, most_bytes: int) -> Iterator[Page]:
    while file.tell() < most_bytes:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size or not header.startswith(SIGNATURE):
            return
        _, _, flags, position, _, _, _, count = HEADER.unpack(header)
        segments = file.read(count)
        yield Page(flags, position, segments, file.read(sum(segments)))


def _pages(content: bytes) -> Iterator[Page]:
    start = 0
    while start < len(content):
        _, _, flags, position, _, _, _, count = HEADER.unpack_from(content, start)
        start += HEADER.size
        segments = content[start : start + count]
        body = content[start + count : start + count + sum(segments)]
        start += count + len(body)
        yield Page(flags, position, segments, body)


def _packets(pages: Iterable[Page], count: int) -> tuple[int, list[bytes]]:
    """On how many pages the first `count` packets are, and these, or the whole ones of them that there are."""
    packets: list[bytes] = []
    packet, used = bytearray(), 0
    for page in pages:
        used += 1
        position = 0
        for size in page.segments:
            packet += page.body[position : position + size]
            position += size
            if size < 255:
                packets.append(bytes(packet))
                packet = bytearray()
        if len(packets) >= count:
            break
    return used, packets[:count]


def _paged(packets: list[bytes]) -> Iterator[Page]:
    """Pages of header packets, at which no sound ends."""
    segments, body = b"", b""
    for packet in packets:
        segments += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
        body += packet
    is_continued, position = False, 0
    for start in range(0, len(segments), MOST_SEGMENTS):
        part = segments[start : start + MOST_SEGMENTS]
        size = sum(part)
        page = Page(0, 0, part, body[position : position + size])
        if is_continued:
            page = replace(page, flags=CONTINUED)
        if all(segment == 255 for segment in part):
            page = replace(page, position=NO_POSITION)
        yield page
        position += size
        is_continued = part[-1] == 255
