"""Against transformers' SpeechT5HifiGan."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import HifiGanConfig, ModelConfig
from ppaudioldm.weights import diffusers
from tests.models.test_hifigan import CONFIGS, make_mel
from tests.parity.references import Weights, build, give_weights, make_weights
from tests.support import relative_error, run, save_golden


def reference_network(config: HifiGanConfig, weights: Weights) -> torch.nn.Module:
    with torch.device("meta"):
        reference = transformers.SpeechT5HifiGan(
            transformers.SpeechT5HifiGanConfig(
                model_in_dim=config.n_mels,
                upsample_initial_channel=config.initial_channels,
                upsample_rates=list(config.upsample_rates),
                upsample_kernel_sizes=list(config.upsample_kernels),
                resblock_kernel_sizes=list(config.resblock_kernels),
                resblock_dilation_sizes=[list(config.resblock_dilations)] * len(config.resblock_kernels),
                normalize_before=False,
            )
        )
    layout = diffusers.layout(replace(ModelConfig(), vocoder=config))
    return give_weights(reference, weights, layout, unused=("mean", "scale"))


CASES = {
    **{f"reduced {name}": config for name, config in CONFIGS.items()},
    "full 16k": CHECKPOINTS["audioldm2-full"].config.vocoder,
    "full 48k": CHECKPOINTS["audioldm_48k"].config.vocoder,
}


@pytest.mark.parametrize("case", CASES)
def test_hifigan(case, request):
    model = replace(ModelConfig(), vocoder=CASES[case])
    weights = make_weights(model, "vocoder")
    mel = make_mel(model.vocoder)
    with torch.no_grad():
        expected = reference_network(model.vocoder, weights)(torch.from_numpy(mel)).numpy()
    (network,) = build(model, weights)
    error = relative_error(run(network, mel), expected)
    print(f"hifigan {case} on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if case.startswith("reduced") and request.config.getoption("--write-golden"):
        save_golden(f"hifigan_{case.split()[1]}", waveform=expected)
