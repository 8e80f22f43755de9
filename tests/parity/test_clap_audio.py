"""Against transformers' ClapAudioModelWithProjection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.audio.mel import stretch
from ppaudioldm.config import ClapAudioConfig
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.weights.random import random_weights
from tests.models.test_clap_audio import REDUCED, log_mel
from tests.support import SEED, noise, random_network, relative_error, run, save_golden

PATHS = (
    ("input_norm.", "encoder.batch_norm."),
    ("patch_embed.", "encoder.patch_embed.proj."),
    ("patch_norm.", "encoder.patch_embed.norm."),
    ("stages.", "encoder.layers."),
    ("projection_in.", "audio_projection.linear1."),
    ("projection_out.", "audio_projection.linear2."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".query.", ".attention.self.query."),
    (".key.", ".attention.self.key."),
    (".value.", ".attention.self.value."),
    (".attention_out.", ".attention.output.dense."),
    (".feed_forward_in.", ".intermediate.dense."),
    (".feed_forward_out.", ".output.dense."),
    (".relative_bias", ".attention.self.relative_position_bias_table"),
    ("encoder.", "audio_model.audio_encoder."),
)


def reference_network(config: ClapAudioConfig, shapes) -> torch.nn.Module:
    reference = transformers.ClapAudioModelWithProjection(
        transformers.ClapAudioConfig(
            spec_size=config.spec_size,
            num_mel_bins=config.n_mels,
            patch_size=config.patch_size,
            patch_stride=[config.patch_size] * 2,
            patch_embeds_hidden_size=config.hidden_size,
            hidden_size=config.hidden_size * 2 ** (len(config.depths) - 1),
            depths=list(config.depths),
            num_attention_heads=list(config.num_heads),
            window_size=config.window_size,
            projection_dim=config.projection_dim,
        )
    )
    state = {}
    for name, array in random_weights("clap_audio", shapes, SEED):
        name = f"encoder.{name}" if name.startswith("norm.") else name
        for ours, theirs in PATHS:
            name = name.replace(ours, theirs)
        state[name] = torch.from_numpy(array)
    missing, unexpected = reference.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith(("relative_position_index", "num_batches_tracked")) for name in missing)
    return reference.eval()


def reference_embedding(reference: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output = reference(torch.from_numpy(x), is_longer=torch.zeros(len(x), 1, dtype=torch.bool)).audio_embeds
    return torch.nn.functional.normalize(output, dim=-1).numpy()


@pytest.mark.parametrize("config", [REDUCED, ClapAudioConfig()], ids=["reduced", "full"])
def test_clap_audio(config, request):
    network = random_network("clap_audio", ClapAudio, config)
    reference = reference_network(config, framework.parameter_shapes(network))
    x = log_mel(config)
    expected = reference_embedding(reference, x)
    error = relative_error(run(network, x), expected)
    print(f"clap_audio on {framework.NAME}: relative error {error:.1e}")
    assert error <= 1e-4
    if config is REDUCED and request.config.getoption("--write-golden"):
        save_golden("clap_audio", embedding=expected)


@pytest.mark.parametrize("frames", [1, 101, 255])
def test_stretched_before_or_after_the_input_norm(frames):
    """transformers normalises, then stretches to the frames it needs; we stretch first, in NumPy."""
    network = random_network("clap_audio", ClapAudio, REDUCED)
    reference = reference_network(REDUCED, framework.parameter_shapes(network))
    x = noise(1, 1, frames, REDUCED.n_mels)
    stretched = stretch(x[0, 0], REDUCED.spec_size**2 // REDUCED.n_mels)[None, None].astype(np.float32)
    assert relative_error(run(network, stretched), reference_embedding(reference, x)) <= 1e-4
