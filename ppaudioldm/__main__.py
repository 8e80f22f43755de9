"""`python -m ppaudioldm`: the same as the `ppaudioldm` command."""

import sys

from ppaudioldm.cli import main

if __name__ == "__main__":
    sys.exit(main())
