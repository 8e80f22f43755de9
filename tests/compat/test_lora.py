"""LoRA adapters of the pipelines: the clips of `engine_with`, and diffusers' rules of which are active."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.compat import AudioLDM2Pipeline
from tests.support import noise, relative_error
from tests.weights.lora_examples import keys_of, matrices, write_file, write_peft

QUICK: dict[str, Any] = {
    "audio_length_in_s": 0.5,
    "num_inference_steps": 1,
    "guidance_scale": 1,
    "output_type": "latent",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """`bells`, an adapter in PEFT's layout, and `rain.safetensors`."""
    path = tmp_path_factory.mktemp("adapters")
    write_peft(path / "bells", matrices(("to_q", "to_v"), config=UNTRAINED), lora_alpha=60)
    write_file(path / "rain.safetensors", keys_of(matrices(("to_k", "ff.net.0.proj"), config=UNTRAINED)))
    return path


@pytest.fixture(scope="module")
def opened():
    pipe = AudioLDM2Pipeline.from_pretrained("untrained", engine="eager", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(opened):
    yield opened
    opened.unload_lora_weights()


def clip(pipe: Any, **more: Any) -> np.ndarray:
    start = noise(1, 8, 13, 16)
    return np.asarray(pipe("rain", latents=start, **QUICK, **more).audios)


def test_clips_are_those_of_generate_with_the_adapter(pipe, folder, monkeypatch):
    plain = clip(pipe)
    pipe.load_lora_weights(folder / "bells", adapter_name="bells")
    pipe.load_lora_weights(folder, weight_name="rain.safetensors", adapter_name="rain")
    pipe.set_adapters(["bells", "rain"], adapter_weights=[0.5, 2])
    adapted = clip(pipe)
    by_name = [f"{folder / 'bells'}:0.5", f"{folder / 'rain.safetensors'}:2"]
    monkeypatch.setattr(pipe, "_lora", lambda kwargs: by_name)  # as `generate(lora=by_name)` asks the engine
    np.testing.assert_array_equal(adapted, clip(pipe))
    monkeypatch.undo()
    assert relative_error(adapted, plain) > 0.001
    pipe.disable_lora()
    np.testing.assert_array_equal(clip(pipe), plain)
    pipe.enable_lora()
    np.testing.assert_array_equal(clip(pipe), adapted)
    np.testing.assert_array_equal(clip(pipe, cross_attention_kwargs={"scale": 0.0}), plain)
    pipe.unload_lora_weights()
    np.testing.assert_array_equal(clip(pipe), plain)


def test_scales_are_multiplied(pipe, folder):
    pipe.load_lora_weights(folder / "bells", adapter_name="bells")
    pipe.set_adapters("bells", 2)
    pipe.fuse_lora(lora_scale=0.5)
    assert pipe._lora({"scale": 3}) == [f"{folder / 'bells'}:3.0"]
    pipe.unfuse_lora()
    assert pipe._lora(None) == [f"{folder / 'bells'}:2.0"]


def test_which_are_active_is_as_in_diffusers(pipe, folder):
    """Tried with diffusers 0.42.1 and peft 0.21.2: the last one that was loaded; after that is deleted, the first."""
    pipe.load_lora_weights(folder / "bells")
    pipe.load_lora_weights(folder / "rain.safetensors")
    assert pipe.get_list_adapters() == {"unet": ["default_0", "default_1"]}
    assert pipe.get_active_adapters() == ["default_1"]
    pipe.disable_lora()
    pipe.set_adapters("default_1")
    assert pipe._lora(None) == []
    pipe.delete_adapters("default_1")
    assert pipe.get_active_adapters() == ["default_0"]
    pipe.unload_lora_weights()
    assert pipe.get_list_adapters() == {} and pipe.get_active_adapters() == []


def test_mistakes_are_one_line(pipe, folder, tmp_path):
    pipe.load_lora_weights(folder / "bells", adapter_name="bells")
    write_file(
        tmp_path / "other.safetensors", keys_of({"layers.0.q": {"down": np.ones((1, 2)), "up": np.ones((2, 1))}})
    )
    for call, message in (
        (lambda: pipe.load_lora_weights("nerijs/pixel-art-xl"), "no such LoRA adapter"),
        (lambda: pipe.load_lora_weights({"a": 1}), "takes a file or folder, got a dict"),
        (lambda: pipe.load_lora_weights(folder / "bells", adapter_name="bells"), "loaded already"),
        (lambda: pipe.load_lora_weights(tmp_path / "other.safetensors"), "layers.0.q"),
        (lambda: pipe.set_adapters("rain"), "no adapter 'rain', choose from bells"),
        (lambda: pipe.set_adapters("bells", [1, 2]), "1 adapter names, and 2 weights"),
        (lambda: pipe.set_adapters("bells", {"unet": 1}), "by block"),
        (lambda: pipe.set_adapters("bells", 1e9), "allowed: -10 to 10"),
        (lambda: pipe.delete_adapters("rain"), "no adapter 'rain'"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert pipe.get_list_adapters() == {"unet": ["bells"]}
