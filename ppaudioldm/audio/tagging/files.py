"""Tags of sound files of every format: names in upper case, and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ppaudioldm.audio.formats import PathLike
from ppaudioldm.audio.tagging import flac, id3, ogg, riff, xmp
from ppaudioldm.storage.regular import open_regular

ENCODER, COMMENT, SOURCE_TYPE = "ENCODER", "COMMENT", "DIGITALSOURCETYPE"
MOST_BYTES = 1 << 22  # of tags that are read
MOST_CHARACTERS = 1 << 20  # of a text that is written: what is read fits, whatever the letters


def with_tags(content: bytes, container: str, tags: Mapping[str, str] | None) -> bytes:
    """`content`, a file that libsndfile encoded as `container`, with `tags`; None leaves it without.

    The encoded samples stay as they are. Equal sounds with equal tags give equal bytes. RAW files have no place for
    tags.
    """
    if container == "OGG":
        return ogg.rewritten(content, tags)
    if container == "WAV":
        content = riff.without_time(content)
    if not tags or container == "RAW":
        return content
    assert all(len(value) <= MOST_CHARACTERS for value in tags.values())
    if container == "FLAC":
        return flac.with_tags(content, tags)
    packet = xmp.packet(tags.get(ENCODER, ""), tags[SOURCE_TYPE]) if SOURCE_TYPE in tags else b""
    if container == "WAV":
        return riff.with_tags(content, tags, packet)
    assert container == "MP3"
    return id3.packed(tags, packet) + content


def read_tags(path: PathLike) -> dict[str, str]:
    """`tags_in` the file `path`. Raises ValueError for a device or pipe, OSError for one that cannot be opened."""
    with open_regular(path) as file:
        return tags_in(file)


def tags_in(file: BinaryIO) -> dict[str, str]:
    """The tags of a sound file that programs commonly show, and those that we write; {} where it has none.

    Whatever `file`, which stands at its start, holds, at most a few MOST_BYTES of it are read, and nothing but texts
    comes of it.
    """
    tags: dict[str, str] = {}
    for found in _found(file):
        tags = found | tags
    return tags


def _found(file: BinaryIO) -> Iterator[dict[str, str]]:
    signature = file.read(4)
    if signature == flac.SIGNATURE:
        yield from flac.read_tags(file, MOST_BYTES)
        return
    file.seek(0)
    if signature == ogg.SIGNATURE:
        yield from ogg.read_tags(file, MOST_BYTES)
    elif signature in riff.SIGNATURES:
        yield from riff.read_tags(file, MOST_BYTES)
    elif signature.startswith(id3.SIGNATURE):
        yield from id3.read_tags(file, MOST_BYTES)
        file.seek(0)
        id3.skip(file)
        if file.read(4) == flac.SIGNATURE:  # Content Credentials stand before a FLAC file, as a tag
            yield from flac.read_tags(file, MOST_BYTES)
