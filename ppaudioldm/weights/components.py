"""The names of the sub-folders and files of checkpoint folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The sub-folders of a diffusers folder that hold networks, and its other configuration files.
COMPONENTS = ("unet", "vae", "vocoder", "text_encoder", "text_encoder_2", "language_model", "projection_model")
AUDIOLDM1_PIPELINE = "AudioLDMPipeline"  # the _class_name of its model_index.json
AUDIOLDM1_COMPONENTS = ("unet", "vae", "vocoder", "text_encoder")
SCHEDULER = "scheduler/scheduler_config.json"
FEATURE_EXTRACTOR = "feature_extractor/preprocessor_config.json"

PADDLEMIX_FILE = "model_state.pdparams"


def components_of(model_index: Mapping[str, Any]) -> tuple[str, ...]:
    """The sub-folders with networks of a diffusers folder, by the content of its model_index.json."""
    is_audioldm1 = model_index.get("_class_name") == AUDIOLDM1_PIPELINE
    return AUDIOLDM1_COMPONENTS if is_audioldm1 else COMPONENTS
