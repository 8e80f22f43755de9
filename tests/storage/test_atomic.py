from __future__ import annotations

import os

import pytest

from ppaudioldm.storage.atomic import atomic_path


def test_file_appears_complete(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"] and target.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("folder", [False, True])
def test_nothing_is_left_after_an_error(tmp_path, error, folder):
    def write(path):
        if folder:
            path.mkdir()
            path = path / "inside"
        path.write_text("half")

    with pytest.raises(error), atomic_path(tmp_path / "a") as temporary:
        write(temporary)
        raise error
    assert os.listdir(tmp_path) == []


def test_folder_replaces_folder(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
    assert os.listdir(tmp_path) == ["model"] and os.listdir(target) == ["new"]


def test_old_folder_stays_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    rename = os.replace

    def failing(source, destination):
        if "-old" not in source.name and destination == target:
            raise PermissionError
        rename(source, destination)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(PermissionError), atomic_path(target) as temporary:
        temporary.mkdir()
    assert os.listdir(tmp_path) == ["model"] and os.listdir(target) == ["old"]


@pytest.mark.parametrize("name", ["雨" * 85, "x" * 255, "x." + "y" * 253, "x" * 250 + ".json"])
def test_names_as_long_as_they_can_be(tmp_path, name):
    for text in ("old", "new"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text(text)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "new"


def test_writing_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass


def test_file_does_not_replace_folder(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert os.listdir(tmp_path) == ["a"]
