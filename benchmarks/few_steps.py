"""How well a distilled checkpoint is recognised in few steps, beside its teacher: a table by steps.

python benchmarks/few_steps.py -c tiny --distilled runs/tiny-fast --per-kind 20

The same held-out captions and seeds for each row, of the sounds that the teacher knows, recognised by the classifier
that comes with the package. Rows: the teacher as it is by default, the teacher with the sampler `lcm` and no guidance,
which is what distillation improves, and the distilled checkpoint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

Row = tuple[str, str, Mapping[str, Any]]  # title, checkpoint, settings
STEPS = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--checkpoint", default="tiny", help="the teacher; default: tiny")
    parser.add_argument("--distilled", required=True, metavar="FOLDER")
    parser.add_argument("--per-kind", type=int, default=20, help="clips of each kind; default: 20")
    parser.add_argument("--sounds", choices=("simple", "collection"), default="simple", help="default: simple")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="default: 1 2 4 8")
    parser.add_argument("--only", choices=("teacher", "lcm", "distilled"), nargs="+", help="rows; default: all")
    parser.add_argument("--engine", help="default: as from_pretrained chooses")
    options = parser.parse_args()
    rows = {
        "teacher": [(f"{options.checkpoint}, by default", options.checkpoint, {})],
        "lcm": [
            (f"{options.checkpoint}, lcm, {n}", options.checkpoint, lcm(n) | {"guidance_scale": 1.0})
            for n in options.steps
        ],
        "distilled": [(f"distilled, {n}", options.distilled, lcm(n)) for n in options.steps],
    }
    measure([row for name in options.only or rows for row in rows[name]], options)


def lcm(steps: int) -> dict[str, Any]:
    return {"sampler": "lcm", "num_inference_steps": steps}


def measure(rows: Sequence[Row], options: argparse.Namespace) -> None:
    from ppaudioldm import AudioLDM
    from ppaudioldm.evaluation.classifier import default_classifier
    from ppaudioldm.evaluation.sound_sets import sound_set

    chosen, classifier, per_kind = sound_set(options.sounds), default_classifier(options.sounds), options.per_kind
    names = dict.fromkeys(name for _, name, _ in rows)
    pipelines = {name: AudioLDM.from_pretrained(name, engine=options.engine) for name in names}
    known = next(iter(pipelines.values())).checkpoint.known_sounds
    assert known is not None
    captions = [
        (kind, chosen.example(number, (kind,), chosen.duration, "test").caption, number)
        for number in range(per_kind)
        for kind in (sound.name for sound in known.sounds)
    ]
    print(f"{len(captions)} clips a row\n\n| | recognised | worst kind | a clip |\n|---|---:|---|---:|", flush=True)
    for title, name, settings in rows:
        wrong: list[str] = []
        start = time.perf_counter()
        for kind, caption, number in captions:
            clip = pipelines[name].generate(caption, seed=number, duration=chosen.duration, **settings)
            if classifier.recognise(clip.waveforms[0]) != kind:
                wrong.append(kind)
        seconds = (time.perf_counter() - start) / len(captions)
        worst = max(sorted(set(wrong)), key=wrong.count, default="")
        of_worst = f"{worst}, {1 - wrong.count(worst) / per_kind:.0%}" if worst else ""
        print(f"| {title} | {1 - len(wrong) / len(captions):.1%} | {of_worst} | {seconds:.2f} s |", flush=True)


if __name__ == "__main__":
    main()
