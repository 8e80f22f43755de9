"""File names from any prompt."""

from __future__ import annotations

import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppaudioldm.audio.names import safe_name, unique_path
from ppaudioldm.audio.write import write_audio


@pytest.mark.parametrize(
    "prompt, name",
    [
        ("A dog barks in the rain", "A_dog_barks_in_the_rain"),
        ("rain / thunder\\wind: 50%?", "rain_thunder_wind_50%"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("--help", "help"),
        ("line one\nline two\ttab\0null\x1b[31m", "line_one_line_two_tabnull[31m"),
        ("雨の音、遠くの雷", "雨の音、遠くの雷"),
        ("собака лает", "собака_лает"),
        ("cafe\u0301", "café"),
        ("a 🎸 solo 👩\u200d🎤", "a_🎸_solo_👩\u200d🎤"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("half a pair \ud83d", "half_a_pair"),
        ("", "clip"),
        (" ", "clip"),
        ("...", "clip"),
        ("///", "clip"),
        ("CON", "clip_CON"),
        ("nul.txt", "clip_nul.txt"),
        ("com1", "clip_com1"),
        ("console", "console"),
        ("ends with dots...", "ends_with_dots"),
    ],
)
def test_safe_name(prompt, name):
    assert safe_name(prompt) == name


@pytest.mark.parametrize("character", ["x", "é", "雨", "🎸", "word ", "👩\u200d🎤"])
def test_long_prompts_are_cut_and_stay_apart(tmp_path, character):
    prompt = character * 10_000
    names = {safe_name(prompt), safe_name(prompt + "y"), safe_name("z" + prompt)}
    assert len(names) == 3
    for name in names:
        assert 90 < len(name.encode()) <= 120
        write_audio(unique_path(tmp_path, name, "wav"), np.zeros(160), 16000)
    assert len(os.listdir(tmp_path)) == 3


def test_safe_name_needs_room():
    with pytest.raises(ValueError, match="at least 16"):
        safe_name("a dog", max_bytes=15)


@given(st.text(st.characters(exclude_categories=[]), max_size=60), st.integers(16, 80))
def test_safe_name_always_holds(prompt, max_bytes):
    name = safe_name(prompt, max_bytes)
    assert 1 <= len(name.encode()) <= max_bytes
    assert not set(name) & set('/\\<>:"|?*\0')
    assert name[0] not in ".-" and name[-1] not in ". "
    assert not any(unicodedata.category(c) in ("Cc", "Cs") or c.isspace() for c in name)
    assert safe_name(prompt, max_bytes) == name


def test_unique_path_never_repeats(tmp_path):
    paths = []
    for extension in ["wav", ".wav", "WAV", "flac"]:
        paths.append(unique_path(tmp_path, "dog.2", extension))
        write_audio(paths[-1], np.zeros(160), 16000)
    assert [path.name for path in paths] == ["dog.2.wav", "dog.2-2.wav", "dog.2-3.wav", "dog.2.flac"]


def test_unique_path_sees_a_broken_link(tmp_path):
    (tmp_path / "x.wav").symlink_to(tmp_path / "nowhere")
    assert unique_path(tmp_path, "x", "wav").name == "x-2.wav"


def test_unique_path_refuses_unknown_extension(tmp_path):
    with pytest.raises(ValueError, match="unknown extension '.txt'"):
        unique_path(tmp_path, "x", "txt")
