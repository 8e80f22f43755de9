"""The default configuration of every stage: the checkpoint `tiny`, which is part of the package."""

from __future__ import annotations

from dataclasses import replace

from ppaudioldm.checkpoints import TINY

assert TINY.audiomae and TINY.clap_audio and TINY.clap_text

CLIP_SECONDS = TINY.diffusion.clip_seconds
VOCABULARY = TINY.clap_text.vocab_size  # tokens of either tokenizer
AUDIOMAE = TINY.audiomae
CLAP_AUDIO = TINY.clap_audio

# The networks of the joint stage, trained and frozen; the others are added by `assemble`.
MODEL = replace(TINY, clap_audio=None, audiomae=None, vocoder=replace(TINY.vocoder, method="network"))
