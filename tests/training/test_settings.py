import json
from dataclasses import dataclass, field

import pytest

from ppaudioldm.errors import CheckpointError
from ppaudioldm.training.joint import JointSettings
from ppaudioldm.training.optimizer import OptimizerConfig
from ppaudioldm.training.settings import RunConfig, changed, differences, read_settings
from ppaudioldm.training.vae import VAESettings


@dataclass(frozen=True)
class Settings:
    size: int = 1
    rate: float = 0.5
    name: str = "a"
    kinds: tuple[str, ...] = ()
    is_on: bool = True
    run: RunConfig = field(default_factory=RunConfig)


def test_a_file_changes_what_it_names(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"size": 2, "rate": 1, "kinds": ["bell"], "run": {"steps": 7}}')
    settings = read_settings(path, Settings())
    assert settings == Settings(size=2, rate=1.0, kinds=("bell",), run=RunConfig(steps=7))
    assert isinstance(settings.rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "settings: expected an object"),
        ({"sise": 1}, r"settings: unknown setting 'sise', allowed: \['size'"),
        ({"size": 1.5}, "settings.size: expected an integer, got 1.5"),
        ({"size": True}, "settings.size: expected an integer"),
        ({"rate": "x"}, "settings.rate: expected a number, got 'x'"),
        ({"name": 3}, "settings.name: expected a string"),
        ({"kinds": "bell"}, "settings.kinds: expected a list"),
        ({"is_on": 1}, "settings.is_on: expected true or false"),
        ({"run": {"steps": 0}}, "steps is 0, at least 1"),
        ({"run": {"precision": "fp8"}}, "precision is 'fp8', allowed: auto, f32, bf16"),
        ({"run": {"minutes": -1}}, "minutes is -1"),
    ],
)
def test_a_bad_value_is_named(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        changed(Settings(), values)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"a\.json"):
        read_settings(path, Settings())


def test_a_file_that_is_no_json_is_named(tmp_path):
    for text in ("{", "[" * 100_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"a\.json"):
            read_settings(tmp_path / "a.json", Settings())
    with pytest.raises(CheckpointError, match="No such file"):
        read_settings(tmp_path / "b.json", Settings())


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
        (VAESettings(), {"crop_frames": 66}, "crop_frames is 66, expected a multiple of 4 up to 256"),
        (VAESettings(), {"duration": 0.5}, "crop_frames is 64, expected a multiple of 4 up to 50"),
        (VAESettings(), {"crops_per_clip": 0}, "crops_per_clip is 0, at least 1"),
        (JointSettings(), {"duration": 2.6}, "duration is 2.6, expected a multiple of 0.32 seconds"),
        (JointSettings(), {"clips": 0}, "clips is 0, at least 1"),
    ],
)
def test_settings_that_cannot_be_trained_are_named(settings, values, message):
    with pytest.raises(ValueError, match=message):
        changed(settings, values)
