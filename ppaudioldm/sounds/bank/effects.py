"""Which effects, ambiences and drums the bank takes, of which package, and how each is cut."""

from __future__ import annotations

from dataclasses import dataclass

from ppaudioldm.sounds.bank.fluid import DRUMS, Key


@dataclass(frozen=True)
class Take:
    """An original that becomes recordings of a kind.

    library: a key of `packages.PACKAGES`. name: what that library calls the sound.
    cut: "event": one event, trimmed. "hit": one that begins at its attack, whatever is before that. "events": the
    single events of a recording of several. "stretch": a steady sound, in pieces.
    span_s: the part of the original to take, or all. gap_s, floor_db: for "events", the shortest pause between two, and
    how far below the peak it is. most: of the pieces of a stretch.
    """

    kind: str
    library: str
    name: str | Key
    cut: str = "event"
    span_s: tuple[float, float] | None = None
    gap_s: float = 0.1
    floor_db: float = -26
    most: int = 6


def _openclonk(kind: str, paths: str, listed_as: str, cut: str = "event", **settings: object) -> list[Take]:
    """Files of OpenClonk's sounds: `paths` with a number for `#` ("Chop#1-5"), and as what authors.txt lists them."""
    stem, _, rest = paths.partition("#")
    if not rest:
        names = [paths]
    else:
        numbers, _, ending = rest.partition(".")
        first, _, last = numbers.partition("-")
        names = [f"{stem}{number}.{ending}" for number in range(int(first), int(last or first) + 1)]
    return [Take(kind, "openclonk", f"{name} as {listed_as}", cut, **settings) for name in names]  # type: ignore[arg-type]


def _sfx(kind: str, bank: int, program: int, cut: str = "event", held_s: float = 5, **settings: object) -> Take:
    """An effect of Fluid's, of its GM file (bank 0) or its GS file."""
    library = "fluid-gm" if bank == 0 else "fluid-gs"
    return Take(kind, library, Key(bank, program, 60, held_s, 1.0), cut, **settings)  # type: ignore[arg-type]


def _kit(kind: str, *keys: int, kits: tuple[int, ...] = (0, 16, 32), held_s: float = 2.5) -> list[Take]:
    """Keys of Fluid's drum kits."""
    return [Take(kind, "fluid-gm", Key(DRUMS, kit, key, held_s, 0.2)) for kit in kits for key in keys]


def _sonic_pi(kind: str, *names: str, cut: str = "event", **settings: object) -> list[Take]:
    return [Take(kind, "sonic-pi", name, cut, **settings) for name in names]  # type: ignore[arg-type]


def _opensfx(kind: str, *titles: str, cut: str = "event", **settings: object) -> list[Take]:
    return [Take(kind, "opensfx", title, cut, **settings) for title in titles]  # type: ignore[arg-type]


_ANIMALS = (
    Take("dog_bark", "animals", "dog", "events", gap_s=0.02, floor_db=-20),
    _sfx("dog_bark", 1, 123),
    Take("cat_meow", "animals", "cat", "events", gap_s=0.05),
    Take("cow", "animals", "cow", "events"),
    *_opensfx("cow", "Cow"),
    Take("sheep", "animals", "sheep"),
    *_opensfx("sheep", "Sheep"),
    Take("horse_neigh", "animals", "horse"),
    *_opensfx("horse_neigh", "Horse"),
    _sfx("gallop", 2, 123, "stretch", span_s=(1.0, 6.0)),
    Take("pig", "animals", "pig", "events"),
    Take("duck", "animals", "duck", "events", gap_s=0.04, floor_db=-20),
    Take("owl", "animals", "owl", "events", gap_s=0.4),
    Take("frog", "animals", "frog", "stretch"),
    Take("frog_croak", "animals", "frog", "events", gap_s=0.05, floor_db=-20),
    Take("rooster", "animals", "rooster"),
    *_opensfx("lion", "Tropical: Lion roar"),
    *_opensfx("monkey", "Tropical: Monkeys"),
    *_sonic_pi("crow", "misc_crow"),
    Take("birds", "blanket", "birds", "stretch", most=8),
    *_openclonk("birds", "Environment.ocg/BirdsLoop.ogg", "BirdsLoop", "stretch"),
    *_opensfx("bird_call", "Tropical: Bird (1)", "Tropical: Bird (2)", cut="events"),
    _sfx("bird_call", 0, 123),
    _sfx("bird_call", 3, 123),
    Take("crickets", "blanket", "summer-night", "stretch"),
    *_openclonk("mosquito", "Animals.ocg/MosquitoBuzz.ogg", "MosquitoBuzz", "stretch"),
)

