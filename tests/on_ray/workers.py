"""Pipelines without networks for workers of a cluster, which write down what they do; a module, for pickle."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from ppaudioldm.generation.clip import Clip
from tests.imitation import ImitationPipeline


class LoggingPipeline(ImitationPipeline):
    """Takes `seconds` for each call, and appends its process and the prompts to `log`. A prompt "deadly" kills it."""

    def __init__(self, log: str, seconds: float, **settings: Any) -> None:
        super().__init__(samples=3000, score=0.5, **settings)
        self._log, self._seconds = Path(log), seconds

    def generate(self, prompts: Any, *arguments: Any, **keywords: Any) -> Clip:
        time.sleep(self._seconds)
        for prompt in prompts:
            with self._log.open("a") as file:
                file.write(f"{os.getpid()} {prompt}\n")
        if "deadly" in prompts:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().generate(prompts, *arguments, **keywords)


def calls(log: Path) -> list[tuple[int, str]]:
    """(process, prompt) of each call so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(number), prompt) for number, _, prompt in (line.partition(" ") for line in lines)]
