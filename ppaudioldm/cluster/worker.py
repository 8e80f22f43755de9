"""A worker of a cluster: an actor of Ray that holds a pipeline, and generates and writes the items that it is sent."""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppaudioldm import __version__
from ppaudioldm.cluster.cores import take_cores
from ppaudioldm.cluster.destination import Destination
from ppaudioldm.lists.generator import ItemGenerator
from ppaudioldm.lists.plan import Item
from ppaudioldm.lists.write import OutputOptions

if TYPE_CHECKING:
    from ppaudioldm.pipeline import AudioLDM

logger = logging.getLogger(__name__)

ATTEMPTS = 2  # at an item whose generation fails, and
WRITE_ATTEMPTS = 4  # at one that cannot be written
WRITE_PAUSE_S = 1.0  # before the second of these; then twice as long each time

# What a worker answers, as JSON: {"record": ...} of a complete result, {"line": N, "key": ..., "failed": why} of
# an item that cannot be generated, {"stop": why} where no item can be, {"disk": why} where nothing can be written.
Answer = dict[str, Any]


class Worker:
    """Ray Data makes one for each slot and calls it with blocks of rows: {"items": array of pickled batches}.

    cores: how many of the machine's belong to it; 0 binds it to none. version: of the driver's package.
    """

    def __init__(
        self,
        open_pipeline: Callable[[], AudioLDM],
        destination: Destination,
        checkpoint: str,
        output: OutputOptions,
        cores: int,
        version: str,
    ) -> None:
        self._destination = destination
        self._checkpoint, self._output = checkpoint, output
        # Raised here, Ray would show it with the stacks of its own processes, and start further workers.
        self._reason = None
        try:
            if version != __version__:
                raise ValueError(f"ppaudioldm {__version__} is installed on a node, and {version} on the driver's")
            destination.check()
            self._cores = take_cores(cores) if cores else []
            self._pipeline = open_pipeline()
        except Exception as error:
            logger.debug("a worker", exc_info=True)
            self._reason = (
                str(error) if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {error}"
            )

    def __call__(self, rows: dict[str, np.ndarray]) -> Iterator[dict[str, list[bytes]]]:
        for row in rows["items"]:
            batch = pickle.loads(row)  # by the driver
            answers = [{"stop": self._reason}] if self._reason is not None else list(self._answers(batch))
            yield {"answer": [json.dumps(answer).encode() for answer in answers]}

    def _answers(self, batch: Sequence[Item]) -> Iterator[Answer]:
        found = [(item, self._destination.finished(item.key)) for item in batch]
        yield from ({"record": record} for _, record in found if record is not None)
        try:
            yield from self._generated([item for item, record in found if record is None])
        except (OSError, ValueError) as error:  # the latter of a destination that is gone
            yield {"disk": str(error)}

    def _generated(self, items: Sequence[Item]) -> Iterator[Answer]:
        for attempt in range(ATTEMPTS):
            failed: dict[int, tuple[Item, str]] = {}
            with self._destination.staging() as staging:
                generator = ItemGenerator(self._pipeline, lambda name: staging / name, self._checkpoint, self._output)
                for index, (item, outcome) in enumerate(generator.outcomes(items) if items else ()):
                    if isinstance(outcome, str):
                        failed[index] = item, outcome
                    else:
                        self._publish(outcome, staging)
                        yield {"record": outcome}
            items = [item for item, _ in failed.values()]
            if attempt == ATTEMPTS - 1:
                yield from ({"line": item.line.number, "key": item.key, "failed": why} for item, why in failed.values())

    def _publish(self, record: dict[str, Any], staging: Path) -> None:
        """Raises OSError or ValueError if several attempts fail: a network may come back."""
        for attempt in range(WRITE_ATTEMPTS):
            try:
                return self._destination.publish(record, staging)
            except OSError:
                if attempt == WRITE_ATTEMPTS - 1:
                    raise
                time.sleep(WRITE_PAUSE_S * 2**attempt)
