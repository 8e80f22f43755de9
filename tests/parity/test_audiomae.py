"""Against a Vision Transformer of PyTorch's own encoder layers, put together after the paper.

timm, whose layers the published network uses, does not import without torchvision's operators. With those declared by
hand, its VisionTransformer (1.0.31) differed by 2.9e-7 for 8 tokens and by 5.5e-7 for 512.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ppaudioldm import framework
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.random import random_weights
from tests.models.test_audiomae import REDUCED, SPEECH, fbank
from tests.support import SEED, random_network, relative_error, run, save_golden

PATHS = (
    (".attention_norm.", ".norm1."),
    (".attention_out.", ".self_attn.out_proj."),
    (".feed_forward_norm.", ".norm2."),
    (".feed_forward_in.", ".linear1."),
    (".feed_forward_out.", ".linear2."),
)


class Reference(torch.nn.Module):
    def __init__(self, config: AudioMAEConfig, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.config, self.weights = config, weights
        size = config.hidden_size
        self.layers = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(
                size, config.num_heads, 4 * size, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
            )
            for _ in range(config.num_layers)
        )
        self.layers.load_state_dict(layer_state(config, weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w, config = self.weights, self.config
        x = F.conv2d(x[:, None], w["patch_embed.weight"], w["patch_embed.bias"], stride=config.patch_size)
        height, width = x.shape[2:]
        positions = w["positions"]
        patches = x.flatten(2).mT + positions[:, 1:]
        x = torch.cat([(w["class_token"] + positions[:, :1]).expand(len(x), -1, -1), patches], 1)
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(F.layer_norm(x, x.shape[2:], w["norm.weight"], w["norm.bias"], 1e-6))
        image = torch.stack(outputs[-3:]).mean(0)[:, 1:].mT.unflatten(2, (height, width))
        pooled = (F.avg_pool2d(image, config.pooling) + F.max_pool2d(image, config.pooling)) / 2
        return pooled.flatten(2).mT


def layer_state(config: AudioMAEConfig, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    state = {}
    for name, tensor in weights.items():
        if not name.startswith("layers."):
            continue
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state[name.removeprefix("layers.")] = tensor
    for index in range(config.num_layers):
        for kind in ("weight", "bias"):
            parts = [state.pop(f"{index}.{part}.{kind}") for part in ("query", "key", "value")]
            state[f"{index}.self_attn.in_proj_{kind}"] = torch.cat(parts)
    return state


def reference_tokens(config: AudioMAEConfig, network) -> np.ndarray:
    shapes = framework.parameter_shapes(network)
    weights = {name: torch.from_numpy(array) for name, array in random_weights("audiomae", shapes, SEED)}
    with torch.no_grad():
        # Not `eval`: that would take a fused path, and the dropout is 0 anyway.
        return Reference(config, weights)(torch.from_numpy(fbank(config))).numpy()


@pytest.mark.parametrize("pooling", [8, 1])
def test_audiomae(pooling):
    config = replace(AudioMAEConfig(), pooling=pooling)
    network = random_network("audiomae", AudioMAE, config)
    tokens = run(network, fbank(config))
    assert tokens.shape == (2, 512 // pooling**2, 768)
    error = relative_error(tokens, reference_tokens(config, network))
    print(f"audiomae on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4


@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
def test_through_openvino():
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import Translator

    full = CHECKPOINTS["audioldm2-full"].config
    engine = OpenVINOEngine(Translator(random_checkpoint("full", full, SEED)), "f32")
    tokens = engine.run_numpy("audiomae", fbank(full.audiomae))
    error = relative_error(tokens, reference_tokens(full.audiomae, random_network("audiomae", AudioMAE, full.audiomae)))
    print(f"audiomae through OpenVINO: relative error {error:.1e}")
    assert error <= 1e-5


def test_reduced(request):
    golden = {}
    for name, config in (("tokens", REDUCED), ("speech_tokens", SPEECH)):
        network = random_network("audiomae", AudioMAE, config)
        golden[name] = reference_tokens(config, network)
        assert relative_error(run(network, fbank(config)), golden[name]) <= 1e-5
    if request.config.getoption("--write-golden"):
        save_golden("audiomae", **golden)
