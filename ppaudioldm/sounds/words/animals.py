"""Animals in words."""

from __future__ import annotations

from ppaudioldm.sounds.wording import Both, Words

DOG = Words(
    ("a barking dog", "狗叫"),
    nouns=Both(
        "a dog; a dog barking; dog barking; a barking dog; the bark of a dog; barking; a dog's bark; "
        "a dog barking {times}; {count} bark{s}; {count} dog bark{s}; {count} bark{s} of a dog",
        "狗; 狗叫; 狗叫声; 狗的叫声; 一只狗的叫声; 小狗叫声; 犬吠; {count}声狗叫; 狗的{count}声叫",
    ),
    clauses=Both(
        "a dog barks; a dog is barking; the dog barks; a dog barks {times}; the dog barks {times}",
        "狗在叫; 一只狗在叫; 一只狗叫了; 狗叫了{count}声; 一只狗叫了{count}声",
    ),
    test_nouns=Both(
        "the barking of a dog; the dog's bark; {count} bark{s} of the dog",
        "小狗的叫声; 一只小狗的叫声; {count}声犬吠",
    ),
    test_clauses=Both(
        "the dog is barking; the dog is barking {times}",
        "小狗在叫; 一只小狗叫了{count}声; 一只狗叫{count}声",
    ),
)
CAT = Words(
    ("a meowing cat", "猫叫"),
    nouns=Both(
        "a cat; a cat meowing; cat meowing; a meowing cat; the meow of a cat; a kitten; meowing; "
        "a cat meowing {times}; {count} meow{s}; {count} meow{s} of a cat",
        "猫; 猫叫; 猫叫声; 猫的叫声; 一只猫的叫声; 小猫叫声; 喵喵叫; {count}声猫叫",
    ),
    clauses=Both(
        "a cat meows; a cat is meowing; the cat meows; a cat meows {times}",
        "猫在叫; 一只猫在叫; 一只猫在喵喵叫; 猫叫了{count}声; 一只猫叫了{count}声",
    ),
    test_nouns=Both(
        "the meowing of a cat; a meowing kitten; {count} meow{s} of the cat",
        "小猫的叫声; 一只小猫的叫声; 小猫的{count}声叫",
    ),
    test_clauses=Both("the cat is meowing; the cat meows {times}", "小猫在叫; 一只小猫叫了{count}声"),
)
COW = Words(
    ("a mooing cow", "牛叫"),
    nouns=Both(
        "a cow; a cow mooing; a mooing cow; the moo of a cow; mooing cattle; cows on a farm; a cow mooing {times}; "
        "{count} moo{s}; {count} moo{s} of a cow",
        "牛; 牛叫; 牛叫声; 奶牛的叫声; 一头牛的叫声; 哞哞叫; {count}声牛叫",
    ),
    clauses=Both(
        "a cow moos; a cow is mooing; the cow moos; a cow moos {times}",
        "牛在叫; 一头牛在叫; 奶牛哞哞叫; 一头牛叫了{count}声; 牛叫了{count}声",
    ),
    test_nouns=Both(
        "the mooing of a cow; mooing cows; {count} moo{s} of the cow",
        "牛的叫声; 一头奶牛的叫声; 奶牛的{count}声叫",
    ),
    test_clauses=Both("the cow is mooing; the cow moos {times}", "奶牛在叫; 一头奶牛叫了{count}声"),
)
SHEEP = Words(
    ("a bleating sheep", "羊叫"),
    nouns=Both(
        "a sheep; a sheep bleating; a bleating sheep; the bleat of a sheep; a lamb; the baa of a sheep; "
        "sheep on a farm; {count} bleat{s} of a sheep",
        "羊; 羊叫; 羊叫声; 绵羊的叫声; 一只羊的叫声; 咩咩叫; {count}声羊叫",
    ),
    clauses=Both(
        "a sheep bleats; a sheep is bleating; the sheep bleats; a sheep bleats {times}",
        "羊在叫; 一只羊在叫; 绵羊咩咩叫; 一只羊叫了{count}声",
    ),
    test_nouns=Both(
        "the bleating of a sheep; a bleating lamb; {count} bleat{s} of the sheep",
        "羊的叫声; 一只绵羊的叫声; 绵羊叫声",
    ),
    test_clauses=Both("a lamb bleats; the sheep bleats {times}", "绵羊在叫; 一只绵羊叫了{count}声"),
)
HORSE = Words(
    ("a neighing horse", "马嘶"),
    nouns=Both(
        "a horse; a horse neighing; a neighing horse; the neigh of a horse; a whinnying horse; the whinny of a horse",
        "马; 马叫; 马叫声; 马嘶声; 一匹马的叫声; 马的嘶叫声",
    ),
    clauses=Both(
        "a horse neighs; a horse is neighing; a horse whinnies; the horse neighs",
        "马在叫; 一匹马在叫; 一匹马嘶叫; 马嘶叫了一声",
    ),
    test_nouns=Both("the neighing of a horse; the whinnying of a horse", "马的叫声; 一匹马的嘶叫声"),
    test_clauses=Both("the horse whinnies; the horse is neighing", "一匹马叫了一声; 马嘶叫"),
)
GALLOP = Words(
    ("a galloping horse", "马蹄声"),
    nouns=Both(
        "a galloping horse; hooves; the hooves of a horse; a horse galloping; horse hooves; the gallop of a horse; "
        "a running horse",
        "马蹄声; 奔跑的马; 马奔跑的声音; 马蹄的声音; 一匹马奔跑的声音",
    ),
    clauses=Both("a horse gallops; a horse is galloping; a horse runs by", "马在奔跑; 一匹马在奔跑; 一匹马跑过"),
    test_nouns=Both("the hooves of a galloping horse; the sound of hooves", "奔跑的马蹄声; 一匹奔跑的马"),
    test_clauses=Both("the horse gallops; the horse is galloping by", "马在跑; 一匹马在跑过"),
)
PIG = Words(
    ("a grunting pig", "猪叫"),
    nouns=Both(
        "a pig; a grunting pig; a pig oinking; the grunt of a pig; a pig grunting; pigs on a farm; oinking",
        "猪; 猪叫; 猪叫声; 一头猪的叫声; 猪哼哼的声音; 一头猪哼哼叫",
    ),
    clauses=Both(
        "a pig grunts; a pig oinks; a pig is grunting; the pig oinks",
        "猪在叫; 一头猪在叫; 一头猪在哼哼; 猪叫了",
    ),
    test_nouns=Both("the oinking of a pig; the grunting of a pig; an oinking pig", "猪的叫声; 一头猪哼哼的声音"),
    test_clauses=Both("the pig grunts; a pig is oinking", "猪在哼哼; 一头猪叫了"),
)
DUCK = Words(
    ("a quacking duck", "鸭子叫"),
    nouns=Both(
        "a duck; a duck quacking; a quacking duck; the quack of a duck; ducks; quacking; ducks on a pond",
        "鸭子; 鸭子叫; 鸭子叫声; 鸭子的叫声; 一只鸭子的叫声; 嘎嘎叫",
    ),
    clauses=Both(
        "a duck quacks; a duck is quacking; ducks quack; ducks are quacking",
        "鸭子在叫; 一只鸭子在叫; 鸭子嘎嘎叫; 一只鸭子叫了",
    ),
    test_nouns=Both("the quacking of a duck; quacking ducks; the quack of ducks", "一只鸭子叫; 鸭子嘎嘎的叫声"),
    test_clauses=Both("the duck quacks; the ducks are quacking", "一只鸭子嘎嘎叫; 鸭子叫了"),
)
ROOSTER = Words(
    ("a crowing rooster", "公鸡打鸣"),
    nouns=Both(
        "a rooster; a rooster crowing; a crowing rooster; a cock; the crow of a rooster; "
        "a crowing cock in the morning; cock-a-doodle-doo",
        "公鸡; 公鸡叫; 公鸡打鸣; 公鸡的叫声; 一只公鸡的叫声; 公鸡打鸣的声音; 早上的鸡叫",
    ),
    clauses=Both(
        "a rooster crows; a rooster is crowing; a cock crows in the morning",
        "公鸡在打鸣; 一只公鸡在打鸣; 公鸡在叫; 一只公鸡叫了",
    ),
    test_nouns=Both(
        "the crowing of a rooster; a crowing cock; a rooster in the morning",
        "公鸡叫声; 一只公鸡打鸣的声音",
    ),
    test_clauses=Both("the rooster crows; a cock is crowing", "一只公鸡打鸣; 早上公鸡在叫"),
)
OWL = Words(
    ("a hooting owl", "猫头鹰"),
    nouns=Both(
        "an owl; an owl hooting; a hooting owl; the hoot of an owl; an owl at night; "
        "the hooting of an owl in the forest",
        "猫头鹰; 猫头鹰叫; 猫头鹰的叫声; 一只猫头鹰的叫声; 夜里的猫头鹰",
    ),
    clauses=Both(
        "an owl hoots; an owl is hooting; an owl hoots at night",
        "猫头鹰在叫; 一只猫头鹰在叫; 夜里猫头鹰在叫; 猫头鹰叫了",
    ),
    test_nouns=Both("the hooting of an owl; a hooting owl at night", "猫头鹰叫声; 一只猫头鹰叫"),
    test_clauses=Both("the owl hoots; an owl is hooting in the forest", "夜里一只猫头鹰在叫; 一只猫头鹰叫了"),
)
LION = Words(
    ("a roaring lion", "狮子吼"),
    nouns=Both(
        "a lion; a lion roaring; a roaring lion; the roar of a lion; a growling lion; a big cat roaring",
        "狮子; 狮子吼; 狮吼声; 狮子的吼叫; 一头狮子的吼声",
    ),
    clauses=Both("a lion roars; a lion is roaring; the lion roars", "狮子在吼; 一头狮子在吼叫; 狮子吼了一声"),
    test_nouns=Both("the roaring of a lion; the growling of a lion", "狮子的吼声; 一头狮子的吼叫声"),
    test_clauses=Both("the lion is roaring; a big lion roars", "一头狮子在吼; 狮子在吼叫"),
)
CROW = Words(
    ("a cawing crow", "乌鸦叫"),
    nouns=Both(
        "a crow; a crow cawing; a cawing crow; the caw of a crow; crows; a raven; cawing",
        "乌鸦; 乌鸦叫; 乌鸦叫声; 乌鸦的叫声; 一只乌鸦的叫声; 一只叫着的乌鸦",
    ),
    clauses=Both("a crow caws; a crow is cawing; crows caw", "乌鸦在叫; 一只乌鸦在叫; 一只乌鸦叫了"),
    test_nouns=Both("the cawing of a crow; a cawing raven; the caw of crows", "一只乌鸦叫; 一只乌鸦叫声"),
    test_clauses=Both("a raven caws; the crow is cawing", "一只乌鸦叫着; 乌鸦叫了"),
)
FROG = Words(
    ("croaking frogs", "青蛙叫"),
    nouns=Both(
        "a frog; frogs; croaking frogs; a croaking frog; the croak of a frog; frogs in a pond; toads at night",
        "青蛙; 青蛙叫; 青蛙的叫声; 蛙声; 池塘里的青蛙; 呱呱叫的青蛙; 池塘里有青蛙; 呱呱地叫的青蛙",
    ),
    clauses=Both("a frog croaks; frogs croak in a pond; frogs are croaking", "青蛙在叫; 青蛙呱呱叫; 池塘里青蛙在叫"),
    test_nouns=Both("the croaking of frogs; a frog in a pond; frogs at night", "青蛙叫声; 池塘里的蛙声"),
    test_clauses=Both("frogs croak; a frog is croaking in a pond", "池塘里有青蛙在叫; 青蛙呱呱地叫"),
)
BIRDS = Words(
    ("birds", "鸟叫"),
    nouns=Both(
        "birds; birdsong; birds singing; birds chirping; chirping birds; a bird; a songbird; birds in a forest; "
        "the birds; tweeting birds; birds in the garden in the morning",
        "鸟; 鸟叫; 鸟叫声; 鸟鸣; 小鸟的叫声; 树林里的鸟叫声; 早晨的鸟鸣; 鸟儿歌唱",
    ),
    clauses=Both(
        "a bird sings; birds sing; birds chirp; birds are singing; birds chirp in the forest; a bird tweets",
        "鸟在叫; 小鸟在唱歌; 鸟儿在树林里叫; 早晨鸟儿在歌唱",
    ),
    test_nouns=Both(
        "singing birds; the chirping of birds; birdsong in the forest; birds chirping in the morning",
        "鸟儿的叫声; 树林里的鸟鸣; 小鸟唱歌的声音",
    ),
    test_clauses=Both("birds chirp in the garden; a songbird sings", "鸟儿在叫; 小鸟在树林里唱歌"),
)
CRICKETS = Words(
    ("crickets", "蟋蟀"),
    nouns=Both(
        "crickets; crickets chirping; chirping crickets; a cricket; the chirping of crickets; crickets at night; "
        "insects on a summer night; cicadas",
        "蟋蟀; 蟋蟀叫; 蟋蟀的叫声; 虫鸣; 夏夜的虫鸣; 夜里的蟋蟀; 草里的虫叫声",
    ),
    clauses=Both(
        "crickets chirp; crickets are chirping; a cricket chirps at night; insects chirp",
        "蟋蟀在叫; 夜里蟋蟀在叫; 夏夜虫在鸣叫",
    ),
    test_nouns=Both(
        "crickets on a summer night; a chirping cricket; chirping insects at night",
        "蟋蟀叫声; 夏夜的蟋蟀; 草里的蟋蟀",
    ),
    test_clauses=Both("crickets chirp on a summer night; a cricket is chirping", "夏夜蟋蟀在叫; 草里蟋蟀在鸣叫"),
)
BEE = Words(
    ("a buzzing bee", "蜜蜂"),
    nouns=Both(
        "a bee; a buzzing bee; a bee buzzing; a fly; a buzzing fly; the buzz of a bee; a mosquito; a buzzing insect; "
        "bees",
        "蜜蜂; 蜜蜂嗡嗡叫; 蜜蜂的声音; 一只蜜蜂; 苍蝇; 蚊子; 嗡嗡的蜜蜂; 一只嗡嗡叫的苍蝇",
    ),
    clauses=Both(
        "a bee buzzes; a bee is buzzing; a fly buzzes around; a mosquito buzzes",
        "一只蜜蜂在嗡嗡叫; 蜜蜂在飞; 一只苍蝇在飞; 蚊子嗡嗡叫",
    ),
    test_nouns=Both(
        "the buzzing of a bee; a buzzing mosquito; the buzz of an insect",
        "一只蚊子; 蜜蜂的嗡嗡声; 苍蝇的声音",
    ),
    test_clauses=Both("a bee buzzes around; an insect is buzzing", "一只蜜蜂在飞; 苍蝇在嗡嗡叫"),
)
