"""What the schedulers of diffusers share: configuration, noise schedule, and the spacing of timesteps.

They are arithmetic on arrays of any kind (`+ - *` with Python numbers), with the formulas of the papers that each class
names, and the timesteps and default values of diffusers 0.42.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ppaudioldm.errors import naming

Array = Any  # of an engine
Noise = Callable[[], Array]  # a standard normal draw of the latents' shape

CONFIG_FILE = "scheduler_config.json"
MAX_TRAIN_TIMESTEPS = 100_000
CHOICES = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "timestep_spacing": ("linspace", "leading", "trailing"),
}


class Config(dict):
    """A configuration whose values are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the configuration has no {name!r}") from None


class Scheduler:
    """A noise schedule and the steps of a sampler on it, under the names of diffusers.

    DEFAULTS: the fields of the configuration. ONLY: the single value that is implemented of a field. After
    `set_timesteps`, `timesteps` (N,) are what the network gets in its calls, and `step` is called once after each, in
    order. init_noise_sigma: the standard deviation of the latents to start from. order: calls of the network per step.
    """

    DEFAULTS: ClassVar[dict[str, Any]] = {}
    ONLY: ClassVar[dict[str, Any]] = {}
    _SHARED: ClassVar[dict[str, Any]] = {
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "trained_betas": None,
        "prediction_type": "epsilon",
        "steps_offset": 0,
    }

    order = 1

    def __init__(self, **config: Any) -> None:
        """Raises TypeError for a field that the class does not have, ValueError for a value out of range."""
        self._set_config(config, "of " + type(self).__name__)

    @classmethod
    def fields(cls) -> dict[str, Any]:
        """Name -> default value of the fields of the configuration."""
        return {**cls._SHARED, **cls.DEFAULTS}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **overrides: Any) -> Any:
        """A scheduler of this class with what `config`, of any scheduler, has in common with it, and `overrides`."""
        # What another class has by default, diffusers does not hand over.
        by_default = config.get("_use_default_values", [])
        values = {name: value for name, value in config.items() if name not in by_default}
        values = {name: value for name, value in values.items() if not name.startswith("_")} | overrides
        made = cls.__new__(cls)
        made._set_config({name: value for name, value in values.items() if name in cls.fields()}, "")
        made.config = Config({**values, **made.config})
        return made

    @classmethod
    def from_pretrained(cls, folder: str | Path, subfolder: str = "", **_ignored: Any) -> Any:
        """The scheduler of a local folder's scheduler_config.json. Raises CheckpointError, a ValueError."""
        return cls.from_config(read_config(Path(folder, subfolder)))

    def _set_config(self, given: dict[str, Any], where: str) -> None:
        defaults = self.fields()
        if unknown := set(given) - set(defaults):
            raise TypeError(f"unknown field {min(unknown)!r} {where}, choose from {', '.join(defaults)}")
        values = {**defaults, **given}
        for name, only in self.ONLY.items():
            if values[name] != only:
                raise ValueError(f"{name} is {values[name]!r}, allowed in {type(self).__name__}: {only!r}")
        for name, allowed in CHOICES.items():
            if name in values and values[name] not in allowed:
                raise ValueError(f"{name} is {values[name]!r}, allowed: {', '.join(allowed)}")
        by_default = [name for name in defaults if name not in given]
        self.config = Config({**values, "_class_name": type(self).__name__, "_use_default_values": by_default})
        self.betas = betas_of(self.config)
        self.alphas_cumprod = np.cumprod(1 - self.betas)
        self.timesteps = np.arange(self.num_train_timesteps)[::-1]
        self.num_inference_steps: int | None = None

    @property
    def num_train_timesteps(self) -> int:
        return len(self.betas)

    @property
    def init_noise_sigma(self) -> float:
        return 1.0

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Set `timesteps` for that many steps, and begin a new generation. device: not used."""
        raise NotImplementedError

    def scale_model_input(self, sample: Array, timestep: float) -> Array:
        """What the network gets of `sample`."""
        return sample

    def step(self, model_output: Array, timestep: float, sample: Array, noise: Noise, eta: float = 0.0) -> Array:
        """The next sample. eta: of DDIM; others ignore it."""
        raise NotImplementedError

    def alpha_bar(self, t: int, before_first: float) -> float:
        """The share of signal in the variance at timestep t; `before_first` where that is negative."""
        return float(self.alphas_cumprod[t]) if t >= 0 else before_first

    def _check_count(self, num_inference_steps: int, most: int) -> int:
        is_whole = isinstance(num_inference_steps, (int, np.integer)) and not isinstance(num_inference_steps, bool)
        if not is_whole or not 1 <= num_inference_steps <= most:
            raise ValueError(f"num_inference_steps is {num_inference_steps!r}, allowed: whole numbers from 1 to {most}")
        self.num_inference_steps = int(num_inference_steps)
        return self.num_inference_steps

    def _spaced(self, count: int, whole: bool) -> np.ndarray:
        """`count` timesteps as `timestep_spacing` has it, the noisiest first. whole: rounded in "linspace", too."""
        spacing, total = self.config.timestep_spacing, self.num_train_timesteps
        if spacing == "linspace":
            steps = np.linspace(0, total - 1, count)[::-1]
            return steps.round() if whole else steps
        if spacing == "leading":
            return (np.arange(count) * (total // count))[::-1] + self.config.steps_offset
        return np.arange(total, 0, -total / count).round() - 1


def betas_of(config: Config) -> np.ndarray:
    """The variances (num_train_timesteps,) float64 of a configuration. Raises ValueError for values out of range."""
    if config.trained_betas is not None:
        betas = np.asarray(config.trained_betas, np.float64)
        if betas.ndim != 1 or not 1 <= len(betas) <= MAX_TRAIN_TIMESTEPS or not ((betas > 0) & (betas < 1)).all():
            raise ValueError(f"trained_betas are {betas.shape}, allowed: a list of numbers between 0 and 1")
        return betas
    count, start, end = config.num_train_timesteps, config.beta_start, config.beta_end
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_TRAIN_TIMESTEPS:
        raise ValueError(f"num_train_timesteps is {count!r}, allowed: 1 to {MAX_TRAIN_TIMESTEPS}")
    if not all(isinstance(beta, (int, float)) for beta in (start, end)) or not 0 < start <= end < 1:
        raise ValueError(f"beta_start, beta_end are {start!r}, {end!r}, allowed: 0 < beta_start <= beta_end < 1")
    if config.beta_schedule == "linear":
        return np.linspace(start, end, count)
    if config.beta_schedule == "scaled_linear":
        return np.linspace(math.sqrt(start), math.sqrt(end), count) ** 2
    # The cosine schedule, arXiv:2102.09672, with the offset and the limit that the paper states.
    levels = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - levels[1:] / levels[:-1], 0.999)


def read_config(folder: Path) -> dict[str, Any]:
    """The scheduler_config.json in `folder`. Raises CheckpointError for one that is no JSON object."""
    path = folder / CONFIG_FILE
    with naming(path):
        config = json.loads(path.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("no JSON object")
    return config
