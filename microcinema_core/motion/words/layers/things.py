"""What can be drawn, by the words that name it, and the deeds of each that draw it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...layer import LayerKind as K
from ..vocabulary import set_of
from . import deeds as d


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


FULL = set_of("light soft heavy thick wild slow fast")

_SNOW = Thing((K.SNOW,), d.FALL, named=True, comes=True, measured=FULL - {"thick"})
_RAIN = Thing((K.RAIN,), d.WET, named=True, comes=True, event=True)
_STORM = Thing((K.RAIN,), set_of("rage break hit howl lash sweep"), named=True, comes=True, strength="wild")
_FOG = Thing((K.FOG,), d.AIR, named=True, comes=True, measured=FULL)
_EMBERS = Thing((K.EMBERS,), d.FLOAT, named=True)
_PETALS = Thing((K.PETALS,), d.FALL, named=True)
_LEAVES = Thing((K.LEAVES,), d.FALL - {"dance", "flutter", "move"} | {"flutter down"}, named=True)
_LAKE = Thing((K.WAVES,), d.WATER)
_WAVES = Thing((K.WAVES,), d.SWELL, named=True, comes=True, measured=FULL | {"small", "large"})
_PLANTS = Thing((K.WIND,), d.SWAY, plant=True)
_WIND = Thing((K.WIND,), d.BLOW, named=True, comes=True, event=True, measured=FULL, wind=True)
_LIT = Thing((K.FLICKER,), d.BURN)
_DARKER = Thing((K.DARKER,), set_of("fade dim darken dwindle die") | {"go out"}, fade="in")
_BRIGHTER = Thing((K.BRIGHTER,), set_of("brighten return") | {"come on", "turn on", "go on"}, fade="in")
_LIGHT = (
    _DARKER,
    _BRIGHTER,
    Thing((K.WARMER,), set_of("warm"), fade="in"),
    Thing((K.COLDER,), set_of("cool"), fade="in"),
)
_SCENE_DARKER = replace(_DARKER, deeds=set_of("darken dim"))
_SCENE_BRIGHTER = replace(_BRIGHTER, deeds=set_of("brighten"))
_NIGHT = Thing((K.NIGHT,), d.ARRIVE, fade="all")
_EVENING = replace(_NIGHT, kinds=(K.EVENING,))

_TABLE: tuple[tuple[str, tuple[Thing, ...]], ...] = (
    ("snow snowflake snowflakes flake flakes", (_SNOW,)),
    ("snowfall", (replace(_SNOW, event=True),)),
    ("flurries flurry", (replace(_SNOW, event=True, strength="light"),)),
    ("blizzard snowstorm", (replace(_SNOW, event=True, deeds=d.FALL | {"rage", "howl"}, strength="wild"),)),
    ("rain rainfall raindrops raindrop", (_RAIN,)),
    ("downpour cloudburst deluge", (replace(_RAIN, strength="heavy"),)),
    ("rainstorm", (replace(_RAIN, strength="wild"),)),
    ("thunderstorm", (replace(_RAIN, kinds=(K.RAIN, K.LIGHTNING), deeds=d.WET | {"rage", "break"}, strength="wild"),)),
    ("storm", (_STORM, replace(_STORM, deeds=set_of("come approach brew near"), fade="in"))),
    ("drizzle", (replace(_RAIN, kinds=(K.DRIZZLE,)),)),
    ("dust motes mote particles pollen", (Thing((K.DUST,), d.FLOAT, named=True, comes=True),)),
    ("sandstorm duststorm", (Thing((K.DUST,), d.AIR | {"rage", "howl"}, True, True, event=True, strength="wild"),)),
    ("embers ember sparks cinders", (_EMBERS,)),
    ("fireflies firefly", (Thing((K.FIREFLIES,), d.FLOAT, named=True, comes=True, event=True),)),
    ("petals petal", (_PETALS,)),
    ("blossoms blossom", (_PETALS, _PLANTS)),
    ("leaves", (_LEAVES, _PLANTS)),
    ("foliage", (_PLANTS,)),
    ("fog", (_FOG,)),
    ("mist mists", (replace(_FOG, kinds=(K.MIST,)),)),
    ("smoke", (replace(_FOG, kinds=(K.SMOKE,)),)),
    ("haze smog", (replace(_FOG, kinds=(K.HAZE,)),)),
    (
        "lake sea ocean water waters river pond bay stream harbour harbor puddle puddles surface lagoon fjord canal",
        (_LAKE,),
    ),
    ("reflection reflections", (Thing((K.WAVES,), set_of("ripple undulate shimmer waver tremble")),)),
    ("waves ripples swell", (_WAVES,)),
    ("wave", (replace(_WAVES, measured=frozenset()),)),
    (
        "grass grasses tree trees branches branch twigs flower flowers reeds reed wheat bush bushes palm palms "
        "fronds plants plant vines ferns corn crops barley meadow willow willows pines poppies tulips sunflowers "
        "daisies lavender ivy bamboo hedge hedges rushes sedge stalks shrubs dandelions thistles firs spruces "
        "maples cypresses bluebells cattails hay saplings orchids sunflower tulip rose poppy fern cedars birch "
        "oak pine bluebell moss seaweed kelp roses oaks birches poplars canopy treetops crowns field fields",
        (_PLANTS,),
    ),
    ("wind winds breeze gusts gust gale", (_WIND,)),
    ("clouds cloud", (Thing((K.CLOUDS,), d.SAIL, named=True),)),
    ("stars", (Thing((K.STARS,), d.TWINKLE, named=True, comes=True),)),
    (
        "candle candles candlelight firelight torchlight fire fires flame flames torch torches lamp lamps lantern "
        "lanterns campfire bonfire fireplace neon bulb bulbs streetlight streetlights streetlamp lamplight hearth "
        "lightbulb screen screens tv television monitor sign signs",
        (_LIT,),
    ),
    ("lights", (replace(_LIT, deeds=set_of("flicker")), *_LIGHT)),
    ("sky", (*_LIGHT, Thing((K.STARS,), d.TWINKLE))),
    ("flicker flickering", (Thing((K.FLICKER,), frozenset(), named=True),)),
    ("light daylight sunlight lighting scene room picture image", _LIGHT),
    ("world landscape city street village valley forest town hall house", (_SCENE_DARKER, _SCENE_BRIGHTER)),
    (
        "lightning",
        (Thing((K.LIGHTNING,), set_of("flash strike crack flicker illuminate light fork"), True, True, True),),
    ),
    ("vignette vignetting", (Thing((K.VIGNETTE,), frozenset(), named=True, comes=True, event=True),)),
    ("chest", (Thing((K.BREATHE,), set_of("rise heave")),)),
    ("night nightfall darkness", (_NIGHT,)),
    ("evening dusk twilight", (_EVENING,)),
    ("dawn day daybreak", (Thing((K.NIGHT,), set_of("break arrive"), fade="out"),)),
    (
        "sun",
        (
            Thing((K.EVENING,), set_of("set sink dip") | {"go down"}, fade="all"),
            Thing((K.BRIGHTER,), set_of("rise come emerge climb break"), fade="in"),
        ),
    ),
)
NOUNS = {word: things for words, things in _TABLE for word in words.split()}
SKY_WEATHER = {"snow": K.SNOW, "rain": K.RAIN, "drizzle": K.DRIZZLE, "pour": K.RAIN}  # "it snows"
_TURNS = {
    K.NIGHT: "dark night",
    K.DARKER: "darker dim dimmer",
    K.BRIGHTER: "bright brighter lighter",
    K.FOG: "foggy foggier",
    K.MIST: "misty",
    K.HAZE: "hazy",
    K.SMOKE: "smoky",
    K.SNOW: "snowy",
    K.RAIN: "rainy",
    K.WIND: "windy windier",
    K.WARMER: "warmer warm golden orange amber",
    K.COLDER: "colder cooler cold cool blue bluish",
}
TURNS = {word: kind for kind, words in _TURNS.items() for word in words.split()}  # "it gets dark"
HEAT = set_of("warmer colder cooler warm golden orange amber cold cool blue bluish")  # of light, not of the air
