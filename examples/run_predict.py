"""Sound from text with the arguments of PaddleMIX's examples:

python examples/run_predict.py --model_name_or_path audioldm2-full --text "Musical constellations twinkling in the sky"
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from ppaudioldm import CHECKPOINTS, AudioLDM, Clip
from ppaudioldm.audio.names import safe_name, unique_path
from ppaudioldm.audio.write import check_writable
from ppaudioldm.lists.prompt_list import Line, read_list
from ppaudioldm.tasks.speak import speak


def argument(default: str | int | float, text: str):
    return field(default=default, metadata={"help": text})


@dataclass
class DataArguments:
    """What to make."""

    text: str = argument("", "The prompt; of speech, who speaks.")
    transcription: str = argument("", "What to say, with a speech checkpoint.")
    text_list: str = argument("", "A file (UTF-8) with a prompt a line, each of which may end in | and a file name.")


@dataclass
class ModelArguments:
    """What makes it, and how."""

    model_name_or_path: str = argument("audioldm2-full", "A published checkpoint, or a file or folder.")
    save_path: str = argument("./output", "Where to make a folder of sounds.")
    device: str = argument("", "cpu, gpu:0 (Paddle) or cuda:0 (PyTorch); the best there is by default.")
    batchsize: int = argument(1, "How many candidates to make at once.")
    ddim_steps: int = argument(200, "Steps of DDIM.")
    guidance_scale: float = argument(3.5, "How closely to follow the prompt.")
    duration: float = argument(10.0, "Seconds.")
    n_candidate_gen_per_text: int = argument(3, "How many to make, of which the best is kept.")
    seed: int = argument(42, "Another one makes another sound.")


def parse(arguments: Sequence[str] | None) -> tuple[ModelArguments, DataArguments]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for group in (ModelArguments, DataArguments):
        for one in fields(group):
            text = f"{one.metadata['help']} Default: {one.default!r}"
            parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default, help=text)
    found = vars(parser.parse_args(arguments))
    model, data = ({one.name: found[one.name] for one in fields(group)} for group in (ModelArguments, DataArguments))
    return ModelArguments(**model), DataArguments(**data)


def checkpoint_name(name_or_path: str) -> str:
    """Our name for what PaddleMIX calls by its place on the hub, such as haoheliu/audioldm2-full."""
    by_place = {f"{info.repo.split('/')[0]}/{name}": name for name, info in CHECKPOINTS.items() if info.repo}
    return name_or_path if name_or_path in CHECKPOINTS else by_place.get(name_or_path, name_or_path)


def lines_of(data: DataArguments) -> list[Line]:
    if not data.text_list:
        return [Line(1, data.text)]
    listed = read_list(data.text_list)
    for number, reason in listed.bad.items():
        print(f"{data.text_list}, line {number}: {reason}")
    return listed.lines


def predict(pipeline: AudioLDM, prompt: str, transcription: str, model: ModelArguments) -> Clip:
    settings = {
        "preset": "original",
        "duration": model.duration,
        "seed": model.seed,
        "num_inference_steps": model.ddim_steps,
        "guidance_scale": model.guidance_scale,
        "num_waveforms_per_prompt": model.n_candidate_gen_per_text,
        "batch_size": model.batchsize,
    }
    if transcription:
        return speak(pipeline, transcription, speaker=prompt or "A female reporter is speaking", **settings)
    return pipeline.generate(prompt, **settings)


def main(arguments: Sequence[str] | None = None) -> None:
    model, data = parse(arguments)
    lines = lines_of(data)
    folder = Path(model.save_path, time.strftime("%d_%m_%Y_%H_%M_%S"))
    check_writable(folder / "probe.wav")
    pipeline = AudioLDM.from_pretrained(checkpoint_name(model.model_name_or_path), device=model.device or None)
    for line in lines:
        clip = predict(pipeline, line.prompt, data.transcription, model)
        (path,) = clip.save(unique_path(folder, safe_name(line.name or line.prompt or data.transcription), "wav"))
        print(f"Save audio to {path}")


if __name__ == "__main__":
    main()
