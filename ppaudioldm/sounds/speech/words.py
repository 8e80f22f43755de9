"""The vocabulary of the training sentences by category: what a slot `{category}` of a template may be."""

from __future__ import annotations

_CATEGORIES = {
    "room": "kitchen bedroom bathroom hall office garage attic cellar balcony dining-room nursery study lobby pantry"
    " workshop basement corridor stairway porch lounge",
    "device": "light radio heater fan oven television lamp speaker computer printer camera washing-machine dishwasher"
    " alarm clock kettle toaster projector screen vacuum fridge freezer stove boiler router monitor microphone phone"
    " tablet engine pump sensor scanner recorder player mixer blender iron",
    "opening": "door window gate curtains blinds shutter hatch drawer cupboard box cabinet safe trunk valve lid"
    " garage-door back-door front-door barn-door lock",
    "relative": "mother father sister brother uncle aunt cousin grandmother grandfather daughter son nephew niece wife"
    " husband family parents children baby twin",
    "profession": "doctor teacher nurse farmer baker driver pilot captain painter writer singer dancer lawyer judge"
    " soldier sailor butcher tailor dentist builder plumber fisherman waiter cook guard clerk chemist artist actor"
    " engineer scientist student professor banker barber carpenter gardener hunter mayor miner poet priest reporter"
    " secretary shepherd surgeon king queen prince princess president minister officer detective librarian mechanic",
    "name": "john mary peter anna david susan michael linda robert sarah james laura thomas emma george julia henry"
    " alice william helen charles rose edward grace frank lucy arthur diana walter ruth simon kate daniel emily oliver"
    " sophie jack hannah martin clara victor nora philip irene oscar martha hugo vera leo maria paul jane adam eve",
    "place": "station airport bank hospital museum library school market church castle hotel theatre cinema harbour"
    " bridge park beach zoo stadium university factory farm prison palace tower restaurant bakery pharmacy garden"
    " post-office town-hall supermarket playground village city lake forest desert island valley mountain river ocean"
    " field meadow cave jungle swamp canyon coast shore square crossroads tunnel lighthouse mill temple court cafe"
    " shop store house gallery clinic embassy corner street road path highway avenue",
    "animal": "dog cat horse cow sheep goat pig duck goose hen rooster rabbit mouse rat fox wolf bear lion tiger monkey"
    " elephant giraffe camel donkey deer squirrel hedgehog frog toad snake turtle lizard crocodile eagle owl crow raven"
    " swan pigeon sparrow parrot penguin whale dolphin shark seal spider beetle butterfly bee wasp ant fly worm snail"
    " crab lobster zebra kangaroo puppy kitten pony bull lamb chicken bird",
    "food": "bread butter cheese milk rice pasta soup salad meat beef pork fish egg bacon sausage ham honey jam sugar"
    " salt pepper apple pear plum cherry peach orange lemon banana grape melon strawberry tomato potato carrot onion"
    " garlic cabbage lettuce spinach bean pea corn mushroom pumpkin cucumber cake pie cookie biscuit chocolate pudding"
    " pancake sandwich pizza burger noodle sauce cream yogurt nut almond walnut flour oil vinegar mustard steak shrimp",
    "drink": "water tea coffee juice wine beer lemonade cocoa cider brandy soda whisky",
    "vessel": "cup glass bottle mug jug bowl pot pan plate bucket barrel jar tin can spoon fork knife basket tray",
    "clothing": "shirt coat hat jacket dress skirt sweater scarf glove sock shoe boot belt tie blouse suit apron cap"
    " cloak veil uniform trousers pajamas raincoat sandals slippers helmet ribbon button pocket collar sleeve",
    "furniture": "table chair sofa bed desk shelf bench stool mirror carpet pillow blanket mattress curtain wardrobe"
    " cradle couch armchair rug cushion bookcase mat wall",
    "tool": "hammer saw drill nail screw wrench axe shovel rake ladder rope chain wheel brush broom needle thread"
    " scissors pliers hook candle torch lantern match bell whistle key lock bolt spring wire pipe tube cable battery"
    " magnet compass ruler pencil pen paper book notebook letter envelope stamp newspaper magazine map picture photo"
    " card ticket coin purse wallet bag suitcase umbrella watch ring necklace crown flag tent sword shield arrow bow",
    "vehicle": "car bus train tram truck van taxi bicycle motorcycle boat ship ferry canoe plane helicopter tractor"
    " wagon sled rocket balloon ambulance carriage cart scooter yacht submarine",
    "nature": "tree bush flower grass leaf root branch seed moss fern oak pine birch willow maple rose tulip daisy lily"
    " sun moon star sky cloud rain snow ice wind storm thunder lightning fog mist frost rainbow sunrise sunset shadow"
    " stone rock sand dust mud clay hill cliff stream waterfall pond wave tide fire smoke ash flame spark",
    "weather": "cold warm hot wet dry windy cloudy sunny foggy stormy rainy snowy icy mild freezing cool humid chilly",
    "color": "red blue green yellow black white brown grey pink purple orange golden silver crimson scarlet violet",
    "quality": "big small old new long short wide narrow heavy light thick thin round flat sharp smooth rough soft hard"
    " clean dirty empty full open cheap expensive broken strong weak fresh sweet sour bitter bright dark loud quiet"
    " quick slow beautiful ugly strange simple famous rare ancient modern wooden plastic huge tiny deep shallow steep"
    " straight crooked dull shiny sticky dusty rusty fragile solid loose tight precious useful useless perfect"
    " remarkable enormous gentle fierce lonely hidden distant foreign popular secret sacred common curious delicate",
    "mood": "happy sad angry tired hungry thirsty sick healthy proud afraid brave clever lazy busy polite rude kind"
    " honest patient nervous calm lucky poor rich young famous friendly jealous shy serious cheerful careful careless"
    " curious grateful anxious bored worried surprised confused excited confident loyal wise foolish stubborn late"
    " ready alone asleep awake absent innocent guilty homesick relaxed disappointed",
    "adverb": "slowly quickly quietly loudly carefully suddenly happily sadly gently bravely badly easily early soon"
    " often always never again today tomorrow yesterday tonight here there outside inside upstairs downstairs together"
    " everywhere nowhere abroad twice once forever immediately perfectly silently politely eagerly patiently barely"
    " nearly finally recently usually sometimes rarely nervously smoothly directly secretly correctly seriously",
    "number": "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand",
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth last next",
    "hour": "one two three four five six seven eight nine ten eleven twelve noon midnight",
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "month": "january february march april may june july august september october november december",
    "season": "spring summer autumn winter",
    "daytime": "morning afternoon evening night",
    "unit": "second minute hour day week month year decade century mile meter kilometer inch pound gallon liter degree"
    " dollar euro penny percent",
    "city": "london paris berlin rome madrid vienna boston chicago dublin oslo moscow tokyo sydney cairo lisbon prague"
    " athens geneva warsaw toronto amsterdam venice denver dallas texas canada england france germany italy spain"
    " ireland scotland norway sweden russia china japan india egypt africa europe asia america brazil mexico greece"
    " poland turkey australia",
    "language": "english french german spanish italian russian chinese japanese latin greek",
    "sport": "football tennis hockey golf chess cards rugby cricket basketball baseball volleyball skating sailing",
    "instrument": "piano violin guitar flute trumpet drum organ cello harp clarinet trombone accordion banjo",
    "music": "music jazz song melody opera symphony waltz march ballad chorus rhythm tune lullaby record concert",
    "subject": "history music science physics chemistry biology geography mathematics law medicine art religion"
    " philosophy grammar economics politics poetry",
    "material": "wood iron steel gold silver copper brass lead glass leather cotton wool silk paper rubber plastic"
    " marble concrete brick velvet wax coal ivory",
    "body": "head face eye ear nose mouth tooth tongue neck shoulder arm elbow hand finger thumb chest back stomach"
    " knee leg foot toe heart brain skin hair beard bone blood",
    "thing": "story question answer problem idea plan secret message dream lesson mistake promise reason rule word"
    " sentence number name language sound noise voice smell taste color shape size weight price value change chance"
    " choice danger accident adventure battle journey holiday party game race prize gift meeting wedding election"
    " experiment discovery invention machine program computer system method test result report article poem chapter"
    " page title list order task job career business company market contract account bill tax debt profit law crime"
    " trial victory defeat peace freedom justice truth beauty courage fear anger joy hope love friendship memory"
    " knowledge wisdom culture tradition religion health disease medicine energy power force pressure temperature"
    " distance speed height surface area center edge corner side bottom top middle beginning end",
    "do": "bring buy carry catch clean close cut draw drop eat feed fetch fill find fix follow forget give hide hold"
    " keep leave lend lift lose make mend move need open order paint pick pull push put read remember repair sell send"
    " show steal study take teach throw touch try use visit wash watch wear weigh wrap write accept admire avoid borrow"
    " break burn change check choose collect compare copy count cover deliver describe destroy discover divide enjoy"
    " examine explain explore finish guard guess hate hear ignore imagine improve inspect join judge kick kiss know"
    " measure mention miss notice obey offer pass prepare prefer print produce protect prove raise reach recognize"
    " record refuse remove replace rescue respect return save search share sign smell solve store support suggest"
    " trust understand want waste welcome wipe",
    "did": "brought bought carried caught cleaned closed cut drew dropped ate fed fetched filled found fixed followed"
    " forgot gave hid held kept left lent lifted lost made mended moved needed opened ordered painted picked pulled"
    " pushed read remembered repaired sold sent showed stole studied took taught threw touched tried used visited"
    " washed watched wore weighed wrapped wrote accepted admired avoided borrowed broke burned changed checked chose"
    " collected compared copied counted covered delivered described destroyed discovered divided enjoyed examined"
    " explained explored finished guarded guessed hated heard ignored imagined improved inspected joined judged kicked"
    " kissed knew measured mentioned missed noticed obeyed offered passed prepared preferred printed produced"
    " protected proved raised reached recognized recorded refused removed replaced rescued respected returned saved"
    " searched shared signed smelled solved stored supported suggested trusted understood wanted wasted welcomed wiped",
    "does": "brings buys carries catches cleans closes cuts draws drops drinks eats feeds fills finds fixes follows"
    " forgets gives hides holds keeps leaves lifts loses loves makes moves needs opens paints pulls pushes reads"
    " remembers repairs sells sends shows studies takes teaches throws touches uses visits washes watches wears writes"
    " likes hates knows wants breaks burns changes checks chooses collects counts covers delivers describes enjoys"
    " explains guards hears joins measures misses notices offers passes prefers prints protects raises saves shares"
    " signs solves tells thanks trusts understands",
    "went": "walked ran jumped swam danced laughed cried smiled slept waited worked played sang talked whispered"
    " shouted travelled arrived disappeared fell climbed crawled rested returned stopped started died lived stood sat"
    " stayed turned vanished escaped hesitated listened looked marched nodded prayed rode rushed sailed screamed"
    " shivered sneezed sank spoke stumbled trembled wandered wept woke yawned flew drove grew rose shone",
    "goes": "walks runs jumps swims dances laughs cries smiles sleeps waits works plays sings talks shouts travels"
    " arrives falls climbs rests stops starts lives stands sits stays listens looks flies drives grows shines barks"
    " speaks leaves comes goes opens closes",
    "go": "walk run jump swim dance laugh cry smile sleep wait work play sing talk shout travel climb rest stop start"
    " stay listen look sit stand drive ride fly speak leave come go hurry relax breathe",
    "modal": "can could should must will would might may shall",
    "pronoun": "i you we they he she",
    "owner": "my your his her our their the",
    "preposition": "in on under behind near beside above below over across around through against between into inside"
    " outside past along beyond towards",
    "quantity": "some many few several enough more most all both any every each no another",
}
CATEGORIES: dict[str, tuple[str, ...]] = {
    name: tuple(word.replace("-", " ") for word in words.split()) for name, words in _CATEGORIES.items()
}
IRREGULAR_PLURALS = {
    "foot": "feet",
    "tooth": "teeth",
    "mouse": "mice",
    "goose": "geese",
    "wolf": "wolves",
    "leaf": "leaves",
    "knife": "knives",
    "shelf": "shelves",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "century": "centuries",
    "penny": "pennies",
    "percent": "percent",
    "fisherman": "fishermen",
}


def plural(noun: str) -> str:
    """The plural of a regular noun, or of one of IRREGULAR_PLURALS."""
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