_WEATHER_AND_WATER = (
    Take("rain", "blanket", "rain", "stretch", most=8),
    _sfx("rain", 1, 122, "stretch", span_s=(0.4, 5.0)),
    Take("storm", "blanket", "storm", "stretch"),
    *_openclonk("thunder", "Environment.ocg/Lightning.ocg/Thunder#1.ogg", "Thunder1"),
    *_openclonk("thunder", "Environment.ocg/Lightning.ocg/Thunder#2.ogg", "Thunder2"),
    *_openclonk("thunder", "Environment.ocg/Lightning.ocg/Thunder#3.ogg", "Thunder3"),
    *_openclonk("thunder", "Environment.ocg/Lightning.ocg/Thunder#4.ogg", "Thunder4"),
    *_openclonk("thunder", "Environment.ocg/Lightning.ocg/Thunder#5.ogg", "Thunder5"),
    _sfx("thunder", 2, 122),
    *_openclonk("wind", "Environment.ocg/WindLoop.ogg", "WindLoop", "stretch"),
    Take("wind", "blanket", "wind", "stretch"),
    *_opensfx("wind", "Wind", cut="stretch", span_s=(0.5, 2.3)),
    _sfx("wind", 3, 122, "stretch", span_s=(0.6, 5.0)),
    Take("sea", "blanket", "waves", "stretch", most=8),
    _sfx("sea", 0, 122, "stretch"),
    Take("stream", "blanket", "stream", "stretch", most=8),
    Take("waterfall", "gcompris", "canal_lock/water_fill.wav", "stretch", span_s=(0.0, 3.3)),
    *_openclonk("waterfall", "Environment.ocg/Waterfall.ogg", "Waterfall", "stretch"),
    Take("boat", "blanket", "boat", "stretch"),
    _sfx("bubbles", 5, 122, "stretch", span_s=(0.0, 5.0)),
    *_opensfx("bubbles", "Toyland: Plastic mine", cut="stretch"),
    *_opensfx("bubbles", "Toyland: Bubble generated"),
    *_openclonk("boiling", "Liquids.ocg/Boiling.ogg", "Boiling", "stretch"),
    *_openclonk("splash", "Liquids.ocg/Splash#1-3.wav", "Splash1-3"),
    *_openclonk("splash", "Liquids.ocg/Swim#1-3.ogg", "Splash1-3"),
    *_openclonk("sizzle", "Liquids.ocg/Sizzle.ogg", "Sizzle", "stretch"),
    *_openclonk("sizzle", "Liquids.ocg/SmokeSizzle.ogg", "SmokeSizzle", "stretch"),
    *_openclonk("sizzle", "Fire.ocg/Fuse.ogg", "Fuse/FuseLoop/FuseShort", "stretch", span_s=(0.1, 3.3)),
    Take("fire", "blanket", "fireplace", "stretch"),
    *_openclonk("fire", "Fire.ocg/Fire.ogg", "Fire (", "stretch"),
    *_openclonk("fire", "Structures.ocg/Furnace.ocg/Loop.ogg", "Furnace/Loop", "stretch"),
)

