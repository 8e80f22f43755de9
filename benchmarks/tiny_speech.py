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
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pages import DOCS, table_of_times, write_part

from ppaudioldm.evaluation.choices import GENERATED, SENTENCE_SETS

PAGE = DOCS / "tiny-speech.md"
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
    titles = ("the first sentence after installation", "the second", "the third")
    return table_of_times(["speak", SENTENCE, "-c", options.checkpoint, "--seed", "1"], titles)


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
        write_part(PAGE, part, text)


if __name__ == "__main__":
    main()
