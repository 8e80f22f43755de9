"""`python -m ppaudioldm.sounds.bank`: make the bank of recorded sounds and its credits from the named packages."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ppaudioldm.sounds.bank.reading import default_folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ppaudioldm.sounds.bank", description=__doc__)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where the bank goes (assets/bank)")
    parser.add_argument("--credits", type=Path, help="where the notices go (CREDITS.md beside the folder)")
    parser.add_argument(
        "--downloads", type=Path, help="a folder where packages are, or are downloaded to and kept (a temporary one)"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from ppaudioldm.sounds.bank.build import build

    with tempfile.TemporaryDirectory() as temporary:
        try:
            build(
                options.folder,
                options.credits or options.folder.parent / "CREDITS.md",
                options.downloads or Path(temporary),
            )
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
