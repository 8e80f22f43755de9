import json

import pytest

from ppaudioldm.cli import main
from ppaudioldm.sounds.clips import captions
from ppaudioldm.sounds.collection import KINDS
from ppaudioldm.training.assemble import known_sounds
from ppaudioldm.weights.known_sounds import KnownSounds, Sound

KNOWN = KnownSounds(
    (Sound("bell", "a bell", "a big bell rings"), Sound("rain", "rain", "heavy rain on a roof")),
    frozenset({"bell", "rain", "rings"}),
)


@pytest.mark.parametrize("prompt", ["A bell!", "two BELLS", "it is raining", "bell ringing", "rain, then a dog"])
def test_a_word_or_a_form_of_it_is_known(prompt):
    assert KNOWN.named_in(prompt) and KNOWN.warning("x", [prompt]) is None


@pytest.mark.parametrize("prompt", ["a dog barks", "bellow", "ein Hund", "雨", "!"])
def test_a_warning_names_the_prompt_what_to_try_and_how_to_get_the_rest(prompt):
    warning = KNOWN.warning("small", ["a bell", prompt])
    assert "small was trained on 2 kinds" in warning and repr(prompt) in warning and "'a big bell rings'" in warning
    assert "audioldm2-full, a download of 8.5 GB" in warning and "\n" not in warning


def test_chinese_prompts_name_sounds_by_their_characters():
    known = known_sounds(("dog", "piano", "sweep"))
    assert known.named_in("一只狗叫了三声") and known.named_in("钢琴") and known.named_in("上升的音")
    assert not known.named_in("大象的声音") and not known.named_in("一段录音")
    assert KnownSounds.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_json_and_back():
    assert KnownSounds.from_dict(json.loads(json.dumps(KNOWN.to_dict()))) == KNOWN


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"sounds": [], "words": []},
        {"sounds": [{"name": "a", "title": "b"}], "words": ["a"]},
        {"sounds": [{"name": "a", "title": "b", "prompt": "c\nd"}], "words": ["a"]},
        {"sounds": [{"name": "a", "title": "b", "prompt": "c" * 1000}], "words": ["a"]},
        {"sounds": [{"name": "a", "title": "b", "prompt": "c"}], "words": [1]},
    ],
)
def test_what_is_no_list_of_sounds_is_refused(values):
    with pytest.raises(ValueError, match="^knows: expected"):
        KnownSounds.from_dict(values)


def test_every_caption_of_a_kind_is_known():
    known = known_sounds(KINDS)
    assert [sound.name for sound in known.sounds] == list(KINDS)
    for split in ("train", "test"):
        for caption in captions(100, ("dog", "rain", "beeps", "piano", "sequence", "together"), 2.56, split):
            assert known.named_in(caption)
    assert [sound.name for sound in known_sounds(("bell", "hats")).sounds] == ["bell", "hats"], "of a former run"
    assert known_sounds(()) is None


def test_the_sounds_of_a_checkpoint_are_listed(capsys):
    assert main(["checkpoints", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 12 and any(line.startswith("a bell") for line in lines)
    assert main(["checkpoints", "tiny", "--json"]) == 0
    assert len(KnownSounds.from_dict(json.loads(capsys.readouterr().out)["knows"]).sounds) == len(lines)
    assert main(["checkpoints", "audioldm2-full"]) == 0
    assert "sound effects" in capsys.readouterr().out
