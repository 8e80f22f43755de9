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
from typing import Any

from ppaudioldm import compat

from ..pipeline_utils import AudioPipelineOutput, DiffusionPipeline


class AudioLDM2UnifiedPipeline(DiffusionPipeline):
    r"""
    Pipeline for text-to-audio and text-to-speech generation using AudioLDM2, with the networks of the package
    ppaudioldm: it opens the checkpoints of every layout (the original authors' files, `model_state.pdparams` of
    PaddleMIX, diffusers' folders) with one class, on a CPU in OpenVINO, and ranks waveforms without librosa.

    Arguments and results of a call are those of [`AudioLDM2Pipeline`]. Its components cannot be replaced but for
    `scheduler`, which takes any scheduler of ppdiffusers; `unet`, `vae` and `vocoder` have a `config` alone.
    """

    def __init__(self, pipeline: compat.AudioLDM2Pipeline):
        super().__init__()
        self._pipeline = pipeline

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> AudioLDM2UnifiedPipeline:
        r"""
        The pipeline of a published checkpoint, downloaded if need be, or of a file or folder. `paddle_dtype`,
        `scheduler`, `engine` and `device` are those of `ppaudioldm.compat.AudioLDM2Pipeline.from_pretrained`. Raises
        `ValueError`, in one line, for what is no usable checkpoint.
        """
        if not any(name in kwargs for name in ("paddle_dtype", "torch_dtype", "dtype")):
            kwargs["paddle_dtype"] = "float32"  # tensors that callbacks get are Paddle's
        return cls(compat.AudioLDM2Pipeline.from_pretrained(pretrained_model_name_or_path, **kwargs))

    def __call__(self, *args: Any, return_dict: bool = True, **kwargs: Any):
        r"""
        Arguments are those of [`AudioLDM2Pipeline`]. Returns an [`AudioPipelineOutput`], or a `tuple` of the audios.
        """
        (audios,) = self._pipeline(*args, return_dict=True, **kwargs).to_tuple()
        return AudioPipelineOutput(audios=audios) if return_dict else (audios,)

    def encode_prompt(self, *args: Any, **kwargs: Any):
        r"""
        `prompt_embeds`, `attention_mask` and `generated_prompt_embeds`, which a call takes in place of a prompt.
        """
        return self._pipeline.encode_prompt(*args, **kwargs)

    @property
    def scheduler(self) -> Any:
        return self._pipeline.scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Any) -> None:
        self._pipeline.scheduler = scheduler

    @property
    def unet(self) -> Any:
        return self._pipeline.unet

    @property
    def vae(self) -> Any:
        return self._pipeline.vae

    @property
    def vocoder(self) -> Any:
        return self._pipeline.vocoder

    @property
    def dtype(self) -> Any:
        return self._pipeline.dtype

    def to(self, *args: Any, **kwargs: Any) -> AudioLDM2UnifiedPipeline:
        self._pipeline.to(*args, **kwargs)
        return self

    def set_progress_bar_config(self, **kwargs: Any) -> None:
        self._pipeline.set_progress_bar_config(**kwargs)
