"""Whether an adapter teaches `tiny` a sound that it does not know, from 20 recordings, and what it costs.

python benchmarks/lora_on_tiny.py --kind cow --minutes 8

The recordings are clips of the collection of sounds (`ppaudioldm sounds`), with their English captions. Then clips are
generated from captions and seeds that were not trained on, and recognised by the classifiers that come with the
package: the new sound among all kinds of the collection, the sounds that `tiny` knows among the simple kinds, with the
adapter and without.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

CLIP_S = 2.56  # as long as the clips that `tiny` was trained on
RECORDINGS = 20
TARGETS = "to_q to_k to_v to_out.0 ff.net.0.proj ff.net.2 proj_in proj_out time_emb_proj"
SETTINGS = """\
duration = {duration}
clips = {clips}
held_out = 4
batch_size = {batch_size}
ema = 0.99
encoded = "{folder}/encoded"
optimizer = {{ rate = {rate}, warmup = 20, decay_steps = {steps} }}
run = {{ precision = "f32", evaluate_every = 1000000, log_every = 50 }}
"""


def main() -> None:
    options = arguments()
    folder = Path(options.output or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    write_recordings(folder / "recordings", options.kind)
    adapter = train(folder, options)
    report(options.kind, adapter, options.clips)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="cow", help="of the collection of sounds; default: cow")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training, at most; default: 8")
    parser.add_argument("--steps", type=int, default=600, help="of training; default: 600")
    parser.add_argument("--rank", type=int, default=8, help="of the adapter; default: 8")
    parser.add_argument("--targets", default=TARGETS, help=f"layers, with spaces; default: {TARGETS}")
    parser.add_argument("--rate", type=float, default=2e-3, help="the learning rate; default: 0.002")
    parser.add_argument("--batch-size", type=int, default=8, help="default: 8")
    parser.add_argument("--clips", type=int, default=20, help="generated of each kind; default: 20")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="of recordings and run; default: a temporary one")
    return parser.parse_args()


def write_recordings(folder: Path, kind: str) -> None:
    from ppaudioldm.audio.write import write_audio
    from ppaudioldm.sounds.clips import example

    folder.mkdir(exist_ok=True)
    for number in range(RECORDINGS):
        clip = example(number, (kind,), CLIP_S, "train", "en")
        write_audio(folder / f"{number:02}.wav", clip.waveform, 16000)
        (folder / f"{number:02}.txt").write_text(clip.caption)


def train(folder: Path, options: argparse.Namespace) -> Path:
    """The trained adapter; prints how long that took."""
    from ppaudioldm.cli import main as command

    settings = SETTINGS.format(
        duration=CLIP_S,
        clips=RECORDINGS,
        batch_size=options.batch_size,
        folder=folder,
        rate=options.rate,
        steps=options.steps,
    )
    (folder / "settings.toml").write_text(settings)
    start, cpu = time.perf_counter(), time.process_time()
    flags = ["--lora-rank", str(options.rank), "--lora-targets", *options.targets.split()]
    flags += ["--data", str(folder / "recordings"), "--config", str(folder / "settings.toml")]
    flags += ["--minutes", str(options.minutes), "--steps", str(options.steps), "-o", str(folder / "run")]
    assert command(["train", "joint", "-c", "tiny", *flags]) == 0
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    print(f"trained in {seconds:.0f} s, {cpu_s:.0f} s of CPU, {os.cpu_count()} cores")
    return folder / "run" / "adapter"


def report(kind: str, adapter: Path, clips: int) -> None:
    from ppaudioldm import AudioLDM
    from ppaudioldm.evaluation.choices import COLLECTION, SIMPLE
    from ppaudioldm.evaluation.classifier import default_classifier
    from ppaudioldm.evaluation.sound_sets import sound_set
    from ppaudioldm.sounds.clips import example

    pipeline = AudioLDM.from_pretrained("tiny")
    new = [example(number, (kind,), CLIP_S, "test", "en").caption for number in range(clips)]
    of_collection, of_simple = default_classifier(COLLECTION), default_classifier(SIMPLE)
    known = pipeline.checkpoint.known_sounds
    assert known is not None
    kinds = [sound.name for sound in known.sounds]
    simple = sound_set(SIMPLE)
    captions = {k: [simple.example(n, (k,), CLIP_S, "test").caption for n in range(clips)] for k in kinds}
    for title, lora in (("without", ()), ("with", (str(adapter),))):
        found = recognised(pipeline, lora, new, of_collection.recognise)
        print(
            f"{title} the adapter: {kind} {share(found, kind):.0%} of {clips}, else {others(found, kind)}", flush=True
        )
        shares = {}
        for name in kinds:
            shares[name] = share(recognised(pipeline, lora, captions[name], of_simple.recognise), name)
        each = ", ".join(f"{name} {value:.0%}" for name, value in shares.items())
        print(f"{title} the adapter: known kinds {np.mean(list(shares.values())):.1%}: {each}", flush=True)


def recognised(pipeline, lora: Sequence[str], captions: Sequence[str], recognise: Callable) -> list[str]:
    """The kind recognised in a clip of each of `captions`, whose seed is its number."""
    clips = (
        pipeline.generate(caption, lora=lora, seed=number, duration=CLIP_S) for number, caption in enumerate(captions)
    )
    return [recognise(clip.waveforms[0]) for clip in clips]


def share(found: Sequence[str], kind: str) -> float:
    return sum(name == kind for name in found) / len(found)


def others(found: Sequence[str], kind: str) -> str:
    return ", ".join(sorted({name for name in found if name != kind})) or "nothing"


if __name__ == "__main__":
    main()
