"""What the stages train unless told otherwise: the checkpoint `tiny`, which comes with the package."""

from __future__ import annotations

from dataclasses import replace

from ppaudioldm.checkpoints import TINY

assert TINY.audiomae and TINY.clap_audio and TINY.clap_text

CLIP_SECONDS = TINY.diffusion.clip_seconds
VOCABULARY = TINY.clap_text.vocab_size  # tokens of either tokenizer
AUDIOMAE = TINY.audiomae
CLAP_AUDIO = TINY.clap_audio

# What the joint stage trains, or needs for it; the rest comes from its own stages.
MODEL = replace(TINY, clap_audio=None, audiomae=None, vocoder=replace(TINY.vocoder, method="network"))
