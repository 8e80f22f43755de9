"""What an adapter says it is sampled with: read from its file's metadata, and refused in one line where it is bad."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.adapted import AdaptedEngines
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.lora import read_adapter, read_sampling
from ppaudioldm.weights.lora_merge import with_adapters
from ppaudioldm.weights.lora_sampling import METADATA, Sampling
from tests.weights.lora_examples import QUERY, SMALL, keys_of, matrices, write_file

LCM = Sampling("lcm", 4, 1.0)


def written(path, metadata: dict[str, str] | None):
    return write_file(path, keys_of(matrices((QUERY,), config=SMALL)), metadata)


def test_the_file_says_it_and_a_checkpoint_with_it_merged_too(tmp_path):
    path = written(tmp_path / "fast.safetensors", LCM.metadata())
    plain = written(tmp_path / "plain.safetensors", None)
    assert read_adapter(path).sampling == read_sampling(path) == LCM
    assert read_adapter(plain).sampling is read_sampling(plain) is None
    adapters = [read_adapter(plain), read_adapter(path)]
    merged = with_adapters(
        random_checkpoint("untrained", SMALL, 0), [(adapter, 0.5) for adapter in adapters]
    ).config.diffusion
    assert (merged.sampler, merged.num_inference_steps, merged.guidance_scale) == ("lcm", 4, 1.0)
    assert with_adapters(random_checkpoint("untrained", SMALL, 0), [(adapters[1], 0.0)]).config == SMALL
    assert LCM.applied(UNTRAINED.diffusion).prediction == UNTRAINED.diffusion.prediction


def test_the_first_of_the_chosen_that_has_an_effect_decides(tmp_path):
    two = Sampling("lcm", 2, 1.5)
    named = {
        "fast": written(tmp_path / "fast.safetensors", LCM.metadata()),
        "faster": written(tmp_path / "faster.safetensors", two.metadata()),
        "plain": written(tmp_path / "plain.safetensors", {"format": "pt"}),
    }
    engines = AdaptedEngines(None, lambda merged: None, named, only_named=True)  # type: ignore[arg-type,return-value]
    assert engines.sampling(["plain", "faster:0.5", "fast"]) == two
    assert engines.sampling(["faster:0", "fast"]) == LCM and engines.sampling(["plain"]) is None
    with pytest.raises(ValueError, match="lora is '/etc/passwd', allowed: fast, faster, plain"):
        engines.sampling(["/etc/passwd"])


@pytest.mark.parametrize(
    "text,message",
    [
        ("[1]", "JSON object"),
        ("{", "Expecting property name"),
        ("{}", "has the fields"),
        ({"sampler": "x"}, "sampler is 'x', allowed: ddim, plms, ddpm, dpm"),
        ({"sampler": ["lcm"]}, r"sampler is \['lcm'\], allowed"),
        ({"sampler": "consistency"}, "sampler is 'consistency', allowed: ddim"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0, allowed: 1 to 1000"),
        ({"num_inference_steps": True}, "num_inference_steps is True, allowed"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan, allowed: up to 100|NaN"),
        ({"guidance_scale": 1e9}, "guidance_scale is 1000000000.0, allowed: up to 100"),
        ({"guidance_scale": "1"}, "guidance_scale is '1', allowed"),
    ],
)
def test_what_is_refused(tmp_path, text: Any, message):
    if isinstance(text, dict):
        text = json.dumps({"sampler": "lcm", "num_inference_steps": 4, "guidance_scale": 1.0, **text})
    path = written(tmp_path / "bad.safetensors", {METADATA: text})
    for read in (read_adapter, read_sampling):
        with pytest.raises(CheckpointError, match=f"bad.safetensors: .*({message})") as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\1" * 40)
    with pytest.raises(CheckpointError, match="x.safetensors: "):
        read_sampling(path)
