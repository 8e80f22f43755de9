"""The training loop that all stages share, on either framework.

A stage defines networks, data and losses; the loop does the rest: optimizers, averaged weights, mixed precision, logs,
samples, and a saved state from which a run resumes with the same numbers as if it had not stopped.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

from ppaudioldm import framework
from ppaudioldm.errors import CheckpointError
from ppaudioldm.framework import Tensor, nn
from ppaudioldm.training import parallel, precision
from ppaudioldm.training.average import MovingAverage, set_values
from ppaudioldm.training.batches import BatchSource, iterate_batches
from ppaudioldm.training.initialise import learned_parameters
from ppaudioldm.training.optimizer import Optimizer, OptimizerConfig
from ppaudioldm.training.recompute import recompute_blocks
from ppaudioldm.training.samples import Samples
from ppaudioldm.training.settings import LEFT, RunConfig, as_values, differences
from ppaudioldm.training.state import STATE_FILE, Log, State, load_state, locked, save_state, trained_seconds
from ppaudioldm.training.viewers import open_viewers

logger = logging.getLogger(__name__)

MAX_BAD_STEPS = 20  # in a row with gradients that are not finite
SAVING_SHARE = 0.1  # of the time, at most
GO_ON, STOP, FAILED = range(3)  # what a process proposes before a step; the largest of all of them happens


class Stage(Protocol):
    """A training stage, as the loop needs it.

    networks: all trained networks by name, built by `initialise.build_trainable`. updates: the optimizer updates of
    each step, in order, by name, and the networks that each trains; adversarial training has two, other stages one.
    data: batches by index, which include every random number that the loss needs. A stage whose loss depends on
    averages of its own, such as a target network, has them by name as `averages`: they are updated after each step, and
    saved.
    """

    name: str
    settings: Any  # the stage's frozen dataclass
    ema: float  # decay of the averaged weights
    networks: Mapping[str, Any]
    updates: Mapping[str, tuple[str, ...]]
    data: BatchSource

    def optimizer(self, update: str) -> OptimizerConfig: ...

    def loss(self, update: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss that `update` minimises, and scalars for the log."""

    def model(self) -> Any:
        """The configuration of the networks as JSON values: a run resumes only with an equal one."""

    def evaluate(self) -> dict[str, float]:
        """Measures on held-out data."""

    def sample(self, samples: Samples) -> None:
        """Write samples of the networks' outputs."""


class _LossModule(nn.Module):
    """The loss of one update as a module, for the frameworks parallelise modules."""

    def __init__(self, stage: Stage, update: str) -> None:
        super().__init__()
        self.networks = nn.ModuleList([stage.networks[name] for name in stage.updates[update]])
        self._loss = lambda batch: stage.loss(update, batch)

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self._loss(batch)


