"""Weapons, explosions and games in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

GUNSHOT = Words(
    ("a gunshot", "枪声"),
    nouns=Both(
        "a gunshot; gunshots; a gun firing; a rifle shot; a pistol shot; a shot; {count} gunshot{s}; "
        "{count} shot{s}; a gun firing {times}; {count} shot{s} from a gun",
        "枪声; 开枪; 枪响; 步枪射击; 手枪的声音; 一声枪响; {count}声枪响; {count}声枪声; 开枪的声音",
    ),
    clauses=Both(
        "a gun fires; somebody fires a gun; a gun fires {times}; somebody fires {count} shot{s}; "
        "somebody shoots {times}",
        "有人开枪; 枪响了; 枪响了{count}声; 有人开了{count}枪; 有人用步枪射击",
    ),
    test_nouns=Both(
        "the shot of a rifle; the firing of a gun; {count} shot{s} of a pistol; {count} rifle shot{s}",
        "有人开枪的声音; 手枪射击; {count}声步枪枪声",
    ),
    test_clauses=Both("somebody fires a pistol; somebody fires a gun {times}", "有人用手枪射击; 步枪响了{count}声"),
)
EXPLOSION = Words(
    ("an explosion", "爆炸"),
    nouns=Both(
        "an explosion; a bomb; a bomb exploding; a blast; a big explosion; an exploding bomb; a loud bang; "
        "{count} explosion{s}; {count} blast{s}",
        "爆炸; 爆炸声; 炸弹; 炸弹爆炸; 一声爆炸; 爆炸的声音; 一声巨响; {count}声爆炸; {count}次爆炸",
    ),
    clauses=Both(
        "a bomb explodes; something explodes; a bomb goes off; there is an explosion; bombs explode {times}",
        "炸弹爆炸了; 发生了爆炸; 有东西爆炸了; 爆炸了{count}次; 炸弹炸了",
    ),
    test_nouns=Both(
        "the explosion of a bomb; the blast of a bomb; a big blast; {count} bomb blast{s}",
        "炸弹爆炸的声音; 巨响的爆炸; {count}声爆炸声",
    ),
    test_clauses=Both("a big bomb explodes; there is a big explosion", "炸弹炸了一声; 发生了{count}次爆炸"),
)
ARROW = Words(
    ("an arrow", "射箭"),
    nouns=Both(
        "an arrow; an arrow flying; a bow and arrow; a bow shooting an arrow; an arrow hitting a target; "
        "an archer shooting; the shot of a bow; {count} arrow{s}",
        "箭; 射箭; 射箭声; 弓箭; 箭飞过; 射箭的声音; 弓箭射出的声音; {count}支箭",
    ),
    clauses=Both(
        "an archer shoots an arrow; an arrow flies by; an arrow hits a target; a bow shoots an arrow; "
        "arrows fly to the target",
        "有人射箭; 一支箭飞过; 弓箭手射箭; 箭射中了靶子; 射出了{count}支箭",
    ),
    test_nouns=Both(
        "the shot of an arrow; an arrow flying by; an archer shooting an arrow; {count} flying arrow{s}",
        "箭飞过的声音; 有人射箭的声音; 一支射出的箭",
    ),
    test_clauses=Both("an archer shoots; an arrow flies to a target", "弓箭手射出一支箭; 有人射出了{count}支箭"),
)
LASER = Words(
    ("laser zaps", "激光枪"),
    nouns=Both(
        "laser zaps; a laser gun; a laser; laser shots; a ray gun; science fiction laser fire; a space weapon; zaps; "
        "zaps of a ray gun; shots of a laser; a laser gun firing",
        "激光枪; 激光; 激光枪声; 激光射击; 科幻激光枪; 太空武器; 激光枪射击的声音",
    ),
    clauses=Both(
        "a laser gun fires; lasers fire; a ray gun fires; a space weapon fires laser shots",
        "激光枪开火; 激光枪在射击; 有人用激光枪射击; 太空武器开火",
    ),
    test_nouns=Both(
        "zaps of a laser gun; a science fiction ray gun; shots of a laser gun",
        "科幻激光武器; 激光武器开火; 太空激光枪",
    ),
    test_clauses=Both("a laser fires; a ray gun fires laser shots", "激光武器在射击; 激光开火"),
)
SCRATCH = Words(
    ("a scratched record", "搓碟"),
    nouns=Both(
        "vinyl scratching; a DJ scratching; a record scratch; a scratched record; a scratching turntable; "
        "hip hop scratching; a vinyl scratch",
        "搓碟; 搓碟声; 唱片刮擦声; DJ搓碟; 打碟; 打碟的声音; 黑胶唱片刮擦",
    ),
    clauses=Both(
        "a DJ scratches a record; a record is scratched; a DJ scratches vinyl",
        "DJ在搓碟; DJ在打碟; 有人在搓碟; 唱片被刮了",
    ),
    test_nouns=Both(
        "a DJ scratching a record; a scratch of a vinyl record; the scratching of a turntable",
        "DJ打碟的声音; 有人搓碟的声音; 黑胶唱片的刮擦声",
    ),
    test_clauses=Both("a vinyl record is scratched; a DJ scratches a turntable", "有人在打碟; 黑胶唱片被刮了"),
)
