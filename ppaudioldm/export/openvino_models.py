"""Functions of networks as models of OpenVINO."""

from __future__ import annotations

from pathlib import Path

import openvino

from ppaudioldm.models.functions import FLOAT32_FUNCTIONS
from ppaudioldm.openvino_engine.translator import Translator
from ppaudioldm.weights.checkpoint import Checkpoint


class OpenVINOModels:
    """Saves functions of `checkpoint`: NAME.xml and NAME.bin. half: constants as float16, half the size, except
    those of functions that stay in float32."""

    def __init__(self, checkpoint: Checkpoint, half: bool = False) -> None:
        self._translate = Translator(checkpoint)
        self._half = half

    def __call__(self, function: str, path: Path) -> None:
        half = self._half and function not in FLOAT32_FUNCTIONS
        openvino.save_model(self._translate(function), path.with_name(f"{function}.xml"), compress_to_fp16=half)
