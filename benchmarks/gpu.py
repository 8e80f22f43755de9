"""On a GPU: is a step what the CPU computes, and how fast is a clip beside diffusers. Two minutes; `gpu.sh` runs it.

    python benchmarks/gpu.py                          # needs PyTorch with CUDA, transformers and diffusers
    python benchmarks/gpu.py --small --device cpu     # the same with networks as small as possible, in f32, to try it

audioldm2-full's sizes with random weights. One table has the relative errors of a denoising step, decoder and vocoder
to those of PyTorch on the CPU in float32; another the seconds of a clip from text to waveform, the fastest of some
rounds, and the peak memory. Each contender is a process of its own. All compile and warm up at the same time, then they
are timed one by one; what is not ready in time is left out, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # compare.py, where the interpreter leaves this folder out

STEPS = 25
ROUNDS = 3
SECONDS = 110.0  # of the whole, at most
TIMING_SECONDS = 25.0  # of it, for timing what is ready
PARITY = "parity"
FUNCTIONS = ("unet_guided_step", "vae_decoder", "vocoder")


@dataclass
class Contender:
    """A process that makes clips, or checks parity: what it reports is read line by line."""

    name: str  # as in `names`
    process: subprocess.Popen[str]
    lines: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)  # None: it has ended
    is_ready: bool = False
    report: dict[str, Any] = field(default_factory=dict)

    def read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def wait(self, deadline: float) -> dict[str, Any] | None:
        """Its next report; None, and the reason in `report`, if there is none before `deadline`."""
        try:
            found = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self.report = {"error": "not ready in time"}
            self.process.kill()
            return None
        if found is None:
            self.report = self.report or {"error": f"ended with {self.process.wait()}"}
            return None
        if "error" in found:
            self.report = found
            return None
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Parity and speed on a GPU")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="the smallest networks, a second of sound, 2 steps")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for everything; default: {SECONDS:g}")
    parser.add_argument("--only", default="", metavar="TEXT", help="contenders whose name has it, such as 'eager'")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["PPAUDIOLDM_FRAMEWORK"] = "torch"
    if options.contender:
        run_contender(options)
        return
    started = time.monotonic()
    reports = {c.name: c.report for c in measured(options, started)}
    print(as_text(reports, machine(), options.small, time.monotonic() - started))
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1) + "\n")
    if all("error" in report for report in reports.values()):
        sys.exit("nothing could be measured")


def names(small: bool) -> list[str]:
    """Of the contenders: whose clips, whether its step is compiled, and the batch sizes. A compiled step has one."""
    large = 2 if small else 16
    return [
        PARITY,
        f"ppaudioldm eager 1 {large}",
        f"diffusers eager 1 {large}",
        *(f"{whose} compiled {batch}" for batch in (1, large) for whose in ("ppaudioldm", "diffusers")),
    ]


def measured(options: argparse.Namespace, started: float) -> list[Contender]:
    """All contenders with their reports."""
    end = started + options.seconds
    arguments = [sys.executable, __file__, "--device", options.device, *(["--small"] if options.small else [])]
    contenders = []
    for name in names(options.small):
        if options.only not in name:
            continue
        process = subprocess.Popen(
            [*arguments, "--contender", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        contenders.append(Contender(name, process))
        threading.Thread(target=contenders[-1].read, daemon=True).start()
    try:
        for contender in contenders:
            contender.is_ready = contender.wait(end - TIMING_SECONDS) is not None
            print(
                f"{time.monotonic() - started:5.0f} s  {contender.name}  {contender.report}",
                file=sys.stderr,
                flush=True,
            )
        for contender in contenders:
            if contender.is_ready and contender.process.stdin:
                contender.process.stdin.write("go\n")
                contender.process.stdin.flush()
                contender.report = contender.wait(end) or contender.report
                contender.process.kill()  # its memory is free for the next
                contender.process.wait()
    finally:
        for contender in contenders:
            contender.process.kill()
    return contenders


def run_contender(options: argparse.Namespace) -> None:
    """Get ready, report that, wait for the word, and report what was measured; or report the error."""
    try:
        prepare = parity if options.contender == PARITY else clips
        measure = prepare(options.contender.split(), options.device, options.small)
        print(json.dumps({"ready": True}), flush=True)
        sys.stdin.readline()
        print(json.dumps(measure()), flush=True)
    except Exception as error:  # whatever it is, the other contenders go on
        print(json.dumps({"error": f"{type(error).__name__}: {str(error)[:300]}"}), flush=True)


def parity(_: list[str], device: str, small: bool) -> Callable[[], dict[str, Any]]:
    """Relative errors of each function in each precision on `device`, to those of the CPU in float32."""
    import torch

    from ppaudioldm.engines.eager import EagerEngine

    checkpoint, seconds = checkpoint_of(small), 1.0 if small else 10.0
    inputs = inputs_of(checkpoint.config, seconds)

    def results(engine_device: str, precision: str) -> dict[str, np.ndarray]:
        engine = EagerEngine(checkpoint, engine_device, precision)
        return {name: outputs_of(engine, name, inputs) for name in FUNCTIONS}

    expected = results("cpu", "f32")
    found: dict[str, dict[str, float]] = {}
    for precision in ("f32", "f32, no TF32", "bf16", "fp16"):
        torch.backends.cudnn.allow_tf32 = precision != "f32, no TF32"  # in convolutions; products are in full float32
        computed = results(place_of(device)[0], precision.split(",")[0])
        found[precision] = {name: relative_error(computed[name], expected[name]) for name in FUNCTIONS}
    return lambda: {"errors": found}


def outputs_of(engine: Any, name: str, inputs: dict[str, Any]) -> np.ndarray:
    if name != "unet_guided_step":
        return engine.run_numpy(name, inputs[name])
    contexts, masks = [[engine.asarray(x) for x in inputs[key]] for key in ("contexts", "masks")]
    projected = engine.run("unet_contexts", contexts)
    time = engine.run("unet_time_embedding", engine.asarray(inputs["features"]))
    step = engine.run(name, engine.asarray(inputs["latents"]), time, projected, masks)
    return engine.to_numpy(step)


def inputs_of(config: Any, seconds: float) -> dict[str, Any]:
    """Inputs of the functions, for a clip with guidance: contexts of an empty prompt and of one of 17 tokens."""
    from compare import noise

    from ppaudioldm.diffusion.timestep_features import timestep_features

    frames = latent_frames(config, seconds)
    latents = noise(1, config.vae.latent_channels, frames, config.latent_bands)
    mask = np.ones((2, 17), np.float32)
    mask[0, 1:] = 0
    return {
        "latents": latents,
        "features": timestep_features(np.array([500]), config.unet.model_channels),
        "contexts": [noise(2, 8, config.unet.context_dims[0]), noise(2, 17, config.unet.context_dims[1])],
        "masks": [np.ones((2, 8), np.float32), mask],
        "vae_decoder": latents,
        "vocoder": noise(1, frames * config.vae.downsampling, config.vae.n_mels),
    }


def latent_frames(config: Any, seconds: float) -> int:
    unit = config.unet.downsampling * config.samples_per_latent
    return config.unet.downsampling * -(-round(seconds * config.sample_rate) // unit)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def clips(name: list[str], device: str, small: bool) -> Callable[[], dict[str, Any]]:
    """A contender `name`, as in `names`, ready to be timed."""
    import torch

    whose, mode, batches = name[0], name[1], [int(batch) for batch in name[2:]]
    steps, seconds = (2, 1.0) if small else (STEPS, 10.0)
    make = ours if whose == "ppaudioldm" else theirs
    runs = {batch: make(mode == "compiled", batch, steps, seconds, device, small) for batch in batches}
    for run in runs.values():
        run()  # compiles
        run()

    def measure() -> dict[str, Any]:
        found = {}
        for batch, run in runs.items():
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                run()  # ends with the waveform in the CPU's memory
                times.append(time.perf_counter() - start)
            found[str(batch)] = min(times)
        memory = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None
        return {"seconds": found, "memory_gb": memory}

    return measure


def ours(compiled: bool, batch: int, steps: int, seconds: float, device: str, small: bool) -> Callable[[], object]:
    from ppaudioldm import AudioLDM
    from ppaudioldm.engines.eager import EagerEngine

    pipeline = _pipelines.get(compiled)
    if pipeline is None:
        checkpoint = checkpoint_of(small)
        engine = EagerEngine(checkpoint, *place_of(device), compile_step=compiled)
        pipeline = _pipelines[compiled] = AudioLDM(checkpoint, engine)
    from compare import PROMPT

    return lambda: pipeline.generate(
        [PROMPT] * batch, duration=seconds, num_inference_steps=steps, sampler="ddim", batch_size=batch, seed=0
    )


_pipelines: dict[bool, Any] = {}  # one for both batch sizes


def theirs(compiled: bool, batch: int, steps: int, seconds: float, device: str, small: bool) -> Callable[[], object]:
    """The stages of diffusers' pipeline with its DDIM, of which `compare.py` has the parts."""
    import torch
    from compare import diffusers
    from diffusers import DDIMScheduler

    name = f"diffusers {place_of(device)[1].replace('f32', 'fp32')}{' compiled step' if compiled else ''}"
    stages = diffusers(name, device, seconds, batch=batch, small=small)
    scheduler = DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False)
    scheduler.set_timesteps(steps)

    @torch.inference_mode()
    def run() -> object:
        stages["text"]()
        latents: Any = None
        for timestep in scheduler.timesteps:
            predicted: Any = stages["step"]()
            empty, prompted = predicted.chunk(2)
            latents = empty if latents is None else latents  # any: the time does not depend on them
            latents = scheduler.step(empty + 3.5 * (prompted - empty), timestep, latents).prev_sample
        stages["decode"]()
        waveform: Any = stages["vocoder"]()
        return waveform.float().cpu()

    return run


