"""A list on a cluster, whose workers are called here one after the other: what Ray itself does, tests/on_ray tests."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ppaudioldm import __version__
from ppaudioldm.cli import main
from ppaudioldm.cluster import destination, run, session, store_results
from ppaudioldm.cluster.cores import take_cores
from ppaudioldm.cluster.destination import ObjectStore, SharedFolder, filesystem
from ppaudioldm.cluster.results import opened_results
from ppaudioldm.cluster.session import Slots, checked_address
from ppaudioldm.cluster.worker import Worker
from ppaudioldm.lists.manifest import STAGING
from ppaudioldm.lists.run import generate_list
from ppaudioldm.lists.write import OutputOptions
from tests.lists.killed_runs import pipeline

ADDRESS = "store://bucket/sounds"


class Stopped(Exception):
    """In the place of a signal."""


@pytest.fixture(autouse=True)
def ray_is_installed(monkeypatch):
    monkeypatch.setattr("ppaudioldm.cluster.session.is_installed", lambda module: True)


@pytest.fixture
def store(monkeypatch):
    """A store in memory, which stands for one that all nodes reach: path -> content."""
    memory = MemoryFileSystem()
    memory.store, memory.pseudo_dirs = {}, [""]
    for module in (destination, store_results):
        monkeypatch.setattr(module, "filesystem", lambda url: (memory, "/" + url.partition("://")[2]))
    return memory


@pytest.fixture(params=["folder", "store"])
def place(request, tmp_path):
    """Where the sounds are written."""
    if request.param == "store":
        request.getfixturevalue("store")
        return ADDRESS
    return str(tmp_path / "out")


def files(place: str) -> dict[str, bytes]:
    """Name -> content of everything there, hidden files too."""
    if "://" in place:
        memory, path = destination.filesystem(place)
        return {name[len(path) + 1 :]: memory.cat_file(name) for name in memory.find(path)}
    return {str(path.relative_to(place)): path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}


def records(place: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files(place)["manifest.jsonl"].splitlines()]


def in_this_process(monkeypatch, stop_after: int = 1_000_000, lost_blocks: int = 0) -> list[Worker]:
    """Workers are called in place of Ray's; the driver is stopped after some answers; first blocks are lost."""
    made: list[Worker] = []
    lost = [lost_blocks]

    def answers(ray, rows, open_pipeline, slots, results, checkpoint, output):
        made.append(worker(open_pipeline, results.destination, output))
        count = 0
        for row in rows:
            lost[0] -= 1
            if lost[0] >= 0:
                continue
            for block in made[-1]({"items": [pickle.dumps(list(row))]}):
                for answer in block["answer"]:
                    if (count := count + 1) > stop_after:
                        raise Stopped
                    yield json.loads(answer)

    @contextmanager
    def connected(address, slots):
        yield None

    monkeypatch.setattr(run, "_answers", answers)
    monkeypatch.setattr(run, "connected", connected)
    return made


def worker(open_pipeline, where, output=None, version=__version__) -> Worker:
    return Worker(open_pipeline, where, "fake", output or OutputOptions(), 0, version)


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


def generate(path: Path, place: str, **settings: Any) -> Any:
    return run.generate_list_on_ray(path, place, settings.pop("open", pipeline), checkpoint="fake", **settings)


def test_the_sounds_and_the_manifest_are_those_of_one_process(tmp_path, monkeypatch, place):
    path = write_list(tmp_path, "a", "b|name.flac", "a", "\0")
    in_this_process(monkeypatch)
    notified: list[dict[str, Any]] = []
    report = generate(path, place, seed=3, batch_size=2, output=OutputOptions(loudness=-20.0), notify=notified.append)
    assert (report.total, report.generated, report.failed) == (4, 3, {4: "holds a NUL byte"})
    here = str(tmp_path / "here")
    generate_list(path, here, pipeline, checkpoint="fake", seed=3, batch_size=2, output=OutputOptions(loudness=-20.0))
    assert files(place) == files(here) and notified == records(place)
    again = generate(path, place, seed=3, output=OutputOptions(loudness=-20.0))
    assert (again.existing, again.generated, files(place)) == (3, 0, files(here))


def test_a_driver_that_is_stopped_loses_nothing(tmp_path, monkeypatch, place):
    path = write_list(tmp_path, *"abcdef")
    with monkeypatch.context() as patch:
        in_this_process(patch, stop_after=2)
        with pytest.raises(Stopped):
            generate(path, place)
    assert len(records(place)) == 3  # the third was published, and its answer not taken
    before = files(place)
    assert not any(STAGING in name for name in before)
    made = in_this_process(monkeypatch)
    report = generate(path, place)
    assert (report.existing, report.generated, len(made)) == (3, 3, 1)
    after = files(place)
    assert {name: after[name] for name in before if name != "manifest.jsonl"} == {
        name: content for name, content in before.items() if name != "manifest.jsonl"
    }
    assert sorted(record["file"] for record in records(place)) == [f"{letter}.wav" for letter in "abcdef"]


