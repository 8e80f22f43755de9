"""What the bytes of a sound file say: its container, and whether its length is stated and its end is present."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

HEAD_BYTES = 64
SEARCHED_BYTES = 4096  # of MP3 behind its tags, for the first frame
TAIL_BYTES = 1 << 17  # of Ogg, for the last page, which has up to 65,307
SIGNATURES = (  # offset, bytes, name; what libsndfile reads besides MP3 and Ogg is not among them
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (0, bytes.fromhex("3026b2758e66cf11"), "WMA"),
    (0, bytes.fromhex("1a45dfa3"), "WebM or Matroska"),
    (0, b"FLV\x01", "FLV"),
    (8, b"AVI ", "AVI"),
    (0, bytes.fromhex("000001ba"), "MPEG"),
    (0, b"#!AMR", "AMR"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"TTA1", "TTA"),
    (0, bytes.fromhex("0b77"), "AC-3"),
)
MP3_KBIT = {  # per second, by MPEG version 1 or not, and by layer
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
}
STREAM_BYTES = 0x7FFFF000  # a size, or more, that an encoder writes into the header when it cannot go back to it


def container_of(head: bytes) -> str | None:
    """The name of the compressed format that a file with the first bytes `head` has; None for any other."""
    for offset, signature, name in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "AAC" if head[1] & 0xF6 == 0xF0 else "MP3"
    return None


def mp3_frame_bytes(header: bytes) -> int:
    """The bytes of the MP3 frame that begins with `header`; 0 where these are no frame's."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = (header[1] >> 3) & 3, 4 - ((header[1] >> 1) & 3)
    bitrate, rate, padding = header[2] >> 4, (header[2] >> 2) & 3, (header[2] >> 1) & 1
    if version == 1 or layer == 4 or rate == 3 or not 1 <= bitrate <= 14:
        return 0
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = MP3_KBIT[version == 3, layer][bitrate - 1] * 1000
    if layer == 1:
        return 4 * (12 * bits // hertz + padding)
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def first_mp3_frame(file: BinaryIO) -> bytes:
    """The bytes of `file` from its first MP3 frame on, which another follows; b"" where none is near its start."""
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        start = 10 + size
    file.seek(start)
    found = file.read(2 * SEARCHED_BYTES)
    for offset in range(min(SEARCHED_BYTES, len(found))):
        length = mp3_frame_bytes(found[offset : offset + 4])
        following = found[offset + length : offset + length + 4]
        if length and len(found) >= offset + length and (not following or mp3_frame_bytes(following)):
            return found[offset:]
    return b""


def mp3_states_length(file: BinaryIO) -> bool:
    """Whether the MP3 `file` states its number of frames; else its length can only be guessed from its size."""
    frame = first_mp3_frame(file)[:192]
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    return (at >= 0 and bool(frame[at + 7 : at + 8].rjust(1, b"\0")[0] & 1)) or b"VBRI" in frame


def ogg_is_cut(file: BinaryIO) -> bool:
    """Whether the last page of the Ogg `file` is incomplete, or is not marked as the last one of its stream."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return True
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    complete = len(tail) >= at + 27 + tail[at + 26] + sum(segments)
    return not complete or not tail[at + 5] & 4


def missing_share(description: str) -> float:
    """The share of its samples that a file has lost, by libsndfile's `description` of its header: 0 to 1.

    A size that an encoder only wrote because it did not know the true one says nothing.
    """
    length = re.search(r"^Length : (\d+)", description, re.M)
    chunk = re.search(r"^ ?(?:data|SSND|  ?Data Size)\s*: (\d+)(?: \(should be (\d+)\))?", description, re.M)
    wide = re.search(r"Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)", description)
    if wide:
        present, promised = int(wide[1]), int(wide[2])
    elif length and chunk:
        present, promised = int(chunk[2] or length[1]), int(chunk[1])
    else:
        return 0.0
    return 1 - present / promised if present < promised < STREAM_BYTES else 0.0