class Trainer:
    """A stage in training: its optimizers, averaged weights, and the number of steps and of batches done."""

    def __init__(self, stage: Stage, process: parallel.Process) -> None:
        self.stage = stage
        self.process = process
        self.step = self.batches = 0
        learned = {name: learned_parameters(network) for name, network in stage.networks.items()}
        self._weights = {f"{name}.{key}": p for name, network in stage.networks.items() for key, p in _all(network)}
        parameters = {f"{name}.{key}": p for name, group in learned.items() for key, p in group.items()}
        self._average = MovingAverage(parameters, stage.ema)
        self._own_averages: Mapping[str, MovingAverage] = getattr(stage, "averages", {})
        self._updates: dict[str, tuple[Any, Optimizer, OptimizerConfig]] = {}  # module, optimizer, its settings
        for update, names in stage.updates.items():
            config = stage.optimizer(update)
            parameters = {f"{name}.{key}": p for name in names for key, p in learned[name].items()}
            self._updates[update] = (
                parallel.data_parallel(_LossModule(stage, update), process),
                Optimizer(parameters, config),
                config,
            )
        self._bad_steps = 0

    def train_step(self, batches: Sequence[Mapping[str, Any]], computed_in: str, share: float = 0.0) -> dict[str, Any]:
        """One training step: all updates, in order. Returns scalars for the log.

        batches: those whose gradients an update averages, one at a time in memory with its activations. computed_in:
        "f32" or "bf16". share: of the run's time that has passed, if it is limited, 0 to 1.
        """
        logged: dict[str, Any] = {}
        for module, optimizer, config in self._updates.values():
            for _, other, _ in self._updates.values():
                other.clear()
            scalars: list[dict[str, Tensor]] = []
            for number, batch in enumerate(batches, 1):
                is_last = number == len(batches)
                with nullcontext() if is_last else parallel.without_exchange(module, self.process):
                    scalars.append(self._backward(module, batch, computed_in, 1 / len(batches)))
            rate = config.rate_at(self.step, share)
            self._count_bad(math.isfinite(optimizer.step(rate)))
            logged.update({"rate": rate, **_means(scalars)})
        for average in (self._average, *self._own_averages.values()):
            average.update(self.step)
        self.step += 1
        self.batches += self.process.count * len(batches)
        return logged

    def _backward(self, module: Any, batch: Mapping[str, Any], computed_in: str, weight: float) -> dict[str, Tensor]:
        """Add the gradients of a batch's loss, times `weight`. Returns its scalars."""
        tensors = {name: framework.from_numpy(array, self.process.device) for name, array in batch.items()}
        with precision.autocast(computed_in, self.process.device):
            loss, scalars = module(tensors)
        (loss * weight if weight != 1 else loss).backward()
        return scalars

    def averaged(self) -> Any:
        """A context in which the networks have their averaged weights, are in evaluation mode and need no gradients."""
        stack = ExitStack()
        stack.enter_context(self._average.applied())
        for network in self.stage.networks.values():
            network.eval()
            stack.callback(network.train)
        stack.enter_context(precision.not_compiled())
        stack.enter_context(framework.no_grad())
        return stack

    def state(self) -> State:
        stage = self.stage
        arrays = {f"weights/{name}": framework.to_numpy(p) for name, p in self._weights.items()}
        for section, average in {"average": self._average, **self._own_averages}.items():
            arrays.update({f"{section}/{name}": array for name, array in average.state().items()})
        for update, (_, optimizer, _) in self._updates.items():
            arrays.update({f"optimizer/{update}/{key}": array for key, array in optimizer.state().items()})
        return State(self.step, {**_facts(stage, self.process), "batches": self.batches}, arrays)

    def load(self, state: State) -> None:
        """Continue from `state`. Raises ValueError for other names or shapes."""
        set_values(self._weights, state.section("weights"))
        for section, average in {"average": self._average, **self._own_averages}.items():
            average.load_state(state.section(section))
        for update, (_, optimizer, _) in self._updates.items():
            optimizer.load_state(state.section(f"optimizer/{update}"))
        self.step, self.batches = state.step, state.batches

    def _count_bad(self, is_finite: bool) -> None:
        self._bad_steps = 0 if is_finite else self._bad_steps + 1
        if self._bad_steps >= MAX_BAD_STEPS:
            raise ValueError(
                f"the gradients of the last {MAX_BAD_STEPS} steps, to {self.step}, are not finite: lower the rate"
            )