_PLACES_AND_VEHICLES = (
    Take("cafe", "blanket", "coffee-shop", "stretch"),
    Take("city", "blanket", "city", "stretch"),
    Take("train", "blanket", "train", "stretch"),
    _sfx("train", 6, 125, "stretch"),
    *_opensfx("train_horn", "Diesel/electric train station departure"),
    *_opensfx("steam_whistle", "Factory Whistle", "Steam train station departure", "Steam engine going in tunnel"),
    *_opensfx("ship_horn", "Ship horn", "Ferry horn"),
    *_opensfx("car_horn", "Modern car horn", cut="events", gap_s=0.03, floor_db=-20),
    *_opensfx("level_crossing", "Level crossing", cut="stretch"),
    *_opensfx("engine", "Truck/old bus start, pull away", "Modern bus start", "Old bus start"),
    _sfx("engine", 1, 125),
    _sfx("car_pass", 3, 125),
    _sfx("tyre_screech", 2, 125),
    *_opensfx("crash", "Crash", "Road vehicle breakdown", "Train/ship breakdown"),
    _sfx("crash", 4, 125),
    *_openclonk("crash", "Objects.ocg/Plane.ocg/PlaneCrash.ogg", "PlaneCrash"),
    _sfx("helicopter", 0, 125, "stretch", span_s=(1.5, 5.0)),
    Take("helicopter", "gcompris", "guessnumber/helicopter.wav", "stretch"),
    *_opensfx("propeller_plane", "Propeller plane start", "Toyland: Propeller plane take off"),
    *_openclonk("propeller_plane", "Objects.ocg/Plane.ocg/PropellerLoop.ogg", "PropellerLoop", "stretch"),
    *_opensfx("jet", "Early jet take off", "Mach 1+ Jet take off", "Modern jet take off"),
    _sfx("jet", 7, 125, "stretch", span_s=(0.7, 5.0)),
    _sfx("siren", 5, 125, "stretch", span_s=(0.5, 5.0)),
    *_opensfx("chainsaw", "Lumber mill: Chainsaw"),
    *_opensfx("saw", "Sawmill"),
    *_openclonk("saw", "Structures.ocg/SawmillRipcut.ogg", "SawmillRipcut", "stretch"),
    *_opensfx("jackhammer", "Jackhammer", cut="stretch", span_s=(0.1, 2.4)),
    *_openclonk("steam_engine", "Structures.ocg/SteamEngine.ogg", "SteamEngine", "stretch"),
    *_openclonk("pump", "Structures.ocg/Pumpjack.ogg", "Pumpjack", "stretch"),
    *_openclonk("fan", "Structures.ocg/FanLoop.ogg", "FanLoop", "stretch"),
    *_openclonk("electric_spark", "Objects.ocg/Electrical.ogg", "Electrical", "stretch"),
)

