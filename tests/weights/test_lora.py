"""LoRA adapters: the same weights from every naming and layout, and one line for what is no usable adapter."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.config import ModelConfig
from ppaudioldm.errors import CheckpointError
from ppaudioldm.weights.checkpoint import Checkpoint, random_checkpoint
from ppaudioldm.weights.lora import CONFIG_FILE, HEADER_LIMIT_BYTES, WEIGHTS_FILE, read_adapter
from ppaudioldm.weights.lora_choice import LoraChoice, parse_choices
from ppaudioldm.weights.lora_merge import with_adapters, with_lora
from ppaudioldm.weights.tensors import ComputedTensor
from tests.weights.examples import stored, tiny_in
from tests.weights.lora_examples import (
    ENDINGS,
    QUERY,
    SMALL,
    change_of,
    keys_of,
    matrices,
    targets_of,
    write_file,
    write_peft,
)

SOME = ("attn2.to_k", "to_out.0", "ff.net.0.proj", "proj_in", "mid_block.resnets.0.conv1")


@pytest.fixture(scope="module")
def base() -> Checkpoint:
    """A UNet alone, its weights drawn once."""
    checkpoint = random_checkpoint("untrained", SMALL, seed=0)
    unet = {name: stored(values) for name, values in checkpoint.weights("unet")}
    return replace(checkpoint, networks={"unet": unet})


def changed(before: Checkpoint, after: Checkpoint) -> dict[str, np.ndarray]:
    """Parameter -> by how much it differs, of those that do."""
    old, new = dict(before.weights("unet")), dict(after.weights("unet"))
    assert list(old) == list(new)
    return {name: new[name] - old[name] for name in old if not np.array_equal(new[name], old[name])}


def expected(pairs, factor: float = 1.0, config: ModelConfig = SMALL) -> dict[str, np.ndarray]:
    """Parameter -> its change by definition."""
    found = {}
    for module, pair in pairs.items():
        for target in targets_of(config)[module]:
            found[target.name] = factor * target.placement.extract([change_of(pair)], target.shape)
    return found


def assert_changed(before: Checkpoint, after: Checkpoint, pairs, factor: float = 1.0) -> None:
    actual, right = changed(before, after), expected(pairs, factor)
    assert set(actual) == set(right)
    for name, values in right.items():
        np.testing.assert_allclose(actual[name], values, atol=1e-6, err_msg=name)


# ---- What is merged


def test_a_folder_of_peft_changes_every_kind_of_layer(base, tmp_path):
    everything = matrices()
    merged = with_lora(base, [str(write_peft(tmp_path / "all", everything))])
    assert_changed(base, merged, everything)


@pytest.mark.parametrize("naming", ENDINGS)
def test_every_naming_of_a_single_file(base, tmp_path, naming):
    pairs = matrices(SOME)
    path = write_file(tmp_path / "adapter.safetensors", keys_of(pairs, naming))
    assert_changed(base, with_lora(base, [f"{path}:0.5"]), pairs, 0.5)
    folder = tmp_path  # with nothing but that file
    assert read_adapter(folder).pairs.keys() == read_adapter(path).pairs.keys()


def test_the_naming_of_attention_processors(base, tmp_path):
    pairs = matrices(("attn1.to_q", "attn1.to_out.0"))
    tensors = {}
    for module, pair in pairs.items():
        attention, _, layer = module.removesuffix(".0").rpartition(".")
        for part, values in pair.items():
            tensors[f"unet.{attention}.processor.{layer}_lora.{part}.weight"] = values
    path = write_file(tmp_path / "old.safetensors", tensors)
    assert_changed(base, with_lora(base, [str(path)]), pairs)


def test_a_checkpoint_of_another_layout(tmp_path):
    checkpoint = tiny_in("original")
    pairs = matrices(("attn1.to_q", "ff.net.0.proj"), config=UNTRAINED)
    merged = with_lora(checkpoint, [str(write_peft(tmp_path / "a", pairs))])
    for name, values in expected(pairs, config=UNTRAINED).items():
        change = merged.networks["unet"][name].read() - checkpoint.networks["unet"][name].read()
        np.testing.assert_allclose(change, values, atol=1e-6, err_msg=name)
    assert merged.networks["vae_decoder"] is checkpoint.networks["vae_decoder"]


@pytest.mark.parametrize(
    "config,factor",
    [
        ({"lora_alpha": 6}, 3.0),
        ({"lora_alpha": 6, "use_rslora": True}, 6 / 2**0.5),
        ({"lora_alpha": 8, "alpha_pattern": {"to_q": 1.0}}, 0.5),
        ({"r": 7, "lora_alpha": 8, "rank_pattern": {"^" + QUERY: 2}}, 4.0),
        ({"target_modules": "all-linear"}, 1.0),
        ({"lora_dropout": 0.1, "task_type": None, "peft_version": "0.21.2"}, 1.0),
    ],
)
def test_the_factor_of_a_configuration(base, tmp_path, config, factor):
    pairs = matrices((QUERY,))
    folder = write_peft(tmp_path / "a", pairs, **config)
    assert_changed(base, with_lora(base, [str(folder)]), pairs, factor)
    assert_changed(base, with_lora(base, [str(folder / WEIGHTS_FILE)]), pairs, factor)  # named itself


def test_the_alpha_of_a_file(base, tmp_path):
    pairs = matrices((QUERY,))
    alpha = {f"unet.{QUERY}.alpha": np.full((), 6, np.float32)}
    path = write_file(tmp_path / "alpha.safetensors", keys_of(pairs) | alpha)
    assert_changed(base, with_lora(base, [str(path)]), pairs, 3.0)
    metadata = {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.lora_alpha": 8, "text_encoder.r": 0})}
    path = write_file(tmp_path / "metadata.safetensors", keys_of(pairs, "peft"), metadata)
    assert_changed(base, with_lora(base, [str(path)]), pairs, 4.0)


def test_several_add_up(base, tmp_path):
    pairs = matrices((QUERY,))
    first, second = (write_peft(tmp_path / name, pairs) for name in ("first", "second"))
    assert_changed(base, with_lora(base, [f"{first}:0.5", f"{second}:-0.25"]), pairs, 0.25)


def test_a_weight_is_computed_when_it_is_read(base, tmp_path):
    """Memory holds one weight at a time, however large the network is."""
    read: list[str] = []

    def watched(name, tensor):
        return ComputedTensor(tensor.shape, lambda: read.append(name) or tensor.read())

    unet = {name: watched(name, tensor) for name, tensor in base.networks["unet"].items()}
    checkpoint = Checkpoint(base.name, base.layout, base.config, base.tokenizer_json, {"unet": unet})
    merged = with_lora(checkpoint, [str(write_peft(tmp_path / "a", matrices(SOME)))])
    assert read == []
    next(merged.weights("unet"))
    assert len(read) == 1


def test_digest_is_of_the_content(tmp_path):
    pairs = matrices((QUERY,))
    one, same, other = (
        read_adapter(write_peft(tmp_path / name, pairs, lora_alpha=alpha))
        for name, alpha in (("one", 2), ("same", 2), ("other", 3))
    )
    assert one.digest == same.digest != other.digest


# ---- What is refused, in one line


def refusal(path: Path, checkpoint: Checkpoint | None = None) -> str:
    with pytest.raises(CheckpointError) as error:
        adapter = read_adapter(path)
        if checkpoint is not None:
            dict(with_adapters(checkpoint, [(adapter, 1.0)]).weights("unet"))
    message = str(error.value)
    assert "\n" not in message and len(message) < 1000 and path.name in message
    return message


@pytest.mark.parametrize(
    "config,message",
    [
        ({"use_dora": True}, "use_dora is true: a DoRA adapter"),
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA', allowed: LORA"),
        ({"r": 0}, "r is 0, allowed: 1 to 4096"),
        ({"r": True}, "r is True, allowed"),
        ({"r": 4}, f"{QUERY!r} has rank 2, but its configuration says 4"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, allowed"),
        ({"lora_alpha": "8"}, "lora_alpha is '8', allowed"),
        ({"bias": "all"}, "bias is 'all', allowed: none"),
        ({"modules_to_save": ["conv_in"]}, "'modules_to_save' is ['conv_in'], which is not supported"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"target_modules": ["to_k"]}, f"{QUERY!r} has weights, but is not among its target_modules"),
        ({"alpha_pattern": {"(a+)+$": 2}}, "alpha_pattern has '(a+)+$', allowed: names of modules"),
        ({"lora_bias": True}, "'lora_bias' is True, which is not supported"),
    ],
)
def test_configurations(tmp_path, config, message):
    assert message in refusal(write_peft(tmp_path / "bad", matrices((QUERY,)), **config))


def renamed(old: str, new: str) -> Callable:
    return lambda tensors: {key.replace(old, new): values for key, values in tensors.items()}


def with_value(value: float) -> Callable:
    def change(tensors):
        name = f"unet.{QUERY}.lora.up.weight"
        array = tensors[name].copy()
        array[0, 0] = value
        return tensors | {name: array}

    return change


def rank_0(tensors):
    down, up = tensors
    return {down: np.zeros((0, tensors[down].shape[1]), np.float32), up: np.zeros((len(tensors[up]), 0), np.float32)}


@pytest.mark.parametrize(
    "change,message",
    [
        (
            renamed("mid_block", "encoder"),
            "1 of its 1 modules fit nothing in the UNet of untrained, the first: 'encoder",
        ),
        (renamed("unet.", "text_encoder."), "fit nothing in the UNet of untrained"),
        (renamed(".lora.up", ".other"), "1 keys that are no part of a LoRA, the first"),
        (lambda tensors: dict(list(tensors.items())[:1]), "has down, allowed: down and up"),
        (lambda tensors: tensors | {"x.lora_magnitude_vector": np.zeros(3)}, "weights of DoRA, allowed: plain LoRA"),
        (lambda tensors: tensors | {"x.dora_scale": np.zeros(3)}, "weights of DoRA, allowed: plain LoRA"),
        (lambda tensors: tensors | {"x.hada_w1_a": np.zeros(3)}, "weights of LoHa, allowed: plain LoRA"),
        (lambda tensors: tensors | {f"unet.{QUERY}.alpha": np.array([np.nan])}, "is no number up to a million"),
        (lambda tensors: tensors | keys_of({QUERY: {"down": np.ones((2, 5)), "up": np.ones((7, 2))}}), "another model"),
        (
            lambda tensors: tensors | keys_of({QUERY: {"down": np.ones((3, 5)), "up": np.ones((7, 2))}}),
            "[rank, inputs]",
        ),
        (lambda tensors: {key: values.astype(np.int32) for key, values in tensors.items()}, "no finite numbers"),
        (lambda tensors: {}, "holds no LoRA weights"),
        (rank_0, "rank is 0, allowed: 1 to 4096"),
        (with_value(np.nan), "holds values that are no finite numbers"),
        (with_value(np.inf), "holds values that are no finite numbers"),
        (
            lambda tensors: {key: values * 1e30 for key, values in tensors.items()},
            "too large, the weight middle.transformers",
        ),
        (
            lambda tensors: {f"{i}.lora_A.weight": np.zeros((1, 1), np.float32) for i in range(10_000)},
            "10000 tensors, allowed in an adapter: up to 8192",
        ),
    ],
)
def test_files(base, tmp_path, change, message):
    path = write_file(tmp_path / "bad.safetensors", change(keys_of(matrices((QUERY,)))))
    assert message in refusal(path, base)


def test_damaged_files(tmp_path):
    content = save(keys_of(matrices((QUERY,))))
    path = tmp_path / "bad.safetensors"
    for wrong in (content[: len(content) // 2], content[:20], b"", b"PK\x03\x04" + content, b"{}"):
        path.write_bytes(wrong)
        refusal(path)
    # A header that says it is large, and one that is.
    size = HEADER_LIMIT_BYTES + 1
    for claimed in (size, 1 << 39):
        path.write_bytes(struct.pack("<Q", claimed) + b"{" + b" " * (size - 2) + b"}")
        assert f"a header of {claimed} bytes, allowed in an adapter: up to {HEADER_LIMIT_BYTES}" in refusal(path)


def test_pickles_and_other_folders(tmp_path):
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "adapter_model.bin").write_bytes(b"\x80\x02.")
    (folder / CONFIG_FILE).write_text("{}")
    assert "an adapter as a pickle, 'adapter_model.bin', allowed: safetensors" in refusal(folder)
    assert "an adapter as a pickle, allowed: safetensors" in refusal(folder / "adapter_model.bin")
    assert "no such LoRA adapter" in refusal(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "not an adapter" in refusal(tmp_path / "empty")
    bare = write_peft(tmp_path / "bare", matrices((QUERY,)))
    (bare / CONFIG_FILE).write_text("[" * 100_000)
    assert "nested too deeply" in refusal(bare)
    (bare / CONFIG_FILE).unlink()
    assert "without adapter_config.json" in refusal(bare)


# ---- The choice, as text


@pytest.mark.parametrize(
    "text,adapter,scale",
    [
        ("bells.safetensors", "bells.safetensors", 1.0),
        (" bells:0.8 ", "bells", 0.8),
        ("bells:-1e-1", "bells", -0.1),
        (r"C:\adapters\bells", r"C:\adapters\bells", 1.0),
        (r"C:\adapters\bells:2", r"C:\adapters\bells", 2.0),
        ("odd:name:1", "odd:name", 1.0),
    ],
)
def test_choices(text, adapter, scale):
    choice = LoraChoice.parse(text)
    assert (choice.adapter, choice.scale) == (adapter, scale)
    assert LoraChoice.parse(str(choice)) == choice


@pytest.mark.parametrize("text", ["bells:1e9", "bells:nan", "bells:inf", "bells:-11"])
def test_scales_that_are_refused(text):
    with pytest.raises(ValueError, match=r"lora: the scale of 'bells' is .*, allowed: -10 to 10"):
        LoraChoice.parse(text)


def test_equal_choices_are_equal_texts():
    assert parse_choices("lora", "bells; rain:0.50") == ("bells", "rain:0.5")
    assert parse_choices("lora", ["bells:1.0", "rain:.5"]) == ("bells", "rain:0.5")
    for wrong in (":0.5", "bells:", "a\nb", "x" * 5000, ["a", 3], 7, "a;a:0.5", ";".join("abcdefghi")):
        with pytest.raises(ValueError, match="^lora") as error:
            parse_choices("lora", wrong)
        assert "\n" not in str(error.value)
