"""Against transformers' ClapAudioModelWithProjection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from ppaudioldm import framework
from ppaudioldm.audio.clap_mel import CLAP_MAX_SAMPLES, clap_log_mel, interpolate_frames
from ppaudioldm.checkpoints import HTSAT_TINY, UNTRAINED
from ppaudioldm.config import ClapAudioConfig
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.weights.random import random_weights
from tests.generation.test_ranking import EMBEDDED, RATE
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


@pytest.mark.parametrize("config", [REDUCED, ClapAudioConfig(), HTSAT_TINY], ids=["reduced", "full", "htsat-tiny"])
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
    stretched = interpolate_frames(x[0, 0], REDUCED.spec_size**2 // REDUCED.n_mels)[None, None].astype(np.float32)
    assert relative_error(run(network, stretched), reference_embedding(reference, x)) <= 1e-4


def feature_extractor() -> transformers.ClapFeatureExtractor:
    """With the settings of the published folders; the lowest frequency is another by default."""
    return transformers.ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc", padding="repeatpad")


def extracted(waveform: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """transformers' view (1, frames, 64), by its own rules, but that its cut of a long waveform is at the start."""
    monkeypatch.setattr(np.random, "randint", lambda low, high: low)
    extractor = feature_extractor()
    if len(waveform) < CLAP_MAX_SAMPLES:
        # AudioLDM 2 neither repeats nor pads a short one: CLAP stretches its frames.
        return extractor._np_extract_fbank_features(waveform, extractor.mel_filters_slaney)[None]
    return extractor(waveform, sampling_rate=RATE)["input_features"][0]


@pytest.mark.parametrize("size", ["untrained", "full"])
def test_silence_short_and_long_sounds(size, request, monkeypatch):
    config = UNTRAINED.clap_audio if size == "untrained" else ClapAudioConfig()
    network = random_network("clap_audio", ClapAudio, config)
    reference = reference_network(config, framework.parameter_shapes(network))
    golden = {}
    for name, (waveform, part) in EMBEDDED.items():
        frames = extracted(waveform.astype(np.float64), monkeypatch).astype(np.float32)
        golden[name] = reference_embedding(reference, frames[None])[0]
        assert frames.shape == (1, len(waveform[part]) // 480 + 1, 64)
        error = relative_error(run(network, clap_log_mel(waveform)[None])[0], golden[name])
        print(f"clap_audio {size}, {name}, on {framework.NAME}: relative error {error:.1e}")
        assert error <= 1e-4
    if size == "untrained" and request.config.getoption("--write-golden"):
        save_golden("clap_heard", **golden)


@pytest.mark.parametrize("samples", [RATE // 2, 4 * RATE, 480_000])
def test_repeated_as_audioldm1_does_is_what_transformers_makes_of_it(samples):
    """Whole repetitions, then silence: 4 s are there twice."""
    waveform = noise(samples).astype(np.float64) / 10
    frames = feature_extractor()(waveform, sampling_rate=RATE)["input_features"][0]
    ours = clap_log_mel(waveform, repeat=True)
    assert relative_error(ours, interpolate_frames(frames[0], 1024)[None]) <= 1e-5
