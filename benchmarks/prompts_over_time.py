"""Is a clip with several prompts over time recognised as each of them, in order?

    python benchmarks/prompts_over_time.py --clips 30 -c tiny

Each clip has prompts of different kinds of sound, in words held out from training, at even times. The sound
classifier recognises each part by itself, among these kinds. "alone" is the same prompt and seed as a clip of its own,
as long as the part: what is lost there is not lost by the schedule.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from ppaudioldm import AudioLDM
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.evaluation.sound_sets import SoundSet, known_sound_set
from ppaudioldm.sounds.kinds.base import SAMPLE_RATE


def drawn_prompts(sounds: SoundSet, number: int, count: int, part: float) -> tuple[list[str], list[str]]:
    """Kinds, all different, and a held-out caption of each, of clip number `number`."""
    order = np.random.default_rng([18, number]).permutation(len(sounds.single_kinds))
    kinds = [sounds.single_kinds[i] for i in order[:count]]
    return kinds, [sounds.example(number, (kind,), part, "test").caption for kind in kinds]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-c", "--checkpoint", default="tiny")
    made.add_argument("--clips", type=int, default=30, metavar="N")
    made.add_argument("--prompts", type=int, default=3, metavar="N", help="of each clip")
    made.add_argument("--part", type=float, default=2.0, metavar="S", help="seconds of each prompt")
    made.add_argument("--alone", action="store_true", help="generate every prompt as a clip of its own, too")
    return made


def main() -> None:
    options = parser().parse_args()
    pipeline = AudioLDM.from_pretrained(options.checkpoint)
    sounds = known_sound_set(pipeline)
    classifier = default_classifier(sounds.name)
    if pipeline.config.sample_rate != SAMPLE_RATE:
        raise SystemExit(f"the classifier takes sounds of {SAMPLE_RATE} Hz")
    times = [options.part * i for i in range(options.prompts)]
    size = round(options.part * SAMPLE_RATE)
    whole = parts = alone = 0
    taken_for: Counter[tuple[str, str]] = Counter()
    for number in range(options.clips):
        kinds, captions = drawn_prompts(sounds, number, options.prompts, options.part)
        schedule = list(zip(times, captions, strict=True))
        clip = pipeline.generate(
            prompt_schedule=schedule, duration=options.part * options.prompts, seed=number
        ).waveforms[0]
        found = [
            classifier.recognise(clip[i * size : (i + 1) * size], sounds.single_kinds) for i in range(options.prompts)
        ]
        whole += found == kinds
        parts += sum(a == b for a, b in zip(found, kinds, strict=True))
        taken_for.update((a, b) for a, b in zip(kinds, found, strict=True) if a != b)
        if options.alone:
            clips = [pipeline.generate(text, duration=options.part, seed=number).waveforms[0] for text in captions]
            alone += sum(
                classifier.recognise(one, sounds.single_kinds) == kind for one, kind in zip(clips, kinds, strict=True)
            )
        print(f"{number + 1}: {whole} clips, {parts} parts" + (f", {alone} alone" if options.alone else ""), flush=True)
    total = options.clips * options.prompts
    print(f"all {options.prompts} in order: {whole} of {options.clips}, {whole / options.clips:.0%}")
    print(f"parts: {parts} of {total}, {parts / total:.1%}")
    if options.alone:
        print(f"the same prompts alone: {alone} of {total}, {alone / total:.1%}")
    for (kind, found), count in taken_for.most_common():
        print(f"  {kind} taken for {found}: {count}")


if __name__ == "__main__":
    main()
