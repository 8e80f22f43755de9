# Copyright (c) 2026 PaddlePaddle Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

import os
import time
from dataclasses import dataclass, field

import paddle
from paddlenlp.trainer import PdArgumentParser
from ppaudioldm.audio.names import safe_name, unique_path
from ppaudioldm.audio.write import check_writable
from ppaudioldm.lists.prompt_list import Line, read_list
from ppaudioldm.tasks.speak import speak

from paddlemix.models.audioldm2.modeling import AudioLDM2Model


@dataclass
class DataArguments:
    """
    What to generate.
    """

    text: str = field(default="", metadata={"help": "Text prompt to the model; for speech, the speaker."})
    transcription: str = field(default="", metadata={"help": "What to say, with a speech checkpoint."})
    text_list: str = field(
        default="",
        metadata={"help": "A file (UTF-8) with a prompt in each line, which may end in | and a file name."},
    )


@dataclass
class ModelArguments:
    """
    Which model generates it, and how.
    """

    model_name_or_path: str = field(
        default="haoheliu/audioldm2-full",
        metadata={"help": "Path to pretrained model or model identifier."},
    )
    save_path: str = field(default="./output", metadata={"help": "The path to save model output."})
    device: str = field(default="", metadata={"help": "cpu or gpu; by default a GPU if there is one."})
    batchsize: int = field(default=1, metadata={"help": "How many candidates to generate at the same time."})
    ddim_steps: int = field(default=200, metadata={"help": "The sampling step for DDIM."})
    guidance_scale: float = field(default=3.5, metadata={"help": "A larger value follows the prompt more closely."})
    duration: float = field(default=10.0, metadata={"help": "The duration of the samples in seconds, exactly kept."})
    n_candidate_gen_per_text: int = field(
        default=3, metadata={"help": "How many candidates to generate, of which CLAP chooses the best."}
    )
    seed: int = field(default=42, metadata={"help": "Another one generates another sound."})


def predict(model: AudioLDM2Model, text: str, transcription: str, arguments: ModelArguments):
    options = {
        "duration": arguments.duration,
        "seed": arguments.seed,
        "num_inference_steps": arguments.ddim_steps,
        "guidance_scale": arguments.guidance_scale,
        "num_waveforms_per_prompt": arguments.n_candidate_gen_per_text,
        "batch_size": arguments.batchsize,
    }
    if transcription:
        speaker = text or "A female reporter is speaking"
        return speak(model.pipeline, transcription, speaker=speaker, preset="original", **options)
    return model.generate(text, **options)


def main():
    model_args, data_args = PdArgumentParser((ModelArguments, DataArguments)).parse_args_into_dataclasses()
    lines = [Line(1, data_args.text)]
    if data_args.text_list:
        listed = read_list(data_args.text_list)
        lines = listed.lines
        for number, reason in listed.bad.items():
            print(f"{data_args.text_list}, line {number}: {reason}")
    save_path = os.path.join(model_args.save_path, time.strftime("%d_%m_%Y_%H_%M_%S"))
    check_writable(os.path.join(save_path, "probe.wav"))  # before the checkpoint is read

    if model_args.device:
        paddle.set_device(model_args.device)
    model = AudioLDM2Model.from_pretrained(model_args.model_name_or_path, device=model_args.device or None)
    for line in lines:
        clip = predict(model, line.prompt, data_args.transcription, model_args)
        name = safe_name(line.name or line.prompt or data_args.transcription)
        for path in clip.save(unique_path(save_path, name, "wav")):
            print(f"Save audio to {path}")


if __name__ == "__main__":
    main()
