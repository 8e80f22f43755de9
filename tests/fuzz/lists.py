"""Mutated lists are read, of prompts and of recordings: `python -m tests.fuzz.lists --count 5000`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import sys
from pathlib import Path

from ppaudioldm.audio.write import write_audio
from ppaudioldm.lists.run import ListReport, generate_list
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.training.recordings import read_recordings
from tests.fuzz.harness import Case, Messages, main
from tests.fuzz.mutations import VALUES, changed_bytes, changed_json

ROWS = [
    {"prompt": "a big bell", "name": "bell", "seed": 7, "duration": 2.5, "steps": 10},
    {"prompt": "rain, heavy; on\ta tin roof", "negative_prompt": "music", "guidance_scale": 3.5},
    {"prompt": '"quoted"\nprompt | of two lines', "guidance_interval": [0.1, 0.9], "sampler": "dpm++", "seed": None},
    {"prompt": "雨の音 🔔", "preset": "fast", "num_waveforms_per_prompt": 2, "reuse": 2, "unknown": {"a": [1]}},
]
RECORDINGS = [{"file": "ab"[i % 2] + ".wav", "caption": f"caption {i}"} for i in range(24)]
EXTENSIONS = (".txt", ".csv", ".tsv", ".jsonl", ".json")
TOKENS = (
    b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"|", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff",
    b"{", b"}", b"[", b"]", b":", b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"\\ud800", b"\\u0000", b"\\n",
    b"\x1b[2J", b"../../x", b"[" * 2000, b'{"a":' * 500, b"prompt,", b"seed", b"caption", b"a" * 3000, b"\xe2\x80\xa8",
)  # fmt: skip


def table(rows: list[dict], delimiter: str) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        writer.writerow({column: _cell(value) for column, value in row.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    return ":".join(map(str, value)) if isinstance(value, list) else value


def written(rows: list[dict], extension: str, rng: random.Random) -> bytes:
    """`rows` as a list of this kind, in UTF-8, with values exchanged where JSON can hold them."""
    if extension in (".json", ".jsonl") and rng.random() < 0.5:
        rows = changed_json(rng, rows)
        rows = rows if isinstance(rows, list) else [rows]
    if extension == ".json":
        text = json.dumps(rows, indent=rng.choice((None, 1)))
    elif extension == ".jsonl":
        text = "\n".join(json.dumps(row, ensure_ascii=rng.random() < 0.5) for row in rows)
    elif extension == ".txt":
        text = "\n".join(f"{row.get('prompt') or row.get('caption')}|{row.get('name', '')}" for row in rows)
    else:
        if rng.random() < 0.3:
            row = dict(rng.choice(rows))
            row[rng.choice(list(row))] = rng.choice(VALUES)
            rows = [*rows, row]
        text = table(rows, rng.choice((",", ";")) if extension == ".csv" else "\t")
    return text.encode("utf-8", "surrogatepass")


class _Opened(Exception):
    """A valid line was to be generated."""


def stop() -> AudioLDM:
    raise _Opened


def make_case(folder: Path, seed: int) -> Case:
    """The cases: number -> a mutated list, read as one of prompts or of recordings."""
    for name in ("a.wav", "b.wav"):
        write_audio(folder / name, [0.1] * 1600, 16000)
    messages = Messages()

    def case(number: int) -> tuple[str, list[str]]:
        rng = random.Random(f"{seed} {number}")
        extension = EXTENSIONS[number % len(EXTENSIONS)]
        of_recordings = extension in (".csv", ".jsonl") and rng.random() < 0.3
        content = written(RECORDINGS if of_recordings else ROWS, extension, rng)
        if rng.random() < 0.8:
            content = changed_bytes(rng, content, TOKENS)
        if rng.random() < 0.02:
            content *= rng.choice((50, 2000))
        path = folder / f"list{extension}"
        path.write_bytes(content)
        messages.lines.clear()
        error, kind = "", "recordings" if of_recordings else "prompts"
        try:
            if of_recordings:
                read_recordings(path, 1.0)
            else:
                report = ListReport()
                with contextlib.suppress(_Opened):
                    generate_list(path, folder / "sounds", stop, checkpoint="tiny", report=report)
                messages.lines += report.failed.values()
        except (ValueError, OSError) as problem:
            error = str(problem) or type(problem).__name__
        return f"{extension} of {kind}", [*messages.lines, error]

    return case


if __name__ == "__main__":
    sys.exit(main("tests.fuzz.lists", 5000, make_case))
