"""The `ppaudioldm` command. Nothing heavy is imported before a command needs it: `--help` answers at once."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from ppaudioldm import __version__
from ppaudioldm.commands import (
    bench,
    cache,
    checkpoints,
    compat,
    evaluate,
    evaluate_speech,
    export,
    info,
    mcp,
    serve,
    sounds,
    tasks,
    train,
    ui,
)
from ppaudioldm.commands.arguments import keyword_flags
from ppaudioldm.commands.console import notify
from ppaudioldm.commands.signals import remembered_interrupt
from ppaudioldm.errors import one_line

# In the order of `--help`.
COMMANDS = (
    tasks,
    info,
    serve,
    ui,
    mcp,
    checkpoints,
    export,
    cache,
    bench,
    train,
    evaluate,
    evaluate_speech,
    sounds,
    compat,
)
USAGE_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT

EXAMPLES = """\
examples:
  ppaudioldm generate "a big bell" -o bell.wav
  ppaudioldm generate "a cat purring" -c audioldm2-full -o cat.wav
  ppaudioldm speak "Wish you have a good day" --speaker "A man speaks slowly" -o wish.wav
  ppaudioldm checkpoints
  ppaudioldm convert audioldm2-full.pth audioldm2-full --dtype float16
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (those of the process by default) and return its exit code.

    0: done. 1: some lines of a list are not. 2: bad input or a file that can't be read or written, reported in one line
    on stderr. 130: Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be what a terminal cannot show
    options = _parser().parse_args(arguments)
    _log_to_stderr()
    with remembered_interrupt() as interrupt:
        try:
            return options.run(options) or 0
        except KeyboardInterrupt as stopped:
            notify(f"stopped: {stopped}" if str(stopped) else "stopped")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of our output is gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (ValueError, OSError, MemoryError) as error:
            notify(f"error: {_with_flags(one_line(error))}")
            return USAGE_ERROR
        except Exception:
            if not interrupt.came:
                raise
            notify("stopped")  # the import of a framework turned the interrupt into this error
            return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage in front."""
        self.exit(USAGE_ERROR, f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ppaudioldm",
        description="AudioLDM 2 for PaddlePaddle: text to sound.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ppaudioldm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in COMMANDS:
        group.add(commands)
    return parser


class _OneLineHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        notify(f"{record.levelname.lower()}: {one_line(record.getMessage())}")


def _log_to_stderr() -> None:
    logger = logging.getLogger("ppaudioldm")
    logger.handlers = [_OneLineHandler(logging.WARNING)]
    logger.propagate = False


def _with_flags(message: str) -> str:
    """An error of the library, with the flags of the command line in place of keywords."""
    for keyword, flag in keyword_flags().items():
        message = message.replace(keyword, flag)
    return message


if __name__ == "__main__":
    sys.exit(main())
