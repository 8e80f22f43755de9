"""Files of VGGish's and Cnn14's weights: good ones, and each kind of bad one in one line."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from ppaudioldm.audio.evaluation_mels import MEL_CNN14
from ppaudioldm.errors import CheckpointError
from ppaudioldm.models.cnn14 import Cnn14, Cnn14Config
from ppaudioldm.models.vggish import VGGish, VGGishConfig
from ppaudioldm.weights import evaluation_networks
from ppaudioldm.weights.evaluation_networks import FILTERS_KEY, read_cnn14, read_vggish
from tests.evaluation_networks import SMALL_CNN14, SMALL_VGGISH, stored, value, write_cnn14, write_vggish

LAYER = "embeddings.4.weight"


def test_a_file_of_torchvggish(tmp_path):
    found = read_vggish(write_vggish(tmp_path / "v.pth"))
    assert found.config == SMALL_VGGISH and found.sample_rate == 16000
    expected = value("vggish", "layers.2.weight", (16, 20))
    np.testing.assert_array_equal(found.parameters["layers.2.weight"].read(), expected)


@pytest.mark.parametrize("rate", MEL_CNN14)
def test_a_file_of_panns_says_its_sample_rate(rate, tmp_path):
    found = read_cnn14(write_cnn14(tmp_path / "c.pth", rate))
    assert found.config == SMALL_CNN14 and found.sample_rate == rate
    expected = value("cnn14", "blocks.5.norm2.running_var", (16,))
    np.testing.assert_array_equal(found.parameters["blocks.5.norm2.running_var"].read(), expected)


def test_safetensors_with_the_same_keys(tmp_path):
    save_file({key: np.array(x.read()) for key, x in stored(VGGish, SMALL_VGGISH).items()}, tmp_path / "v.safetensors")
    assert read_vggish(tmp_path / "v.safetensors").config == SMALL_VGGISH


def test_published_sizes_are_what_the_networks_have_by_default():
    """The tensors of the published files, and the values in that of VGGish."""
    vggish = [x.shape for x in stored(VGGish, VGGishConfig()).values()]
    assert len(vggish) == 18 and sum(int(np.prod(shape)) for shape in vggish) == 72_141_184
    assert len(stored(Cnn14, Cnn14Config())) == 84


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({LAYER: None}, "1 tensors of VGGish are missing, the first: embeddings.4.weight"),
        ({"foreign": np.zeros(3, np.float32)}, "1 unexpected tensors, the first: foreign"),
        (
            {LAYER: np.zeros((16, 7), np.float32)},
            r"1 wrong shapes .* embeddings.4.weight \[16, 7\], expected \[16, 20\]",
        ),
        ({LAYER: np.zeros((129, 20), np.float32)}, "embeddings.4.weight has 129 rows, allowed: 1 to 128"),
        ({LAYER: np.zeros((0, 20), np.float32)}, "embeddings.4.weight has 0 rows"),
        ({LAYER: np.float32(3)}, r"embeddings.4.weight \[\], expected \[128, 20\]"),
    ],
)
def test_bad_files_of_vggish(changed, message, tmp_path):
    with pytest.raises(CheckpointError, match=message) as error:
        read_vggish(write_vggish(tmp_path / "v.pth", **changed))
    assert "v.pth" in str(error.value) and "\n" not in str(error.value)


FILTERS = np.zeros((257, 64), np.float32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({FILTERS_KEY: None}, "no logmel_extractor.melW"),
        ({FILTERS_KEY: FILTERS}, "are not those of Cnn14 at 16000 Hz"),
        ({FILTERS_KEY: np.full_like(FILTERS, np.nan)}, "are not those of Cnn14 at 16000 Hz"),
        ({FILTERS_KEY: FILTERS[:129]}, r"is \[129, 64\], allowed: \[257, 64\] at 16000 Hz, \[513, 64\] at 32000 Hz"),
        ({"conv_block3.bn1.running_var": None}, "tensors of Cnn14 are missing, the first: conv_block3.bn1.running_var"),
        ({"att_block.att.weight": FILTERS}, "unexpected tensors, the first: att_block"),
    ],
)
def test_bad_files_of_cnn14(changed, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        read_cnn14(write_cnn14(tmp_path / "c.pth", **changed))


def test_values_that_are_not_finite(tmp_path):
    nan = np.full((16, 20), np.nan, np.float32)
    with pytest.raises(CheckpointError, match=r"v\.pth: the values of layers.2.weight are not all finite"):
        read_vggish(write_vggish(tmp_path / "v.pth", **{LAYER: nan})).build()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00idq\x01\x85R.", "v.pth"),  # a pickle that would run a program
        (b"<html>not found</html>", "an HTML page"),
        (b"PK\x03\x04 cut", "v.pth"),
    ],
)
def test_what_is_no_file_of_weights(content, message, tmp_path):
    (tmp_path / "v.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_vggish(tmp_path / "v.pth")


def test_too_large_a_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_networks, "FILE_BYTES_LIMIT", 1000)
    with pytest.raises(CheckpointError, match="allowed: 1,000"):
        read_vggish(write_vggish(tmp_path / "v.pth"))
