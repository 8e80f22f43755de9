"""What a network is trained to predict, for the tests of schedules and samplers."""

import math

import numpy as np

from ppaudioldm.diffusion.schedule import NoiseSchedule


def training_target(schedule: NoiseSchedule, x0: np.ndarray, noise: np.ndarray, alpha_bar: float) -> np.ndarray:
    """The target for add_noise(x0, noise, alpha_bar): the noise, v (arXiv:2202.00512) or x0 itself."""
    if schedule.prediction == "epsilon":
        return noise
    if schedule.prediction == "x0":
        return x0
    return math.sqrt(alpha_bar) * noise - math.sqrt(1 - alpha_bar) * x0
