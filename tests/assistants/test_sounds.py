"""The folder of sounds, and what is not in it."""

from __future__ import annotations

import base64
import os

import pytest

from ppaudioldm.assistants.sounds import FolderFull, SoundFolder, decoded


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"secret")
    return SoundFolder(tmp_path / "sounds", budget_bytes=1000)


def test_a_sound_is_written_listed_and_read_by_name_and_address(folder):
    first = folder.write(b"abc", "a dog / barks", "wav")
    second = folder.write(b"defg", "a dog / barks", "wav")
    assert (first.name, second.name) == ("a_dog_barks.wav", "a_dog_barks-2.wav")
    assert {file.name: file.size_bytes for file in folder.files()} == {first.name: 3, second.name: 4}
    assert folder.content(first.name, 10) == folder.content(first.address, 10) == b"abc"
    assert first.address == "sound:///a_dog_barks.wav" and first.media_type == "audio/wav"
    with pytest.raises(ValueError, match=r"a_dog_barks\.wav has 3 bytes, allowed to be sent: up to 2"):
        folder.content(first.name, 2)


def test_names_of_other_scripts_have_an_address(folder):
    file = folder.write(b"abc", "狗叫 #1?", "ogg")
    assert file.address.isascii() and folder.content(file.address, 10) == b"abc"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../secret.wav",
        "sound:///../secret.wav",
        "sound:///%2e%2e/secret.wav",
        "{outside}",
        "file://{outside}",
        "http://localhost/a.wav",
        "link.wav",
        "below/a.wav",
        ".hidden.wav",
        "notes.txt",
        "pipe.wav",
        "a.wav\0",
        "/dev/zero",
    ],
)
def test_nothing_else_is_read(folder, tmp_path, name):
    (folder.path / "below").mkdir()
    for inside in ("below/a.wav", ".hidden.wav", "notes.txt"):
        (folder.path / inside).write_bytes(b"inside")
    (folder.path / "link.wav").symlink_to(tmp_path / "secret.wav")
    os.mkfifo(folder.path / "pipe.wav")
    with pytest.raises(ValueError, match="is no sound of the output folder") as raised:
        folder.content(name.format(outside=tmp_path / "secret.wav"), 100)
    assert "\n" not in str(raised.value) and folder.files() == []


def test_a_long_name_is_written_into_the_folder(folder):
    for title in ("../" * 50 + "a", "/etc/passwd", "CON", "x" * 5000, "\0"):
        assert (folder.path / folder.write(b"a", title, "wav").name).parent == folder.path


def test_it_holds_no_more_than_its_budget(folder):
    folder.write(b"a" * 600, "first", "wav")
    folder.check_room()
    with pytest.raises(FolderFull, match="the output folder holds 600 of 1000 bytes"):
        folder.write(b"a" * 600, "second", "wav")
    folder.write(b"a" * 400, "third", "wav")
    with pytest.raises(FolderFull):
        folder.check_room()
    assert [file.name for file in folder.files()] == ["first.wav", "third.wav"] or len(folder.files()) == 2


def test_base64():
    assert decoded(base64.b64encode(b"abcd").decode(), 4) == b"abcd"
    for text, line in (
        ("abc", "allowed: the base64 of a sound file"),
        ("a" * 12, "of up to 4 bytes"),
        ("狗", "base64"),
    ):
        with pytest.raises(ValueError, match=line):
            decoded(text, 4)
