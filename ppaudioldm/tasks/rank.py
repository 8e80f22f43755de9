"""How well recordings fit prompts, by CLAP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppaudioldm.audio.clap_mel import CLAP_MAX_SAMPLES, CLAP_SAMPLE_RATE
from ppaudioldm.audio.formats import PathLike
from ppaudioldm.audio.read import read_audio
from ppaudioldm.errors import quoted
from ppaudioldm.generation.options import check_texts
from ppaudioldm.pipeline import AudioLDM

CLAP_SECONDS = CLAP_MAX_SAMPLES / CLAP_SAMPLE_RATE


def rank(pipeline: AudioLDM, files: Sequence[PathLike], prompts: Sequence[str]) -> np.ndarray:
    """CLAP's similarity (files, prompts) float32, -1 to 1, of each of `files` with each of `prompts`.

    Only the first 10 s of a file count, all channels as one.
    Raises ValueError or OSError for the first file that is no sound, ValueError for a checkpoint without CLAP.
    """
    check_texts(prompts)
    if isinstance(files, (str, bytes)) or not len(files):
        raise ValueError(f"files is {quoted(files)}, allowed: a list of one or more")
    if pipeline.config.clap_text is None or pipeline.config.clap_audio is None:
        raise ValueError(f"{pipeline.checkpoint.name} has no CLAP, which compares sounds with texts")
    texts = pipeline.embed_text(list(prompts))
    sounds = []
    for file in files:
        waveform, _ = read_audio(file, CLAP_SAMPLE_RATE, max_seconds=CLAP_SECONDS)
        sounds.append(pipeline.embed_audio(waveform, CLAP_SAMPLE_RATE))
    return np.stack(sounds) @ texts.T
