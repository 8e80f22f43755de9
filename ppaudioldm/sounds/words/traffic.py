"""Vehicles and streets in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

ENGINE = Words(
    ("a running engine", "发动机"),
    nouns=Both(
        "an engine; a running engine; a car engine; an idling engine; a motor; the engine of a truck; "
        "a car starting; a truck with its engine running; a motor running",
        "发动机; 发动机声; 引擎声; 汽车发动机的声音; 卡车的发动机; 马达; 马达声; 运转的发动机",
    ),
    clauses=Both(
        "an engine runs; an engine is running; a motor hums; a car engine starts",
        "发动机在运转; 马达在响; 汽车发动了; 引擎在运转",
    ),
    test_nouns=Both(
        "the motor of a truck; a truck engine running; an idling motor; the engine of a car",
        "卡车的引擎声; 汽车的马达声; 运转的马达",
    ),
    test_clauses=Both("a truck engine is running; a motor runs", "卡车的发动机在响; 马达在运转"),
)
HORN = Words(
    ("a car horn", "汽车喇叭"),
    nouns=Both(
        "a car horn; a honking car; the horn of a car; a horn honking; honking; {count} honk{s}; "
        "{count} honk{s} of a car horn; a car honking {times}",
        "汽车喇叭; 喇叭声; 汽车鸣笛; 按喇叭; 汽车喇叭声; {count}声喇叭; 汽车的{count}声喇叭",
    ),
    clauses=Both(
        "a car honks; a driver honks the horn; a car honks {times}; a driver honks {times}",
        "汽车在按喇叭; 司机按喇叭; 汽车鸣笛; 汽车按了{count}下喇叭; 司机按了{count}声喇叭",
    ),
    test_nouns=Both(
        "the honking of a car; a car honking the horn; {count} honk{s} of a horn; a horn honking {times}",
        "司机按喇叭的声音; 汽车鸣笛声; {count}声汽车喇叭",
    ),
    test_clauses=Both("a car horn honks {times}; the driver honks", "汽车鸣笛{count}声; 司机在按喇叭"),
)
TRAFFIC = Words(
    ("city traffic", "街道"),
    nouns=Both(
        "city traffic; traffic; a busy street; a city street; cars driving by; street noise; cars on a road; a city",
        "街道; 城市的声音; 车流; 马路上的车声; 街上的车流声; 城市街道; 热闹的马路; 来往的汽车",
    ),
    clauses=Both(
        "cars drive by; traffic passes on a busy road; cars pass on the street",
        "汽车开过; 街上车来车往; 汽车在马路上开过",
    ),
    test_nouns=Both(
        "cars on a busy street; street traffic; traffic on a city road; the noise of traffic",
        "城市的车流声; 热闹的街道; 街上的汽车",
    ),
    test_clauses=Both("traffic passes on a street; cars drive by on a road", "汽车在街上开过; 马路上车来车往"),
)
TRAIN = Words(
    ("a train", "火车"),
    nouns=Both(
        "a train; a train passing; a passing train; a railway train; a locomotive; a steam train; "
        "train wheels on a track; a train on the tracks",
        "火车; 火车声; 火车开过; 火车的声音; 蒸汽火车; 火车头; 铁轨上的火车; 一列火车经过",
    ),
    clauses=Both(
        "a train passes; a train goes by; a locomotive runs along the track; a train drives by",
        "火车开过; 一列火车开过; 火车在铁轨上行驶; 一列火车经过",
    ),
    test_nouns=Both(
        "a train on a railway track; the wheels of a train; a passing locomotive; a train passing by",
        "开过的火车; 一列火车的声音; 蒸汽火车头",
    ),
    test_clauses=Both("the train passes by; a steam locomotive passes", "火车经过; 一列蒸汽火车开过"),
)
STEAM_WHISTLE = Words(
    ("a train whistle", "汽笛"),
    nouns=Both(
        "a train whistle; a steam whistle; the whistle of a locomotive; a train whistling; a whistling steam train; "
        "the whistle of a steam train",
        "汽笛; 汽笛声; 火车汽笛; 火车鸣笛; 火车的汽笛声; 蒸汽火车的汽笛; 蒸汽火车鸣笛的声音",
    ),
    clauses=Both(
        "a train whistles; a steam train blows its whistle; a steam whistle blows",
        "火车鸣笛; 汽笛响了; 火车拉响汽笛",
    ),
    test_nouns=Both(
        "the steam whistle of a train; the whistle of a train; a whistling locomotive",
        "蒸汽汽笛; 火车的汽笛; 火车鸣笛的声音",
    ),
    test_clauses=Both("a locomotive whistles; a train blows its steam whistle", "蒸汽火车鸣笛; 火车的汽笛响了"),
)
SHIP_HORN = Words(
    ("a ship's horn", "轮船汽笛"),
    nouns=Both(
        "a ship horn; a foghorn; the horn of a ship; a ship's horn; a boat horn; the deep horn of a big ship; "
        "a ferry horn",
        "轮船汽笛; 轮船的汽笛声; 船笛; 雾笛; 大船的汽笛; 轮船鸣笛; 船的号声",
    ),
    clauses=Both(
        "a ship blows its horn; a foghorn sounds; a ship sounds its horn",
        "轮船鸣笛; 轮船拉响汽笛; 大船鸣笛; 雾笛响了",
    ),
    test_nouns=Both(
        "the horn of a ferry; the foghorn of a ship; a big ship horn",
        "轮船的雾笛; 大船的汽笛声; 船鸣笛的声音",
    ),
    test_clauses=Both("a ferry blows its horn; the horn of a ship sounds", "大船拉响汽笛; 轮船的汽笛响了"),
)
HELICOPTER = Words(
    ("a helicopter", "直升机"),
    nouns=Both(
        "a helicopter; a flying helicopter; the rotor of a helicopter; helicopter blades; a chopper; "
        "a hovering helicopter; a helicopter flying overhead",
        "直升机; 直升机声; 直升机的声音; 直升机飞过; 直升机的旋翼; 盘旋的直升机; 一架直升机",
    ),
    clauses=Both(
        "a helicopter flies overhead; a helicopter hovers; a helicopter is flying",
        "直升机飞过; 一架直升机在飞; 直升机在盘旋",
    ),
    test_nouns=Both(
        "the rotor blades of a helicopter; a helicopter overhead; a flying chopper",
        "一架直升机的声音; 飞过的直升机; 旋翼的声音",
    ),
    test_clauses=Both("a chopper hovers overhead; a chopper is flying", "一架直升机飞过; 一架直升机在盘旋"),
)
PLANE = Words(
    ("a propeller plane", "螺旋桨飞机"),
    nouns=Both(
        "a propeller plane; a small plane; an airplane with a propeller; a propeller; a light aircraft; "
        "an old plane flying; the propeller of an airplane",
        "螺旋桨飞机; 小飞机; 螺旋桨; 螺旋桨的声音; 老飞机; 老式飞机; 一架螺旋桨飞机飞过",
    ),
    clauses=Both(
        "a propeller plane flies; a small plane flies by; the propeller of a plane spins",
        "螺旋桨飞机飞过; 一架小飞机飞过; 小飞机在飞; 螺旋桨在转",
    ),
    test_nouns=Both(
        "a small propeller plane; an old propeller airplane; a light plane flying",
        "一架小飞机; 飞机的螺旋桨; 老式螺旋桨飞机",
    ),
    test_clauses=Both("an old airplane flies by; a propeller spins", "一架螺旋桨飞机在飞; 老飞机飞过"),
)
JET = Words(
    ("a jet plane", "喷气式飞机"),
    nouns=Both(
        "a jet; a jet plane; a jet engine; a plane taking off; a jet flying over; an airliner; a jet aircraft; "
        "an airplane taking off",
        "喷气式飞机; 飞机; 飞机起飞; 飞机起飞的声音; 喷气发动机; 客机; 飞机飞过",
    ),
    clauses=Both(
        "a jet flies over; an airplane takes off; a jet plane flies by; a plane takes off",
        "飞机起飞; 飞机飞过; 一架飞机起飞; 喷气式飞机飞过",
    ),
    test_nouns=Both(
        "a jet taking off; the engine of a jet; an airliner flying over",
        "起飞的飞机; 客机起飞; 喷气式飞机的声音",
    ),
    test_clauses=Both("a jet takes off; an airliner flies by", "客机飞过; 一架喷气式飞机起飞"),
)
CRASH = Words(
    ("a crash", "撞车"),
    nouns=Both(
        "a crash; a car crash; a car accident; a collision; two cars crashing; a vehicle crash; a traffic accident",
        "撞车; 撞车声; 车祸; 碰撞声; 两辆车相撞; 汽车相撞的声音",
    ),
    clauses=Both(
        "a car crashes; two cars collide; a car crashes into a wall; cars crash; vehicles collide",
        "汽车相撞; 两辆车撞了; 一辆车撞墙; 发生了车祸",
    ),
    test_nouns=Both(
        "a crash of two cars; a car collision; the crash of a vehicle",
        "两辆汽车相撞; 车祸的声音; 汽车碰撞声",
    ),
    test_clauses=Both("two vehicles collide; a vehicle crashes into a wall", "两辆汽车相撞了; 一辆车撞了"),
)
BOAT = Words(
    ("a boat on the water", "船"),
    nouns=Both(
        "a boat; a sailing boat; a boat on the water; water against a boat; a boat at sea; a boat rocking on the water",
        "船; 小船; 帆船; 水上的小船; 水拍打船的声音; 海上的船; 摇晃的船",
    ),
    clauses=Both(
        "a boat rocks on the water; a boat sails on the sea; water laps against a boat",
        "小船在水上摇晃; 帆船在海上航行; 水拍打着船",
    ),
    test_nouns=Both(
        "a boat sailing on the sea; a rocking boat; a boat in the water",
        "海上的帆船; 水上的帆船; 摇晃的小船",
    ),
    test_clauses=Both("a sailing boat rocks on the sea; a boat sails on the water", "船在水上航行; 水拍打着小船"),
)
