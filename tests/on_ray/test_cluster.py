"""Lists on clusters that the tests start: workers killed, a node removed. `make cluster`: minutes, hence by hand."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import ray
from ray._common.usage.usage_lib import usage_stats_enabled
from ray.cluster_utils import Cluster

from ppaudioldm.cluster.run import ENDED, generate_list_on_ray
from ppaudioldm.cluster.session import Slots, import_ray
from ppaudioldm.lists.run import generate_list
from tests.lists.killed_runs import pipeline
from tests.on_ray.workers import LoggingPipeline, calls

PATIENCE_S = 240.0
CLIPS = 40


@pytest.fixture(scope="module")
def cluster():
    """A head without slots, and two nodes with one each."""
    import_ray()
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ["RAY_AUTH_MODE"] = "disabled"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes.removable = [nodes.add_node(num_cpus=1) for _ in range(2)]
        ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


def checked(path: Path, out: Path, alone: Path, count: int) -> list[dict[str, Any]]:
    """The records in `out`, after comparing every file with those that one process writes."""
    generate_list(path, alone, pipeline, checkpoint="fake", seed=7)
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(record["line"] for record in records) == list(range(1, count + 1))
    assert sorted(os.listdir(out)) == sorted([*(record["file"] for record in records), "manifest.jsonl"])
    for record in records:
        assert (out / record["file"]).read_bytes() == (alone / record["file"]).read_bytes()
    return records


def run_disturbed(folder: Path, path: Path, seconds: float, disturb: Callable[[Path], None]) -> Any:
    log = folder / "log"
    thread = threading.Thread(target=disturb, args=(log,))
    thread.start()
    report = generate_list_on_ray(
        path,
        folder / "out",
        partial(LoggingPipeline, str(log), seconds),
        checkpoint="fake",
        address="auto",
        seed=7,
    )
    thread.join()
    return report


def raylet_of(node: Any) -> int:
    """The process that starts the workers of a node."""
    (started,) = node.all_processes["raylet"]
    return started.process.pid


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(log: Path, count: int) -> list[tuple[int, str]]:
    end = time.monotonic() + PATIENCE_S
    while len(calls(log)) < count:
        assert time.monotonic() < end
        time.sleep(0.02)
    return calls(log)


def test_nothing_is_sent_to_ray_s_makers(cluster):
    assert not usage_stats_enabled()


def test_a_worker_that_is_killed_in_the_middle(cluster, tmp_path):
    path = write_list(tmp_path, *(f"sound {i}" for i in range(CLIPS)))
    killed: list[int] = []

    def kill(log: Path) -> None:
        killed.append(wait_for(log, 5)[-1][0])
        os.kill(killed[0], signal.SIGKILL)

    report = run_disturbed(tmp_path, path, 0.1, kill)
    assert (report.generated, report.failed, report.missing) == (CLIPS, {}, 0)
    checked(path, tmp_path / "out", tmp_path / "alone", CLIPS)
    processes = [process for process, _ in calls(tmp_path / "log")]
    assert set(processes) - set(killed)
    # What was complete is not generated again: at most the one that was interrupted is.
    assert len(processes) <= CLIPS + 1


def test_a_row_that_kills_its_worker_is_reported(cluster, tmp_path):
    path = write_list(tmp_path, "a", "deadly", "b", "c")
    report = run_disturbed(tmp_path, path, 0.0, lambda log: None)
    assert report.failed == {2: ENDED} and report.generated == 3
    assert sorted(os.listdir(tmp_path / "out")) == ["a.wav", "b.wav", "c.wav", "manifest.jsonl"]


def test_slots_of_one_worker(cluster, tmp_path):
    path = write_list(tmp_path, *(f"sound {i}" for i in range(6)))
    log = tmp_path / "log"
    report = generate_list_on_ray(
        path,
        tmp_path / "out",
        partial(LoggingPipeline, str(log), 0.0),
        checkpoint="fake",
        address="auto",
        slots=Slots(workers=1),
        seed=7,
    )
    assert report.generated == 6 and len({process for process, _ in calls(log)}) == 1


def test_a_node_that_is_removed(cluster, tmp_path):
    """The one whose worker was the last to generate; the other must do the rest."""
    path = write_list(tmp_path, *(f"sound {i}" for i in range(CLIPS)))
    removed: list[int] = []

    def remove(log: Path) -> None:
        process = wait_for(log, 5)[-1][0]
        (node,) = (node for node in cluster.removable if raylet_of(node) == parent_of(process))
        cluster.removable.remove(node)
        cluster.remove_node(node, allow_graceful=False)
        removed.append(process)

    report = run_disturbed(tmp_path, path, 0.2, remove)
    assert len(removed) == 1
    assert (report.generated, report.failed, report.missing) == (CLIPS, {}, 0)
    checked(path, tmp_path / "out", tmp_path / "alone", CLIPS)
    assert calls(tmp_path / "log")[-1][0] not in removed
