"""Writes recordings of the sounds that `tiny` was trained on, for `ppaudioldm train --data`: WAV files with captions.

python benchmarks/simple_recordings.py FOLDER --per-kind 60

The sounds that the training stages synthesise by themselves are another collection. Those of level a, of the split that
is trained on, are what `ppaudioldm evaluate --kinds a` measures.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

CLIP_S = 2.56  # as long as the clips that `tiny` was trained on
SAMPLE_RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-kind", type=int, default=60, help="clips of each of the 14 kinds; default: 60")
    options = parser.parse_args()
    write(options.folder, options.per_kind)


def write(folder: Path, per_kind: int) -> None:
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.evaluation.choices import LEVELS, SIMPLE
    from ppaudioldm.evaluation.sound_sets import sound_set

    sounds = sound_set(SIMPLE)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "caption"))
        for kind in sounds.levels[LEVELS[0]]:
            for number in range(per_kind):
                clip = sounds.example(number, (kind,), CLIP_S, "train")
                name = f"{kind}-{number:03}.wav"
                write_audio(folder / name, clip.waveform, SAMPLE_RATE)
                rows.writerow((name, clip.caption))


if __name__ == "__main__":
    main()
