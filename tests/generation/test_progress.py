"""Every stage of a generation, with every vocoder, reports its progress, and can be stopped at any time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby, pairwise
from typing import Any

import pytest

from ppaudioldm.choices import VOCODERS
from ppaudioldm.config import LoaConfig
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.clip import Cancelled
from ppaudioldm.generation.options import Progress
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.restyle import restyle
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.generation.test_decoding import SHORT
from tests.support import noise

STAGES = ("encode", "load", "text", "denoise", "decode", "vocoder", "rank")
# Clips longer than those of training, so that there are several chunks; more LOA tokens, as for speech.
CONFIG = replace(
    SHORT,
    loa=replace(SHORT.loa or LoaConfig(), num_tokens=64),
    unet=replace(SHORT.unet, model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_levels=(1,)),
    vae=replace(SHORT.vae, channels=32),
)
SECONDS = 2.0
LONGEST_S = 0.3  # from one report to the next; of the CPU time of this thread, so that other programs do not matter


@dataclass
class Watch:
    """A progress callback that keeps all reports, and stops in the middle of the stage `stop_in`."""

    stop_in: str = ""
    reports: list[Progress] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __call__(self, progress: Progress) -> bool:
        self.reports.append(progress)
        self.times.append(time.thread_time())
        return not (progress.stage == self.stop_in and progress.done)


@cache
def pipeline(vocoder: str) -> AudioLDM:
    checkpoint = random_checkpoint("short", CONFIG, seed=0)
    return AudioLDM(checkpoint, EagerEngine(checkpoint, "cpu"), vocoder)


def run(vocoder: str, watch: Watch) -> None:
    recording = 0.1 * noise(round(SECONDS * CONFIG.sample_rate)), CONFIG.sample_rate
    settings: dict[str, Any] = {"num_inference_steps": 2, "with_scores": True, "seed": 1}
    restyle(pipeline(vocoder), recording, "rain", progress=watch, **settings)


@pytest.mark.parametrize("vocoder", VOCODERS)
def test_no_stage_is_silent_for_long(vocoder):
    run(vocoder, Watch())  # what happens once in a process, such as imports, belongs to no stage
    watch = Watch()
    run(vocoder, watch)
    watch.times.append(time.thread_time())
    assert [stage for stage, _ in groupby(report.stage for report in watch.reports)] == list(STAGES)
    for (before, after), report in zip(pairwise(watch.times), watch.reports, strict=True):
        assert after - before < LONGEST_S, report
    for stage, reports in groupby(watch.reports, key=lambda report: report.stage):
        done = [report.done / report.total for report in reports]
        assert done == sorted(done) and done[-1] <= 1, stage
        assert len(set(done)) >= (2 if stage == "rank" else 3), stage


# What comes before the vocoder does not depend on it; for "rank" see `test_candidates`.
@pytest.mark.parametrize(
    ("vocoder", "stage"), [*[("network", stage) for stage in STAGES[:-1]], ("griffin-lim", "vocoder")]
)
def test_a_stage_stops_in_the_middle(vocoder, stage):
    watch = Watch(stage)
    with pytest.raises(Cancelled, match=f"stopped during {stage}"):
        run(vocoder, watch)
    assert watch.reports[-1].stage == stage and 0 < watch.reports[-1].done < watch.reports[-1].total
