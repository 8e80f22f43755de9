"""LOA tokens: GPT-2's loop over a prompt's conditions, and AudioMAE's tokens of a recording.

LOA, the "language of audio" of AudioLDM 2 (arXiv:2308.05734), is the sequence of AudioMAE features of a sound. GPT-2
predicts it from text; of a recording AudioMAE computes it directly. Both run on any engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from ppaudioldm.audio.fbank import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE, audiomae_fbank
from ppaudioldm.audio.mel import checked_waveform
from ppaudioldm.checkpoints import audiomae_names
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.weights.locate import Description

logger = logging.getLogger(__name__)

MARGIN = 0.5  # seconds beyond what AudioMAE reads, so that resampling has no edge there


def generate_loa(
    prefix: Array,
    mask: Array,
    gpt2: Callable[[Array, Array], Array],
    num_tokens: int,
    concat: Callable[[list[Array], int], Array],
    max_positions: int = 1024,
    guess: Array | None = None,
) -> Array:
    """GPT-2's continuation of `prefix` (B, P, 768) by LOA tokens (B, num_tokens, 768), without sampling: deterministic.

    mask: (B, P), 1 = attend, and 1 at the first position, as `models.loa.LoaPrefix` makes it.
    gpt2: hidden states of embeddings and mask, each call going on where the last one ended, as `Engine.start` makes it;
    not called before. concat: that engine's concatenation, as `xp.concat`. guess: LoaPrefix's first guess at the
    tokens, (B, N, 768), to which GPT-2's output is added. GPT-2's input has it, too: the prefix has the first token's.
    A prefix longer than `max_positions - num_tokens` loses its end, with a warning, as the model was trained.
    Raises ValueError if that leaves nothing of the prefix, if `num_tokens` is below 1, or above N with a guess.
    """
    limit = max_positions - num_tokens
    most = max_positions - 1 if guess is None else guess.shape[1]
    if not 1 <= num_tokens <= most or limit < 1:
        raise ValueError(f"cannot generate {num_tokens} LOA tokens, choose from 1 to {min(most, max_positions - 1)}")
    if prefix.shape[1] > limit:
        logger.warning("conditions cut from %d to %d positions: the prompt's end is ignored", prefix.shape[1], limit)
        prefix, mask = prefix[:, :limit], mask[:, :limit]

    def guessed(x: Array, number: int) -> Array:
        return x if guess is None else x + guess[:, number : number + 1]

    tokens = [guessed(gpt2(prefix, mask)[:, -1:], 0)]
    for number in range(1, num_tokens):
        mask = concat([mask, mask[:, :1]], 1)  # the first position, SOS_0, is attended like every generated token
        tokens.append(guessed(gpt2(guessed(tokens[-1], number), mask), number))
    return concat(tokens, 1)


def encode_loa(checkpoint: Description, engine: Engine, waveform: np.ndarray) -> np.ndarray:
    """AudioMAE's LOA tokens (N, 768) float32 of `waveform` (samples,), floating point, at the checkpoint's sample rate.

    N is 8, or 512 of a speech checkpoint. Only the start is encoded, 10.255 s of it by the published checkpoints; a
    shorter recording is padded to that, as in AudioMAE's training. The network is loaded when this is first called.
    Raises ValueError for a checkpoint without AudioMAE, and for a waveform that is empty, not finite, not 1-D or not
    floating point.
    """
    network = checkpoint.config.audiomae
    if network is None:
        raise ValueError(
            f"{checkpoint.name} has no AudioMAE, which encodes recordings: choose from {', '.join(audiomae_names())}"
        )
    rate = checkpoint.config.sample_rate
    seconds = (network.frames * HOP_LENGTH + FRAME_LENGTH) / SAMPLE_RATE
    start = checked_waveform(np.asarray(waveform)[: round((seconds + MARGIN) * rate)])
    if rate != SAMPLE_RATE:
        import soxr

        start = soxr.resample(start, rate, SAMPLE_RATE)
    return engine.run_numpy("audiomae", audiomae_fbank(start, network.frames)[None])[0]
