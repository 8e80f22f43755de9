"""What fills the slots of caption templates, and what may stand around a description; English and Chinese."""

from __future__ import annotations

from typing import Any

NOTES = ("C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B")
_FLATS = {"C sharp": "D flat", "D sharp": "E flat", "F sharp": "G flat", "G sharp": "A flat", "A sharp": "B flat"}
_KEY_NOTES = tuple(note.replace(" sharp", "#") for note in NOTES)

# A slot -> the fact that it states, and the synonyms for each value of that fact.
Table = dict[str, tuple[str, dict[Any, tuple[str, ...]]]]


def _english_note(note: str) -> tuple[str, ...]:
    return (note, note.replace(" sharp", "#"), _FLATS[note]) if note in _FLATS else (note,)


def _chinese_note(note: str) -> tuple[str, ...]:
    if note not in _FLATS:
        return (note,)
    return ("升" + note[0], note[0] + "#", "降" + _FLATS[note][0])


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


def _mostly(word: str, digits: str) -> tuple[str, ...]:
    """Synonyms of which the word is more frequent than its digits."""
    return (word, word, word, word, digits)


ENGLISH: Table = {
    "count": (
        "count",
        {1: ("one", "a single"), **{n: _mostly(word, f"{n}") for n, word in _NUMBERS.items()}},
    ),
    "times": (
        "count",
        {
            1: ("once",),
            2: ("twice", "two times"),
            **{n: _mostly(f"{_NUMBERS[n]} times", f"{n} times") for n in (3, 4, 5)},
        },
    ),
    "s": ("count", {1: ("",), 2: ("s",), 3: ("s",), 4: ("s",), 5: ("s",)}),
    "es": ("count", {1: ("",), 2: ("es",), 3: ("es",), 4: ("es",), 5: ("es",)}),
    "speed": ("speed", {"slow": ("slow",), "fast": ("fast", "quick", "rapid")}),
    "quickly": ("speed", {"slow": ("slowly",), "fast": ("fast", "quickly", "rapidly")}),
    "walking": ("speed", {"slow": ("walking",), "fast": ("running",)}),
    "walks": ("speed", {"slow": ("walks",), "fast": ("runs",)}),
    "pitch": ("pitch", {"low": ("low", "deep", "low-pitched"), "high": ("high", "high-pitched")}),
    "height": ("pitch", {"low": ("low",), "high": ("high",)}),
    "size": ("pitch", {"low": ("big", "large", "deep"), "high": ("small", "little", "high")}),
    "strength": ("strength", {"light": ("light", "gentle", "soft"), "heavy": ("heavy", "strong")}),
    "rising": ("direction", {"rising": ("rising", "ascending"), "falling": ("falling", "descending")}),
    "rises": ("direction", {"rising": ("rises", "goes up"), "falling": ("falls", "goes down")}),
    "upwards": ("direction", {"rising": ("upwards", "up"), "falling": ("downwards", "down")}),
    "quality": ("quality", {"major": ("major", "happy"), "minor": ("minor", "sad")}),
    "note": ("note", {note: _english_note(note) for note in NOTES}),
    "key": ("key", {f"{note}{octave}": (f"{note}{octave}",) for note in _KEY_NOTES for octave in range(1, 8)}),
    # What an instrument plays.
    "single": ("form", {"note": ("note",)}),
    "melody": ("form", {"melody": ("melody", "tune")}),
    "scale": ("form", {"scale": ("scale",)}),
    "arpeggio": ("form", {"arpeggio": ("arpeggio",)}),
    "chord": ("form", {"chord": ("chord",)}),
}  # fmt: skip

