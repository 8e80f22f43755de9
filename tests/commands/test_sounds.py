"""`ppaudioldm sounds` lists the kinds, writes examples, and names what is wrong."""

from __future__ import annotations

import json

import pytest
import soundfile

from ppaudioldm.cli import main


def test_the_list_has_a_line_for_each_kind_with_its_chinese_name(capsys):
    assert main(["sounds", "--kinds", "dog,sequence"]) == 0
    dog, sequence = capsys.readouterr().out.splitlines()
    assert dog.split("  ")[0] == "dog" and "a dog barking three times" in dog and "狗" in dog
    assert sequence.startswith("sequence")


def test_examples_are_clips_with_captions_and_a_sheet(tmp_path, capsys):
    folder = tmp_path / "examples"
    arguments = [
        "sounds",
        str(folder),
        "--kinds",
        "bell,tone",
        "--per-kind",
        "2",
        "-d",
        "1.5",
        "--language",
        "zh",
        "--json",
    ]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 4
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text("utf-8").splitlines()]
    assert [line["name"] for line in lines] == ["bell-00.wav", "bell-01.wav", "tone-00.wav", "tone-01.wav"]
    assert all(line["language"] == "zh" and line["parameters"] for line in lines)
    assert soundfile.info(folder / "tone-01.wav").frames == 24000
    assert (folder / "spectrograms.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "trombones"], "trombones"),
        (["x", "--per-kind", "0"], "--per-kind is 0"),
        (["x", "--kinds", "tone", "-d", "0.2"], "duration is 0.2"),
        (["x", "--kinds", "tone", "--seed", "-1"], "seed is -1"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sounds", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_a_bank_one_line_says_where_it_is(capsys, tmp_path, monkeypatch):
    from ppaudioldm.sounds import clips

    monkeypatch.setenv("PPAUDIOLDM_BANK", str(tmp_path))
    for cached in (clips._default_bank, clips._default_material):
        cached.cache_clear()
    try:
        assert main(["sounds", str(tmp_path / "x"), "--kinds", "dog"]) == 2
    finally:
        for cached in (clips._default_bank, clips._default_material):
            cached.cache_clear()
    assert "no bank of recorded sounds" in capsys.readouterr().err
