"""The training loop that all stages share, on either framework.

A stage says what is trained, on which data, by which loss; the loop does the rest: optimizers, averaged weights, half
precision, logs, samples, and a state from which a run resumes as if it had not stopped.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

from ppaudioldm import framework
from ppaudioldm.errors import CheckpointError
from ppaudioldm.framework import Tensor, nn
from ppaudioldm.training import parallel, precision
from ppaudioldm.training.average import Average, set_values
from ppaudioldm.training.batches import Data, batches
from ppaudioldm.training.initialise import learned_parameters
from ppaudioldm.training.optimizer import Optimizer, OptimizerConfig
from ppaudioldm.training.settings import RunConfig, as_values, differences
from ppaudioldm.training.state import STATE_FILE, Log, State, load_state, locked, save_state

logger = logging.getLogger(__name__)

MOST_BAD_STEPS = 20  # in a row whose gradients are not finite


class Stage(Protocol):
    """What the loop trains.

    networks: all that is trained, by name, made by `initialise.trainable`. turns: in each step one optimizer after
    another takes its turn, and improves the networks named here; most stages have one. data: addressed batches, which
    hold every random number that the loss needs.
    """

    name: str
    settings: Any  # the stage's frozen dataclass
    ema: float  # decay of the averaged weights
    networks: Mapping[str, Any]
    turns: Mapping[str, tuple[str, ...]]
    data: Data

    def optimizer(self, turn: str) -> OptimizerConfig: ...

    def loss(self, turn: str, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise in `turn`, and what of it goes into the log: scalars."""

    def model(self) -> Any:
        """What the shapes of the networks depend on, as JSON values: a run resumes only with the same."""

    def evaluate(self) -> dict[str, float]:
        """Measures on held-out data."""

    def sample(self, folder: Path, step: int) -> None:
        """Write what the networks do into `folder`."""


class _Turn(nn.Module):
    """One turn of a stage as a module, which is what the frameworks run in parallel."""

    def __init__(self, stage: Stage, turn: str) -> None:
        super().__init__()
        self.networks = nn.ModuleList([stage.networks[name] for name in stage.turns[turn]])
        self._loss = lambda batch: stage.loss(turn, batch)

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self._loss(batch)


