"""The durations of phonemes in training clips, whose times are known, as the targets of `LoaPrefix.durations`.

As in FastSpeech (arXiv:1905.09263), the rest of the model is trained with the true durations, not the predicted ones.
"""

from __future__ import annotations

import numpy as np

from ppaudioldm.framework import Tensor, xp

TIMES_WEIGHT = 0.1  # of times beside durations


def padded_phoneme_times(times: np.ndarray | None, ids: np.ndarray) -> np.ndarray:
    """Start and end in seconds of each of `ids` (L,), (L, 2) float32: NaN behind the last id, or where none are known.

    times: as `sounds.speech.alignment.phoneme_times` returns them, of the symbols of the ids and the end symbol.
    """
    padded = np.full((len(ids), 2), np.nan, np.float32)
    count = np.count_nonzero(ids)
    if times is not None and len(times) == count:  # not so if a symbol was left out as unknown
        padded[:count] = times
    return padded


def times_in_tokens(times: np.ndarray, seconds: float) -> np.ndarray:
    """`times` (B, L, 2) in seconds, counted in LOA tokens, `seconds` long; float32.

    The first phoneme counts from the beginning of the clip. How much later it begins depends on what it is: a clip
    begins with the first sound, and a plosive with silence.
    """
    times = times.astype(np.float32) / np.float32(seconds)
    times[:, 0, 0] = np.where(np.isfinite(times[:, 0, 1]), 0.0, times[:, 0, 0])
    return times


def duration_loss(durations: Tensor, times: Tensor) -> Tensor:
    """Error of predicted durations, and of the times that they add up to, in LOA tokens.

    durations: (B, L), as `LoaPrefix.durations` returns them. times: (B, L, 2), from `times_in_tokens`; not finite where
    they are not known.
    """
    start, end, known = _known(times)
    weights = known.to(xp.float32) / xp.clip(known.to(xp.float32).sum(), 1.0)
    squares = (durations - (end - start)) ** 2
    return ((squares + TIMES_WEIGHT * xp.abs(xp.cumsum(durations, 1) - end)) * weights).sum()


def true_durations(times: Tensor, predicted: Tensor) -> Tensor:
    """How long each phoneme is spoken, in LOA tokens: (B, L). `times` and `predicted` as in `duration_loss`.

    With them the phonemes given for each LOA token are those spoken during it, however wrong the prediction still is.
    Where times are not known, durations are the predicted ones.
    """
    start, end, known = _known(times)
    return xp.where(known, end - start, predicted)


def _known(times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Start and end of each phoneme, (B, L) each, 0 where they are not known, and whether they are known."""
    start, end = times[:, :, 0], times[:, :, 1]
    known = xp.isfinite(start) & xp.isfinite(end)
    zeros = xp.zeros_like(start)
    return xp.where(known, start, zeros), xp.where(known, end, zeros), known
