"""Every published checkpoint at full size: written at random in its layout, loaded strictly, run on every engine.

    python benchmarks/every_checkpoint.py --folder /somewhere/with/25/gigabytes            # all of them, some hours
    python benchmarks/every_checkpoint.py --folder /somewhere --names audioldm_48k

For each name and engine (Paddle, PyTorch, OpenVINO; float32, a process each) it makes a clip of one second with one
step, guidance and two candidates to choose from (one where there is no CLAP to rank them), and encodes it with AudioMAE
where the checkpoint has that. A published file, or folder of files, is converted to our own layout besides, and must
hold the same values there. What was written is removed after each name. The table ends with `yes` where everything is
as it has to be; one `no` is an exit code of 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ENGINES = {"Paddle": ("paddle", "eager"), "PyTorch": ("torch", "eager"), "OpenVINO": ("paddle", "openvino")}
PHONEMES = "wˈɪʃ juː hæv ɐ ɡˈʊd dˈeɪ"  # what a speech checkpoint says
SECONDS = 1.0
SAME = 1e-3  # relative error between engines that do the same
COLUMNS = ("checkpoint", "layout", "engine", "clip", "Hz", "LOA of clip", "error", "peak GB", "s", "right")


def main() -> None:
    parser = argparse.ArgumentParser(description="every published checkpoint at full size, on every engine")
    parser.add_argument("--folder", type=Path, required=True, help="for what is written: up to 25 GB at a time")
    parser.add_argument("--names", nargs="+", help="of checkpoints; default: all that are published")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        engine, path = options.child
        print(json.dumps(run(engine, Path(path), options.folder)))
        return
    from ppaudioldm.checkpoints import CHECKPOINTS

    published = [name for name, info in CHECKPOINTS.items() if info.layout not in ("built-in", "random")]
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    right = True
    for name in options.names or published:
        for row in rows(name, options.folder / name.replace("/", "-"), options.engines):
            print("| " + " | ".join(str(row.get(column, "")) for column in COLUMNS) + " |", flush=True)
            right &= row["right"] == "yes"
    sys.exit(not right)


def rows(name: str, folder: Path, engines: list[str]) -> Iterator[dict[str, Any]]:
    """One row an engine, and one of the round trip of a published file. `folder` is removed in the end."""
    from ppaudioldm.checkpoints import CHECKPOINTS
    from ppaudioldm.weights.convert import write_random

    info = CHECKPOINTS[name]
    path = folder / ("x.pth" if info.layout == "original" else "x")
    folder.mkdir(parents=True)
    try:
        write_random(name, path, info.layout, seed=0, notify=lambda line: None)
        first = None
        for engine in engines:
            result = in_process(engine, path, folder)
            row = {"checkpoint": name, "layout": info.layout, "engine": engine, **result}
            if "clip" in result:
                waveform = np.load(folder / f"{engine}.npy")
                first = waveform if first is None else first
                error = np.linalg.norm(waveform - first) / np.linalg.norm(first)
                row |= {"error": f"{error:.1e}", "right": "yes" if is_right(info.config, result, error) else "no"}
            yield row
            shutil.rmtree(folder / "cache", ignore_errors=True)
        if info.layout != "diffusers":
            yield {"checkpoint": name, "layout": f"{info.layout} to native", **round_trip(path, folder / "native")}
    finally:
        shutil.rmtree(folder)


def is_right(config: Any, result: dict[str, Any], error: float) -> bool:
    samples = round(SECONDS * config.vocoder.sample_rate)
    loa = str([config.audiomae.num_tokens, config.audiomae.hidden_size]) if config.audiomae else ""
    shape, rate = str([1, samples]), config.vocoder.sample_rate
    return (result["clip"], result["Hz"], result["LOA of clip"]) == (shape, rate, loa) and error < SAME


def in_process(engine: str, path: Path, folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "PPAUDIOLDM_FRAMEWORK": ENGINES[engine][0], "PPAUDIOLDM_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, "--folder", str(folder), "--child", engine, str(path)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    if found.returncode:
        print(found.stderr, file=sys.stderr)
        return {"right": "no"}
    return json.loads(found.stdout.splitlines()[-1])


def run(engine: str, path: Path, folder: Path) -> dict[str, Any]:
    """In a process of its own: the clip's shape and rate; its samples go to `folder`."""
    from ppaudioldm import AudioLDM

    start = time.perf_counter()
    pipeline = AudioLDM.from_pretrained(path, engine=ENGINES[engine][1], device="cpu", precision="f32")
    clip = pipeline.generate(
        "A dog barks",
        duration=SECONDS,
        seed=1,
        num_inference_steps=1,
        num_waveforms_per_prompt=2 if pipeline.config.clap_audio else 1,
        phonemes=PHONEMES if pipeline.config.phoneme_encoder else None,
    )
    np.save(folder / f"{engine}.npy", clip.waveforms)
    loa = pipeline.encode_loa(clip.waveforms[0]) if pipeline.config.audiomae else None
    assert np.isfinite(clip.waveforms).all() and np.abs(clip.waveforms).max() > 0
    return {
        "clip": str(list(clip.waveforms.shape)),
        "Hz": clip.sample_rate,
        "LOA of clip": "" if loa is None else str(list(loa.shape)),
        "peak GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1),
        "s": round(time.perf_counter() - start),
    }


def round_trip(path: Path, folder: Path) -> dict[str, Any]:
    """Whether the file `path` holds the same values as what it is converted to."""
    from ppaudioldm.weights.checkpoint import open_checkpoint
    from ppaudioldm.weights.convert import write_native

    start = time.perf_counter()
    checkpoint = open_checkpoint(path)
    write_native(checkpoint, folder, notify=lambda line: None)
    converted = open_checkpoint(folder)
    same = converted.config == checkpoint.config and converted.networks.keys() == checkpoint.networks.keys()
    count = 0
    for network, parameters in checkpoint.networks.items():
        same &= parameters.keys() == converted.networks[network].keys()
        for key, tensor in parameters.items():
            values = tensor.read()
            same &= bool(np.array_equal(values, converted.networks[network][key].read()))
            count += values.size
    return {"clip": f"{count:,} values", "s": round(time.perf_counter() - start), "right": "yes" if same else "no"}


if __name__ == "__main__":
    main()
