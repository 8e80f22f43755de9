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

import json
import os
from typing import Any

from paddlenlp.transformers.configuration_utils import PretrainedConfig
from ppaudioldm import CHECKPOINTS
from ppaudioldm.config import ModelConfig
from ppaudioldm.weights.checkpoint import open_checkpoint

__all__ = ["AudioLDM2Config"]


class AudioLDM2Config(PretrainedConfig):
    """
    What an AudioLDM 2 checkpoint consists of. `from_pretrained` reads it off the checkpoint, whatever its layout.

    Args:
        model_name (`str`): the name of the checkpoint.
        networks (`dict`): the fields of `ppaudioldm.config.ModelConfig`: the sizes of every network and the noise
            schedule. By default those of `model_name`, which then is one of `ppaudioldm.CHECKPOINTS`.

    Set by these: `sampling_rate` (Hz), and of the latents (B, channels, T, latent_f_size) `channels`, `latent_f_size`.
    """

    model_type = "audioldm2"

    def __init__(self, model_name: str = "audioldm2-full", networks: dict[str, Any] | None = None, **kwargs):
        super().__init__(**kwargs)
        model_name = checkpoint_name(model_name)
        if networks is None and model_name not in CHECKPOINTS:
            raise ValueError(f"unknown model_name {model_name!r}, choose from {', '.join(CHECKPOINTS)}")
        config = CHECKPOINTS[model_name].config if networks is None else _model_config(networks)
        self.model_name = model_name
        self.networks = json.loads(json.dumps(config.to_dict()))  # as a file has it: lists in place of tuples
        self.sampling_rate = config.sample_rate
        self.channels = config.vae.latent_channels
        self.latent_f_size = config.latent_bands

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> AudioLDM2Config:
        """The configuration of a published checkpoint, or of a file or folder in any layout that ppaudioldm reads."""
        checkpoint = open_checkpoint(checkpoint_name(pretrained_model_name_or_path))
        return cls(checkpoint.name, checkpoint.config.to_dict(), **kwargs)

    def model_config(self) -> ModelConfig:
        """The same as ppaudioldm's own class."""
        return _model_config(self.networks)


def _model_config(networks: dict[str, Any]) -> ModelConfig:
    return ModelConfig.from_dict(json.loads(json.dumps(networks)))


def checkpoint_name(name_or_path: str | os.PathLike) -> str:
    """ppaudioldm's name for what the suite calls by its place on the hub, such as haoheliu/audioldm2-full."""
    name = os.fspath(name_or_path)
    by_place = {f"{info.repo.split('/')[0]}/{ours}": ours for ours, info in CHECKPOINTS.items() if info.repo}
    return name if name in CHECKPOINTS else by_place.get(name, name)
