"""What each of the conditions adds: LOA tokens made by GPT-2, none, those of a real clip, and these without a caption.

    python benchmarks/ablation.py

The clips of `ppaudioldm evaluate --kinds a`: the same captions in held-out words and the same seeds, judged by the
classifier that comes with the package. Nothing is trained for this: the model heard no caption in a tenth of its clips,
and no LOA tokens with it, but never one without the other.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np

from ppaudioldm import AudioLDM
from ppaudioldm.evaluation import kinds
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.generation.audio_condition import AudioCondition
from ppaudioldm.sounds import Example

Condition = Callable[[AudioLDM, Example], tuple[str | None, AudioCondition]]


def main() -> None:
    parser = argparse.ArgumentParser(description="What each of the conditions adds")
    parser.add_argument("-c", "--checkpoint", default="tiny")
    parser.add_argument("--per-kind", type=int, default=20)
    options = parser.parse_args()
    pipeline, judge = AudioLDM.from_pretrained(options.checkpoint), default_classifier()
    duration = pipeline.default_duration
    print("| the UNet listens to | recognised | low or high | rising or falling |\n|---|---:|---:|---:|")
    for name, condition in CONDITIONS.items():

        def make(wanted: Example, seed: int, condition: Condition = condition) -> np.ndarray:
            prompt, given = condition(pipeline, wanted)
            return pipeline.generate(prompt, given=given, duration=duration, seed=seed).waveforms[0]

        clips = kinds.recognise_clips(make, judge, kinds.LEVEL_A, options.per_kind, duration)
        recognised = statistics.mean(kinds.accuracy_by_kind(clips).values())
        right = kinds.accuracy_by_check(clips)
        shares = [recognised, right["low or high"], right["rising or falling"]]
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)


def silence(pipeline: AudioLDM) -> np.ndarray:
    """What stands for no LOA tokens: zeros, as in the unconditional half of guidance."""
    loa = pipeline.config.loa
    assert loa
    return np.zeros((loa.num_tokens, loa.hidden_size), np.float32)


CONDITIONS: dict[str, Condition] = {
    "caption, and GPT-2's LOA tokens of it": lambda pipeline, wanted: (wanted.caption, AudioCondition()),
    "caption alone": lambda pipeline, wanted: (wanted.caption, AudioCondition(loa=silence(pipeline))),
    "caption, and AudioMAE's LOA tokens of a real clip": lambda pipeline, wanted: (
        wanted.caption,
        AudioCondition(loa=pipeline.encode_loa(wanted.waveform)),
    ),
    "AudioMAE's LOA tokens of a real clip alone": lambda pipeline, wanted: (
        None,
        AudioCondition(loa=pipeline.encode_loa(wanted.waveform)),
    ),
}


if __name__ == "__main__":
    main()
