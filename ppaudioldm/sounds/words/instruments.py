"""Names of instruments, and what is said of all that they play: notes, melodies, scales, arpeggios and chords."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words, with_articles

# "a" stands for the article and the name, "the" and "bare" for the name with that article and without one; "plays",
# "playing" and "play" for what one does with it. In Chinese "name" is the name and "do" the verb.
_ENGLISH = (
    "{a}; {bare}; {a} {playing}; {bare} {playing};"
    "a {bare} <single>; a single {bare} <single>; a <pitch> {bare} <single>; {bare} <single> <note>;"
    "{a} {playing} the <single> <note>; the <single> <note> on {a}; a <pitch> <note> on {a}; <note> on {a};"
    "{bare} <key>; {bare} <single> <key>; a <pitch> <single> on {a}; the <pitch> {bare} <single> <note>;"
    "<count> {bare} note<s>; <count> note<s> on {a};"
    "a {bare} <melody>; a <speed> {bare} <melody>; a <speed> <melody> on {a}; a <pitch> {bare} <melody>;"
    "a <speed> <pitch> <melody> on {a}; {a} {playing} a <speed> <melody>; {a} {playing} <quickly>;"
    "a <rising> {bare} <scale>; a <rising> <scale> on {a}; a <speed> <rising> <scale> on {a};"
    "a <rising> {bare} <arpeggio>; a <rising> <arpeggio> on {a}; a <speed> <rising> {bare} <arpeggio>;"
    "a {bare} <chord>; a <quality> {bare} <chord>; a <quality> <chord> on {a}; {a} {playing} a <quality> <chord>"
)
_ENGLISH_CLAUSES = (
    "{a} {plays}; {the} is {playing}; {a} {plays} a <melody>; {a} {plays} a <speed> <melody>;"
    "{a} {plays} <quickly>; {a} {plays} the <single> <note>; {a} {plays} a <pitch> <single>;"
    "{a} {plays} <count> note<s>; {a} {plays} a <rising> <scale>; {a} {plays} a <rising> <arpeggio>;"
    "{a} {plays} a <quality> <chord>"
)
# What one person does with an instrument, and many with an orchestra or choir.
_ENGLISH_PLAYER = (
    "somebody {plays} {the}; somebody is {playing} {the}; somebody {plays} a <speed> {bare} <melody>;"
    "somebody {plays} the <single> <note> on {the}"
)
_ENGLISH_GROUP = "{the} {plays}; {the} is {playing} a <melody>; {the} is {playing} a <speed> <melody>"
_ENGLISH_TEST = (
    "{playing} of {a}; a single <single> on {a}; the <note> of {a}; <speed> {bare} <melody>;"
    "a <note> {playing} on {the}; the <single> <key> on {a}; a single <pitch> <single> on {the};"
    "<count> single note<s> on {the}; <speed> <melody> on {the}; {the} {playing} a <rising> <scale>;"
    "{the} {playing} a <rising> <arpeggio>; <quality> <chord> on {the}"
)
_ENGLISH_TEST_CLAUSES = (
    "{a} is {playing}; {the} is {playing} <quickly>; {the} {plays} the <single> <note>; {the} {plays} <count> note<s>;"
    "{the} {plays} a <rising> <scale>; {the} {plays} a <rising> <arpeggio>; {the} {plays} a <quality> <chord>;"
    "{a} is {playing} a <speed> <melody>"
)
_ENGLISH_PLAYER_TEST = (
    "somebody {plays} {a}; somebody {plays} <count> note<s> on {the}; somebody is {playing} a <speed> <melody> on {a}"
)
_ENGLISH_GROUP_TEST = "{the} is {playing} a <quality> <chord>"
_CHINESE = (
    "{name}; {name}声; {name}的声音; {name}演奏;"
    "一个{name}<single>; {name}<note><single>; {name}的<note><single>; 一个<pitch>{name}<single>; {name}<note>;"
    "{name}<register><note>; {name}的<register><note>; {name}的<register><single>; {name}<key>;"
    "<count>个{name}音; {name}的<count>个音;"
    "一段{name}<melody>; {name}<melody>; 一段<speed>{name}<melody>; <speed>{name}<melody>; {name}的<register><melody>;"
    "{name}<updown><scale>; {name}的<updown><scale>; 一段<speed>{name}<updown><scale>;"
    "{name}<updown><arpeggio>; {name}的<updown><arpeggio>; <speed>{name}<updown><arpeggio>;"
    "一个{name}<chord>; {name}<quality><chord>; {name}的<quality><chord>"
)
_CHINESE_CLAUSES = (
    "{name}在演奏; {name}演奏了一段<speed><melody>; {name}<quickly>演奏; {name}演奏了一个<pitch><single>;"
    "{name}演奏了<count>个音; {name}演奏了一段<updown><scale>; {name}演奏了一个<quality><chord>"
)
_CHINESE_PLAYER_NOUNS = "{do}{name}; {do}{name}的声音"
_CHINESE_PLAYER = (
    "有人在{do}{name}; 一个人在{do}{name}; 有人<quickly>{do}{name}; 有人用{name}{do}了一段<melody>;"
    "有人用{name}{do}了一个<note><single>; 有人用{name}{do}了<count>个音; 有人用{name}{do}了一段<updown><scale>;"
    "有人用{name}{do}了<updown><arpeggio>; 有人用{name}{do}了一个<quality><chord>"
)
_CHINESE_TEST = (
    "一段{name}声; {name}演奏的声音; {name}演奏的<note><single>; {name}演奏的<count>个音;"
    "{name}演奏的<speed><melody>; {name}演奏的<updown><scale>; {name}演奏的<updown><arpeggio>;"
    "{name}演奏的<quality><chord>; {name}<single><key>"
)
_CHINESE_TEST_CLAUSES = (
    "{name}演奏了一段<melody>; {name}演奏了<updown><scale>; {name}演奏了一段<updown><arpeggio>;"
    "{name}演奏了<quality><chord>; {name}演奏了一个<note><single>; {name}演奏了"
)
_CHINESE_PLAYER_NOUNS_TEST = "有人{do}{name}的声音; 用{name}{do}的<note><single>; 用{name}{do}的一段<speed><melody>"
_CHINESE_PLAYER_TEST = (
    "一个人{do}了{name}; 一个人用{name}{do}了一个<note><single>; 一个人用{name}<quickly>{do}了一段<melody>"
)


def instrument(en: str, zh: str, do: str, plays: str = "plays") -> Words:
    """The words of an instrument. en: its names, "guitar, acoustic guitar". zh: its names.

    do: what a player does with it, 弹, 吹, 拉 or 敲; "" for an orchestra or choir, which is no single player's.
    """
    bare = [name.strip() for name in en.split(",")]
    verb = plays.removesuffix("s")
    english = [
        {"a": with_articles(f"a {name}"), "the": f"the {name}", "bare": name, "plays": plays, "playing": f"{verb}ing"}
        for name in bare
    ]
    chinese = [{"name": name.strip(), "do": do} for name in zh.split(",")]
    player, player_test = (_ENGLISH_PLAYER, _ENGLISH_PLAYER_TEST) if do else (_ENGLISH_GROUP, _ENGLISH_GROUP_TEST)
    return Words(
        (english[0]["a"], chinese[0]["name"]),
        Both(_filled(english, _ENGLISH), _filled(chinese, _CHINESE, *([_CHINESE_PLAYER_NOUNS] if do else []))),
        Both(
            _filled(english, _ENGLISH_CLAUSES, player),
            _filled(chinese, _CHINESE_CLAUSES, *([_CHINESE_PLAYER] if do else [])),
        ),
        Both(
            _filled(english, _ENGLISH_TEST),
            _filled(chinese, _CHINESE_TEST, *([_CHINESE_PLAYER_NOUNS_TEST] if do else [])),
        ),
        Both(
            _filled(english, _ENGLISH_TEST_CLAUSES, player_test),
            _filled(chinese, _CHINESE_TEST_CLAUSES, *([_CHINESE_PLAYER_TEST] if do else [])),
        ),
    )


def _filled(names: list[dict[str, str]], *templates: str) -> str:
    """All `templates` with each of the names, and with their slots in braces."""
    text = ";".join(templates)
    return ";".join(text.format(**name).replace("<", "{").replace(">", "}") for name in names)


PIANO = instrument("piano, grand piano", "钢琴", "弹")
ELECTRIC_PIANO = instrument("electric piano", "电钢琴", "弹")
HARPSICHORD = instrument("harpsichord", "羽管键琴, 大键琴", "弹")
MUSIC_BOX = instrument("music box", "八音盒, 音乐盒", "")
VIBRAPHONE = instrument("vibraphone", "颤音琴", "敲")
MARIMBA = instrument("marimba", "马林巴", "敲")
XYLOPHONE = instrument("xylophone", "木琴", "敲")
GLOCKENSPIEL = instrument("glockenspiel", "钟琴", "敲")
CHURCH_ORGAN = instrument("church organ, pipe organ", "管风琴, 教堂管风琴", "弹")
ACCORDION = instrument("accordion", "手风琴", "拉")
HARMONICA = instrument("harmonica, mouth organ", "口琴", "吹")
GUITAR = instrument("guitar, acoustic guitar", "吉他, 木吉他", "弹")
ELECTRIC_GUITAR = instrument("electric guitar, clean electric guitar", "电吉他, 清音电吉他", "弹")
DISTORTED_GUITAR = instrument("distorted guitar, heavy metal guitar", "失真吉他, 重金属吉他", "弹")
BASS_GUITAR = instrument("bass guitar, electric bass", "贝斯, 电贝斯", "弹")
VIOLIN = instrument("violin", "小提琴", "拉")
CELLO = instrument("cello", "大提琴", "拉")
STRINGS = instrument("string orchestra, string section", "弦乐队, 弦乐", "")
PIZZICATO = instrument("pizzicato violin, plucked violin", "小提琴拨弦, 拨弦小提琴", "弹")
HARP = instrument("harp", "竖琴", "弹")
TRUMPET = instrument("trumpet", "小号", "吹")
TROMBONE = instrument("trombone", "长号", "吹")
TUBA = instrument("tuba", "大号", "吹")
FRENCH_HORN = instrument("French horn", "圆号", "吹")
SAXOPHONE = instrument("saxophone, sax", "萨克斯, 萨克斯管", "吹")
OBOE = instrument("oboe", "双簧管", "吹")
CLARINET = instrument("clarinet", "单簧管", "吹")
BASSOON = instrument("bassoon", "巴松管, 大管", "吹")
FLUTE = instrument("flute", "长笛", "吹")
PAN_FLUTE = instrument("pan flute", "排箫", "吹")
SITAR = instrument("sitar", "西塔琴", "弹")
BANJO = instrument("banjo", "班卓琴", "弹")
KOTO = instrument("koto", "古筝, 日本筝", "弹")
KALIMBA = instrument("kalimba, thumb piano", "拇指琴, 卡林巴", "弹")
BAGPIPE = instrument("bagpipe", "风笛", "吹")
STEEL_DRUM = instrument("steel drum, steel pan", "钢鼓", "敲")
TIMPANI = instrument("kettledrum, timpani drum", "定音鼓", "敲")
CHOIR = instrument("choir", "合唱团, 合唱", "", "sings")

DRUMS = Words(
    ("a drum beat", "鼓点"),
    nouns=Both(
        "drums; a drum kit; a drummer; a {speed} drum beat; a {speed} rhythm on a drum kit; rock drums; "
        "a {speed} beat on the drums; a {speed} drum groove; drumming; {speed} drumming",
        "鼓; 鼓声; 架子鼓; 鼓点; {speed}鼓点; {speed}鼓声; {speed}架子鼓节奏; 一段{speed}鼓点; 打鼓的声音; 爵士鼓",
    ),
    clauses=Both(
        "a drummer plays; a drummer plays {quickly}; drums play a {speed} beat; somebody plays the drums; "
        "somebody plays a {speed} rhythm on the drums",
        "有人在打鼓; 鼓手在打鼓; 鼓手{quickly}打鼓; 有人{quickly}打架子鼓; 鼓手打了一段{speed}节奏",
    ),
    test_nouns=Both(
        "a drum beat; a {speed} beat on a drum kit; a {speed} rhythm on drums; a drum groove; a rock drummer",
        "一段鼓声; 打架子鼓的声音; {speed}打鼓节奏; 一段{speed}架子鼓节奏",
    ),
    test_clauses=Both(
        "drums play {quickly}; a drummer plays a {speed} groove; somebody plays a {speed} drum beat",
        "鼓手在打架子鼓; 有人{quickly}打鼓; 鼓手打了一段{speed}鼓点",
    ),
)
CYMBAL = Words(
    ("a cymbal crash", "镲"),
    nouns=Both(
        "a cymbal; a crash cymbal; a cymbal crash; the crash of cymbals in an orchestra; {count} cymbal crash{es}; "
        "a cymbal hit {times}; cymbals",
        "镲; 镲声; 吊镲; 吊镲的声音; 一声镲响; {count}声镲响; 敲镲的声音",
    ),
    clauses=Both(
        "a cymbal crashes; somebody hits a cymbal; somebody hits a cymbal {times}; a cymbal crashes {times}",
        "有人敲镲; 镲响了; 镲响了{count}声; 有人敲了{count}下镲",
    ),
    test_nouns=Both(
        "the crash of a cymbal; the crash of cymbals; a crash cymbal hit {times}",
        "吊镲声; 敲吊镲的声音; {count}声吊镲",
    ),
    test_clauses=Both("somebody hits a crash cymbal {times}; a crash cymbal crashes", "有人敲吊镲; 吊镲响了{count}声"),
)
