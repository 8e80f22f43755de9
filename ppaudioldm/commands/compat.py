"""`compat`: the flags, defaults and file names of `audioldm2`, the command of the original implementation."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import CHECKPOINTS, PUBLISHED_SPEECH_CHECKPOINT
from ppaudioldm.choices import ENGINES
from ppaudioldm.commands.arguments import add_framework, open_pipeline
from ppaudioldm.commands.console import ProgressBar, notify, notify_if_random
from ppaudioldm.generation.options import Options, check_texts
from ppaudioldm.installed import chosen_framework
from ppaudioldm.tasks.registry import TASKS

if TYPE_CHECKING:
    import numpy as np

    from ppaudioldm.generation.clip import Clip
    from ppaudioldm.pipeline import AudioLDM

MODELS = tuple(name for name, info in CHECKPOINTS.items() if info.layout in ("original", "random"))
SPEAKER = "A female reporter is speaking full of emotion"
MODES = ("generation", "sr_inpainting")
INPAINTED = (0.4, 0.6)  # the share of a recording that sr_inpainting regenerates
NAME_LENGTH = 128  # characters of a prompt that become the name of its file
MAX_NAME = 240  # bytes; a file system allows 255, the extension and a number included


def add(commands: Any) -> None:
    command = commands.add_parser("compat", help="the command line of the original, for existing scripts")
    add = command.add_argument
    add("--mode", choices=MODES, default="generation", help="default: generation")
    add("-t", "--text", default="", help="the prompt; what follows a | names the file")
    add("-f", "--file_path", metavar="FILE", help="the recording of sr_inpainting")
    add("--transcription", default="", metavar="TEXT", help="what to say; the prompt describes the speaker")
    add("-tl", "--text_list", default="", metavar="FILE", help="a prompt a line")
    add("-s", "--save_path", type=Path, default=Path("output"), metavar="FOLDER", help="default: ./output")
    add("--model_name", choices=MODELS, default="audioldm2-full", help="default: audioldm2-full")
    add("-d", "--device", default="auto", help="auto, cpu, cuda:0 (PyTorch) or gpu:0 (Paddle); default: auto")
    add("-b", "-bs", "--batchsize", type=int, default=1, help="clips of each prompt; default: 1")
    add("--ddim_steps", type=int, default=200, help="default: 200")
    add("-gs", "--guidance_scale", type=float, default=3.5, help="default: 3.5")
    add("-dur", "--duration", type=float, default=10.0, help="seconds; default: 10")
    add("-n", "--n_candidate_gen_per_text", type=int, default=3, help="of which the best is kept; default: 3")
    add("--seed", type=int, default=0, help="default: 0")
    add("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    add_framework(command)
    command.set_defaults(run=compat, precision="auto", ema=None, compile=False, vocoder=None, low_memory=False)


def compat(options: argparse.Namespace) -> None:
    from ppaudioldm.diffusion.noise import check_seed

    settings = {
        "preset": "original",
        "duration": options.duration,
        "num_inference_steps": options.ddim_steps,
        "guidance_scale": options.guidance_scale,
        "num_waveforms_per_prompt": options.n_candidate_gen_per_text,
        "batch_size": options.batchsize,
    }
    Options.from_preset(**settings)
    check_seed(options.seed)
    _choose_model(options)
    _notify_differences(options)
    prompts = _prompts(options)
    recording = _recording(options) if options.mode == "sr_inpainting" else None

    from ppaudioldm.audio.write import check_writable

    folder = options.save_path / time.strftime("%d_%m_%Y_%H_%M_%S")
    check_writable(folder / "probe.wav")
    pipeline = open_pipeline(options)
    notify_if_random(pipeline)
    # Copies of a prompt take the seeds that follow those of the candidates.
    seeds = [options.seed + i * options.n_candidate_gen_per_text for i in range(options.batchsize)]
    with ProgressBar() as bar:
        settings["progress"] = bar.show
        for prompt, name in prompts:
            clips = _clips(options, pipeline, prompt, recording, seeds, settings)
            paths = [folder / f"{name}.wav"]
            if len(seeds) > 1:
                paths = [folder / f"{name}_{i}.wav" for i in range(len(seeds))]
            for path, clip in zip(paths, clips, strict=True):
                clip.save(path)
                bar.clear()
                print(path, flush=True)


def _clips(
    options: argparse.Namespace,
    pipeline: AudioLDM,
    prompt: str,
    recording: tuple[np.ndarray, int] | None,
    seeds: list[int],
    settings: dict[str, Any],
) -> Iterator[Clip]:
    """One clip for each of `seeds`."""
    task, parameters = TASKS["generate"], {}
    if options.transcription:
        task, parameters = TASKS["speak"], {"text": options.transcription}
    elif recording is not None:
        start, end = (share * options.duration for share in INPAINTED)
        task, parameters = TASKS["inpaint"], {"ranges": [(start, end)]}
    keywords = task.keywords(prompt or None, recording, parameters) | settings
    if not task.takes_duration:
        del keywords["duration"]
    for seed in seeds:
        yield task.resolved_function()(pipeline, seed=seed, **keywords)


def _choose_model(options: argparse.Namespace) -> None:
    """Set the checkpoint, speaker and device that the original would use."""
    options.checkpoint = options.model_name
    if options.device == "auto":
        options.device = None
    elif options.device.startswith("cuda") and chosen_framework(options.framework) == "paddle":
        options.device = options.device.replace("cuda", "gpu", 1)
    if not options.transcription:
        if CHECKPOINTS[options.checkpoint].config.phoneme_encoder is not None:
            raise ValueError(f"--transcription is missing: {options.checkpoint} speaks a text")
        return
    if CHECKPOINTS[options.checkpoint].config.phoneme_encoder is None:
        notify(f"note: {options.checkpoint} does not speak, so {PUBLISHED_SPEECH_CHECKPOINT} is used")
        options.checkpoint = PUBLISHED_SPEECH_CHECKPOINT
    if not options.text and not options.text_list:
        notify(f"note: there is no --text to describe the speaker, so it is {SPEAKER!r}")
        options.text = SPEAKER
    check_texts([options.transcription], "--transcription")
    from ppaudioldm.text.phonemes import to_phonemes

    to_phonemes(options.transcription)  # a missing extra, or a text without words, is found before a download


def _notify_differences(options: argparse.Namespace) -> None:
    """One line for each flag that has no effect, or a different one than in the original."""
    if options.mode == "generation" and options.file_path:
        notify("note: --file_path is only for --mode sr_inpainting; `ppaudioldm restyle` transfers a style")
    if options.text and options.text_list:
        notify("note: --text is not used, because there is a --text_list")
    if options.duration != 10 and "audioldm2" in options.checkpoint:
        notify(f"note: this generates {options.duration:g} s; the original, with {options.checkpoint}, always 10 s")


def _prompts(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Each prompt and the name of its files, without extension. Raises ValueError for an empty prompt or list."""
    if options.text_list:
        from ppaudioldm.lists.prompt_list import read_list

        listed = read_list(options.text_list)
        for number, reason in listed.bad.items():
            raise ValueError(f"{options.text_list}, line {number}: {reason}")
        pairs = [(line.prompt, line.name or "") for line in listed.lines]
    else:
        prompt, bar, name = options.text.rpartition("|")
        pairs = [(prompt, name) if bar else (options.text, "")]
    if options.mode == "generation":
        check_texts([prompt for prompt, _ in pairs], "--text")
    spoken = f"-TTS-{options.transcription}" if options.transcription else ""
    named: dict[str, str] = {}
    for prompt, name in pairs:
        plain = _file_name((name or prompt[:NAME_LENGTH]) + spoken)
        number = 2
        unique = plain
        while unique.casefold() in named:  # the original replaces the file
            unique = f"{plain}-{number}"
            number += 1
        named[unique.casefold()] = unique
    return [(prompt, name) for (prompt, _), name in zip(pairs, named.values(), strict=True)]


def _file_name(name: str) -> str:
    """What follows the last slash, as in the original, if that is a usable file name; else a safe form of it."""
    from ppaudioldm.audio.names import safe_name

    last = name.rsplit("/", 1)[-1].removesuffix(".wav")
    is_plain = last.isprintable() and not last.startswith(".") and "\\" not in last and os.name != "nt"
    return last if last.strip() and is_plain and len(last.encode()) <= MAX_NAME else safe_name(last)


def _recording(options: argparse.Namespace) -> tuple[np.ndarray, int]:
    """The file, mono at the checkpoint's rate, cut or padded with silence to the requested duration."""
    if not options.file_path:
        raise ValueError("--file_path is missing: --mode sr_inpainting regenerates a part of a recording")
    import numpy as np

    from ppaudioldm.audio.read import read_audio

    rate = CHECKPOINTS[options.checkpoint].config.sample_rate
    samples, _ = read_audio(options.file_path, rate, max_seconds=options.duration)
    return np.pad(samples, (0, max(0, round(options.duration * rate) - len(samples)))), rate
