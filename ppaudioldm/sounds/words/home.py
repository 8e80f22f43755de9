"""Things at home in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

DOOR = Words(
    ("a door", "门"),
    nouns=Both(
        "a door; a door closing; a closing door; a door slamming; a slamming door; the slam of a door; "
        "a door being shut; a door opening; somebody opening a door",
        "门; 关门; 关门声; 门关上的声音; 摔门; 摔门声; 开门; 开门的声音",
    ),
    clauses=Both(
        "a door closes; a door slams; somebody closes a door; somebody slams the door; a door opens; "
        "a door is closing; the door opens",
        "门关上了; 有人关门; 有人摔门; 门开了; 有人把门关上",
    ),
    test_nouns=Both(
        "somebody closing a door; the closing of a door; the opening of a door",
        "有人关门的声音; 有人摔门的声音; 把门关上的声音",
    ),
    test_clauses=Both("the door is closing; somebody opens the door", "有人开门; 有人把门摔上"),
)
CREAK = Words(
    ("a creaking door", "吱吱作响的门"),
    nouns=Both(
        "a creaking door; a creak; a squeaky door; creaking wood; a creaking floor; the creak of an old door; "
        "a squeaking hinge",
        "吱吱作响的门; 门吱吱响; 吱呀声; 老门的吱呀声; 木头吱吱响; 吱吱作响的地板",
    ),
    clauses=Both(
        "a door creaks; wood creaks; an old door creaks; a hinge squeaks",
        "门在吱吱响; 老门吱呀一声; 木头在吱吱响; 地板吱吱作响",
    ),
    test_nouns=Both(
        "the creaking of a door; the creak of old wood; a squeaking door",
        "老门吱吱作响; 木头的吱呀声; 一声门的吱呀声",
    ),
    test_clauses=Both("an old floor creaks; a door squeaks", "老门在吱吱响; 地板在吱吱响"),
)
GLASS = Words(
    ("breaking glass", "玻璃碎"),
    nouns=Both(
        "breaking glass; glass breaking; a breaking window; a glass falling to the floor; shattering glass; "
        "a broken bottle; glass shattering",
        "玻璃碎; 玻璃破碎; 玻璃碎的声音; 打碎玻璃; 窗户破碎的声音; 杯子打碎了; 瓶子碎了",
    ),
    clauses=Both(
        "glass breaks; a window breaks; a glass shatters on the floor; somebody breaks a bottle",
        "玻璃碎了; 窗户碎了; 有人打碎了玻璃; 杯子掉在地上碎了",
    ),
    test_nouns=Both(
        "the breaking of glass; a shattering window; a bottle breaking on the floor",
        "打碎杯子的声音; 玻璃瓶碎了; 破碎的玻璃",
    ),
    test_clauses=Both("a bottle breaks; a window shatters", "瓶子打碎了; 有人打碎了窗户"),
)
CLOCK = Words(
    ("a ticking clock", "时钟"),
    nouns=Both(
        "a clock; a ticking clock; a clock ticking; the {speed} ticking of a clock; a {speed} ticking clock; "
        "a wall clock; a watch; ticking; {speed} ticking",
        "时钟; 钟表; 时钟滴答声; 滴答滴答; 钟表滴答的声音; {speed}时钟; {speed}滴答声; 手表",
    ),
    clauses=Both(
        "a clock ticks; a clock is ticking; a clock ticks {quickly}; a watch ticks",
        "时钟在滴答响; 钟表在走; 时钟{quickly}滴答响; 手表在走",
    ),
    test_nouns=Both(
        "the ticking of a clock; the {speed} ticking of a watch; a ticking wall clock",
        "手表滴答的声音; 钟表滴答声; {speed}钟表声",
    ),
    test_clauses=Both("a wall clock ticks; a watch is ticking {quickly}", "钟表在滴答响; 时钟{quickly}走"),
)
COINS = Words(
    ("coins", "硬币"),
    nouns=Both(
        "coins; jingling coins; falling coins; coins dropping; coins falling on a table; money; a coin falling; "
        "the jingle of coins",
        "硬币; 硬币声; 硬币掉落; 硬币掉在桌上; 钱币的声音; 零钱; 硬币叮当响",
    ),
    clauses=Both(
        "coins fall; coins jingle; somebody drops coins; a coin falls on the table",
        "硬币掉了; 硬币叮当响; 有人掉了硬币; 硬币掉在桌子上; 有人把零钱掉在地上",
    ),
    test_nouns=Both(
        "the jingle of money; a falling coin; the jingling of falling coins",
        "硬币掉落的声音; 叮当响的硬币; 零钱的声音",
    ),
    test_clauses=Both("coins fall on a table; somebody drops a coin", "零钱掉了; 有人把硬币掉在桌上"),
)
TELEPHONE = Words(
    ("a ringing telephone", "电话铃"),
    nouns=Both(
        "a telephone; a ringing telephone; a phone ringing; telephone ringing; the ringing of a phone; "
        "an old telephone; the ring of a telephone",
        "电话; 电话铃; 电话铃声; 电话铃响; 老式电话; 电话响的声音; 座机铃声",
    ),
    clauses=Both(
        "a telephone rings; a phone is ringing; the phone rings; an old phone rings",
        "电话响了; 电话铃在响; 电话在响; 老式电话响了",
    ),
    test_nouns=Both(
        "an old ringing phone; the ringing of a telephone; an old telephone ringing",
        "老式电话铃声; 电话铃响的声音; 座机电话响",
    ),
    test_clauses=Both("the telephone is ringing; an old telephone rings", "座机响了; 老式电话铃在响"),
)
CAFE = Words(
    ("a café", "咖啡馆"),
    nouns=Both(
        "a cafe; a coffee shop; a restaurant; people talking in a cafe; a busy restaurant; background chatter; "
        "people chatting; a crowd talking",
        "咖啡馆; 咖啡厅; 餐厅; 人们在说话; 咖啡馆里的人声; 热闹的餐厅; 人群的说话声",
    ),
    clauses=Both(
        "people talk in a cafe; people chat in a restaurant; a crowd talks",
        "人们在咖啡馆聊天; 人们在餐厅说话; 很多人在说话",
    ),
    test_nouns=Both(
        "people talking in a restaurant; a busy cafe; the chatter of a crowd",
        "咖啡馆里人们在说话; 餐厅里的人声; 热闹的咖啡馆",
    ),
    test_clauses=Both("people chat in a cafe; people talk in a busy coffee shop", "人们在咖啡厅聊天; 人们在餐厅聊天"),
)
