"""Ablation of the UNet's conditions: caption with GPT-2's LOA tokens, with none, with a real clip's, or these alone.

    python benchmarks/ablation.py

The clips of `ppaudioldm evaluate --kinds a`: the same captions in held-out words and the same seeds, recognised by the
package's sound classifier. Nothing is trained for this: in training a tenth of the clips had neither caption nor LOA
tokens, but none had one without the other.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np

from ppaudioldm import AudioLDM
from ppaudioldm.evaluation.classifier import default_classifier
from ppaudioldm.evaluation.kinds import Judge, recognise_clips
from ppaudioldm.evaluation.sound_sets import LabelledExample, known_sound_set
from ppaudioldm.evaluation.summary import accuracy_by, accuracy_by_check
from ppaudioldm.generation.audio_condition import AudioCondition

Condition = Callable[[AudioLDM, LabelledExample], tuple[str | None, AudioCondition]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Recognition accuracy with and without each condition of the UNet")
    parser.add_argument("-c", "--checkpoint", default="tiny")
    parser.add_argument("--per-kind", type=int, default=20)
    options = parser.parse_args()
    pipeline = AudioLDM.from_pretrained(options.checkpoint)
    duration = pipeline.default_duration
    sounds = known_sound_set(pipeline)
    judge = Judge(default_classifier(sounds.name), sounds, duration)
    print("| the UNet is conditioned on | recognised | low or high | rising or falling |\n|---|---:|---:|---:|")
    for name, condition in CONDITIONS.items():

        def generate(request: LabelledExample, seed: int, condition: Condition = condition) -> np.ndarray:
            prompt, audio = condition(pipeline, request)
            return pipeline.generate(prompt, audio_condition=audio, duration=duration, seed=seed).waveforms[0]

        clips = recognise_clips(generate, judge, sounds.single_kinds, options.per_kind)
        recognised = statistics.mean(accuracy_by(lambda clip: clip.kind, clips).values())
        checks = accuracy_by_check(clips)
        shares = [recognised, checks["low or high"], checks["rising or falling"]]
        print(f"| {name} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)


def silence(pipeline: AudioLDM) -> np.ndarray:
    """No LOA tokens: zeros, as in the unconditional half of classifier-free guidance."""
    loa = pipeline.config.loa
    assert loa
    return np.zeros((loa.num_tokens, loa.hidden_size), np.float32)


CONDITIONS: dict[str, Condition] = {
    "caption, and GPT-2's LOA tokens of it": lambda pipeline, request: (request.caption, AudioCondition()),
    "caption alone": lambda pipeline, request: (request.caption, AudioCondition(loa=silence(pipeline))),
    "caption, and AudioMAE's LOA tokens of a real clip": lambda pipeline, request: (
        request.caption,
        AudioCondition(loa=pipeline.encode_loa(request.waveform)),
    ),
    "AudioMAE's LOA tokens of a real clip alone": lambda pipeline, request: (
        None,
        AudioCondition(loa=pipeline.encode_loa(request.waveform)),
    ),
}


if __name__ == "__main__":
    main()