def place_of(device: str) -> tuple[str, str]:
    """Device and precision: fp16 on a GPU. On a CPU, which is slow with it, f32."""
    return ("cuda:0", "fp16") if device == "cuda" else ("cpu", "f32")


def checkpoint_of(small: bool) -> Any:
    from ppaudioldm.checkpoints import CHECKPOINTS
    from ppaudioldm.weights.checkpoint import random_checkpoint

    name = "untrained" if small else "audioldm2-full"
    return random_checkpoint(name, CHECKPOINTS[name].config, 0)


def machine() -> str:
    import torch

    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return f"{name}, {os.cpu_count()} CPU cores, PyTorch {torch.__version__}"


def as_text(reports: dict[str, dict[str, Any]], where: str, small: bool, seconds: float) -> str:
    """The tables for RESULTS.md."""
    size = (
        "the smallest networks, 2 steps, a clip of 1 s"
        if small
        else f"audioldm2-full, {STEPS} steps, a clip of 10 s, fp16"
    )
    lines = [f"{where}: {size}, random weights, guidance. {seconds:.0f} s for everything.", ""]
    parity_report = reports.get(PARITY, {"error": "left out"})
    errors = parity_report.get("errors")
    if errors:
        lines += [f"| relative error to the CPU's float32 | {' | '.join(FUNCTIONS)} |", "|---" * 4 + "|"]
        lines += [
            f"| {precision} | " + " | ".join(f"{row[name]:.1e}" for name in FUNCTIONS) + " |"
            for precision, row in errors.items()
        ]
    else:
        lines.append(f"parity: {parity_report.get('error')}")
    lines += ["", "| | batch | a batch | a clip | peak memory |", "|---|---:|---:|---:|---:|"]
    for name, report in reports.items():
        if name == PARITY:
            continue
        whose, mode, *batches = name.split()
        for batch in batches:
            found = report.get("seconds", {}).get(batch)
            memory = f"{report['memory_gb']:.1f} GB" if report.get("memory_gb") else ""
            cells = f"{found:.3f} s | {found / int(batch):.3f} s" if found else f"{report.get('error')} | "
            lines.append(f"| {whose}, {mode} | {batch} | {cells} | {memory} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
