from __future__ import annotations

from dataclasses import replace

import pytest

from ppaudioldm.checkpoints import CHECKPOINTS, DEFAULT_CHECKPOINT, LICENCE, audiomae_names, unknown_name
from ppaudioldm.weights.convert import read_manifest


def test_every_entry_says_where_it_is_and_under_which_licence():
    for name, info in CHECKPOINTS.items():
        assert info.summary and "\n" not in info.summary
        assert info.licence == {"random": "none", "built-in": "Apache-2.0"}.get(info.layout, LICENCE)
        if info.layout in ("random", "built-in"):
            assert not info.repo
        else:
            assert info.repo.count("/") == 1 and info.download_gb > 1
            assert info.filename == (f"{name}.pth" if info.layout == "original" else "")


def test_what_comes_with_the_package_is_the_default():
    assert [name for name, info in CHECKPOINTS.items() if info.layout == "built-in"] == [DEFAULT_CHECKPOINT]
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
    assert len(read_manifest(name)) > 3000


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
