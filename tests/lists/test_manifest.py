from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ppaudioldm.audio.write import OutputError
from ppaudioldm.lists.manifest import NAME, REPORT, STAGING, opened, staging_path


def add(manifest, *names: str, key: str = "k") -> None:
    for name in names:
        staging_path(manifest.folder / name).write_text(name)
    manifest.add({"key": key, "files": list(names)})


def keys(folder) -> list[str]:
    with opened(folder) as manifest:
        return [record["key"] for record in manifest.records]


def move_back(path) -> None:
    """As it is before the file gets to its place."""
    (path.parent / STAGING).mkdir()
    os.rename(path, staging_path(path))


def test_lines_and_files_stay(tmp_path):
    with opened(tmp_path / "new" / "folder") as manifest:
        add(manifest, "a.wav", "a.png", key="a")
        add(manifest, "雨.wav", key="b")
    folder = tmp_path / "new" / "folder"
    assert keys(folder) == ["a", "b"] and keys(folder) == ["a", "b"]
    assert sorted(os.listdir(folder)) == sorted(["a.wav", "a.png", "雨.wav", NAME])
    assert [json.loads(line)["key"] for line in (folder / NAME).read_text("utf-8").splitlines()] == ["a", "b"]


def test_a_line_whose_files_have_no_names_yet_is_finished(tmp_path):
    with opened(tmp_path) as manifest:
        add(manifest, "a.wav", "a.png")
    move_back(tmp_path / "a.png")
    assert keys(tmp_path) == ["k"]
    assert (tmp_path / "a.png").read_text() == "a.png"


def test_what_has_no_line_is_removed(tmp_path):
    (tmp_path / STAGING).mkdir()
    staging_path(tmp_path / "a.wav").write_text("half")
    assert keys(tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [1, 2, 10, 30])
def test_a_torn_last_line_is_dropped_and_its_files_with_it(tmp_path, cut):
    with opened(tmp_path) as manifest:
        add(manifest, "a.wav", key="a")
        add(manifest, "b.wav", key="b")
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-cut])
    move_back(tmp_path / "b.wav")  # as it is before the line is whole
    expected = ["a", "b"] if cut == 1 else ["a"]  # only the line break is missing
    assert keys(tmp_path) == expected
    assert (tmp_path / "b.wav").exists() == (cut == 1)
    with opened(tmp_path) as manifest:
        add(manifest, "c.wav", key="c")
    assert keys(tmp_path) == [*expected, "c"]


def test_a_line_whose_file_is_gone_is_dropped(tmp_path, caplog):
    with opened(tmp_path) as manifest:
        add(manifest, "a.wav", key="a")
        add(manifest, "b.wav", key="b")
    (tmp_path / "a.wav").unlink()
    assert keys(tmp_path) == ["b"] and "a.wav" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"5",
        b"{}",
        b'{"files": 3}',
        b'{"files": [3]}',
        b'{"files": []}',
        b'{"files": ["../secret"]}',
        b'{"files": ["/etc/passwd"]}',
        b'{"files": [".."]}',
        b'{"files": [""]}',
        b'{"files": ["a\\u0000b"]}',
        b"[" * 100_000,
    ],
)
def test_foreign_lines_are_dropped(tmp_path, line):
    (tmp_path / "secret").write_text("stays")
    folder = tmp_path / "folder"
    with opened(folder) as manifest:
        add(manifest, "a.wav", key="a")
    with open(folder / NAME, "ab") as file:
        file.write(line + b"\n")
    assert keys(folder) == ["a"]
    assert (tmp_path / "secret").read_text() == "stays"


def test_one_process_at_a_time(tmp_path):
    with opened(tmp_path):
        script = (
            "import sys, pathlib; from ppaudioldm.lists.manifest import opened\n"
            "with opened(pathlib.Path(sys.argv[1])): 0"
        )
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
        assert f"ValueError: {tmp_path}: another run writes to it" in done.stderr
    assert keys(tmp_path) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="^cannot write .*folder: "), opened(tmp_path / "file" / "folder"):
        pass


def test_errors_of_the_block_are_its_own(tmp_path):
    with pytest.raises(FileNotFoundError), opened(tmp_path):
        raise FileNotFoundError


# ---- What workers of another process have written


def report(folder, run: str, name: str, key: str, whole: bool = True) -> None:
    """As a worker leaves it: its file, and its record beside it."""
    staging = folder / STAGING / run
    staging.mkdir(parents=True, exist_ok=True)
    (staging / name).write_text(f"{name} of {run}")
    content = json.dumps({"key": key, "files": [name]})
    (staging / f"{key}{REPORT}").write_text(content if whole else content[:-3])


def test_what_workers_reported_to_a_killed_run_is_kept_once(tmp_path):
    with opened(tmp_path) as manifest:
        add(manifest, "a.wav", key="a")
    report(tmp_path, "first", "a.wav", "a")  # has its line and its file
    report(tmp_path, "first", "b.wav", "b")
    report(tmp_path, "first", "half.wav", "c", whole=False)
    report(tmp_path, "second", "b.wav", "b")
    (tmp_path / STAGING / "second" / "no-record.wav").write_text("half")
    assert keys(tmp_path) == ["a", "b"] and keys(tmp_path) == ["a", "b"]
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.wav", NAME]
    assert (tmp_path / "a.wav").read_text() == "a.wav"


def test_a_reported_record_without_a_manifest(tmp_path):
    report(tmp_path, "run", "a.wav", "a")
    assert keys(tmp_path) == ["a"]
    report(tmp_path, "run", "x.wav", "x")
    (tmp_path / STAGING / "run" / "x.wav").unlink()
    assert keys(tmp_path) == ["a"]


def test_a_record_appended_but_not_moved_out_of_its_worker_s_folder(tmp_path):
    with opened(tmp_path) as manifest:
        add(manifest, "a.wav", key="a")
    report(tmp_path, "run", "b.wav", "b")
    with open(tmp_path / NAME, "a") as file:
        file.write('{"key": "b", "files": ["b.wav"]}\n')
    assert keys(tmp_path) == ["a", "b"]
    assert (tmp_path / "b.wav").read_text() == "b.wav of run"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "", 3])
def test_a_reported_file_outside_is_left_alone(tmp_path, name):
    folder = tmp_path / "folder"
    (tmp_path / "secret").write_text("stays")
    staging = folder / STAGING / "run"
    staging.mkdir(parents=True)
    (staging / f"k{REPORT}").write_text(json.dumps({"key": "k", "files": [name]}))
    assert keys(folder) == [] and (tmp_path / "secret").read_text() == "stays"
