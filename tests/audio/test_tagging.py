"""Tags in sound files: read back by programs that are not ours, without a change of the sound; hostile ones."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3

from ppaudioldm.audio.read import read_audio
from ppaudioldm.audio.tagging import files, id3, vorbis_comments
from ppaudioldm.audio.tagging.files import MOST_BYTES, read_tags, tags_in
from ppaudioldm.audio.tagging.xmp import GENERATED
from ppaudioldm.audio.write import encode_audio

RATE = 16000
TAGS = {
    "ENCODER": "ppaudioldm 1",
    "COMMENT": "AI-generated, 由人工智能生成",
    "DIGITALSOURCETYPE": GENERATED,
    "MODEL": "tiny",
    "PPAUDIOLDM": '{"prompt":"eine Glocke läutet 🔔"}',
}
ENCODINGS = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
)
EXTENSIONS = {"WAV": ".wav", "FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3"}


def tone(samples: int = 8001, channels: int = 1) -> np.ndarray:
    """An odd number of samples: 24 bits of them are an odd number of bytes."""
    phases = np.arange(samples)[:, None] * 0.1 * np.arange(1, channels + 1)
    return (0.3 * np.sin(phases)).astype(np.float32)


def encoded(encoding: tuple[str, str], tags: dict[str, str] | None) -> bytes:
    return encode_audio(tone(), RATE, *encoding, tags=tags)


def in_mutagen(path: Path) -> dict[str, str]:
    found = mutagen.File(path).tags
    if not isinstance(found, ID3):
        return {name.upper(): values[0] for name, values in found.items()}
    texts = {frame.desc: frame.text[0] for frame in found.getall("TXXX")}
    return texts | {"ENCODER": str(found["TSSE"]), "COMMENT": found["COMM::eng"].text[0]}


def in_ffmpeg(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {name.upper(): text for name, text in (container.streams[0].metadata | container.metadata).items()}


@pytest.mark.parametrize("encoding", ENCODINGS, ids="-".join)
def test_other_programs_read_them_and_the_sound_is_unchanged(tmp_path, encoding):
    content, plain = encoded(encoding, TAGS), encoded(encoding, None)
    path = tmp_path / f"x{EXTENSIONS[encoding[0]]}"
    path.write_bytes(content)
    assert in_mutagen(path) == TAGS
    assert in_ffmpeg(path).items() >= TAGS.items()
    assert read_tags(path) == TAGS
    found, expected = (soundfile.read(io.BytesIO(data), dtype="float64")[0] for data in (content, plain))
    assert np.array_equal(found, expected)
    if encoding[0] == "WAV":  # the data chunk, byte for byte, where it was
        assert content[8 : 8 + len(plain) - 8] == plain[8:]
        assert len(content) == 8 + int.from_bytes(content[4:8], "little")
    elif encoding[0] == "MP3":
        assert content.endswith(plain)


@pytest.mark.parametrize("encoding", ENCODINGS, ids="-".join)
def test_equal_sounds_give_equal_bytes(monkeypatch, encoding):
    """libsndfile numbers Ogg streams at random, and notes the time in WAV files of floats."""
    first = [encoded(encoding, tags) for tags in (None, TAGS)]
    time.sleep(1.01 if encoding == ("WAV", "FLOAT") else 0)
    assert [encoded(encoding, tags) for tags in (None, TAGS)] == first


def test_xmp_names_the_source_type(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(encoded(("WAV", "PCM_16"), TAGS))
    assert b"_PMX" in path.read_bytes()
    assert f"<Iptc4xmpExt:DigitalSourceType>{GENERATED}</Iptc4xmpExt:DigitalSourceType>".encode() in path.read_bytes()
    path = tmp_path / "x.mp3"
    path.write_bytes(encoded(("MP3", "MPEG_LAYER_III"), TAGS))
    (private,) = [frame for frame in mutagen.File(path).tags.getall("PRIV") if frame.owner == "XMP"]
    assert GENERATED.encode() in private.data


@pytest.mark.parametrize("encoding", ENCODINGS, ids="-".join)
def test_long_texts_and_many_channels(tmp_path, encoding):
    """Comments of an Ogg file that take several pages, of which some end between packets."""
    path = tmp_path / f"x{EXTENSIONS[encoding[0]]}"
    for size in (65_000, 65_025, 200_000):
        tags = TAGS | {"PPAUDIOLDM": "狗" * (size // 3)}
        path.write_bytes(encode_audio(tone(channels=2), RATE, *encoding, tags=tags))
        assert read_tags(path) == in_mutagen(path) == tags
        assert read_audio(path, mono=False)[0].shape == (len(tone()) if encoding[0] != "MP3" else ANY_LENGTH, 2)


class _AnyLength:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other >= 8001


ANY_LENGTH = _AnyLength()


def test_tags_that_other_programs_wrote(tmp_path):
    """After an editor saved them again: ID3 2.3 in UTF-16, INFO alone, further Vorbis comments."""
    path = tmp_path / "x.mp3"
    path.write_bytes(encoded(("MP3", "MPEG_LAYER_III"), TAGS))
    changed = mutagen.File(path)
    changed.tags.update_to_v23()
    changed.save(v2_version=3)
    assert read_tags(path).items() >= TAGS.items()
    path = tmp_path / "x.flac"
    path.write_bytes(encoded(("FLAC", "PCM_16"), TAGS))
    flac = mutagen.File(path)
    flac["title"] = "Bell"
    flac.save()
    assert read_tags(path) == TAGS | {"TITLE": "Bell"}
    with soundfile.SoundFile(tmp_path / "x.wav", "w", RATE, 1, "PCM_16") as file:
        file.title, file.comment = "Bell", "by hand"
        file.write(tone())
    assert read_tags(tmp_path / "x.wav") == {"TITLE": "Bell", "COMMENT": "by hand"}


@pytest.mark.parametrize("encoding", ENCODINGS, ids="-".join)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_give_texts_or_nothing(encoding, data):
    content = bytearray(encoded(encoding, TAGS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, min(len(content), 4000) - 1))
        content[start : start + 4] = data.draw(st.binary(min_size=0, max_size=6))
    tags = tags_in(io.BytesIO(bytes(content[: data.draw(st.integers(0, len(content)))])))
    assert all(isinstance(text, str) for pair in tags.items() for text in pair)


class CountingFile(io.BytesIO):
    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found


def hostile_files() -> dict[str, bytes]:
    huge = 0xFFFFFFF0
    comments = struct.pack("<II", 0, huge) + struct.pack("<I", huge)
    pages = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, 0, 1, 0, 0, 255) + b"\xff" * 255 + b"x" * 255 * 255
    small = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, 0, 1, 0, 0, 1) + b"\xffx" + b"x" * 254
    return {
        "a count of comments": b"fLaC\x84" + len(comments).to_bytes(3, "big") + comments,
        "a chunk that claims 4 GB": b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", huge) + b"INFO",
        "many chunks": b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 1_000_000,
        "a packet without end": pages * 200,
        "one of small pages": small * 40_000,
        "many frames": b"ID3\x04\0\0\0\x7f\x7f\x7f" + b"TXXX\0\0\0\x01\0\0\0" * 200_000,
        "large info": (b"RIFF\0\0\0\0WAVE" + b"LIST" + struct.pack("<I", 1 << 20) + b"INFO" + b"z" * ((1 << 20) - 4))
        + (b"LIST" + struct.pack("<I", 1 << 20) + b"INFO" + b"z" * ((1 << 20) - 4)) * 20,
    }


@pytest.mark.parametrize("name", hostile_files())
def test_little_is_read_of_hostile_files(name):
    file = CountingFile(hostile_files()[name])
    started = time.process_time()
    assert all(len(text) <= MOST_BYTES for text in tags_in(file).values())
    assert file.read_bytes <= 2 * MOST_BYTES
    assert time.process_time() - started < 2


def test_what_is_no_sound_file_has_no_tags(tmp_path):
    for content in (b"", b"R", b"RIFF", b"OggS", b"fLaC", b"ID3", b"ID3\x02\0\0\0\0\0\0", b"text"):
        assert tags_in(io.BytesIO(content)) == {}
    with pytest.raises(ValueError, match="device or pipe"):
        read_tags("/dev/zero")
    assert encode_audio(tone(), RATE, "RAW", "PCM_16", tags=TAGS) == encode_audio(tone(), RATE, "RAW", "PCM_16")


def test_names_and_values_survive():
    tags = {"A": "", "B": "x=y", "C": "\n", "ÄÖ": "dropped: names are ASCII"}
    assert vorbis_comments.unpacked(vorbis_comments.packed(tags, b"vendor")) == {
        n: v for n, v in tags.items() if n < "Z"
    }
    assert vorbis_comments.vendor_of(vorbis_comments.packed(tags, b"vendor")) == b"vendor"
    packed = id3.packed({"MODEL": "a" * 300})
    assert list(id3.read_tags(io.BytesIO(packed), files.MOST_BYTES)) == [{"MODEL": "a" * 300}]