class Trainer:
    """A stage between two steps, in memory."""

    def __init__(self, stage: Stage, process: parallel.Process) -> None:
        self.stage = stage
        self.process = process
        self.step = 0
        learned = {name: learned_parameters(network) for name, network in stage.networks.items()}
        self._weights = {f"{name}.{key}": p for name, network in stage.networks.items() for key, p in _all(network)}
        parameters = {f"{name}.{key}": p for name, found in learned.items() for key, p in found.items()}
        self._average = Average(parameters, stage.ema)
        self._turns: dict[str, tuple[Any, Optimizer, OptimizerConfig]] = {}  # module, optimizer, its settings
        for turn, names in stage.turns.items():
            config = stage.optimizer(turn)
            parameters = {f"{name}.{key}": p for name in names for key, p in learned[name].items()}
            self._turns[turn] = parallel.wrapped(_Turn(stage, turn), process), Optimizer(parameters, config), config
        self._bad_steps = 0

    def train_step(self, batch: Mapping[str, Any], computed_in: str) -> dict[str, Tensor]:
        """One step of every turn. Returns what goes into the log."""
        tensors = {name: framework.from_numpy(array, self.process.device) for name, array in batch.items()}
        logged: dict[str, Any] = {}
        for module, optimizer, config in self._turns.values():
            for _, other, _ in self._turns.values():
                other.clear()
            with precision.autocast(computed_in, self.process.device):
                loss, parts = module(tensors)
            loss.backward()
            rate = config.rate_at(self.step)
            self._count_bad(math.isfinite(optimizer.step(rate)))
            logged.update({"rate": rate, **parts})
        self._average.update(self.step)
        self.step += 1
        return logged

    def averaged(self) -> Any:
        """A context in which the networks have their averaged weights and are in evaluation mode."""
        stack = ExitStack()
        stack.enter_context(self._average.applied())
        for network in self.stage.networks.values():
            network.eval()
            stack.callback(network.train)
        stack.enter_context(framework.no_grad())
        return stack

    def state(self) -> State:
        stage = self.stage
        arrays = {f"weights/{name}": framework.to_numpy(p) for name, p in self._weights.items()}
        arrays.update({f"average/{name}": array for name, array in self._average.state().items()})
        for turn, (_, optimizer, _) in self._turns.items():
            arrays.update({f"optimizer/{turn}/{key}": array for key, array in optimizer.state().items()})
        return State(self.step, _facts(stage, self.process), arrays)

    def load(self, state: State) -> None:
        """Continue from `state`. Raises ValueError if it does not fit."""
        set_values(self._weights, state.part("weights"))
        self._average.load_state(state.part("average"))
        for turn, (_, optimizer, _) in self._turns.items():
            optimizer.load_state(state.part(f"optimizer/{turn}"))
        self.step = state.step

    def _count_bad(self, is_finite: bool) -> None:
        self._bad_steps = 0 if is_finite else self._bad_steps + 1
        if self._bad_steps >= MOST_BAD_STEPS:
            raise ValueError(
                f"the gradients of the last {MOST_BAD_STEPS} steps, to {self.step}, are not finite: lower the rate"
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

    should_stop is asked after each step; progress(step, values) is told each line of the log. A run that is killed
    resumes from its last state, at most `run.save_minutes` old; resuming gives the same numbers as not stopping. Among
    several processes neither should_stop nor `run.minutes` counts. Raises ValueError if `folder` holds another stage,
    another model, or a run of the other framework; OSError if the disk is full, with the state before as it was.
    """
    process = process or parallel.Process(device=framework.default_device())
    computed_in = precision.chosen(run.precision, process.device)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(stage, process)
    with locked(folder) if process.is_first else nullcontext():
        notes = resume(trainer, folder)
        records = _Records(trainer, run, folder, notes, progress) if process.is_first else None
        first = trainer.step * process.count + process.rank
        with closing(batches(stage.data, first, process.count, run.workers)) as data:
            while trainer.step < run.steps:
                try:
                    batch = next(data)
                except (ValueError, OSError):  # a bad recording: what was learned before it stays
                    if records:
                        records.save()
                    raise
                values = trainer.train_step(batch, computed_in)
                stop = process.count == 1 and (should_stop() or bool(records and records.is_over()))
                if records:
                    records.note(values, stop)
                if stop:
                    break
    parallel.wait(process)
    return records.last if records else {}


def resume(trainer: Trainer, folder: Path) -> list[str]:
    """Load the state in `folder`, if there is one. Returns the settings that are not what they were."""
    state = load_state(folder)
    if state is None:
        return []
    facts, expected = state.facts, _facts(trainer.stage, trainer.process)
    for name in ("stage", "framework", "processes", "model"):
        if found := differences({name: facts.get(name)}, {name: expected[name]}, common=True):
            raise CheckpointError(f"{folder / STATE_FILE}: made by another run: {'; '.join(found[:3])}")
    try:
        trainer.load(state)
    except ValueError as error:
        raise CheckpointError(f"{folder / STATE_FILE}: {error}") from error
    notes = differences(facts.get("settings"), expected["settings"])
    for note in notes:
        logger.warning("resuming at step %d with another setting: %s", trainer.step, note)
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


def _all(network: Any) -> list[tuple[str, Tensor]]:
    return list(network.named_parameters())


class _Records:
    """What a run leaves in its folder, written by the first of its processes: log, samples, state."""

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
        self._start = self._saved = self._lap = time.monotonic()
        self._lap_step = trainer.step
        self._log = Log(folder, trainer.step)
        if notes:
            self._log.write(trainer.step, notes=notes)

    def note(self, values: Mapping[str, Any], stop: bool) -> None:
        """What is to be written after a step that logs `values`, the last one of this process if `stop`."""
        step, run = self._trainer.step, self._run
        done = step == run.steps
        if step % run.log_every == 0 or done:
            self.last = {name: float(value) for name, value in values.items()}
            self.last["seconds"] = self._seconds_per_step()
            self._tell(self.last)
        if step % run.evaluate_every == 0 or done:
            samples = self._folder / "samples"
            samples.mkdir(exist_ok=True)
            with self._trainer.averaged():
                self._tell(self._trainer.stage.evaluate())
                self._trainer.stage.sample(samples, step)
        if stop or done or time.monotonic() - self._saved > 60 * run.save_minutes:
            self.save()

    def save(self) -> None:
        save_state(self._folder, self._trainer.state())
        self._saved = time.monotonic()

    def is_over(self) -> bool:
        """Whether the time limit has come."""
        return bool(self._run.minutes) and time.monotonic() - self._start > 60 * self._run.minutes

    def _seconds_per_step(self) -> float:
        """Since this was last asked."""
        now, step = time.monotonic(), self._trainer.step
        seconds = (now - self._lap) / max(1, step - self._lap_step)
        self._lap, self._lap_step = now, step
        return seconds

    def _tell(self, values: dict[str, float]) -> None:
        self._log.write(self._trainer.step, **{name: round(value, 6) for name, value in values.items()})
        if self._progress:
            self._progress(self._trainer.step, values)