def test_a_killed_driver_s_folder(tmp_path, monkeypatch):
    """Nothing of its own code runs at its end."""
    path, out = write_list(tmp_path, *"abc"), str(tmp_path / "out")
    with monkeypatch.context() as patch:
        in_this_process(patch, stop_after=1)
        patch.setattr("ppaudioldm.cluster.results.FolderResults.close", lambda self: None)
        with pytest.raises(Stopped):
            generate(path, out)
    assert len(records(out)) == 1
    in_this_process(monkeypatch)
    report = generate(path, out)
    assert (report.existing, report.generated) == (2, 1)
    assert sorted(files(out)) == ["a.wav", "b.wav", "c.wav", "manifest.jsonl"]


def test_a_worker_in_another_s_place_generates_nothing_twice(tmp_path, monkeypatch, place):
    path = write_list(tmp_path, *"abc")
    made = in_this_process(monkeypatch, stop_after=3)
    calls: list[str] = []

    def counting() -> Any:
        opened = pipeline()
        calls.append("opened")
        opened.batches = calls
        return opened

    with opened_results(place) as results:
        items = run.missing_items(
            run.read_items(
                path,
                run.ListReport(),
                checkpoint="fake",
                extension=".wav",
                output=OutputOptions(),
                seed=1,
                settings={"preset": "fast"},
            ),
            [],
            [],
            ".wav",
            OutputOptions(),
            run.ListReport(),
        )
        row = {"items": [pickle.dumps(items)]}
        first = [answer for block in worker(counting, results.destination)(row) for answer in block["answer"]]
        second = [answer for block in worker(counting, results.destination)(row) for answer in block["answer"]]
    assert len(first) == 3 and calls == ["opened", ["a", "b", "c"], "opened"] and not made
    named = [[json.loads(answer)["record"]["key"] for answer in answers] for answers in (first, second)]
    assert named[0] == named[1]


def test_what_fails_is_tried_again_and_reported(tmp_path, monkeypatch, place):
    path = write_list(tmp_path, "a", "explode", "b")
    opened: list[Any] = []

    def opening() -> Any:
        opened.append(pipeline(errors={"explode": RuntimeError("out of\nmemory")}))
        return opened[-1]

    in_this_process(monkeypatch)
    report = generate(path, place, open=opening, batch_size=4)
    assert report.failed == {2: "RuntimeError: out of\nmemory"} and report.generated == 2
    # In a batch, then each alone, then what failed once more.
    assert opened[0].batches == [["a", "explode", "b"], ["a"], ["explode"], ["b"], ["explode"]]


def test_items_of_a_block_that_was_given_up_are_tried_alone(tmp_path, monkeypatch, place):
    path = write_list(tmp_path, *"abcd")
    in_this_process(monkeypatch, lost_blocks=3)
    report = generate(path, place)
    assert (report.generated, report.failed) == (4, {})
    in_this_process(monkeypatch, lost_blocks=10)
    report = generate(write_list(tmp_path, "e"), place)
    assert report.failed == {1: run.ENDED} and report.missing == 0


def test_a_worker_that_cannot_open_its_checkpoint_stops_the_run(tmp_path, monkeypatch):
    def broken() -> Any:
        raise ValueError("no such checkpoint")

    in_this_process(monkeypatch)
    with pytest.raises(ValueError, match="^no such checkpoint$"):
        generate(write_list(tmp_path, "a"), str(tmp_path / "out"), open=broken)


def test_other_versions_and_folders_that_are_not_shared(tmp_path):
    for where, version, reason in (
        (SharedFolder(tmp_path, "x"), __version__, "all nodes must share"),
        (SharedFolder(tmp_path, "x"), "0.0.1", "0.0.1 on the driver's"),
    ):
        (block,) = worker(pipeline, where, version=version)({"items": [pickle.dumps([])]})
        assert reason in json.loads(block["answer"][0])["stop"]


