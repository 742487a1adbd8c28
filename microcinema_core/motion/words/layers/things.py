"""What can be drawn, by the words that name it, and the deeds of each that draw it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...layer import LayerKind as K
from ..verbs import forms_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Thing:
    """What a noun names.

    deeds: verbs that draw it, by their base. named: the noun is the layer's own name, so that "no" before it denies it.
    comes: it comes and goes. event: said is enough. measured: strengths before it that are enough. fade: what its deeds
    are (`in`, `all`, `out`). strength: that of its name. wind, plant: what moves others, and what it moves.
    """

    kinds: tuple[K, ...]
    deeds: frozenset[str]
    named: bool = False
    comes: bool = False
    event: bool = False
    measured: frozenset[str] = frozenset()
    fade: str = ""
    strength: str = ""
    wind: bool = False
    plant: bool = False


# Every surface form of a deed: its base and its form (base, s, ing, ed).
_REGULAR = (
    "drop* tumble drift float flutter swirl whirl dance descend pour rain whip* sail cascade sink sift glide move waver "
    "lash drum* patter hammer stream pelt batter splash drip* slant trickle fill engulf envelop swallow hover wander glow "
    "blink flicker sparkle shimmer twinkle circle flit* scatter dart pulse roll rise spread billow curl crawl flow seep "
    "surge ripple undulate glitter glint heave swell churn lap* crash foam rage sway rustle wave bow* quiver tremble "
    "shiver stir* rock nod* toss thrash shake scud* pass race rush slide travel streak speed glimmer gutter sputter howl "
    "gust sweep whistle roar moan sigh ruffle tug* play blow break creep fall bend fly swing flash strike crack "
    "illuminate arrive approach settle close dim* darken fade brighten warm cool lift clear dissipate disperse subside "
    "dissolve vanish disappear thin* weaken abate evaporate gather thicken build appear emerge return strengthen "
    "intensify increase start begin* stop* cease end pick die ease burn calm set* let* come go get* grow become turn "
    "change drive hit* run* spin* dwindle leap shoot spray twist tear rattle push tip* spiral waltz shower veil climb peel snow drizzle breathe linger"
)
DEEDS: dict[str, tuple[str, str]] = {}
for _verb in _REGULAR.split():
    DEEDS |= forms_of(_verb.rstrip("*"), _verb)
DEEDS |= {"goes": ("go", "s"), "going": ("go", "ing"), "flies": ("fly", "s"), "dying": ("die", "ing")}
DEEDS |= {"intensifies": ("intensify", "s"), "blown": ("blow", "ed"), "swept": ("sweep", "ed")}
for _past in "fall:fell rise:rose blow:blew come:came begin:began fly:flew sink:sank get:got grow:grew".split():
    DEEDS[_past.partition(":")[2]] = (_past.partition(":")[0], "ed")
DEEDS |= {"became": ("become", "ed"), "went": ("go", "ed"), "broke": ("break", "ed"), "crept": ("creep", "ed")}

STRONG_DEEDS = {
    "pour": "heavy",
    "hammer": "heavy",
    "pelt": "heavy",
    "batter": "heavy",
    "lash": "wild",
    "rage": "wild",
    "howl": "wild",
    "roar": "wild",
    "thrash": "wild",
    "whip": "wild",
    "crash": "heavy",
    "heave": "heavy",
    "churn": "heavy",
    "surge": "heavy",
    "lap": "soft",
    "sigh": "soft",
    "race": "fast",
    "rush": "fast",
    "scud": "fast",
    "speed": "fast",
    "streak": "fast",
    "creep": "slow",
    "crawl": "slow",
}

_FALL = _words(
    "fall drop tumble drift float flutter swirl whirl dance descend pour rain whip sail cascade sink sift glide move "
    "waver blow fly come spin twist rush sweep drive spiral waltz shower cover"
)
_WET = _FALL | _words("lash drum patter hammer stream pelt batter splash drip slant trickle hit run strike beat")
_FLOAT = _words(
    "float drift swirl dance rise glide hover move wander glow blink flicker fly sparkle shimmer twinkle whirl circle "
    "flit fall scatter dart pulse blow leap shoot spray spin climb flash sway come light shower spiral burst spill stream"
)
_AIR = _words(
    "roll drift creep move rise swirl float flow spread billow curl crawl pour glide blow seep surge fall descend come "
    "sweep pass slide climb spin twist whirl fill engulf envelop swallow"
)
_WATER = _words("ripple undulate shimmer glitter sparkle glint heave swell churn lap foam rage surge glimmer rock")
_SWELL = _WATER | _words("crash break roll move wave dance come rise run hit sway toss rush sweep travel drift pass")
_SWAY = _words(
    "sway rustle wave bend bow quiver tremble shiver stir rock nod toss thrash shake swing flutter move ripple billow "
    "dance blow"
)
_SAIL = _words(
    "drift move roll sail float race scud pass glide billow rush fly slide travel crawl creep swirl streak stream speed "
    "blow drive sweep flow"
)
_TWINKLE = _words("twinkle glitter sparkle shimmer flicker glimmer blink")
_BURN = _words("flicker dance gutter waver sputter glimmer leap tremble")
_BLOW = _words(
    "blow tear rattle push howl rise gust rush sweep stir whistle roar whip move moan sigh ruffle shake sway bend ripple tug play toss "
    "rustle come drive rage"
)
_ARRIVE = _words("fall come descend arrive settle close approach set")
SOFT, FULL = _words("light soft"), _words("light soft heavy thick wild")

_SNOW = Thing((K.SNOW,), _FALL, named=True, comes=True, measured=_words("light heavy wild"))
_RAIN = Thing((K.RAIN,), _WET, named=True, comes=True, event=True)
_FOG = Thing((K.FOG,), _AIR, named=True, comes=True, measured=FULL)
_EMBERS = Thing((K.EMBERS,), _FLOAT, named=True)
_PETALS = Thing((K.PETALS,), _FALL, named=True)
_LEAVES = Thing((K.LEAVES,), _FALL - {"dance", "flutter", "move"} | {"flutter down"}, named=True)
_LAKE = Thing((K.WAVES,), _WATER)
_WAVES = Thing((K.WAVES,), _SWELL, named=True, comes=True, measured=FULL | {"small", "large"})
_PLANTS = Thing((K.WIND,), _SWAY, plant=True)
_WIND = Thing((K.WIND,), _BLOW, named=True, comes=True, event=True, measured=FULL, wind=True)
_LIT = Thing((K.FLICKER,), _BURN)
_DARKER = Thing((K.DARKER,), _words("fade dim darken dwindle die"), fade="in")
_BRIGHTER = Thing((K.BRIGHTER,), _words("brighten return"), fade="in")
_LIGHT = (
    _DARKER,
    _BRIGHTER,
    Thing((K.WARMER,), _words("warm"), fade="in"),
    Thing((K.COLDER,), _words("cool"), fade="in"),
)
_SCENE_DARKER = replace(_DARKER, deeds=_words("darken dim"))
_SCENE_BRIGHTER = replace(_BRIGHTER, deeds=_words("brighten"))
_NIGHT = Thing((K.NIGHT,), _ARRIVE, fade="all")
_EVENING = replace(_NIGHT, kinds=(K.EVENING,))

_TABLE: tuple[tuple[str, tuple[Thing, ...]], ...] = (
    ("snow snowflake snowflakes flake flakes", (_SNOW,)),
    ("snowfall", (replace(_SNOW, event=True),)),
    ("flurries flurry", (replace(_SNOW, event=True, strength="light"),)),
    ("blizzard snowstorm", (replace(_SNOW, event=True, deeds=_FALL | {"rage", "howl"}, strength="wild"),)),
    ("rain rainfall raindrops raindrop", (_RAIN,)),
    ("downpour cloudburst deluge", (replace(_RAIN, strength="heavy"),)),
    ("rainstorm", (replace(_RAIN, strength="wild"),)),
    ("thunderstorm", (replace(_RAIN, kinds=(K.RAIN, K.LIGHTNING), deeds=_WET | {"rage", "break"}, strength="wild"),)),
    ("storm", (Thing((K.RAIN,), _words("rage break hit howl lash sweep"), named=True, comes=True, strength="wild"),)),
    ("drizzle", (replace(_RAIN, kinds=(K.DRIZZLE,)),)),
    ("dust motes mote particles pollen", (Thing((K.DUST,), _FLOAT, named=True, comes=True),)),
    ("sandstorm duststorm", (Thing((K.DUST,), _AIR | {"rage", "howl"}, True, True, event=True, strength="wild"),)),
    ("embers ember sparks cinders", (_EMBERS,)),
    ("fireflies firefly", (Thing((K.FIREFLIES,), _FLOAT, named=True, comes=True, event=True),)),
    ("petals petal", (_PETALS,)),
    ("blossoms blossom", (_PETALS, _PLANTS)),
    ("leaves", (_LEAVES, _PLANTS)),
    ("foliage", (_PLANTS,)),
    ("fog", (_FOG,)),
    ("mist mists", (replace(_FOG, kinds=(K.MIST,)),)),
    ("smoke", (replace(_FOG, kinds=(K.SMOKE,)),)),
    ("haze", (replace(_FOG, kinds=(K.HAZE,)),)),
    (
        "lake sea ocean water waters river pond bay stream harbour harbor puddle puddles surface lagoon fjord canal",
        (_LAKE,),
    ),
    ("reflection reflections", (Thing((K.WAVES,), _words("ripple undulate shimmer waver tremble")),)),
    ("waves ripples swell", (_WAVES,)),
    (
        "grass grasses tree trees branches branch twigs flower flowers reeds reed wheat bush bushes palm palms fronds plants "
        "plant vines ferns corn crops barley meadow willow willows pines poppies tulips sunflowers daisies lavender ivy "
        "bamboo hedge hedges rushes sedge stalks shrubs dandelions thistles firs spruces maples cypresses bluebells cattails hay saplings orchids sunflower tulip rose poppy fern cedars birch oak willow pine bluebell moss seaweed kelp roses oaks birches poplars canopy treetops crowns field fields",
        (_PLANTS,),
    ),
    ("wind winds breeze gusts gust gale", (_WIND,)),
    ("clouds cloud", (Thing((K.CLOUDS,), _SAIL, named=True),)),
    ("stars", (Thing((K.STARS,), _TWINKLE, named=True, comes=True),)),
    (
        "candle candles candlelight firelight torchlight fire fires flame flames torch torches lamp lamps lantern lanterns "
        "campfire bonfire fireplace neon bulb bulbs streetlight streetlights streetlamp lamplight hearth",
        (_LIT,),
    ),
    ("lights", (replace(_LIT, deeds=_words("flicker")), *_LIGHT)),
    ("flicker flickering", (Thing((K.FLICKER,), frozenset(), named=True),)),
    ("light daylight sunlight lighting sky scene room picture image", _LIGHT),
    ("world landscape city street village valley forest town hall house", (_SCENE_DARKER, _SCENE_BRIGHTER)),
    (
        "lightning",
        (Thing((K.LIGHTNING,), _words("flash strike crack flicker illuminate light fork"), True, True, True),),
    ),
    ("vignette vignetting", (Thing((K.VIGNETTE,), frozenset(), named=True, comes=True, event=True),)),
    ("chest", (Thing((K.BREATHE,), _words("rise heave")),)),
    ("night nightfall darkness", (_NIGHT,)),
    ("evening dusk twilight", (_EVENING,)),
    ("dawn day daybreak", (Thing((K.NIGHT,), _words("break arrive"), fade="out"),)),
    (
        "sun",
        (
            Thing((K.EVENING,), _words("set sink dip") | {"go down"}, fade="all"),
            Thing((K.BRIGHTER,), _words("rise come emerge climb break"), fade="in"),
        ),
    ),
)
NOUNS = {word: things for words, things in _TABLE for word in words.split()}
SKY_WEATHER = {"snow": K.SNOW, "rain": K.RAIN, "drizzle": K.DRIZZLE, "pour": K.RAIN}  # "it snows"
TURNS = {
    "dark": K.NIGHT,
    "night": K.NIGHT,
    "darker": K.DARKER,
    "dim": K.DARKER,
    "dimmer": K.DARKER,
    "bright": K.BRIGHTER,
    "brighter": K.BRIGHTER,
    "lighter": K.BRIGHTER,
    "foggy": K.FOG,
    "foggier": K.FOG,
    "misty": K.MIST,
    "hazy": K.HAZE,
    "smoky": K.SMOKE,
    "snowy": K.SNOW,
    "rainy": K.RAIN,
    "windy": K.WIND,
    "windier": K.WIND,
    "warmer": K.WARMER,
    "colder": K.COLDER,
    "cooler": K.COLDER,
    "warm": K.WARMER,
    "golden": K.WARMER,
    "orange": K.WARMER,
    "amber": K.WARMER,
    "cold": K.COLDER,
    "cool": K.COLDER,
    "blue": K.COLDER,
    "bluish": K.COLDER,
}
HEAT = _words("warmer colder cooler warm golden orange amber cold cool blue bluish")  # of light, not of the air

IN = _words(
    "gather thicken build appear emerge arrive return strengthen intensify increase start begin fill engulf envelop"
)
IN |= {"swallow", "pick up", "set in", "come up", "come out", "kick up"}
OUT = _words(
    "stop cease end lift clear fade dissipate disperse subside dissolve vanish disappear thin weaken abate evaporate calm"
)
OUT |= {"die down", "die away", "die out", "die", "let up", "ease off", "ease up", "ease", "burn off", "go away"}
OUT |= {"blow away", "blow over", "pass", "drift away", "move away", "float away"}
MORE = _words("heavier harder stronger thicker denser wilder fiercer")
LESS = _words("lighter weaker thinner softer calmer")

# Small words and their company.
CARRIED = _words(
    "hair dress dresses cloth flag flags scarf cape curtain curtains sail sails kite kites coat skirt banner banners "
    "laundry mane beard robe veil cloak sheets balloon balloons fur windmill turbine chime"
)
HEADS = _words(
    "carpet carpets veil veils wisp wisps bank banks wall walls curtain curtains cloud clouds swirl swirls trail trails plume plumes "
    "blanket shower showers flurry flash flashes bolt bolts streaks sheets gust gusts surface sea layer layers patches "
    "column columns storm specks shafts drops waters waves flakes branches leaves field tongues light flame rows hundreds thousands dozens lots plenty swarm swarms myriads clusters millions handful bit touch hint"
)
PLAIN = _words(
    "white grey gray black dark pale cold warm wet dry icy fresh first last autumn winter summer spring morning evening "
    "night golden yellow red orange pink fluffy glowing bright tall high old low single cherry rose more distant soaking "
    "freezing sudden misty stormy steady constant certain ghostly eerie bare lonely long the a an some any its his her their our "
    "this that these those sheer mysterious dancing lush green young"
)
SHOWN = _words("show add draw want include have put make give need use")  # "do not show any rain"
SCENES = _words(
    "it light lights lighting sky scene room picture image world landscape city street village valley forest town hall "
    "house outside"
)
GLITTER = _words("shimmer glitter sparkle glint dance glimmer ripple twinkle")  # "moonlight shimmers on the lake"
OPENERS = _words("add adding there with then see have has having now and is are suddenly plus show shows animate give")
PLACED = _words("in through under against amid into by during from over with on across behind")
ONWARD = _words(", and & then but while as")  # what joins a clause that goes on with the last
APART = _words("after before until till")  # conjunctions: "after the rain"
LATER = _words("everywhere outside around above overhead again now here there tonight today throughout today all too")
EFFECTS = _words("effect effects overlay animation particles shower showers")
HANGING = _words("hang hangs hanging linger lingers lingering")  # what measured air does
PERSONS = _words(
    "man woman girl boy child he she they i you we who someone somebody nobody everyone people crowd king queen"
)
NOT_BREATH = _words("fire life flames smoke exercise exercises room space apparatus new")
INANIMATE = _words("city house room dress forest fabric wine air house building leather walls")
