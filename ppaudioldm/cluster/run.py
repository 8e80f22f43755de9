"""Generating a sound for every line of a list on a Ray cluster: sounds, manifest and resuming as on one machine.

Ray Data streams the rows to workers and their answers back to this process, the driver, which keeps the manifest.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pickle
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ppaudioldm import __version__
from ppaudioldm.audio.write import OutputError
from ppaudioldm.cluster.results import Results, opened_results
from ppaudioldm.cluster.session import LOCAL, Slots, check_installed, checked_address, connected
from ppaudioldm.lists.plan import Item, ListReport, in_batches, missing_items, read_items, warn_of_other_sounds
from ppaudioldm.lists.write import OutputOptions

if TYPE_CHECKING:
    from ppaudioldm.pipeline import AudioLDM

MOST_BLOCKS = 10_000  # of rows, each a task of Ray's; a block of a longer list has several rows
TASK_RETRIES = 3  # of a block whose worker or node is gone
ENDED = "its worker ended each time that it was tried"


def generate_list_on_ray(
    list_path: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    open_pipeline: Callable[[], AudioLDM],
    *,
    checkpoint: str,
    address: str = LOCAL,
    slots: Slots | None = None,
    extension: str = ".wav",
    output: OutputOptions | None = None,
    seed: int | None = None,
    preset: str = "fast",
    on_start: Callable[[], None] = lambda: None,
    progress: Callable[[ListReport], None] = lambda report: None,
    notify: Callable[[dict[str, Any]], None] = lambda record: None,
    report: ListReport | None = None,
    **settings: Any,
) -> ListReport:
    """`lists.run.generate_list` with a worker in every slot of the Ray cluster at `address`.

    destination: a folder that all nodes share, or an address of fsspec, such as s3://bucket/folder. open_pipeline is
    called by every worker, and must be one that pickle takes. address: see `session.checked_address`. slots: what a
    worker takes. on_start: called before the workers are started, if a sound is missing. progress: called
    when a result is in the manifest.
    Raises ValueError for a bad list or setting, or a worker that cannot open the checkpoint; OutputError where nothing
    can be written.
    """
    checked_address(address)
    check_installed()
    slots, output, report = slots or Slots(), output or OutputOptions(), report or ListReport()
    if output.signer is not None:
        raise ValueError("--c2pa-certificate is not for --ray: the key would have to be on every node")
    items = read_items(
        list_path,
        report,
        checkpoint=str(checkpoint),
        extension=extension,
        output=output,
        seed=seed,
        settings={**settings, "preset": preset},
    )
    destination = os.fspath(destination)
    with opened_results(destination) as results:
        missing = missing_items(items, results.records, results.existing, extension, output, report)
        warn_of_other_sounds(destination, results.records, items)
        if missing:
            on_start()
            run = _Run(results, report, progress, notify, str(checkpoint), output)
            with connected(address, slots) as ray:
                run.generate(ray, [_with_seed(item) for item in missing], open_pipeline, slots)
    return report


def _with_seed(item: Item) -> Item:
    """A worker that is started in another's place must generate the same sound."""
    return item if item.seed is not None else dataclasses.replace(item, seed=secrets.randbelow(2**32))


class _Run:
    """Sends items to workers, and puts their answers into the manifest and the report."""

    def __init__(
        self,
        results: Results,
        report: ListReport,
        progress: Callable[[ListReport], None],
        notify: Callable[[dict[str, Any]], None],
        checkpoint: str,
        output: OutputOptions,
    ) -> None:
        self._results, self._report = results, report
        self._progress, self._notify = progress, notify
        self._checkpoint, self._output = checkpoint, output

    def generate(self, ray: Any, items: Sequence[Item], open_pipeline: Callable[[], AudioLDM], slots: Slots) -> None:
        """Generate `items`; those of blocks that were given up are tried once more, each alone."""
        waiting = {item.key: item for item in items}
        for is_last in (False, True):
            rows = [[item] for item in waiting.values()] if is_last else list(in_batches(waiting.values()))
            for answer in _answers(ray, rows, open_pipeline, slots, self._results, self._checkpoint, self._output):
                self._take(answer, waiting)
            if not waiting:
                return
        for item in waiting.values():
            self._report.fail(item.line.number, ENDED)

    def _take(self, answer: dict[str, Any], waiting: dict[str, Item]) -> None:
        if "stop" in answer:
            raise ValueError(answer["stop"])
        if "disk" in answer:
            raise OutputError(answer["disk"])
        record = answer.get("record")
        key = answer["key"] if record is None else record["key"]
        if waiting.pop(key, None) is None:
            return  # of a block whose worker ended when it had answered
        if record is None:
            self._report.fail(answer["line"], answer["failed"])
        else:
            self._results.add(record)
            self._report.generated += 1
            self._notify(record)
        self._progress(self._report)


def _answers(
    ray: Any,
    rows: Sequence[Sequence[Item]],
    open_pipeline: Callable[[], AudioLDM],
    slots: Slots,
    results: Results,
    checkpoint: str,
    output: OutputOptions,
) -> Iterator[dict[str, Any]]:
    """What the workers answer to `rows`, in the order in which they are done."""
    from ppaudioldm.cluster.worker import Worker

    gpus = slots.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # a block that was given up loses no other; its items are still waiting
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = min(len(rows), MOST_BLOCKS)
    source = ray.data.from_items([{"items": pickle.dumps(list(row))} for row in rows], override_num_blocks=blocks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray 2.64 is to have another name for ray_remote_args_fn
        dataset = source.map_batches(
            Worker,
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=slots.workers),
            num_cpus=slots.cpus,
            num_gpus=gpus or None,
            fn_constructor_kwargs={
                "open_pipeline": open_pipeline,
                "destination": results.destination,
                "checkpoint": checkpoint,
                "output": output,
                "cores": 0 if gpus else slots.cpus,
                "version": __version__,
            },
            ray_remote_args_fn=_restarts,
        )
    for batch in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
        for answer in batch["answer"]:
            yield json.loads(answer)


def _restarts() -> dict[str, Any]:
    return {"max_restarts": -1, "max_task_retries": TASK_RETRIES}
