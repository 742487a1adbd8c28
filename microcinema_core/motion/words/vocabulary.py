"""The camera's vocabulary: what each word stands for, how strong a move is, and how far it may go.

Nothing here reads a text; `words.py` does. The verbs are in `verbs.py`.
`docs/camera-words.md` shows these tables to a person.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...shot.dials import dials_of
from ..plan import Camera

# The medium amount of each dial, for words without a strength. Fractions of the frame, degrees, a factor, 0..1.
MEDIUM = {
    "horizontal": 0.12,
    "vertical": 0.12,
    "dolly": 0.2,
    "pan": 12.0,
    "tilt": 10.0,
    "zoom": 1.25,
    "roll": 8.0,
    "shake": 0.35,
}
ORBIT = 0.25  # sideways, for a medium arc: the turn that goes with it is about as large as a medium pan
BOUNDS = {
    dial: (told.low, told.high)
    for dial, told in dials_of(Camera).items()
    if dial in MEDIUM and told.low is not None and told.high is not None
}
HALF_VIEW = Camera().fov / 2  # degrees, across a landscape picture

# What a strength multiplies a medium amount by, zoom in logarithms. Different kinds multiply, the same counts once.
STRENGTHS = {"slow": 0.5, "little": 0.4, "fast": 2.0, "extreme": 3.0, "less still": 0.5, "more still": 1.5}


def set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _each(table: Mapping[str, str]) -> dict[str, str]:
    """{"a b": "x"} -> {"a": "x", "b": "x"}; written the other way round: {"x": "a b"}."""
    return {word: meaning for meaning, words in table.items() for word in words.split()}


KINDS = _each(
    {
        "slow": "slow slowly slower gentle gently gradual gradually leisurely soft softly lazy lazily unhurried",
        "little": "slight slightly little bit touch subtle subtly small tiny minor barely faint faintly light lightly "
        "minimal minimally mild mildly somewhat",
        "fast": "fast faster quick quickly rapid rapidly swift swiftly speedy brisk briskly sudden suddenly abrupt "
        "abruptly dramatic dramatically sharp sharply strong strongly violent violently heavy heavily hard frantic "
        "frantically energetic hectic",
        "extreme": "whip swish crash snap massive massively wildly",
    }
)
INTENSE = set_of("very really extremely super incredibly ultra so quite insanely hyper")
NOT_STRENGTHS = set_of("motion mo paced shutter food wind rain snow light lights")  # "slow motion", "soft light"
STEADY = set_of(
    "smooth smoothly steady steadily cinematic continuous continuously simple seamless seamlessly elegant elegantly "
    "fluid fluidly just directly straight only all way again once more then now finally simultaneously long short "
    "single aerial drone camera linear linearly horizontal vertical stately graceful gracefully careful carefully "
    "majestic majestically quiet quietly nice of"
)
FILLERS = set_of("by to the a an for about another towards toward")
AUXILIARY = set_of(
    "is are be being been was will would shall should can must may does do did has have begin begins beginning start "
    "starts starting started began continue continues continuing keep keeps to also please let 's"
)
STARTS = set_of("begin begins beginning began start starts starting started")
SOFT_STARTS = set_of("smoothly gradually gently softly")
NEGATIONS = set_of("not never no without neither nor avoid avoiding")
ARTICLES = set_of("a an the one another this some any its our")
PRONOUNS = set_of("he she they it i you who which that someone somebody everybody everyone")
PREPOSITIONS = set_of(
    "in into on onto of from to toward towards at past behind before beside near under over above across off against "
    "around through past facing between"
)
DIRECTIONS = _each(
    {
        "left": "left leftward leftwards",
        "right": "right rightward rightwards",
        "up": "up upward upwards higher skyward skywards",
        "down": "down downward downwards lower",
        "in": "in inward inwards closer nearer close",
        "out": "out outward outwards",
        "forward": "forward forwards ahead onward onwards",
        "back": "back backward backwards away further farther",
        "clockwise": "clockwise",
        "counter": "counterclockwise anticlockwise",
    }
)
ENDS = {"left": "left", "right": "right", "top": "up", "bottom": "down", "above": "up", "below": "down"}
AHEAD = set_of("through into toward towards inside along over across past between among under beneath")
ONTO = set_of("on onto into through toward towards inside")  # for a zoom, which passes nothing
WAYS = set_of("corridor hallway hall street road path alley aisle tunnel lane passage avenue stairs staircase river")

SUBJECTS = set_of("camera cam view shot frame we viewpoint perspective pov fpv lens")
PICTURES = set_of("image picture scene video footage clip photo")  # which zoom, and nothing else
SURE_SUBJECTS = set_of("camera cam we pov fpv")  # also amid a clause; others may move in a frame or a view
OBJECTS = set_of(
    "security surveillance film vintage antique old toy cctv web tv video photo polaroid digital pocket her his their "
    "my your broken tiny action instant analog analogue"
)  # a camera of this kind is a thing in the scene
SHOTS = set_of("shot shots move movement motion effect angle footage")
SIZES = set_of("wide medium close up long full low high angle extreme establishing eye level tripod single one take")


# Words that together are one thing, each with what it sets; zoom! undoes the dolly at the picture's plane.
NAMED = {
    ("ken", "burns"): "zoom+",
    ("dolly", "zoom"): "dolly+ zoom!",
    ("vertigo", "effect"): "dolly+ zoom!",
    ("vertigo", "shot"): "dolly+ zoom!",
    ("vertigo", "zoom"): "dolly+ zoom!",
    ("hitchcock", "zoom"): "dolly+ zoom!",
    ("contra", "zoom"): "dolly+ zoom!",
    ("dutch", "angle"): "roll+",
    ("dutch", "tilt"): "roll+",
    ("canted", "angle"): "roll+",
    ("shaky", "camera"): "shake+",
    ("shaky", "cam"): "shake+",
    ("shaky", "footage"): "shake+",
    ("shaky", "shot"): "shake+",
    ("shaking", "camera"): "shake+",
    ("handheld",): "shake+",
    ("hand", "held"): "shake+",
}
HELD = set_of(
    "camera cam shot shots footage style look feel feeling video documentary tracking cinematography movement"
)

BURNS = set_of("effect style zoom pan move movement animation shot motion")

UNITS = _each({"degrees": "degrees degree deg °", "percent": "% percent", "times": "x × times fold"})
_DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: float(number) for number, word in enumerate(_DIGITS, 1)} | {
    "fifteen": 15.0,
    "twenty": 20.0,
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "ninety": 90.0,
}

RESTS = set_of("static stationary fixed locked still motionless immobile unmoving")
RESTING = set_of("is stands stand stays stay remains remain holds hold keeps kept staying remaining be")
FIRM = set_of("off down on completely perfectly absolutely entirely totally very")
# Words of ease, longest first where one begins another.
EASES = {
    ("comes", "to", "a"): "ease_out",
    ("come", "to", "a"): "ease_out",
    ("coming", "to", "a"): "ease_out",
    ("slows", "down"): "ease_out",
    ("slow", "down"): "ease_out",
    ("slowing", "down"): "ease_out",
    ("slows", "to", "a"): "ease_out",
    ("decelerates",): "ease_out",
    ("decelerating",): "ease_out",
    ("accelerates",): "ease_in",
    ("accelerating",): "ease_in",
    ("speeds", "up"): "ease_in",
    ("speeding", "up"): "ease_in",
    ("speed", "up"): "ease_in",
    ("picks", "up", "speed"): "ease_in",
    ("picking", "up", "speed"): "ease_in",
    ("gaining", "speed"): "ease_in",
    ("gains", "speed"): "ease_in",
    ("constant", "speed"): "linear",
    ("steady", "speed"): "linear",
    ("even", "speed"): "linear",
    ("uniform", "speed"): "linear",
    ("constant", "pace"): "linear",
    ("steady", "pace"): "linear",
    ("linear",): "linear",
    ("linearly",): "linear",
}
EASING = set_of("ease eases easing")
