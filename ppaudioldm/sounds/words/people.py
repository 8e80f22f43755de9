"""People in words: their steps, hands, hearts and voices."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

APPLAUSE = Words(
    ("applause", "掌声"),
    nouns=Both(
        "applause; a clapping audience; an audience clapping; the applause of a crowd; a cheering crowd; "
        "a crowd clapping; applause in a theatre; people clapping",
        "掌声; 鼓掌; 观众鼓掌; 热烈的掌声; 人群的掌声; 剧院里的掌声; 人们鼓掌的声音",
    ),
    clauses=Both(
        "an audience applauds; a crowd claps; people applaud; people clap in a theatre",
        "观众在鼓掌; 人们在鼓掌; 人群鼓掌; 剧院里响起掌声",
    ),
    test_nouns=Both(
        "the applause of an audience; a clapping crowd; people clapping in a theatre",
        "观众的掌声; 热烈的鼓掌声; 剧院里人们鼓掌",
    ),
    test_clauses=Both("a crowd applauds; an audience claps", "观众热烈鼓掌; 人群在鼓掌"),
)
LAUGH = Words(
    ("laughter", "笑声"),
    nouns=Both(
        "laughter; a laugh; a person laughing; somebody laughing; a man laughing; laughing; a laughing person; hahaha",
        "笑声; 大笑; 一个人在笑; 有人笑的声音; 男人的笑声; 哈哈大笑",
    ),
    clauses=Both(
        "somebody laughs; a person laughs; a man is laughing; somebody is laughing",
        "有人在笑; 有人在大笑; 一个人哈哈大笑; 一个男人在笑",
    ),
    test_nouns=Both(
        "the laughter of a person; a laughing man; the laugh of a man",
        "一个人的笑声; 有人大笑的声音; 哈哈的笑声",
    ),
    test_clauses=Both("a man laughs; a person is laughing", "有人哈哈大笑; 一个人在大笑"),
)
SCREAM = Words(
    ("a scream", "尖叫"),
    nouns=Both(
        "a scream; a person screaming; somebody screaming; a screaming person; a scream of pain; a shout; screaming; "
        "a cry of pain",
        "尖叫; 尖叫声; 惨叫; 惨叫声; 一个人尖叫的声音; 有人大叫; 一声尖叫",
    ),
    clauses=Both(
        "somebody screams; a person screams; somebody is screaming; somebody cries out in pain",
        "有人尖叫; 有人在尖叫; 一个人惨叫了一声; 有人大叫了一声",
    ),
    test_nouns=Both(
        "the scream of a person; a person screaming in pain; the cry of a person",
        "一声惨叫; 有人尖叫的声音; 一个人的惨叫声",
    ),
    test_clauses=Both("a person is screaming; somebody screams in pain", "一个人在尖叫; 有人惨叫了一声"),
)
STEPS = Words(
    ("footsteps", "脚步声"),
    nouns=Both(
        "footsteps; {speed} footsteps; steps; a person {walking}; somebody {walking}; {speed} steps; "
        "footsteps on gravel; walking steps on a floor; {count} footstep{s}; {count} step{s}",
        "脚步声; {speed}脚步声; {walking}的声音; 脚步; 有人{walking}; 一个人{walking}的声音; {count}声脚步; {count}步",
    ),
    clauses=Both(
        "somebody {walks}; a person {walks}; somebody {walks} {quickly}; somebody takes {count} step{s}; "
        "somebody walks by",
        "有人在{walking}; 一个人在{walking}; 有人{quickly}走过; 有人走了{count}步; 有人走过来",
    ),
    test_nouns=Both(
        "the steps of a person; the footsteps of somebody {walking}; {speed} steps on a floor; "
        "a person {walking} on gravel",
        "一个人的脚步声; 有人{quickly}{walking}; {speed}脚步",
    ),
    test_clauses=Both(
        "a person {walks} {quickly}; a person takes {count} step{s}",
        "一个人走过; 一个人{quickly}走过来; 一个人走了{count}步",
    ),
)
KNOCKS = Words(
    ("knocks on a door", "敲门"),
    nouns=Both(
        "a knock; knocking; knocking on a door; {count} knock{s}; {count} knock{s} on a door; a knock on the door; "
        "somebody knocking {times}; {count} knock{s} on wood; knock knock",
        "敲门; 敲门声; 敲门的声音; {count}下敲门声; {count}声敲门; 敲了{count}下门; 敲木头的声音",
    ),
    clauses=Both(
        "somebody knocks; somebody knocks on a door; somebody knocks {times}; somebody knocks on the door {times}; "
        "a hand knocks on wood {times}",
        "有人敲门; 有人在敲门; 有人敲了{count}下门; 有人敲门敲了{count}下; 一个人敲了{count}下木头",
    ),
    test_nouns=Both(
        "somebody knocking on a door {times}; a hand knocking on wood; {count} knock{s} on the door",
        "有人敲门的声音; 一个人敲门; {count}下敲木头的声音",
    ),
    test_clauses=Both(
        "somebody knocks on wood {times}; a hand knocks on the door {times}",
        "一个人在敲门; 一个人敲了{count}下门",
    ),
)
CLAPS = Words(
    ("hand claps", "拍手"),
    nouns=Both(
        "hand claps; clapping; {speed} clapping; a person clapping; one person clapping {quickly}; "
        "{speed} hand claps; clapping hands; claps; a {speed} rhythm of hand claps",
        "拍手; 拍手声; {speed}拍手声; 一个人拍手; 一个人拍手的声音; 有节奏的拍手; {speed}拍手节奏",
    ),
    clauses=Both(
        "somebody claps; a person claps; somebody claps {quickly}; somebody claps their hands; "
        "hands clap a {speed} rhythm",
        "有人在拍手; 一个人在拍手; 有人{quickly}拍手; 一个人有节奏地拍手",
    ),
    test_nouns=Both(
        "a person clapping hands; a person clapping {quickly}; {speed} claps of hands",
        "有人拍手的声音; 一个人{speed}拍手声; 有节奏的拍手声",
    ),
    test_clauses=Both(
        "a person claps {quickly}; a person claps a {speed} rhythm",
        "一个人{quickly}拍手; 有人有节奏地拍手",
    ),
)
HEART = Words(
    ("a heartbeat", "心跳"),
    nouns=Both(
        "a heartbeat; a beating heart; a heart beating; a {speed} heartbeat; the {speed} beat of a heart; "
        "a heart beating {quickly}; a pulse; a {speed} pulse",
        "心跳; 心跳声; {speed}心跳; {speed}心跳声; 心脏跳动的声音; 脉搏; 跳动的心脏; 一个人的心跳",
    ),
    clauses=Both(
        "a heart beats; a heart is beating; a heart beats {quickly}; a heart pounds",
        "心脏在跳; 心在跳; 心脏{quickly}跳动; 心脏在跳动",
    ),
    test_nouns=Both(
        "the beat of a heart; a {speed} beating heart; the beating of a heart, {speed}",
        "心脏的跳动声; {speed}脉搏; 心在跳动的声音",
    ),
    test_clauses=Both("a heart pounds {quickly}; the heart is beating {quickly}", "心{quickly}跳动; 一个人的心脏在跳"),
)
WHISTLING = Words(
    ("somebody who whistles", "吹口哨"),
    nouns=Both(
        "whistling; a person whistling; somebody whistling a tune; a whistled melody; a man whistling; "
        "whistling a song; a whistled tune",
        "口哨; 吹口哨; 口哨声; 吹口哨的声音; 一个人吹口哨; 用口哨吹的曲子",
    ),
    clauses=Both(
        "somebody whistles; a person whistles a tune; a man whistles; somebody is whistling a song",
        "有人在吹口哨; 一个人在吹口哨; 有人用口哨吹曲子; 一个男人吹着口哨",
    ),
    test_nouns=Both(
        "a whistled song; a man whistling a tune; a person whistling a melody",
        "一个人的口哨声; 有人吹口哨的声音; 口哨吹的曲子",
    ),
    test_clauses=Both("a man whistles a tune; a person is whistling", "一个人吹着口哨; 一个男人在吹口哨"),
)
