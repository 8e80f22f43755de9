"""Tools and machines in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

CHAINSAW = Words(
    ("a chainsaw", "电锯"),
    nouns=Both(
        "a chainsaw; a chainsaw cutting wood; a running chainsaw; a motor saw; the roar of a chainsaw; "
        "a chainsaw in the forest",
        "电锯; 电锯声; 链锯; 链锯的声音; 电锯锯木头; 树林里的电锯",
    ),
    clauses=Both(
        "a chainsaw cuts wood; a chainsaw runs; somebody cuts a tree with a chainsaw",
        "有人用电锯锯木头; 电锯在响; 有人用链锯锯树",
    ),
    test_nouns=Both(
        "a chainsaw cutting a tree; the motor of a chainsaw; a chainsaw running in the forest",
        "链锯声; 链锯锯木头的声音; 树林里的链锯",
    ),
    test_clauses=Both("a chainsaw cuts a tree; somebody cuts wood with a chainsaw", "链锯在响; 有人用电锯锯树"),
)
SAW = Words(
    ("a hand saw", "锯木头"),
    nouns=Both(
        "a saw; a hand saw; sawing wood; somebody sawing wood; a saw cutting wood; the sawing of a board; "
        "{speed} sawing",
        "锯子; 锯木头; 手锯; 锯木头的声音; 有人锯木头; 锯子锯木板; {speed}锯木声",
    ),
    clauses=Both(
        "somebody saws wood; a saw cuts a board; somebody saws {quickly}; a carpenter saws wood",
        "有人在锯木头; 木匠在锯木板; 锯子在锯木头; 有人{quickly}锯木头",
    ),
    test_nouns=Both(
        "a hand saw cutting a board; the sawing of wood; a carpenter sawing wood",
        "手锯锯木头; 木匠锯木头的声音; 锯木板的声音",
    ),
    test_clauses=Both("a carpenter saws a board; a hand saw cuts wood", "有人在锯木板; 木匠{quickly}锯木头"),
)
JACKHAMMER = Words(
    ("a jackhammer", "电钻"),
    nouns=Both(
        "a jackhammer; a jackhammer on a construction site; a pneumatic drill; road works; "
        "a drill breaking concrete; the hammering of a jackhammer; a pneumatic hammer at work",
        "风镐; 风钻; 工地上的电钻; 电钻声; 施工的声音; 打碎水泥的风镐; 修路的声音",
    ),
    clauses=Both(
        "a jackhammer breaks concrete; somebody drills with a jackhammer; a jackhammer hammers",
        "风镐在响; 工人用风镐打碎水泥; 工地上电钻在响; 有人用电钻施工",
    ),
    test_nouns=Both(
        "a jackhammer breaking concrete; a jackhammer at road works; a pneumatic hammer",
        "工地上的风镐; 电钻的声音; 工人用风镐施工",
    ),
    test_clauses=Both("a pneumatic drill hammers; a drill breaks concrete", "工地上风镐在响; 工人用电钻施工"),
)
ANVIL = Words(
    ("a hammer on an anvil", "打铁"),
    nouns=Both(
        "a hammer on an anvil; a blacksmith; hammering metal; a blacksmith hammering; "
        "{count} hammer blow{s} on an anvil; a hammer striking metal {times}; {speed} hammering on metal",
        "打铁; 打铁声; 铁匠打铁; 铁砧; 锤子敲铁的声音; 敲铁的声音; {count}下打铁声; {speed}打铁声",
    ),
    clauses=Both(
        "a blacksmith hammers; a hammer strikes an anvil; a hammer strikes an anvil {times}; "
        "a blacksmith hammers {quickly}",
        "铁匠在打铁; 有人在敲铁; 锤子敲打铁砧; 铁匠敲了{count}下; 铁匠{quickly}打铁; 铁匠用锤子敲铁",
    ),
    test_nouns=Both(
        "a blacksmith hammering on an anvil; a hammer striking an anvil; {count} hammer blow{s} on metal; "
        "{speed} hammering on an anvil",
        "铁匠打铁的声音; 锤子敲打铁砧的声音; {count}下敲铁声",
    ),
    test_clauses=Both(
        "a hammer strikes metal; a blacksmith strikes an anvil {times}",
        "铁匠用锤子打铁; 有人敲了{count}下铁砧",
    ),
)
METAL = Words(
    ("a blow on metal", "敲金属"),
    nouns=Both(
        "metal clanging; a metal clang; a blow on metal; a clanging pipe; a pan being hit; {count} metal hit{s}; "
        "the clang of metal; {count} blow{s} on a metal pipe",
        "金属声; 敲金属; 敲铁管的声音; 金属碰撞; 金属撞击声; {count}下金属敲击声; 铁锅被敲响",
    ),
    clauses=Both(
        "metal clangs; somebody hits a metal pipe; somebody hits metal {times}; a pan is hit",
        "金属碰撞了; 有人敲铁管; 有人敲了{count}下金属; 金属撞击了",
    ),
    test_nouns=Both(
        "a hit on metal; the clang of a metal pipe; {count} blow{s} on metal",
        "敲铁锅的声音; 金属敲击声; {count}下敲金属的声音",
    ),
    test_clauses=Both("a metal pipe is hit; somebody hits a pan {times}", "有人敲金属; 有人敲了{count}下铁管"),
)
WOOD_CHOP = Words(
    ("chopping wood", "砍柴"),
    nouns=Both(
        "chopping wood; an axe chopping wood; somebody chopping wood; an axe; {count} blow{s} of an axe; "
        "{count} chop{s} of an axe; {speed} wood chopping; cutting a tree with an axe; an axe on wood",
        "砍柴; 砍柴声; 劈柴; 斧头砍树; 斧头砍木头的声音; 砍树的声音; {count}下砍柴声; {speed}砍柴声",
    ),
    clauses=Both(
        "an axe chops wood; somebody chops wood; somebody chops wood {quickly}; an axe hits a tree {times}",
        "有人在砍柴; 有人在劈柴; 有人用斧头劈木头; 有人{quickly}砍柴; 斧头砍了{count}下树; 有人砍了{count}下",
    ),
    test_nouns=Both(
        "an axe cutting wood; the chop of an axe; {count} blow{s} of an axe on a tree",
        "斧头劈柴; 用斧头砍柴; 有人用斧头砍树的声音; {count}下劈柴声",
    ),
    test_clauses=Both("an axe hits wood; somebody chops a tree with an axe", "有人用斧头砍柴; 斧头砍了{count}下木头"),
)