_HITS_AND_THINGS = (
    *_opensfx("anvil", "Building bridge", cut="events", gap_s=0.05, floor_db=-14),
    *_openclonk("anvil", "Objects.ocg/Pickaxe.ocg/Clang#1-3.wav", "Pickaxe/Clang1-3", "hit"),
    *_openclonk("anvil", "Objects.ocg/Pickaxe.ocg/ClangHard1.wav", "Objects/Pickaxe/ClangHard1", "hit"),
    *_openclonk("footstep", "Clonk.ocg/Movement.ocg/StepHard#1-5.ogg", "Clonk/StepHard1-5", "hit"),
    *_openclonk("footstep", "Clonk.ocg/Movement.ocg/StepSoft#1-6.ogg", "Clonk/StepSoft1-6", "hit"),
    _sfx("footstep", 5, 126),
    Take("footstep", "gcompris", "reversecount/icy_walk.wav"),
    *_openclonk("door", "Structures.ocg/DoorOpen#1-2.wav", "Structures/DoorOpen*"),
    *_openclonk("door", "Structures.ocg/DoorClose#1-2.wav", "Structures/DoorClose*"),
    *_openclonk("door", "Structures.ocg/Chest.ocg/Open.ogg", "Chest/Open"),
    *_openclonk("door", "Structures.ocg/Chest.ocg/Close.ogg", "Chest/Close"),
    _sfx("door", 3, 124),
    *(
        Take("door", "minetest", f"doors/doors_{name} as mtg/mods/doors/sounds/*")
        for name in (
            "door_open",
            "door_close",
            "fencegate_open",
            "fencegate_close",
            "steel_door_open",
            "steel_door_close",
        )
    ),
    *(
        Take("door", "minetest", f"doors/doors_{name} as mtg/mods/doors/sounds/doors_{name}.ogg")
        for name in ("glass_door_open", "glass_door_close")
    ),
    *_sonic_pi("door", "perc_door"),
    *_openclonk("creak", "Structures.ocg/HingeCreak#1-3.ogg", "HingeCreak*"),
    *_openclonk("creak", "Hits.ocg/Materials.ocg/Wood.ocg/WoodCreak#1-3.ogg", "WoodCreak1-3"),
    _sfx("creak", 2, 124),
    *_openclonk("glass_break", "Hits.ocg/Materials.ocg/Glass.ocg/GlassShatter.ogg", "GlassShatter"),
    *_openclonk("glass_hit", "Hits.ocg/Materials.ocg/Glass.ocg/GlassHit#1.ogg", "GlassHit1"),
    *_openclonk("glass_hit", "Hits.ocg/Materials.ocg/Glass.ocg/GlassHit#2.ogg", "GlassHit2"),
    *_openclonk("wood_chop", "Environment.ocg/Tree.ocg/Chop#1-5.wav", "Tree/Chop1-5.wav", "hit"),
    *_openclonk("wood_hit", "Hits.ocg/Materials.ocg/Wood.ocg/WoodHit#1-3.ogg", "WoodHit1-3 (", "hit"),
    *_openclonk("wood_hit", "Hits.ocg/Materials.ocg/Wood.ocg/DullWoodHit#1.ogg", "DullWoodHit1", "hit"),
    *_openclonk("wood_hit", "Hits.ocg/Materials.ocg/Wood.ocg/DullWoodHit#2.ogg", "DullWoodHit2", "hit"),
    *_openclonk("wood_hit", "Objects.ocg/Weapons.ocg/Shield.ocg/WoodHit#1-3.ogg", "Shield/WoodHit1-3", "hit"),
    *_openclonk("metal_hit", "Hits.ocg/Materials.ocg/Metal.ocg/DullMetalHit#1.ogg", "DullMetalHit1", "hit"),
    *_openclonk("metal_hit", "Hits.ocg/Materials.ocg/Metal.ocg/DullMetalHit#2.ogg", "DullMetalHit2", "hit"),
    *_openclonk("metal_hit", "Hits.ocg/Materials.ocg/Metal.ocg/DullMetalHit#3.ogg", "DullMetalHit3", "hit"),
    *_openclonk("metal_hit", "Hits.ocg/Materials.ocg/Metal.ocg/LightMetalHit#1.ogg", "LightMetalHit1", "hit"),
    *_openclonk("metal_hit", "Hits.ocg/Materials.ocg/Metal.ocg/LightMetalHit#2.ogg", "LightMetalHit2", "hit"),
    *_openclonk(
        "metal_hit",
        "Objects.ocg/Weapons.ocg/Shield.ocg/MetalHit#1-4.ogg",
        "Shield/WeaponHitShield, Shield/MetalHit1-4",
        "hit",
    ),
    *_openclonk("metal_hit", "Hits.ocg/BucketHit#1-2.wav", "Hits/BucketHit*", "hit"),
    Take("metal_hit", "gcompris", "scalesboard/metal_hit.wav"),
    *_openclonk("gunshot", "Objects.ocg/Weapons.ocg/Blunderbuss.ocg/GunShoot#1-5.ogg", "Musket/GunShot1-5", "hit"),
    _sfx("gunshot", 0, 127),
    _sfx("machine_gun", 1, 127, "stretch", span_s=(0.1, 5.0)),
    *_openclonk("explosion", "Fire.ocg/Blast#1-3.wav", "Blast*"),
    *_openclonk("explosion", "Fire.ocg/Blast3alt.wav", "Fire/Blast3alt"),
    *_openclonk("explosion", "Fire.ocg/BlastLiquid#1.ogg", "LiquidBlast1"),
    *_opensfx("explosion", "Explosion"),
    Take("explosion", "minetest", "tnt/tnt_explode as mtg/mods/tnt/sounds/*"),
    _sfx("explosion", 3, 127),
    *_openclonk("fireworks", "Fire.ocg/BlastFirework.ogg", "BlastFireworks"),
    *_openclonk("arrow", "Objects.ocg/Weapons.ocg/Bow.ocg/Shoot#1-3.ogg", "Bow/PutAwayBow, Shoot1-3"),
    *_openclonk("arrow", "Objects.ocg/Arrow.ocg/Shoot#1.ogg", "Arrow/Shoot1/3"),
    *_openclonk("arrow", "Objects.ocg/Arrow.ocg/Shoot#3.ogg", "Arrow/Shoot1/3"),
    *_openclonk("whoosh", "Objects.ocg/Weapons.ocg/WeaponSwing#1-3.ogg", "WeaponSwing1-3"),
    *_sonic_pi("whoosh", "perc_swoosh", "perc_swash"),
    *_openclonk("dig", "Clonk.ocg/Action.ocg/Dig.ocg/Dig#1-5.wav", "Clonk/Dig1-5", "hit"),
    *_openclonk("rocks", "Hits.ocg/Materials.ocg/Rock.ocg/RockHit#1-3.ogg", "RockHit1-3", "hit"),
    *_openclonk("pop", "Objects.ocg/Balloon.ocg/Pop.wav", "Balloon/Pop"),
    *_openclonk("coins", "UI.ocg/UnCash#1-3.wav", "UI/UnCash1&2&3"),
    *(Take("coins", "gcompris", f"money/money{number}.wav") for number in (1, 2)),
    *_opensfx("cash_register", "Cash till"),
    *_sonic_pi("cash_register", "perc_till"),
    *_opensfx("tree_fall", "Lumber mill: Crashing tree", "Lumber mill: Falling tree"),
    _sfx("telephone", 0, 124),
    _sfx("telephone", 1, 124, held_s=0.55),
    _sfx("wind_chimes", 5, 124, "stretch", span_s=(0.0, 5.0)),
    *_sonic_pi("vinyl_scratch", "vinyl_scratch", "vinyl_backspin", "vinyl_rewind"),
    _sfx("vinyl_scratch", 4, 124),
    *_sonic_pi("printer", "loop_3d_printer", cut="stretch"),
)

