"""Signal handlers survive the import of a framework that has its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading

seen = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: seen.set())


def load():
    from ppaudioldm import framework


if {in_thread}:
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
else:
    load()
os.kill(os.getpid(), signal.SIGTERM)
assert seen.wait(60)
print("handled")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
@pytest.mark.parametrize("in_thread", [False, True])
def test_the_program_decides_what_sigterm_does(in_thread):
    program = PROGRAM.format(in_thread=in_thread)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "handled"), done.stderr[-500:]
