from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from ppaudioldm.storage.lock import LOCK_FILE, FolderLock, waiting_lock

HOLD = """
import pathlib, sys, time
from ppaudioldm.storage.lock import FolderLock, waiting_lock
path = pathlib.Path(sys.argv[2])
with FolderLock(path, "taken") if sys.argv[1] == "folder" else waiting_lock(path):
    print("held", flush=True)
    time.sleep(60)
"""


def another_process(kind: str, path) -> subprocess.Popen:
    """One that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, kind, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_killed_process_holds_no_folder(tmp_path):
    process = another_process("folder", tmp_path)
    with pytest.raises(ValueError, match="^somebody else$"):
        FolderLock(tmp_path, "somebody else")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.listdir(tmp_path) == [LOCK_FILE]
    with FolderLock(tmp_path, "somebody else"):
        assert os.listdir(tmp_path) == [LOCK_FILE]
    assert os.listdir(tmp_path) == []


def test_a_folder_has_one_holder_in_this_process_too(tmp_path):
    lock = FolderLock(tmp_path, "first")
    with pytest.raises(ValueError, match="^second$"):
        FolderLock(tmp_path, "second")
    other = threading.Thread(target=lock.release)  # a server is stopped by another thread than started it
    other.start()
    other.join()
    third = FolderLock(tmp_path, "third")
    lock.release()  # once more: the lock is not its own any longer
    with pytest.raises(ValueError, match="^fourth$"):
        FolderLock(tmp_path, "fourth")
    third.release()


def test_a_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), FolderLock(tmp_path, "taken"):
        raise KeyError
    FolderLock(tmp_path, "taken").release()


def test_a_folder_locked_by_an_earlier_version(tmp_path):
    """Which left the file, and locked it with flock."""
    fcntl = pytest.importorskip("fcntl")
    with open(tmp_path / LOCK_FILE, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="^taken$"):
            FolderLock(tmp_path, "taken")
    FolderLock(tmp_path, "taken").release()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        FolderLock(tmp_path / "file", "taken")


def test_waiting_until_the_holder_is_killed(tmp_path):
    process = another_process("file", tmp_path / "a.lock")
    threading.Timer(0.3, process.kill).start()
    with waiting_lock(tmp_path / "a.lock"):
        assert process.wait() == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["a.lock"]


def test_threads_wait_for_each_other(tmp_path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with waiting_lock(tmp_path / "a.lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)
