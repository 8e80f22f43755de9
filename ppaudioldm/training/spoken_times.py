"""What the known times of phonemes teach: their durations, and GPT-2 to look at those that a token is spoken in.

Where in the sentence a token is follows from the durations of all phonemes before it. GPT-2 does not find that out
from the error of its tokens alone: it learns to continue them instead. Like the guided attention of DCTTS
(arXiv:1710.08969), but along the known times of the phonemes, not along a diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ppaudioldm.framework import F, Tensor, xp
from ppaudioldm.models.gpt2 import GPT2

TIMES_WEIGHT = 0.1  # of times beside durations
GUIDED_HEADS = 1  # of each layer but the first; the others are free


def padded_phoneme_times(times: np.ndarray | None, ids: np.ndarray) -> np.ndarray:
    """Start and end in seconds of each of `ids` (L,), (L, 2) float32: NaN behind the last id, or where none are known.

    times: as `sounds.speech.alignment.phoneme_times` returns them, of the symbols of the ids and the end symbol.
    """
    padded = np.full((len(ids), 2), np.nan, np.float32)
    count = np.count_nonzero(ids)
    if times is not None and len(times) == count:  # not so if a symbol was left out as unknown
        padded[:count] = times
    return padded


def phoneme_shares(times: np.ndarray, tokens: int, seconds: float) -> np.ndarray:
    """The share of each of `tokens` LOA tokens, `seconds` long, that each phoneme takes: (B, tokens, L) float32.

    times: (B, L, 2), start and end of each phoneme in seconds, or NaN. The shares of a token add up to 1, or to 0 where
    nothing is spoken.
    """
    start, end = times[:, None, :, 0], times[:, None, :, 1]
    token_start = (np.arange(tokens, dtype=np.float32) * seconds)[None, :, None]
    overlaps = np.minimum(end, token_start + seconds) - np.maximum(start, token_start)
    overlaps = np.maximum(np.nan_to_num(overlaps), 0.0)
    return overlaps / np.maximum(overlaps.sum(-1, keepdims=True), 1e-3 * seconds)


def guided_layers(gpt2: GPT2) -> list[Any]:
    """The layers with guided heads: all but the first, which knows no more of a phoneme than its own state."""
    return list(gpt2.layers)[1:] or list(gpt2.layers)


def spoken_times(times: np.ndarray, tokens: int, seconds: float) -> dict[str, np.ndarray]:
    """What a batch has of the times of phonemes (B, L, 2), in seconds: their shares of the tokens, `phoneme_shares`;
    and `phoneme_times`, in tokens after the first phoneme began."""
    times = times.astype(np.float32)
    after_the_first = (times - times[:, :1, :1]) / seconds
    return {"phoneme_shares": phoneme_shares(times, tokens, seconds), "phoneme_times": after_the_first}


@contextmanager
def watched_scores(gpt2: GPT2, is_guided: bool) -> Iterator[list[Tensor]]:
    """A list that takes the scores of the guided heads in each pass, layer by layer: (B, heads, L, keys) float32."""
    layers, scores = guided_layers(gpt2) if is_guided else [], list[Tensor]()

    def watch(query: Tensor, keys: Tensor, bias: Tensor) -> None:
        query, keys = query[:, :GUIDED_HEADS].to(xp.float32), keys[:, :GUIDED_HEADS].to(xp.float32)
        products = xp.matmul(query, keys.transpose(2, 3)) / query.shape[-1] ** 0.5
        scores.append(products + bias.to(xp.float32))

    for layer in layers:
        layer.watch = watch
    try:
        yield scores
    finally:
        for layer in layers:
            layer.watch = None


def guided_attention_loss(scores: Sequence[Tensor], shares: Tensor) -> Tensor:
    """Cross entropy between the shares of the phonemes and where GPT-2 looks: the mean over heads and spoken tokens.

    scores: for each layer (B, heads, tokens, keys), the phonemes followed by as many keys as there are tokens: the end
    of the prefix and all tokens but the last. shares: (B, tokens, L), see `phoneme_shares`.
    """
    _, tokens, phonemes = shares.shape
    last = scores[0].shape[3] - tokens
    shares = shares.unsqueeze(1)
    errors = [-(shares * F.log_softmax(s, -1)[:, :, :, last - phonemes : last]).sum() / s.shape[1] for s in scores]
    return sum(errors[1:], errors[0]) / (len(errors) * xp.clip(shares.sum(), 1.0))


def duration_loss(durations: Tensor, times: Tensor) -> Tensor:
    """Error of predicted durations, and of the times that they add up to, in LOA tokens.

    durations: (B, L), as `LoaPrefix.durations` returns them. times: (B, L, 2), start and end of each phoneme in tokens
    after the first began; not finite where they are not known.
    """
    start, end, known = _known(times)
    weights = known.to(xp.float32) / xp.clip(known.to(xp.float32).sum(), 1.0)
    squares = (durations - (end - start)) ** 2
    return ((squares + TIMES_WEIGHT * xp.abs(xp.cumsum(durations, 1) - end)) * weights).sum()


def true_durations(times: Tensor, predicted: Tensor) -> Tensor:
    """How long each phoneme is spoken, in LOA tokens: (B, L). `times` and `predicted` as in `duration_loss`.

    GPT-2 learns with these, so that each token is that of the phonemes that are said to be spoken in it. Where times
    are not known, durations are the predicted ones.
    """
    start, end, known = _known(times)
    return xp.where(known, end - start, predicted)


def _known(times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Start and end of each phoneme, (B, L) each, 0 where they are not known, and whether they are known."""
    start, end = times[:, :, 0], times[:, :, 1]
    known = xp.isfinite(start) & xp.isfinite(end)
    zeros = xp.zeros_like(start)
    return xp.where(known, start, zeros), xp.where(known, end, zeros), known
