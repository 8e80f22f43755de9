"""Finishing generated clips, if the options say so: cut to where the sound is, made stereo, brought to full level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ppaudioldm.audio.loudness import MAX_TRUE_PEAK, true_peak
from ppaudioldm.audio.silence import from_beginning, trimmed
from ppaudioldm.audio.stereo import widened
from ppaudioldm.generation.clip import Clip, Waveforms
from ppaudioldm.generation.options import MAX_DURATION, Options

AnyClip = TypeVar("AnyClip", bound=Clip)

SPARE_S = 2.0  # seconds that are generated beyond the duration of a sound that is to start at once


def without_finishing(options: Options) -> Options:
    """`options` of what is generated before it is finished: longer where the sound is to start at once."""
    duration = options.duration
    if options.at_once and duration is not None:
        duration = min(duration + SPARE_S, MAX_DURATION)
    return replace(options, duration=duration, trim=False, at_once=False, stereo=False, normalize=False)


def finished(clip: AnyClip, options: Options) -> AnyClip:
    """`clip`, of mono waveforms, as `options` has it: in stereo of two channels, trimmed of several lengths."""
    if without_finishing(options) == options:
        return clip
    rate = clip.sample_rate
    best = [finished_waveform(clip.waveform(index), rate, options) for index in range(len(clip.waveforms))]
    candidates: list[Waveforms] | None = None
    if clip.candidates is not None:
        candidates = [
            [finished_waveform(clip.candidate(index, i), rate, options) for i in range(len(clip.candidates[index]))]
            for index in range(len(clip.candidates))
        ]
    return replace(clip, **stacked(best, candidates))


def finished_waveform(waveform: np.ndarray, sample_rate: int, options: Options) -> np.ndarray:
    """`waveform` (n,) as `options` has it: (m,) or, in stereo, (m, 2) float32. What is not finite keeps its samples."""
    is_finite = bool(np.isfinite(waveform).all())
    if options.at_once and options.duration is not None:
        samples = round(options.duration * sample_rate)
        waveform = from_beginning(waveform, sample_rate, samples) if is_finite else waveform[:samples]
    if options.trim and is_finite:
        waveform = trimmed(waveform, sample_rate)
    if options.stereo:
        waveform = widened(waveform, sample_rate) if is_finite else np.stack([waveform, waveform], 1)
    if options.normalize and is_finite:
        waveform = normalized(waveform, sample_rate)
    return waveform


def normalized(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """`waveform` (n,) or (n, channels) with its true peak at MAX_TRUE_PEAK dBFS; silence as it is."""
    peak = true_peak(waveform, sample_rate)
    return waveform if peak == -np.inf else (waveform * 10 ** ((MAX_TRUE_PEAK - peak) / 20)).astype(np.float32)


def stacked(best: Waveforms, candidates: Sequence[Waveforms] | None = None) -> dict[str, Any]:
    """The fields of a `Clip` that hold waveforms of several lengths: zeros behind those that are shorter."""
    everything = [*best, *(one for several in candidates or () for one in several)]
    longest = max(map(len, everything))

    def padded(waveform: np.ndarray) -> np.ndarray:
        return np.pad(waveform, ((0, longest - len(waveform)), *[(0, 0)] * (waveform.ndim - 1)))

    fields: dict[str, Any] = {"waveforms": np.stack([padded(one) for one in best])}
    is_ragged = any(len(one) < longest for one in everything)
    fields["lengths"] = tuple(map(len, best)) if is_ragged else None
    if candidates is not None:
        fields["candidates"] = np.stack([np.stack([padded(one) for one in several]) for several in candidates])
        lengths = tuple(tuple(map(len, several)) for several in candidates)
        fields["candidate_lengths"] = lengths if is_ragged else None
    return fields