CHINESE: Table = {
    "count": ("count", {1: ("一",), **{n: _mostly("两三四五"[n - 2], f"{n}") for n in _NUMBERS}}),
    "speed": ("speed", {"slow": ("缓慢的", "慢速的"), "fast": ("快速的", "很快的")}),
    "quickly": ("speed", {"slow": ("慢慢地", "缓慢地"), "fast": ("快速地", "很快地")}),
    "walking": ("speed", {"slow": ("走路",), "fast": ("跑步",)}),
    "pitch": ("pitch", {"low": ("低沉的", "很低的"), "high": ("很高的", "高高的")}),
    "register": ("pitch", {"low": ("低音",), "high": ("高音",)}),
    "size": ("pitch", {"low": ("大",), "high": ("小",)}),
    "rain": ("strength", {"light": ("小", "细"), "heavy": ("大", "暴")}),
    "wind": ("strength", {"light": ("微", "小"), "heavy": ("大", "狂")}),
    "strength": ("strength", {"light": ("轻轻的", "微弱的"), "heavy": ("强烈的", "很大的")}),
    "rising": ("direction", {"rising": ("上升的", "升高的"), "falling": ("下降的", "降低的")}),
    "rises": ("direction", {"rising": ("上升", "升高"), "falling": ("下降", "降低")}),
    "quality": ("quality", {"major": ("大三", "大调"), "minor": ("小三", "小调")}),
    "note": ("note", {note: _chinese_note(note) for note in NOTES}),
    "key": ENGLISH["key"],
    "single": ("form", {"note": ("音", "单音")}),
    "melody": ("form", {"melody": ("旋律", "曲子")}),
    "updown": ("direction", {"rising": ("上行",), "falling": ("下行",)}),
    "scale": ("form", {"scale": ("音阶",)}),
    "arpeggio": ("form", {"arpeggio": ("琶音",)}),
    "chord": ("form", {"chord": ("和弦",)}),
}  # fmt: skip

SLOTS: dict[str, Table] = {"en": ENGLISH, "zh": CHINESE}

# Around noun phrases, in the singular or the plural.
FRAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "train": (
            "the sound of {}",
            "a recording of {}",
            "you can hear {}",
            "we hear {}",
            "an audio clip with {}",
            "this is a clip of {}",
            "this sounds like {}",
            "audio: {}",
        ),
        "test": ("audio of {}", "a clip with {}", "you hear {}", "this is the sound of {}", "a recording with {}"),
    },
    "zh": {
        "train": ("可以听到{}", "听见{}", "这是{}", "录音里有{}", "一段录音：{}", "我们听到{}", "声音：{}", "音频：{}"),
        "test": ("可以听见{}", "我们听见{}", "录音：{}", "这段录音是{}"),
    },
}

# Said of any sound: N goes with noun phrases, A with those with "a" (which it brings along), P with Chinese names
# of sounds, C with clauses, * with both.
MODIFIERS: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "en": {
        ("distance", "far"): (
            "*:{} in the distance",
            "*:{} far away",
            "N:{} from far away",
            "A:a distant {}",
            "A:a faraway {}",
        ),
        ("distance", "near"): ("*:{} nearby", "*:{} close by", "N:{} up close", "A:a nearby {}"),
        ("loudness", "loud"): ("N:{}, loud", "N:{}, very loud", "A:a loud {}", "C:{} loudly", "C:{} very loudly"),
        ("loudness", "soft"): ("N:{}, quiet", "N:{}, very quiet", "A:a quiet {}", "C:{} quietly", "C:{} softly"),
    },
    "zh": {
        ("distance", "far"): ("*:远处{}", "P:远处的{}", "P:很远的{}", "*:{}，在远处", "*:{}，很远"),
        ("distance", "near"): ("*:近处{}", "P:近处的{}", "P:很近的{}", "*:{}，在近处", "*:{}，很近"),
        ("loudness", "loud"): ("P:很响的{}", "*:{}，声音很大", "*:{}，很响"),
        ("loudness", "soft"): ("P:很轻的{}", "*:{}，声音很小", "*:{}，很轻"),
    },
}

NAMING = ("rain", "wind", "walking", "walks")  # slots whose words name the sound

# Words of captions, and Chinese characters, that do not name a sound by themselves.
NAMELESS = """
    against air along and are around at background being board broken busy construction cut cuts
    cutting cave device distorted drive driver drives driving drops exactly fall falls farm fiction floor
    follows forest garden goes going grand hand hands held hip hit hits hitting hop into it its kit leaking
    light long loud machine man morning mouth night number off old on onto opening opens out over overhead pain
    pass passes passing people person play plays playing pond pounds rise road roof science section shop
    shore short site smoke somebody something space spins starting starts steady strike strikes striking
    struck summer table takes taking target that theatre their there through thumb to touch tower tree trees
    under wall with work works
    东个中了人他众作促克公出加动双发口只列听吹响器士备外多夜天太奏头定屋工式引当往户手打把拉拨持按排提
    放教敲早时晨有来次歌生男盒相真着短空窗竖老胶节花被西设说起运进过边达里间青面顶
"""
