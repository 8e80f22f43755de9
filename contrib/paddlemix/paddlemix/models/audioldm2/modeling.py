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

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from ppaudioldm import AudioLDM, Clip
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.weights.checkpoint import Checkpoint, open_checkpoint, random_checkpoint
from ppaudioldm.weights.convert import write_native

from paddlemix.models.model_utils import MixPretrainedModel

from .configuration import AudioLDM2Config, checkpoint_name

__all__ = ["AudioLDM2Model", "AudioLDM2PretrainedModel"]


class AudioLDM2PretrainedModel(MixPretrainedModel):
    """
    The class for pretrained model of AudioLDM2.
    """

    model_config_file = "config.json"
    config_class = AudioLDM2Config
    resource_files_names = {"model_state": "model_state.pdparams"}
    base_model_prefix = "audioldm2"


class AudioLDM2Model(AudioLDM2PretrainedModel):
    """
    Text, or a transcription, to sound. The networks are those of the package ppaudioldm, which holds them, as they are
    needed, outside of the parameters of this layer: it is for inference.

    Args:
        config (:class:`AudioLDM2Config`): the weights of a model made from this alone are random.

    Attributes:
        pipeline (`ppaudioldm.AudioLDM`): what does the work, for all that this class does not offer.
    """

    def __init__(self, config: AudioLDM2Config):
        super().__init__(config)
        self._checkpoint = random_checkpoint(config.model_name, config.model_config(), seed=0)
        self.pipeline = AudioLDM(self._checkpoint, EagerEngine(self._checkpoint))

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike,
        engine: str | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> AudioLDM2Model:
        """
        The model of a published checkpoint, downloaded if need be, or of a file or folder: `model_state.pdparams` of
        this suite, the original authors' .pth, diffusers' folders, ppaudioldm's own.

        engine: "openvino" (CPU), "eager" (Paddle's dynamic graph) or the faster of them for the device. device: "cpu"
        or "gpu:0". precision: of the arithmetic, "f32", "bf16" or "auto". Raises ValueError, in one line, for what is
        no usable checkpoint.
        """
        checkpoint = open_checkpoint(checkpoint_name(pretrained_model_name_or_path))
        pipeline = AudioLDM.from_pretrained(
            checkpoint_name(pretrained_model_name_or_path), engine=engine, device=device, precision=precision
        )
        model = cls(AudioLDM2Config(checkpoint.name, checkpoint.config.to_dict()))
        model._checkpoint, model.pipeline = checkpoint, pipeline
        return model

    def save_pretrained(self, save_dir: str | os.PathLike, dtype: str = "float32", **_: Any) -> None:
        """Write a folder that `from_pretrained` opens: a safetensors file for each network, and config.json."""
        checkpoint: Checkpoint = self._checkpoint
        write_native(checkpoint, Path(save_dir), dtype)

    def forward(
        self,
        batch: dict[str, Any],
        ddim_steps: int = 200,
        ddim_eta: float = 1.0,
        n_gen: int = 1,
        unconditional_guidance_scale: float = 3.5,
        duration: float | None = None,
        seed: int | None = None,
    ) -> np.ndarray:
        """
        Sound for every item of `batch`, float32 (B, 1, samples) at `config.sampling_rate`.

        batch: "text", a list of prompts; of a speech checkpoint also "transcription", what all of them say. n_gen:
        candidates for each prompt, of which the one that CLAP scores best is kept. duration: in seconds, exactly kept;
        by default 10, or the length that the checkpoint was trained on. seed: of the first item, the others' follow;
        by default drawn by Paddle's generator, which `paddle.seed` sets.
        """
        clip = self.generate(
            batch["text"],
            batch.get("transcription") or None,
            num_inference_steps=ddim_steps,
            eta=ddim_eta,
            num_waveforms_per_prompt=n_gen,
            guidance_scale=unconditional_guidance_scale,
            duration=duration,
            seed=paddle.randint(0, 2**31 - 1, [1]).item() if seed is None else seed,
        )
        return clip.waveforms[:, None]

    def generate(self, text: str | list[str], transcription: str | None = None, **options: Any) -> Clip:
        """
        The clip of `text`, with the settings of the published program unless `options` has others: all that
        `ppaudioldm.AudioLDM.generate` takes. `Clip.save` writes it, with the tags that say it is generated.
        """
        return self.pipeline.generate(text, preset="original", transcription=transcription, **options)
