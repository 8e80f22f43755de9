"""How well the networks of the stage `joint` predict held-out clips."""

from __future__ import annotations

import numpy as np

from ppaudioldm import framework
from ppaudioldm.diffusion.schedule import NoiseSchedule, add_noise
from ppaudioldm.training.dataset import seeded_rng
from ppaudioldm.training.joint_networks import Contexts, JointNetworks

EVALUATED_TIMESTEPS = (650, 850, 950)  # much noise: where the prediction depends on the caption


def evaluation_errors(
    networks: JointNetworks,
    schedule: NoiseSchedule,
    latents: np.ndarray,
    captions: list[str],
    phonemes: np.ndarray | None,
    loa: np.ndarray | None,
    device: str,
) -> dict[str, float]:
    """Error of the predicted clean latents (x0) of held-out clips, with the right, an empty and a wrong caption.

    latents (B, channels, T, bands), captions and, of a model that speaks, phonemes (B, max_phonemes) are those of the
    clips; loa: AudioMAE's tokens (B, tokens, channels), if there are any. At EVALUATED_TIMESTEPS. The differences show
    how much the prediction depends on the caption; predicting the mean gives 1. For a model that speaks, the wrong
    caption comes with wrong phonemes; `recorded` is the error with AudioMAE's tokens; loa_error is the error of the
    tokens that GPT-2 generates, predicting their mean gives 1.
    """
    size = len(captions)
    others = np.roll(np.arange(size), size // 2)
    contexts_of = {
        "right": networks.contexts(captions, phonemes),
        "empty": networks.contexts([""] * size, phonemes),
        "wrong": networks.contexts([captions[i] for i in others], None if phonemes is None else phonemes[others]),
    }
    errors = {}
    if loa is not None:
        difference = framework.to_numpy(contexts_of["right"][0][0]) - loa
        errors["loa_error"] = float((difference**2).mean() / max(1e-6, loa.var(0).mean()))
        (_, *states), masks = contexts_of["right"]
        contexts_of["recorded"] = [framework.from_numpy(loa, device), *states], masks
    for name, contexts in contexts_of.items():
        for timestep in EVALUATED_TIMESTEPS:
            errors[f"x0_error_{timestep}_{name}"] = _x0_error(networks, schedule, latents, contexts, timestep, device)
    return errors


def _x0_error(
    networks: JointNetworks,
    schedule: NoiseSchedule,
    latents: np.ndarray,
    contexts: Contexts,
    timestep: int,
    device: str,
) -> float:
    alpha_bar = schedule.alpha_bar(timestep)
    expected = framework.from_numpy(latents, device)
    noise = seeded_rng(timestep).standard_normal(latents.shape, np.float32)
    noisy = add_noise(expected, framework.from_numpy(noise, device), alpha_bar)
    x0 = schedule.to_x0(networks.predict(noisy, timestep, contexts), noisy, alpha_bar)
    return float(((x0 - expected) ** 2).mean())
