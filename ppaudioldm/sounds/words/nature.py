"""Weather, water and fire in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

RAIN = Words(
    ("rain, light or heavy", "雨"),
    nouns=Both(
        "rain; {strength} rain; {strength} rain on a roof; falling rain; the sound of rain; "
        "a {strength} rain shower; raindrops; rain on a window; {strength} rain falling",
        "雨; 雨声; 下雨; 下雨的声音; {rain}雨; {rain}雨声; 下{rain}雨; 屋顶上的{rain}雨; 窗外的雨声; 雨打在屋顶上",
    ),
    clauses=Both(
        "it rains; it is raining; rain falls; {strength} rain falls; rain falls on the roof; it rains on a window",
        "下雨; 下雨了; 在下雨; 下{rain}雨; 外面在下雨; 外面下着{rain}雨; 下起了{rain}雨",
    ),
    test_nouns=Both(
        "{strength} rain on a window; a shower of rain; {strength} falling rain; raindrops on a roof",
        "窗外的{rain}雨; 屋顶上的雨声; {rain}雨打在窗上",
    ),
    test_clauses=Both("{strength} rain falls on the roof; rain is falling", "外面下雨了; 窗外下着{rain}雨"),
)
THUNDER = Words(
    ("thunder", "雷声"),
    nouns=Both(
        "thunder; a thunderclap; rolling thunder; the rumble of thunder; a clap of thunder; thunder and lightning; "
        "a thunderstorm",
        "雷; 打雷; 雷声; 雷鸣; 轰隆隆的雷声; 打雷的声音; 闪电和雷声; 一声雷响",
    ),
    clauses=Both(
        "thunder rolls; thunder rumbles; it thunders; thunder follows lightning",
        "打雷了; 雷声响起; 天上打雷; 雷声轰隆隆",
    ),
    test_nouns=Both(
        "the rumble of a thunderclap; a rumble of thunder; the thunder of a thunderstorm",
        "一声雷; 轰隆隆打雷的声音; 天上的雷声",
    ),
    test_clauses=Both("the thunder rumbles; a thunderstorm rumbles", "天上响起雷声; 雷声响了"),
)
WIND = Words(
    ("wind, light or strong", "风"),
    nouns=Both(
        "wind; {strength} wind; a {strength} wind; howling wind; wind blowing; gusts of {strength} wind; "
        "a {strength} breeze; wind in the trees; a storm wind",
        "风; 风声; {wind}风; {wind}风声; 刮风; 刮风的声音; 树林里的风声; 一阵{wind}风; 风吹过",
    ),
    clauses=Both(
        "the wind blows; a {strength} wind blows; the wind howls; wind blows in the trees",
        "刮风了; 在刮风; 刮{wind}风; 外面刮着{wind}风; 风吹过树林",
    ),
    test_nouns=Both(
        "the blowing wind; gusts of wind; a {strength} wind in the trees; {strength} blowing wind",
        "一阵风声; 刮{wind}风的声音; 树林里的{wind}风",
    ),
    test_clauses=Both("a {strength} wind howls; the wind is blowing", "外面在刮风; 外面刮{wind}风; 风刮过树林"),
)
SEA = Words(
    ("waves of the sea", "海浪"),
    nouns=Both(
        "waves; ocean waves; the sea; waves on a beach; the surf; waves breaking on the shore; the ocean; sea waves",
        "海浪; 海浪声; 大海; 海边的浪声; 海浪拍打海岸; 大海的声音; 海滩上的海浪",
    ),
    clauses=Both(
        "waves break on the shore; waves roll onto a beach; the sea roars",
        "海浪拍打着海岸; 海浪拍打海滩; 大海在咆哮",
    ),
    test_nouns=Both(
        "the waves of the sea; ocean waves on the shore; waves breaking on a beach; the surf of the ocean",
        "海边的海浪声; 海浪拍打海滩的声音",
    ),
    test_clauses=Both(
        "ocean waves break on a beach; the waves roll onto the shore",
        "海浪拍打着海滩; 海边海浪拍打海岸",
    ),
)
STREAM = Words(
    ("a stream", "溪水"),
    nouns=Both(
        "a stream; a brook; a river; running water; flowing water; a creek; a small stream in the forest; "
        "water running",
        "小溪; 溪水; 流水声; 溪水声; 小河; 河水流动; 流水的声音; 树林里的小溪",
    ),
    clauses=Both(
        "a stream flows; a river flows; water flows; a brook runs through the forest",
        "小溪在流; 溪水在流; 水在流; 河水流过",
    ),
    test_nouns=Both(
        "the water of a stream; a flowing brook; flowing water in a river; a running stream",
        "小溪流水声; 河水的声音; 流动的溪水",
    ),
    test_clauses=Both("a brook flows; water runs through a creek", "溪水流过树林; 河水在流"),
)
WATERDROPS = Words(
    ("dripping water", "滴水"),
    nouns=Both(
        "dripping water; a dripping tap; water drops; water dripping; a leaking tap; a dripping faucet; "
        "drops of water in a cave",
        "滴水; 滴水声; 水滴; 水滴的声音; 水龙头滴水; 漏水的水龙头; 山洞里的水滴",
    ),
    clauses=Both(
        "water drips; water is dripping; a tap drips; drops of water fall",
        "水在滴; 水龙头在滴水; 水滴滴下来; 山洞里在滴水",
    ),
    test_nouns=Both(
        "a leaking faucet; the dripping of water; water dripping in a cave",
        "水龙头滴水的声音; 山洞里的滴水声",
    ),
    test_clauses=Both("a faucet drips; a tap is dripping", "水龙头在漏水; 水滴在滴"),
)
BUBBLES = Words(
    ("bubbles in water", "气泡"),
    nouns=Both(
        "bubbles; bubbling water; air bubbles; bubbles in water; an aquarium; boiling water; bubbling; "
        "bubbles under water",
        "气泡; 气泡声; 水泡; 冒泡的水; 水里的气泡; 水下的气泡声; 鱼缸; 水在冒泡的声音",
    ),
    clauses=Both(
        "water bubbles; water is bubbling in a pot; bubbles rise in water; water boils",
        "水在冒泡; 气泡在水里上升; 水开了在冒泡",
    ),
    test_nouns=Both(
        "the bubbling of water; air bubbles in an aquarium; bubbling air under water",
        "水里冒气泡的声音; 鱼缸里的气泡",
    ),
    test_clauses=Both("water bubbles in an aquarium; air bubbles rise in water", "水里在冒气泡; 鱼缸在冒泡"),
)
SPLASH = Words(
    ("a splash", "水花"),
    nouns=Both(
        "a splash; a splash of water; something falling into water; a stone falling into water; splashing; "
        "a dive into water; {count} splash{es}; {count} splash{es} in water",
        "水花; 水花声; 落水声; 石头落水的声音; 跳进水里; 溅水声; {count}声落水声",
    ),
    clauses=Both(
        "something falls into the water; water splashes; a stone splashes into water",
        "有东西掉进水里; 石头掉进水里; 水花溅起; 有人跳进水里",
    ),
    test_nouns=Both(
        "the splash of a stone; the splashing of water; a splash in the water; {count} splash{es} of water",
        "石头掉进水里的声音; 溅起水花的声音",
    ),
    test_clauses=Both("a stone falls into the water; something splashes into the water", "有东西落水; 石头落进水里"),
)
FIRE = Words(
    ("a crackling fire", "火"),
    nouns=Both(
        "a fire; a crackling fire; a campfire; a fireplace; fire crackling; burning wood; flames; "
        "the crackle of a fire",
        "火; 火声; 篝火; 壁炉; 燃烧的木头; 火燃烧的声音; 噼啪作响的火; 柴火燃烧",
    ),
    clauses=Both(
        "a fire crackles; a fire burns; wood burns in a fireplace; a campfire is burning",
        "火在燃烧; 木头在燃烧; 篝火噼啪作响; 壁炉里火在燃烧",
    ),
    test_nouns=Both(
        "a crackling campfire; the crackle of flames; a burning fire; a fire in a fireplace",
        "燃烧的篝火; 噼啪作响的柴火; 木头燃烧的声音",
    ),
    test_clauses=Both("a campfire crackles; a fire is burning", "柴火在燃烧; 篝火在燃烧"),
)
