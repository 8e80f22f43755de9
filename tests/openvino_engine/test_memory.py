from __future__ import annotations

import ctypes
import mmap
import sys
import time

import pytest

from ppaudioldm.openvino_engine import memory

PATIENCE = 20  # seconds


SIZE = 64 * 2**20
ALL, OF_FILES = 1, 2  # fields of statm

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems are left alone")


def resident(field: int) -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[field]) * mmap.PAGESIZE


@pytest.fixture
def mapped(tmp_path):
    path = tmp_path / "a folder" / "weights.bin"
    path.parent.mkdir()
    path.write_bytes(b"x" * SIZE)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as opened:
        yield opened


@linux
def test_pages_are_given_back_and_read_again(mapped):
    assert mapped.find(b"y") == -1  # reads it all
    before = resident(OF_FILES)
    assert memory.release("weights.bin") == SIZE
    assert resident(OF_FILES) < before - SIZE // 2
    assert mapped[-1] == ord("x")


@linux
def test_they_are_given_back_while_they_are_read(mapped):
    with memory.released("weights.bin"):
        assert mapped.find(b"y") == -1
        full = resident(OF_FILES)
        deadline = time.monotonic() + PATIENCE
        while resident(OF_FILES) > full - SIZE // 2 and time.monotonic() < deadline:
            time.sleep(memory.INTERVAL_S / 10)
        assert resident(OF_FILES) < full - SIZE // 2
        assert mapped.find(b"y") == -1
    assert resident(OF_FILES) < full - SIZE // 2


@linux
def test_what_was_freed_is_returned():
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("this C library has nothing of the kind")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    pieces = [libc.malloc(2**14) for _ in range(SIZE // 2**14)]
    for piece in pieces:
        ctypes.memset(piece, 1, 2**14)
    last = libc.malloc(2**14)  # what is free below it is not at the end of the heap
    for piece in pieces:
        libc.free(piece)
    before = resident(ALL)
    memory.trim()
    assert resident(ALL) < before - SIZE // 2
    libc.free(last)


def test_other_files_are_left_alone():
    assert memory.release("no such file.bin") == 0