_PEOPLE = (
    *_opensfx("applause", "Applause", cut="stretch", span_s=(0.6, 3.4)),
    _sfx("applause", 0, 126, "stretch", span_s=(0.6, 5.0)),
    *_openclonk("laugh", "Clonk.ocg/Skin.ocg/Adventurer.ocg/Laughter#1-3.wav", "Laughter1&2&3, Shock1&2&3&4&5&6"),
    *_openclonk("laugh", "Clonk.ocg/Skin.ocg/Steampunk.ocg/Laughter#1-3.wav", "Laughter1&2&3, Scream1"),
    _sfx("laugh", 1, 126),
    *_openclonk("scream", "Clonk.ocg/Skin.ocg/Alchemist.ocg/Scream#1-2.wav", "Scream1&2"),
    *_openclonk("scream", "Clonk.ocg/Skin.ocg/Steampunk.ocg/Scream1.wav", "Scream1, Shock1&2&4"),
    _sfx("scream", 2, 126),
    *_openclonk("shout", "Clonk.ocg/Skin.ocg/Adventurer.ocg/Hurt#2-4.wav", "Hurt1&2&3&4&5&6&7"),
    *_openclonk("shout", "Clonk.ocg/Skin.ocg/Adventurer.ocg/Shock#1-3.wav", "Laughter1&2&3, Shock1&2&3&4&5&6"),
    *_openclonk("shout", "Clonk.ocg/Skin.ocg/Alchemist.ocg/Hurt#6.wav", "Hurt1&2&3&4&5&6, Scream1&2"),
    *_openclonk("shout", "Clonk.ocg/Skin.ocg/Steampunk.ocg/Hurt#1-5.wav", "Hurt1&2&3&4&5&6, Laughter1&2&3"),
    *_opensfx("crowd", "Oooh sound"),
    *_sonic_pi("burp", "misc_burp"),
    _sfx("heartbeat", 4, 126),
)

