from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import (
    CHECKPOINTS,
    DEFAULT_CHECKPOINT,
    LICENCE,
    audiomae_names,
    built_in_speech_checkpoint,
    recording_names,
    unknown_name,
)
from ppaudioldm.models.build import network_names, parameter_shapes
from ppaudioldm.weights.convert import read_manifest


def test_every_entry_says_where_it_is_and_under_which_licence():
    for name, info in CHECKPOINTS.items():
        assert info.summary and "\n" not in info.summary
        others = {"random": "none", "built-in": "Apache-2.0", "consistencytta": "CC-BY-NC-ND-4.0"}
        assert info.licence == others.get(info.layout, LICENCE)
        if info.layout in ("random", "built-in"):
            assert not info.repo
            continue
        assert bool(info.zenodo) != (info.repo.count("/") == 1) and info.download_gb > 1
        if info.layout == "diffusers":
            assert not info.filename and info.repo == name
        elif info.layout == "original" and not info.config.unet.is_audioldm1:  # whose files have other names
            assert info.filename == f"{name}.pth"


def test_what_comes_with_the_package_is_the_default():
    assert [name for name, info in CHECKPOINTS.items() if info.layout == "built-in"] == [
        DEFAULT_CHECKPOINT,
        built_in_speech_checkpoint(),
    ]
    assert [name for name, info in CHECKPOINTS.items() if info.layout == "random"] == ["untrained"]


def test_diffusers_folders_hold_what_the_published_files_hold_but_audiomae():
    for folder, file in {
        "cvssp/audioldm2": "audioldm2-full",
        "cvssp/audioldm2-large": "audioldm2-full-large-1150k",
        "cvssp/audioldm2-music": "audioldm2-music-665k",
        "anhnct/audioldm2_gigaspeech": "audioldm2-speech-gigaspeech",
        "anhnct/audioldm2_ljspeech": "audioldm2-speech-ljspeech",
    }.items():
        assert CHECKPOINTS[folder].config == replace(CHECKPOINTS[file].config, audiomae=None)


@pytest.mark.parametrize("name", [name for name, info in CHECKPOINTS.items() if info.layout == "original"])
def test_every_published_file_has_a_manifest(name):
    assert len(read_manifest(name)) > 2000


def table_of_t5(key: str) -> bool:
    """FLAN-T5's embedding has two keys, and files hold it once."""
    return key.endswith("encoder.embed_tokens.weight")


@pytest.mark.parametrize("name", [name for name, info in CHECKPOINTS.items() if info.layout == "original"])
def test_sizes_are_those_of_the_tensors(name):
    manifest = read_manifest(name)
    values = sum(math.prod(shape) for key, shape in manifest.items() if not table_of_t5(key))
    # A pickled tensor takes 480 bytes besides its values.
    assert CHECKPOINTS[name].download_gb == round((4 * values + 480 * len(manifest)) / 1e9, 1)


@pytest.mark.parametrize("name", [name for name, info in CHECKPOINTS.items() if info.layout == "diffusers"])
def test_sizes_of_folders_are_those_of_their_networks(name):
    config = CHECKPOINTS[name].config
    shapes = [shape for network in network_names(config) for shape in parameter_shapes(network, config).values()]
    assert CHECKPOINTS[name].download_gb == pytest.approx(4 * sum(map(math.prod, shapes)) / 1e9, abs=0.2)


def test_the_size_of_consistencytta_is_that_of_its_files():
    unet, whole = read_manifest("consistencytta-unet"), read_manifest("audioldm-s-full")
    vae = [shape for key, shape in whole.items() if key.startswith("first_stage_model.")]
    flan_t5_large = 783_150_080  # values of the published file, which is downloaded whole
    values = sum(map(math.prod, [*unet.values(), *vae])) + flan_t5_large
    assert CHECKPOINTS["consistencytta"].download_gb == round(4 * values / 1e9, 1)


def test_audioldm1s_folders_hold_what_its_files_hold_but_claps_audio_branch():
    for folder, file in {
        "cvssp/audioldm": "audioldm-s-full",
        "cvssp/audioldm-s-full-v2": "audioldm-s-full-v2",
        "cvssp/audioldm-m-full": "audioldm-m-full",
        "cvssp/audioldm-l-full": "audioldm-l-full",
    }.items():
        assert CHECKPOINTS[folder].config == replace(CHECKPOINTS[file].config, clap_audio=None)


def test_an_unknown_name_lists_the_known_ones():
    message = str(unknown_name("audioldm3"))
    assert "'audioldm3'" in message and all(name in message for name in CHECKPOINTS)
    assert "\n" not in message


def test_what_hears_a_recording_is_what_listens_to_loa():
    assert audiomae_names() == [
        "tiny",
        "untrained",
        "audioldm2-full",
        "audioldm2-music-665k",
        "audioldm2-full-large-1150k",
        "audioldm2-speech-gigaspeech",
        "audioldm2-speech-ljspeech",
    ]


def test_what_can_start_from_a_recording_has_audiomae_or_conditions_on_clap():
    others = [name for name in recording_names() if name not in audiomae_names()]
    assert others == ["audioldm_48k"] + [
        f"audioldm-{name}" for name in ("s-full", "s-full-v2", "m-full", "l-full", "s-text-ft", "m-text-ft")
    ]
