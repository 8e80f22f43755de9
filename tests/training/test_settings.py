import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import tomli_w

from ppaudioldm.config import AudioMAEConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training import tiny
from ppaudioldm.training.audiomae import AudioMAESettings
from ppaudioldm.training.chain import ChainSettings
from ppaudioldm.training.clap import ClapSettings
from ppaudioldm.training.joint_settings import JointSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig, differences, read_settings, to_toml, with_overrides
from ppaudioldm.training.vae import VAESettings
from ppaudioldm.training.vocoder import VocoderSettings


@dataclass(frozen=True)
class Settings:
    size: int = 1
    rate: float = 0.5
    name: str = "a"
    kinds: tuple[str, ...] = ()
    is_on: bool = True
    run: RunConfig = field(default_factory=RunConfig)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", 'size = 2\nrate = 1  # of learning\nkinds = ["bell"]\n[run]\nsteps = 7\n'),
        ("a.json", '{"size": 2, "rate": 1, "kinds": ["bell"], "run": {"steps": 7}}'),
    ],
)
def test_a_file_changes_what_it_names(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    settings = read_settings(tmp_path / name, Settings())
    assert settings == Settings(size=2, rate=1.0, kinds=("bell",), run=RunConfig(steps=7))
    assert isinstance(settings.rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "settings: expected an object, got a list"),
        ({"sise": 1}, "settings: unknown setting 'sise', allowed: size, rate, name, kinds, is_on, run"),
        ({"size": 1.5}, "settings.size: expected a valid integer, got 1.5"),
        ({"size": True}, "settings.size: expected a valid integer, got True"),
        ({"rate": "x"}, "settings.rate: expected a valid number, got 'x'"),
        ({"name": 3}, "settings.name: expected a valid string, got 3"),
        ({"kinds": "bell"}, "settings.kinds: expected a list, got 'bell'"),
        ({"kinds": [1]}, "settings.kinds.0: expected a valid string, got 1"),
        ({"is_on": 1}, "settings.is_on: expected a valid boolean, got 1"),
        ({"run": 3}, "settings.run: expected an object, got 3"),
        ({"run": {"stops": 3}}, "settings.run: unknown setting 'stops', allowed: steps, minutes, "),
        ({"run": {"steps": 0}}, "settings.run: steps is 0, allowed: 1 to 1,000,000,000"),
        ({"run": {"steps": 10**30}}, "settings.run: steps is 10{30}, allowed: 1 to 1,000,000,000"),
        ({"run": {"precision": "fp8"}}, "settings.run: precision is 'fp8', allowed: auto, f32, bf16"),
        ({"run": {"minutes": -1}}, "settings.run: minutes is -1.0, allowed: 0 to 1,000,000"),
        ({"run": {"minutes": float("nan")}}, "settings.run: minutes is nan, allowed: 0 to 1,000,000"),
    ],
)
def test_a_bad_value_is_named(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        with_overrides(Settings(), values)
    files = {"a.json": json.dumps(values)}
    if isinstance(values, dict):
        files["a.toml"] = tomli_w.dumps(values)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(CheckpointError, match=rf"{name}: {message}") as caught:
            read_settings(tmp_path / name, Settings())
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "a.json: "),
        ("a.json", "[" * 100_000, "a.json: nested too deeply"),
        ("a.toml", "{", r"a.toml: .*at line 1, column 1"),
        ("a.toml", "x = " + "[" * 100_000, "a.toml: "),
        ("a.toml", "kinds = [2026-11-26]", "a.toml: settings: 2026-11-26 is a date, allowed: text, numbers"),
        ("a.toml", f"name = '{'a' * (1 << 20)}'", "a.toml: too large, allowed: 1,048,576 bytes"),
    ],
)
def test_a_file_that_holds_no_settings_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_settings(tmp_path / name, Settings())
    with pytest.raises(CheckpointError, match="No such file"):
        read_settings(tmp_path / "b.json", Settings())


MODEL = replace(JointSettings().model, audiomae=None, clap_audio=None)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(name='"quoted"\n\x7f é 𝄞', rate=1e-7, kinds=("a", "b")),
        JointSettings(),
        JointSettings(model=replace(MODEL, unet=replace(MODEL.unet, context_dims=(128, 192, None), film_dim=None))),
    ],
)
def test_settings_as_toml_read_back_to_the_same(tmp_path, settings):
    (tmp_path / "a.toml").write_text(to_toml(settings), "utf-8")
    # Over defaults that differ, so that each value is seen to come from the file.
    others = replace(settings, run=RunConfig(steps=5))
    if isinstance(settings, JointSettings):
        model = replace(MODEL, audiomae=tiny.AUDIOMAE, clap_audio=tiny.CLAP_AUDIO)
        film_dim = MODEL.clap_text.projection_dim
        others = replace(others, model=replace(model, unet=replace(model.unet, film_dim=film_dim)))
    assert read_settings(tmp_path / "a.toml", others) == settings


