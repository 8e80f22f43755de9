"""Measured parts of a page of the documentation: written between two comments, and times of the command."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ppaudioldm.storage.atomic import atomic_path

DOCS = Path(__file__).parents[1] / "docs"


def write_part(page: Path, name: str, text: str) -> None:
    """Print `text` and make it the part `name` of `page`, between `<!-- NAME -->` and `<!-- end of NAME -->`."""
    print(f"{name}\n\n{text}\n", flush=True)
    changed = with_part(page.read_text("utf-8"), name, text)
    with atomic_path(page) as new_page:
        new_page.write_text(changed, encoding="utf-8")


def with_part(page: str, name: str, text: str) -> str:
    """`page` with `text` as its part `name`. Raises ValueError for a page that does not have that part once."""
    found, count = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"the page has the part {name!r} {count} times, allowed: once")
    return found


def table_of_times(arguments: Sequence[str], titles: Sequence[str]) -> str:
    """Seconds of one call after another of `ppaudioldm ARGUMENTS`, a row each; the first one begins without a cache."""
    lines = ["| | seconds | CPU seconds |", "|---|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PPAUDIOLDM_CACHE": folder}
        command = [sys.executable, "-m", "ppaudioldm", *arguments, "-o", f"{folder}/x.wav", "--json"]
        for title in titles:
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
            seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            lines.append(f"| {title} | {seconds:.1f} | {cpu:.1f} |")
    return "\n".join(lines)