_DRUMS = (
    *_kit("kick", 36),
    *_sonic_pi(
        "kick", "drum_bass_hard", "drum_bass_soft", "drum_heavy_kick", "bd_boom", "bd_haus", "bd_klub", "bd_ada"
    ),
    *_kit("snare", 38, 40),
    *_sonic_pi("snare", "drum_snare_hard", "drum_snare_soft", "sn_dolf", "sn_zome"),
    *_sonic_pi("hi_hat", "drum_cymbal_closed", "hat_bdu", "hat_zild", "hat_snap", "hat_tap", "hat_gnu", "hat_cats"),
    *_sonic_pi("open_hi_hat", "drum_cymbal_open"),
    *_kit("crash_cymbal", 49, 57),
    *_sonic_pi("crash_cymbal", "drum_cymbal_hard", "drum_splash_hard"),
    *_kit("ride_cymbal", 51, 59),
    *_sonic_pi("ride_cymbal", "ride_tri", "ride_via"),
    *_kit("tom", 41, 43, 45, 47, 48, 50),
    *_sonic_pi("tom", "drum_tom_hi_hard", "drum_tom_mid_hard", "drum_tom_lo_hard"),
    *_kit("side_stick", 37),
    *_kit("hand_clap", 39),
    *_kit("cowbell", 56, kits=(0,)),
    *_sonic_pi("cowbell", "drum_cowbell"),
    *_kit("tambourine", 54, kits=(0,)),
    *_kit("bongo", 60, 61, kits=(0,)),
    *_kit("conga", 62, 63, 64, kits=(0,)),
    *_kit("timbale", 65, 66, kits=(0,)),
    *_kit("agogo", 67, 68, kits=(0,)),
    *_kit("maracas", 70, kits=(0,)),
    *_kit("whistle", 71, 72, kits=(0,)),
    *_kit("claves", 75, kits=(0,)),
    *_kit("wood_block", 76, 77, kits=(0,)),
    *_kit("triangle", 80, 81, kits=(0,)),
    *_sonic_pi("finger_snap", "perc_snap", "perc_snap2"),
    *_sonic_pi("drum_roll", "drum_roll"),
    Take("gong", "fluid-gm", Key(DRUMS, 48, 52, 5.0, 0.5)),
    *(Take("taiko", "fluid-gm", Key(0, 116, key, 2.5, 0.2)) for key in (48, 52, 55, 60)),
    *(Take("castanets", "fluid-gm", Key(8, 115, key, 1.0, 0.2)) for key in (60, 64)),
    *_sonic_pi(
        "tabla",
        "tabla_tas1",
        "tabla_tas2",
        "tabla_tas3",
        "tabla_ke1",
        "tabla_ke2",
        "tabla_ke3",
        "tabla_na",
        "tabla_na_o",
        "tabla_tun1",
        "tabla_tun2",
        "tabla_tun3",
        "tabla_te1",
        "tabla_te2",
        "tabla_te_ne",
        "tabla_te_m",
        "tabla_ghe1",
        "tabla_ghe2",
        "tabla_ghe3",
        "tabla_ghe4",
        "tabla_ghe5",
        "tabla_ghe6",
        "tabla_ghe7",
        "tabla_ghe8",
        "tabla_dhec",
        "tabla_na_s",
        "tabla_re",
    ),
)

TAKES: tuple[Take, ...] = (
    *_ANIMALS,
    *_WEATHER_AND_WATER,
    *_PLACES_AND_VEHICLES,
    *_HITS_AND_THINGS,
    *_PEOPLE,
    *_DRUMS,
)
