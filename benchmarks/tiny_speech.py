"""The figures of docs/tiny-speech.md: measured, and written into that page.

    apt-get install flite; pip install '.[cpu,speech,recognition]'
    python benchmarks/tiny_speech.py                      # all parts, about an hour on one core
    python benchmarks/tiny_speech.py times guidance       # these only

Each part is a table between two comments of the page, `<!-- NAME -->` and `<!-- end of NAME -->`. "commands" and
"harvard" are what `ppaudioldm evaluate-speech` says of every stage, "guidance" of the first commands at several scales,
and "times" are those of the command `ppaudioldm speak`, first with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ppaudioldm.evaluation.choices import GENERATED, SENTENCE_SETS
from ppaudioldm.storage.atomic import atomic_path

PAGE = Path(__file__).parents[1] / "docs" / "tiny-speech.md"
PARTS = (*SENTENCE_SETS, "guidance", "times")
GUIDANCE_SCALES = (1.0, 1.5, 2.5, 4.0)
SENTENCE = "Good evening everybody, welcome to London."  # no sentence of the training data: two that are, in one
ROWS = {
    "word_error_rate": "wrong words",
    "exact_sentences": "sentences without a wrong word",
    "chosen_sentences": "the right one of {count} sentences",
    "recognised_speakers": "the right speaker",
    "dnsmos_overall": "DNSMOS, 1 to 5",
}
Measures = Mapping[str, Mapping[str, float]]  # of each column


def measured(options: argparse.Namespace, sentences: str, count: int, *arguments: str) -> Measures:
    """What `evaluate-speech` measures, by stage."""
    command = [sys.executable, "-m", "ppaudioldm", "evaluate-speech", sentences, "--count", str(count), "--json"]
    command += ["-c", options.checkpoint, "--seed", str(options.seed), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Measures = json.loads(done.stdout)
    return found


def table(columns: Measures, count: int) -> str:
    """`columns` in Markdown, a row for each of ROWS that was measured."""
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for key, title in ROWS.items():
        if all(key in values for values in columns.values()):
            cells = [_cell(key, values[key]) for values in columns.values()]
            lines.append(f"| {title.format(count=count)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(key: str, value: float) -> str:
    return f"{value:.2f}" if key.startswith("dnsmos") else f"{100 * value:.1f} %"


def sentences_part(options: argparse.Namespace, name: str) -> str:
    return table(measured(options, name, options.count, "-o", str(options.output / name)), options.count)


def guidance_part(options: argparse.Namespace) -> str:
    arguments = ("--stages", GENERATED, "-w")
    scales = {f"{w:g}": measured(options, "commands", options.few, *arguments, str(w)) for w in GUIDANCE_SCALES}
    return table({name: stages[GENERATED] for name, stages in scales.items()}, options.few)


def times_part(options: argparse.Namespace) -> str:
    """Seconds of three calls of the command, the first of which fills the cache; SENTENCE in each."""
    lines = ["| | seconds | CPU seconds |", "|---|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PPAUDIOLDM_CACHE": folder}
        command = [sys.executable, "-m", "ppaudioldm", "speak", SENTENCE, "-c", options.checkpoint, "--seed", "1"]
        for title in ("the first sentence after installation", "the second", "the third"):
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            arguments = ["-o", f"{folder}/x.wav", "--json"]
            subprocess.run([*command, *arguments], stdout=subprocess.DEVNULL, check=True, env=environment)
            seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            lines.append(f"| {title} | {seconds:.1f} | {cpu:.1f} |")
    return "\n".join(lines)


def with_part(page: str, name: str, text: str) -> str:
    """`page` with `text` as its part `name`. Raises ValueError for a page that does not have that part once."""
    found, count = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"the page has the part {name!r} {count} times, allowed: once")
    return found


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    made.add_argument("-c", "--checkpoint", default="tiny-speech")
    made.add_argument("--count", type=int, default=50, metavar="N", help="the first N commands, and Harvard sentences")
    made.add_argument("--few", type=int, default=10, metavar="N", help="commands for each guidance scale")
    made.add_argument("--seed", type=int, default=5000)
    made.add_argument("-o", "--output", type=Path, default=Path("output/tiny-speech"), metavar="FOLDER")
    return made


def main() -> None:
    options = parser().parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        raise SystemExit(f"unknown part {unknown[0]!r}, choose from {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        functions = {"guidance": guidance_part, "times": times_part}
        text = functions[part](options) if part in functions else sentences_part(options, part)
        print(f"{part}\n\n{text}\n", flush=True)
        page = with_part(PAGE.read_text("utf-8"), part, text)
        with atomic_path(PAGE) as new_page:
            new_page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