def test_a_network_that_the_defaults_lack_is_added(tmp_path):
    audiomae = "frames = 512\npooling = 4\nhidden_size = 128\nnum_heads = 4"
    (tmp_path / "a.toml").write_text(f"[model.audiomae]\n{audiomae}\n[model.gpt2]\nmax_positions = 99\n")
    default = JointSettings(model=MODEL)
    settings = read_settings(tmp_path / "a.toml", default)
    assert settings.model.audiomae == AudioMAEConfig(frames=512, pooling=4, hidden_size=128, num_heads=4)
    assert settings.model.gpt2 == replace(MODEL.gpt2, max_positions=99)


def test_the_examples_of_the_documentation_are_settings(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    examples = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    assert len(examples) == 3
    for example in examples:
        (tmp_path / "a.toml").write_text(example, "utf-8")
        defaults = ChainSettings() if "runs = [" in example else JointSettings()
        assert read_settings(tmp_path / "a.toml", defaults).kinds


def test_differences_are_told_one_by_one():
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4}) == [
        "a.b is 3, was 1",
        "c is null, was 2",
        "d is 4, was null",
    ]
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3, "new": 1}, "d": 4}, common=True) == ["a.b is 3, was 1"]


def test_the_rate_warms_up_and_falls_along_a_cosine():
    config = OptimizerConfig(rate=1.0, warmup=10, decay_steps=100, final=0.1)
    rates = [config.rate_at(step) for step in range(200)]
    assert rates[0] == pytest.approx(0.1, rel=1e-3) and rates[4] == pytest.approx(0.5, rel=0.01)
    assert rates[50] == pytest.approx(0.55) and rates[100] == rates[199] == pytest.approx(0.1)
    assert OptimizerConfig(rate=1.0, warmup=10).rate_at(10**6) == 1.0


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        (VAESettings(), {"crop_frames": 66}, "crop_frames is 66, allowed: multiples of 8 up to 512"),
        (VAESettings(), {"duration": 0.5}, "crop_frames is 512, allowed: multiples of 8 up to 50"),
        (VAESettings(), {"crops_per_clip": 0}, "crops_per_clip is 0, allowed: 1 to"),
        (JointSettings(), {"duration": 2.6}, "duration is 2.6, allowed: multiples of 0.64 seconds"),
        (VAESettings(), {"optimizer": {"rate": -0.1}}, "settings.optimizer: rate is -0.1, allowed: 0 to 1"),
        (VAESettings(), {"vae": {"channels": -4}}, "settings: vae.channels is -4, expected 1 to 16384"),
        (VAESettings(), {"vae": {"channels": 33}}, "vae has 33 channels, expected a multiple of 32 up to 16384"),
        (ClapSettings(), {"text": {"num_heads": 0}}, "clap_text.num_heads is 0, expected 1 to 16384"),
        (ClapSettings(), {"audio": {"num_heads": [5, 4]}}, "clap_audio.num_heads has 2 entries"),
        (
            VocoderSettings(),
            {"vocoder": {"resblock_kernels": [2]}},
            r"resblock_kernels are \(2,\), expected odd",
        ),
        (
            AudioMAESettings(),
            {"network": {"encoder": {"num_layers": 0}}},
            "audiomae.num_layers is 0, expected 1",
        ),
        (
            AudioMAESettings(),
            {"network": {"decoder_heads": 7}},
            "network: decoder_size is 96, allowed: multi",
        ),
        (
            JointSettings(),
            {"model": {"unet": {"in_channels": 4}}},
            "unet.in_channels is 4, but vae.latent",
        ),
        (VAESettings(), {"vae": {"channels": None}}, "settings.vae.channels: expected a valid integer, got null"),
        (VAESettings(), {"ema": 2}, "ema is 2.0, allowed: 0 to 1"),
        (ClapSettings(), {"batch_size": 1}, "batch_size is 1, allowed: 2 to"),
        (JointSettings(), {"model": {"unet": {"a": 1}}}, "settings.model.unet: unknown setting 'a', allowed: in_ch"),
        (JointSettings(), {"model": {"clap_audio": {"a": 1}}}, "model.clap_audio: unknown setting 'a', allowed: spec"),
        (JointSettings(), {"clips": 0}, "clips is 0, allowed: 1 to"),
    ],
)
def test_settings_that_cannot_be_trained_are_named(settings, values, message):
    with pytest.raises(ValueError, match=message):
        with_overrides(settings, values)
