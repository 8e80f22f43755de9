"""A pipeline without networks, for the tests of what calls one: lists, the server and the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.engines.adapted import AdaptedEngines
from ppaudioldm.generation.clip import Cancelled, Clip
from ppaudioldm.generation.finishing import finished, without_finishing
from ppaudioldm.generation.options import Options, Progress, default_duration, with_defaults
from ppaudioldm.generation.provenance import Provenance, Source

RATE = 16000
PATIENCE = 120.0  # seconds for what takes one, on a machine that is busy
ERRORS = {"impossible": ValueError("it is\nimpossible"), "broken": RuntimeError("out of memory at 0x7f")}


class ImitationPipeline:
    """Stands in for `AudioLDM`: its clips are `noise_of` their seeds, after `steps` that report their progress.

    samples: of every clip; by default as many as its duration has. score: of every clip. errors: raised for a prompt
    with such a word in it; one with "nan" gives samples that are not numbers, one with "gap" in its second candidate.
    batches: the prompts of each call.
    After `hold`, each step waits for `release`.
    """

    def __init__(
        self,
        name: str = "fake",
        steps: int = 3,
        config: ModelConfig = UNTRAINED,
        samples: int | None = None,
        score: float | None = None,
        errors: Mapping[str, Exception] = ERRORS,
        adapters: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self.default_duration = default_duration(config.diffusion.clip_seconds)
        self.checkpoint = SimpleNamespace(name=name, is_random=False, known_sounds=None, licence=None)
        self.source = Source(name)
        self.steps = steps
        self.adapters = adapters
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)  # a step began
        self._samples, self._score, self._errors = samples, score, errors
        self._gate: threading.Semaphore | None = None

    def check_lora(self, lora: Sequence[str]) -> None:
        AdaptedEngines(None, lambda merged: None, dict.fromkeys(self.adapters), only_named=True).check(lora)  # type: ignore

    def with_defaults(self, options: Options) -> Options:
        return with_defaults(options, self.config.diffusion)

    def hold(self) -> None:
        self._gate = threading.Semaphore(0)

    def release(self, steps: int = 1000) -> None:
        if self._gate is not None:
            self._gate.release(steps)

    def step_began(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)

    def warn_of_unknown_sounds(self, *prompts: object) -> None:
        """It knows any."""

    def generate(
        self,
        prompts: str | Sequence[str],
        options: Options | None = None,
        *,
        seed: int | Sequence[int],
        progress: Callable[[Progress], bool | None] | None = None,
        keep_candidates: bool = False,
        **overrides: Any,
    ) -> Clip:
        settings = {**(asdict(options) if options else {}), **overrides}
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        seeds = [seed] if isinstance(seed, int) else list(seed)
        self.batches.append(prompts)
        each, variations = settings.get("num_waveforms_per_prompt") or 1, settings.get("variations", 1)
        prompts = [prompt for prompt in prompts for _ in range(variations)]
        seeds = [first + each * i for first in seeds for i in range(variations)]
        for prompt in prompts:
            for word, error in self._errors.items():
                if word in prompt:
                    raise error
        for step in range(self.steps):
            self.entered.release()
            if self._gate is not None:
                assert self._gate.acquire(timeout=PATIENCE)
            if progress and progress(Progress("denoise", step + 1, self.steps)) is False:
                raise Cancelled("stopped during denoise")
        chosen = {name: value for name, value in overrides.items() if name in Options.__dataclass_fields__}
        of_clip = replace(options or Options(), **chosen)
        of_clip = replace(of_clip, duration=of_clip.duration or self.default_duration)
        samples = self._samples or round(without_finishing(of_clip).duration * RATE)
        candidates = np.stack([[noise_of(s + k, samples) for k in range(each)] for s in seeds])
        candidates[["nan" in prompt for prompt in prompts]] = np.nan
        candidates[["gap" in prompt for prompt in prompts], 1:2] = np.nan
        scores = None if self._score is None else (self._score,) * len(prompts)
        kept = candidates if keep_candidates else None
        alone = asdict(replace(of_clip, num_waveforms_per_prompt=1, batch_size=1, variations=1))
        provenance = tuple(
            Provenance(self.source, {"task": "generate", "prompt": prompt, "seed": first, "options": alone})
            for prompt, first in zip(prompts, seeds, strict=True)
        )
        clip = Clip(
            candidates[:, 0], RATE, tuple(prompts), tuple(seeds), scores, candidates=kept, provenance=provenance
        )
        return finished(clip, of_clip)


def noise_of(seed: int, samples: int) -> np.ndarray:
    """The waveform that the pipeline generates for `seed`."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)