def test_a_full_disk_stops_the_run(tmp_path, monkeypatch, place):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ppaudioldm.cluster.worker.WRITE_PAUSE_S", 0.0)
    in_this_process(monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device"):
        patch.setattr(ObjectStore if "://" in place else SharedFolder, "publish", full)
        generate(write_list(tmp_path, "a", "b"), place)
    assert generate(write_list(tmp_path, "a", "b"), place).generated == 2


@pytest.mark.parametrize(("name", "notes"), [("untrained", 1), ("tiny", 0)])
def test_a_note_of_random_weights_before_the_first_sound(tmp_path, monkeypatch, capsys, name, notes):
    """The workers open the checkpoint; this process says what its name does."""
    in_this_process(monkeypatch)
    monkeypatch.setattr("ppaudioldm.commands.lists.open_pipeline", lambda options: pipeline())
    command = ["generate", "--list", str(write_list(tmp_path, "a")), "--output-dir", str(tmp_path / "out"), "--ray"]
    assert main([*command, "-c", name]) == 0
    error = capsys.readouterr().err.splitlines()
    note = f"ppaudioldm: note: {name} has random weights, so this is noise and not the sound of the prompt"
    assert error == [*[note][:notes], "ppaudioldm: 1 of 1 generated"]
    assert main([*command, "-c", name]) == 0
    assert capsys.readouterr().err.splitlines() == ["ppaudioldm: 0 of 1 generated, 1 existed"]  # none is opened


def test_ray_s_note_of_its_log_level_is_not_on_stderr(capfd):
    with session.without_note_of_level():
        os.write(2, b"an error\n[2026-11-30 08:00:00,000 I 1 1] logging.cc:336: Set ray log level from environment ")
        os.write(2, b"variable RAY_BACKEND_LOG_LEVEL to 3\na warning\n")
    with pytest.raises(ValueError), session.without_note_of_level():
        os.write(2, b"why\n")
        raise ValueError
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "an error\na warning\nwhy\nand after\n"


# ---- A store


def test_an_incomplete_object_is_dropped_with_its_record(store, tmp_path, monkeypatch):
    path = write_list(tmp_path, "a", "b")
    in_this_process(monkeypatch)
    generate(path, ADDRESS, seed=1)
    (record,) = (record for record in records(ADDRESS) if record["file"] == "b.wav")
    kept = json.dumps(next(record for record in records(ADDRESS) if record["file"] == "a.wav")).encode()
    root = "/bucket/sounds"
    whole = store.cat_file(f"{root}/b.wav")
    store.pipe_file(f"{root}/manifest.jsonl", kept + b"\n")
    report = json.dumps(record | {"bytes": {"b.wav": len(whole)}}).encode()
    for content, existing in ((whole[:-1], 1), (whole, 2)):
        store.pipe_file(f"{root}/b.wav", content)
        store.pipe_file(f"{root}/{STAGING}/{record['key']}.json", report)
        with opened_results(ADDRESS) as results:
            assert len(results.records) == existing
    assert sorted(files(ADDRESS)) == ["a.wav", "b.wav", "manifest.jsonl"]
    for name in ("../x", "/etc/passwd", "", "..", 3):
        store.pipe_file(f"{root}/{STAGING}/k.json", json.dumps({"key": "k", "files": [name], "bytes": {}}).encode())
        with opened_results(ADDRESS) as results:
            assert len(results.records) == 2


def test_one_run_at_a_time_in_a_store(store):
    with opened_results(ADDRESS), pytest.raises(ValueError, match="another run writes to it"), opened_results(ADDRESS):
        pass
    with opened_results(ADDRESS):
        pass


# ---- What goes wrong at once


def test_memory_is_of_one_process():
    with pytest.raises(ValueError, match="memory://x is the memory of one process"):
        filesystem("memory://x")


@pytest.mark.parametrize("address", ["", "ray://head:10001", "head", "head:port", "http://a:1"])
def test_addresses_that_do_not_work(address):
    with pytest.raises(ValueError, match="allowed: local, auto, or HOST:PORT"):
        checked_address(address)


@pytest.mark.parametrize("slots", [{"workers": 0}, {"cpus": 0}, {"gpus": -1.0}, {"gpus": float("nan")}])
def test_slots_out_of_range(slots):
    with pytest.raises(ValueError, match="allowed"):
        Slots(**slots)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--ray"], "--ray is for --list"),
        (["--list", "LIST", "--output-dir", "s3://b/x"], "an address only with --ray"),
        (["--list", "LIST", "--output-dir", "memory://x", "--ray"], "is the memory of one process"),
        (["--list", "LIST", "--output-dir", "out", "--ray", "ray://a:1"], "allowed: local, auto, or HOST:PORT"),
        (["--list", "LIST", "--output-dir", "out", "--ray", "--ray-workers", "0"], "--ray-workers is 0"),
        (["--list", "LIST", "--output-dir", "nosuch://b/x", "--ray"], "nosuch"),
    ],
)
def test_impossible_commands(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(write_list(tmp_path, "a"))
    assert main(["generate", *[path if word == "LIST" else word for word in arguments], "-c", "untrained"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["list.txt"]


def test_without_ray_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ppaudioldm.cluster.session.is_installed", lambda module: False)
    command = ["generate", "--list", str(write_list(tmp_path, "a")), "--output-dir", str(tmp_path / "out"), "--ray"]
    assert main(command) == 2
    assert capsys.readouterr().err == "ppaudioldm: error: --ray needs ray: pip install 'ppaudioldm[ray]'\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_workers_take_different_cores(tmp_path):
    before = os.sched_getaffinity(0)
    try:
        first = take_cores(1, tmp_path)
        assert len(first) == 1 and len(os.sched_getaffinity(0)) == 1
        os.sched_setaffinity(0, before)
        second = take_cores(1, tmp_path)
        if len(before) > 1:
            assert {lock.lock_file for lock in first} != {lock.lock_file for lock in second}
        os.sched_setaffinity(0, before)
        assert take_cores(len(before), tmp_path) == [] and os.sched_getaffinity(0) == before
    finally:
        os.sched_setaffinity(0, before)


def test_a_worker_is_sent_as_it_is():
    """Ray pickles what a worker is made from."""
    for value in (partial(pipeline, steps=1), SharedFolder(Path("x"), "y"), ObjectStore(ADDRESS), OutputOptions()):
        assert type(pickle.loads(pickle.dumps(value))) is type(value)
