"""Small words beside what can be drawn: what may stand between, what says that it is another thing."""

from __future__ import annotations

from ..vocabulary import set_of

CARRIED = set_of(
    "hair dress dresses cloth flag flags scarf cape curtain curtains sail sails kite kites coat skirt banner banners "
    "laundry mane beard robe veil cloak sheets balloon balloons fur windmill turbine chime"
)
HEADS = set_of(
    "carpet carpets veil veils wisp wisps bank banks wall walls curtain curtains cloud clouds swirl swirls trail "
    "trails plume plumes blanket shower showers flurry flash flashes bolt bolts streaks sheets gust gusts surface sea "
    "layer layers patches column columns storm specks shafts drops waters waves flakes branches leaves field tongues "
    "light flame rows hundreds thousands dozens lots plenty swarm swarms myriads clusters millions handful bit touch "
    "hint"
)
PLAIN = set_of(
    "white grey gray black dark pale cold warm wet dry icy fresh first last autumn winter summer spring morning "
    "evening night golden yellow red orange pink fluffy glowing bright tall high old low single cherry rose more "
    "distant soaking freezing sudden misty stormy steady constant certain ghostly eerie bare lonely long the a an "
    "some any its his her their our this that these those sheer mysterious dancing lush green young"
)
SHOWN = set_of("show add draw want include have put make give need use")  # "do not show any rain"
SCENES = set_of(
    "it light lights lighting sky scene room picture image world landscape city street village valley forest town "
    "hall house outside"
)
OPENERS = set_of("add adding there with then see have has having now and is are suddenly plus show shows animate give")
PLACED = set_of("in through under against amid into by during from over with on across behind")
VERBS = set_of("snowing raining drizzling breathe breathes breathing")  # said without a thing
TIMES = set_of("day evening dusk night afternoon daylight")
ONWARD = set_of(", and & then but while as")  # what joins a clause that goes on with the last
APART = set_of("after before until till")  # conjunctions: "after the rain"
LATER = set_of("everywhere outside around above overhead again now here there tonight today throughout all too")
EFFECTS = set_of("effect effects overlay animation particles shower showers")
HANGING = set_of("hang hangs hanging linger lingers lingering")  # what measured air does
PERSONS = set_of(
    "man woman girl boy child he she they i you we who someone somebody nobody everyone people crowd king queen "
    "named called"
)
NOT_BREATH = set_of("fire life flames smoke exercise exercises room space apparatus new")
INANIMATE = set_of("city house room dress forest fabric wine air building leather walls")