def train(
    stage: Stage,
    run: RunConfig,
    folder: Path,
    process: parallel.Process | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Train `stage` up to `run.steps`, resuming what `folder` holds. Returns the last line of the log.

    should_stop is called after each step, progress(step, values) with each line of the log, to whose values it adds
    LEFT, the seconds until the run ends as an estimate. If should_stop is true in one of several processes, all of them
    stop after the same step. A killed run resumes from its last saved state with the same numbers as if it had not been
    stopped; that state is at most `run.save_minutes` old, or ten times what a save takes. Another number of processes
    goes on with the next batches. Raises ValueError if `folder` holds another stage, another model, or a run of the
    other framework, or if a viewer's package is not installed; OSError if the disk is full, with the state before as it
    was.
    """
    process = process or parallel.Process(device=framework.default_device())
    computed_in = precision.resolve_precision(run.precision, process.device)
    folder.mkdir(parents=True, exist_ok=True)
    if run.total_minutes and process.count > 1:
        raise ValueError(f"total_minutes is {run.total_minutes:g}, allowed with {process.count} processes: 0")
    if run.recompute:
        for network in stage.networks.values():
            recompute_blocks(network)
    precision.compile_networks(stage.networks, run.compile)
    trainer = Trainer(stage, process)
    with locked(folder) if process.is_first else nullcontext():
        notes = resume(trainer, folder)
        _check_same_step(trainer, folder)
        recorder = _RunRecorder(trainer, run, folder, notes, progress) if process.is_first else None
        first = trainer.batches + process.rank
        stop, failure = bool(recorder and recorder.share() >= 1), None
        # A CPU is busy with the step itself. In Paddle, gradients and precision are not switched for one thread alone.
        in_thread = process.device != "cpu" and framework.NAME == "torch"
        with (
            closing(iterate_batches(stage.data, first, process.count, run.workers, in_thread)) as data,
            closing(recorder) if recorder else nullcontext(),
        ):
            while trainer.step < run.steps:
                try:
                    batches = [] if stop else [next(data) for _ in range(run.accumulate)]
                except (ValueError, OSError) as error:  # a bad recording: the progress so far is saved
                    failure = error
                if parallel.largest(FAILED if failure else STOP if stop else GO_ON, process) != GO_ON:
                    break
                share = recorder.share() if recorder else 0.0
                values = trainer.train_step(batches, computed_in, share)
                stop = should_stop() or share >= 1 or bool(recorder and recorder.is_over())
                if recorder:
                    recorder.after_step(values, trainer.step == run.steps or share >= 1)
        if recorder:
            recorder.finish()
    parallel.wait(process)
    if failure:
        raise failure
    return recorder.last if recorder else {}


def _check_same_step(trainer: Trainer, folder: Path) -> None:
    """Raise CheckpointError in every process if they resume at different steps."""
    most = parallel.largest(trainer.step, trainer.process)
    if parallel.largest(int(trainer.step != most), trainer.process):
        raise CheckpointError(
            f"{folder}: process {trainer.process.rank} finds step {trainer.step} there, another one step {most}:"
            " all processes need the same folder"
        )


def resume(trainer: Trainer, folder: Path) -> list[str]:
    """Load the state in `folder`, if it has one. Returns the settings that differ, a line each."""
    state = load_state(folder)
    if state is None:
        return []
    facts, expected = state.facts, _facts(trainer.stage, trainer.process)
    for name in ("stage", "framework", "model"):
        lines = differences({name: facts.get(name)}, {name: expected[name]}, common=True)
        if name == "model":
            lines += [
                f"{key} is part of the model, was not" for key in sorted(expected[name].keys() - facts[name].keys())
            ]
        if lines:
            raise CheckpointError(f"{folder / STATE_FILE}: belongs to another run: {'; '.join(lines[:3])}")
    try:
        trainer.load(state)
    except ValueError as error:
        raise CheckpointError(f"{folder / STATE_FILE}: {error}") from error
    notes = differences(facts.get("settings"), expected["settings"], common=True)
    notes += differences({"processes": facts.get("processes", 1)}, {"processes": expected["processes"]})
    for note in notes:
        logger.warning("resuming at step %d with a changed setting: %s", trainer.step, note)
    return notes


def _facts(stage: Stage, process: parallel.Process) -> dict[str, Any]:
    settings = as_values(stage.settings)
    settings.pop("run", None)
    return {
        "stage": stage.name,
        "framework": framework.NAME,
        "processes": process.count,
        "model": stage.model(),
        "settings": settings,
    }


def _means(scalars: Sequence[Mapping[str, Tensor]]) -> dict[str, Any]:
    """The mean of each scalar over the batches of a step that have it."""
    names = dict.fromkeys(name for of_batch in scalars for name in of_batch)
    values = {name: [of_batch[name] for of_batch in scalars if name in of_batch] for name in names}
    return {name: found[0] if len(found) == 1 else sum(found) / len(found) for name, found in values.items()}


def _all(network: Any) -> list[tuple[str, Tensor]]:
    return list(network.named_parameters())


class _RunRecorder:
    """Writes the log, samples and state of a run into its folder; only in the first process."""

    def __init__(
        self,
        trainer: Trainer,
        run: RunConfig,
        folder: Path,
        notes: list[str],
        progress: Callable[[int, dict[str, float]], None] | None,
    ) -> None:
        self.last: dict[str, float] = {}
        self._trainer, self._run, self._folder, self._progress = trainer, run, folder, progress
        self._start = self._lap_start = time.monotonic()
        self._save_at = self._start + 60 * run.save_minutes
        self._lap_step = self._saved_step = trainer.step
        self._first_step = trainer.step
        self._log = Log(folder, trainer.step)
        self._viewers = open_viewers(run.viewers, folder, trainer.step)
        self._seconds_before = trained_seconds(folder)
        if notes:
            self._log.write(trainer.step, notes=notes)

    def after_step(self, values: Mapping[str, Any], is_last: bool) -> None:
        """Write what is due after a step with the scalars `values`. is_last: of the whole run."""
        step, run = self._trainer.step, self._run
        if step % run.log_every == 0 or is_last:
            self.last = {name: float(value) for name, value in values.items()}
            self.last["seconds"] = self._seconds_per_step()
            self._write_line(self.last)
        if step % run.evaluate_every == 0 or is_last:
            samples = self._folder / "samples"
            samples.mkdir(exist_ok=True)
            with self._trainer.averaged():
                self._write_line(self._trainer.stage.evaluate())
                self._trainer.stage.sample(Samples(samples, self._trainer.stage.name, step, self._viewers))
        if time.monotonic() > self._save_at:
            self._save()

    def close(self) -> None:
        """Let the viewers write what is not yet on disk."""
        for viewer in self._viewers:
            viewer.close()

    def finish(self) -> None:
        """Save the state, unless that has been done since the last step."""
        if self._saved_step != self._trainer.step:
            self._save()

    def _save(self) -> None:
        start = time.monotonic()
        save_state(self._folder, self._trainer.state())
        end = time.monotonic()
        self._saved_step = self._trainer.step
        self._save_at = end + max(60 * self._run.save_minutes, (end - start) * (1 / SAVING_SHARE - 1))

    def is_over(self) -> bool:
        """Whether the time limit has passed."""
        return bool(self._run.minutes) and time.monotonic() - self._start > 60 * self._run.minutes

    def share(self) -> float:
        """The share of `total_minutes` that has passed, 0 without a limit."""
        limit = self._run.total_minutes
        return (self._seconds_before + time.monotonic() - self._start) / (60 * limit) if limit else 0.0

    def _seconds_per_step(self) -> float:
        """The mean since the last call."""
        now, step = time.monotonic(), self._trainer.step
        seconds = (now - self._lap_start) / max(1, step - self._lap_step)
        self._lap_start, self._lap_step = now, step
        return seconds

    def _seconds_left(self) -> float:
        """An estimate of the time until the run ends, by its steps or its time limits."""
        passed, run = time.monotonic() - self._start, self._run
        done = self._trainer.step - self._first_step
        left = [passed / max(1, done) * (run.steps - self._trainer.step)]
        left += [60 * run.minutes - passed] if run.minutes else []
        left += [60 * run.total_minutes - self._seconds_before - passed] if run.total_minutes else []
        return max(0.0, min(left))

    def _write_line(self, values: dict[str, float]) -> None:
        step = self._trainer.step
        self._log.write(step, **{name: round(value, 6) for name, value in values.items()})
        for viewer in self._viewers:
            viewer.scalars(values, step)
        if self._progress:
            self._progress(step, {**values, LEFT: self._seconds_left()})
