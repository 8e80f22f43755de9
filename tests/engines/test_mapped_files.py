from __future__ import annotations

import mmap
import sys

import pytest

from ppaudioldm.engines import mapped_files


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are left alone")
def test_pages_are_given_back_and_read_again(tmp_path):
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[2]) * mmap.PAGESIZE  # of files

    size = 64 * 2**20
    path = tmp_path / "a folder" / "weights.bin"
    path.parent.mkdir()
    path.write_bytes(b"x" * size)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped.find(b"y") == -1  # reads it all
        before = resident()
        assert mapped_files.release("weights.bin") == size
        assert resident() < before - size // 2
        assert mapped[-1] == ord("x")


def test_other_files_are_left_alone():
    assert mapped_files.release("no such file.bin") == 0
