"""Signal handlers survive the import of a framework that has its own; Ctrl-C is not lost in what it interrupts."""

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


INTERRUPTED = """
import argparse, os, signal, sys, time
from ppaudioldm import cli
from ppaudioldm.commands.console import ProgressBar
from ppaudioldm.generation.options import Progress

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background


def run(options):
    with ProgressBar() as bar:
        bar.show(Progress("denoise", 1, 9))
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            {swallow}
        bar.show(Progress("denoise", 2, 9))
        print("went on")


parser = argparse.ArgumentParser()
parser.set_defaults(run=run)
cli._parser = lambda: parser
sys.exit(cli.main([]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.parametrize("swallow", ["pass", "raise ImportError('initialization failed')"])
def test_an_interrupt_that_is_swallowed_or_made_another_error_still_stops(swallow):
    program = INTERRUPTED.format(swallow=swallow)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "ppaudioldm: stopped\n")
