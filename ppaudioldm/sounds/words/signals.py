"""Electronic signals and bells in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

TONE = Words(
    ("a low or high tone", "纯音"),
    nouns=Both(
        "a tone; a {pitch} tone; a long {pitch} tone; a steady {pitch} tone; a {pitch} electronic tone; "
        "a tone of {height} pitch; a {pitch} hum",
        "长音; {pitch}长音; {pitch}电子音; 持续的{pitch}音; {register}; {pitch}音; 一个{pitch}音调; 电子音",
    ),
    clauses=Both(
        "a tone sounds; a {pitch} tone sounds; a {pitch} tone is held",
        "响起一个{pitch}音; 一个{pitch}音持续着; 一个音在响",
    ),
    test_nouns=Both(
        "a {pitch} steady tone; a long electronic tone; a long tone of {height} pitch",
        "持续的{pitch}电子音; 一个{pitch}长音; 一个电子音",
    ),
    test_clauses=Both("a long {pitch} tone sounds; a tone is held", "一个{pitch}电子音在响; 响起一个长音"),
)
SWEEP = Words(
    ("a rising or falling tone", "滑音"),
    nouns=Both(
        "a {rising} tone; a tone that {rises}; a {rising} sweep; a tone gliding {upwards}; "
        "a {rising} electronic sweep; a glide {upwards}; a tone with {rising} pitch; a frequency sweep",
        "{rising}音; {rising}音调; {rising}滑音; 音调{rises}; {rising}电子音; 扫频; 一个{rising}音调; 滑音",
    ),
    clauses=Both(
        "a tone {rises}; the pitch {rises}; a tone glides {upwards}; the pitch of a tone {rises}",
        "音调{rises}; 音调在{rises}; 一个音慢慢{rises}; 电子音{rises}",
    ),
    test_nouns=Both(
        "a tone of {rising} pitch; an electronic tone that {rises}; a sweep {upwards}; a {rising} glide; "
        "an electronic sweep",
        "一个滑音; 一个{rising}电子音; 一个{rising}滑音; {rising}扫频",
    ),
    test_clauses=Both("an electronic tone {rises}; the tone glides {upwards}", "一个音调慢慢{rises}; 滑音{rises}"),
)
SIREN = Words(
    ("a siren", "警笛"),
    nouns=Both(
        "a siren; a {speed} siren; a police siren; an ambulance siren; the siren of an ambulance; a wailing siren; "
        "a {speed} wailing siren; a police car; a fire engine siren",
        "警笛; 警笛声; 警报声; 警车; 救护车的警笛; 警车的警笛声; {speed}警笛; 消防车的警笛; {speed}警报声",
    ),
    clauses=Both(
        "a siren wails; a siren wails {quickly}; a police car with a siren passes; a siren is wailing",
        "警笛响了; 警笛在响; 警车鸣笛; 救护车鸣笛; 警笛{quickly}响着",
    ),
    test_nouns=Both(
        "the siren of a police car; a wailing police siren; an ambulance with a siren; a {speed} police siren",
        "警车的警报声; 救护车的警笛声; {speed}警笛声",
    ),
    test_clauses=Both(
        "the siren of an ambulance wails; a police siren wails {quickly}",
        "警车的警笛在响; 救护车的警笛{quickly}响着",
    ),
)
ALARM = Words(
    ("a beeping alarm", "闹钟"),
    nouns=Both(
        "an alarm; an alarm clock; a {speed} alarm; a beeping alarm; the {speed} beeping of an alarm clock; "
        "a smoke alarm; a {speed} electronic alarm; an alarm going off",
        "闹钟; 闹钟声; 警报器; 烟雾警报器; {speed}闹钟声; {speed}警报器; 电子闹钟; 闹钟响的声音",
    ),
    clauses=Both(
        "an alarm beeps; an alarm clock goes off; an alarm beeps {quickly}; the smoke alarm goes off; "
        "an alarm clock beeps",
        "闹钟响了; 闹钟在响; 警报器响了; 闹钟{quickly}响; 烟雾警报器在响",
    ),
    test_nouns=Both(
        "an electronic alarm clock; a beeping smoke alarm; the beeping of an alarm; a {speed} alarm clock",
        "烟雾警报器的声音; 电子闹钟声; {speed}电子闹钟",
    ),
    test_clauses=Both("an electronic alarm goes off; a smoke alarm beeps {quickly}", "电子闹钟响了; 警报器{quickly}响"),
)
BEEPS = Words(
    ("beeps", "哔声"),
    nouns=Both(
        "a beep; beeps; {count} beep{s}; {count} {speed} beep{s}; {count} electronic beep{s}; "
        "{count} beep{s} of a machine; {count} short beep{s}; beep; a machine beeping {times}; "
        "an electronic beep of a device; exactly {count} beep{s}",
        "哔声; 哔哔声; {count}声哔; {count}声哔响; {count}声电子哔声; 机器的{count}声哔响; {count}声短促的哔声; "
        "机器哔哔响",
    ),
    clauses=Both(
        "something beeps; a machine beeps; a machine beeps {times}; something beeps {times}; a device beeps {times}",
        "机器哔了{count}声; 机器在哔哔响; 仪器哔了{count}声; 电子设备哔了{count}声; 哔了{count}声",
    ),
    test_nouns=Both(
        "{count} beep{s} of a device; something beeping {times}; exactly {count} electronic beep{s}; "
        "the beep of a machine",
        "仪器的{count}声哔响; 电子设备的{count}声哔声; 机器的哔声",
    ),
    test_clauses=Both("an electronic device beeps {times}; a device beeps", "电子仪器哔了{count}声; 设备哔哔响"),
)
DIALLING = Words(
    ("dialling a number", "拨号"),
    nouns=Both(
        "touch tones; dialling a number; dialling on a keypad; phone keypad tones; a telephone number being dialled; "
        "touch tone dialling; dial tones",
        "拨号; 拨号音; 拨电话; 按键音; 电话按键的声音; 拨电话号码; 电话拨号音",
    ),
    clauses=Both(
        "somebody dials a number; a phone number is dialled; somebody dials on a keypad; "
        "somebody dials a telephone number",
        "有人在拨号; 有人在拨电话; 有人在按电话键; 有人拨了一个号码; 一个号码被拨出",
    ),
    test_nouns=Both(
        "the tones of a phone keypad; a phone number being dialled; dialling a telephone number",
        "有人拨号的声音; 电话按键音; 拨号码的声音",
    ),
    test_clauses=Both(
        "a telephone number is dialled; somebody dials a phone number",
        "有人在拨电话号码; 一个电话号码被拨出",
    ),
)
BELL = Words(
    ("a bell, big or small", "钟"),
    nouns=Both(
        "a bell; a {size} bell; a church bell; a {size} ringing bell; the ringing of a {size} bell; a bell ringing; "
        "a bell tower; church bells; the toll of a bell; {count} stroke{s} of a bell",
        "钟; 钟声; {size}钟; {size}钟的声音; 教堂的钟声; 敲钟; 一口{size}钟; {count}下钟声; 敲钟的声音",
    ),
    clauses=Both(
        "a bell rings; a {size} bell rings; a church bell tolls; a bell rings {times}; "
        "a church bell strikes {times}; somebody rings a bell",
        "钟响了; {size}钟响了; 教堂的钟在响; 有人敲钟; 钟敲了{count}下; 钟响了{count}声",
    ),
    test_nouns=Both(
        "the ringing of a church bell; a {size} church bell; the toll of a {size} bell; "
        "{count} stroke{s} of a church bell",
        "教堂{size}钟的声音; 一口钟的声音; 教堂钟声",
    ),
    test_clauses=Both(
        "a {size} bell tolls; somebody rings a {size} bell; a bell strikes {times}",
        "一口{size}钟响了; 教堂的钟敲了{count}下; 有人敲{size}钟",
    ),
)
CHIMES = Words(
    ("wind chimes", "风铃"),
    nouns=Both(
        "wind chimes; chimes; a wind chime; tinkling chimes; wind chimes in the breeze; the tinkling of wind chimes; "
        "metal chimes",
        "风铃; 风铃声; 风铃的声音; 叮叮当当的风铃; 微风中的风铃; 金属风铃",
    ),
    clauses=Both(
        "wind chimes tinkle; chimes tinkle in the breeze; a wind chime rings; wind chimes ring",
        "风铃响了; 风铃在响; 风吹响了风铃; 风铃叮叮当当响",
    ),
    test_nouns=Both(
        "the tinkling of metal chimes; tinkling wind chimes; chimes in the breeze",
        "金属风铃的声音; 叮当响的风铃; 微风吹响的风铃",
    ),
    test_clauses=Both("metal chimes tinkle; metal wind chimes ring", "微风吹响风铃; 金属风铃在响"),
)
