"""What weather, water, plants and lights do, in all forms of the verbs, and how they come and go."""

from __future__ import annotations

from ..verbs import forms_of
from ..vocabulary import set_of

_REGULAR = (
    "carry brew near abate appear approach arrive batter become begin* bend billow blink blow bow* break breathe "
    "brighten build burn calm carpet cartwheel cascade cease change chase churn circle clear climb close come cool "
    "crack crash crawl creep curl dance darken dart descend die dim* disappear disperse dissipate dissolve drift "
    "drip* drive drizzle drop* drum* dwindle ease emerge end engulf envelop evaporate fade fall fill flash flicker "
    "flit* float flow flutter fly foam gather get* glide glimmer glint glitter glow go grow gust gutter hammer "
    "heave hit* hover howl hurry illuminate increase intensify lap* lash leap let* lift linger moan move nod* pass "
    "patter peel pelt pick play pour pulse push quiver race rage rain rattle return ripple rise roar rock roll "
    "ruffle run* rush rustle sail scatter scud* scurry seep set* settle shake shimmer shiver shoot shower sift sigh "
    "sink skitter slant slide snow sparkle speed spin* spiral splash spray spread sputter start stir* stop* streak "
    "stream strengthen strike subside surge swallow sway sweep swell swing swirl tear thicken thin* thrash tip* "
    "toss travel tremble trickle tug* tumble turn twinkle twist undulate vanish veil waltz wander warm wave waver "
    "weaken whip* whirl whisper whistle"
)
_IRREGULAR = (
    "goes:go:s going:go:ing went:go:ed flew:fly:ed dying:die:ing blew:blow:ed "
    "blown:blow:ed swept:sweep:ed fell:fall:ed rose:rise:ed came:come:ed began:begin:ed sank:sink:ed got:get:ed "
    "grew:grow:ed became:become:ed broke:break:ed crept:creep:ed swung:swing:ed bent:bend:ed shook:shake:ed"
)


def _forms() -> dict[str, tuple[str, str]]:
    forms: dict[str, tuple[str, str]] = {}
    for verb in _REGULAR.split():
        forms |= forms_of(verb.rstrip("*"), verb)
    for told in _IRREGULAR.split():
        surface, base, form = told.split(":")
        forms[surface] = (base, form)
    return forms


DEEDS = _forms()  # each surface form: its base, and its form (base, s, ing, ed)
NONE = ("", "")

_STRONG = {
    "heavy": "pour hammer pelt batter crash heave churn surge",
    "wild": "lash rage howl roar thrash whip",
    "soft": "lap sigh",
    "fast": "race rush scud speed streak",
    "slow": "creep crawl",
}
# The strengths that deeds have in themselves.
STRONG = {deed: kind for kind, deeds in _STRONG.items() for deed in deeds.split()}

FALL = set_of(
    "fall drop tumble drift float flutter swirl whirl dance descend pour rain whip sail cascade sink sift glide move "
    "waver blow fly come spin twist rush sweep drive spiral waltz shower scurry hurry skitter cartwheel chase"
)
WET = FALL | set_of("lash drum patter hammer stream pelt batter splash drip slant trickle hit run strike beat")
FLOAT = set_of(
    "float drift swirl dance rise glide hover move wander glow blink flicker fly sparkle shimmer twinkle whirl circle "
    "flit fall scatter dart pulse blow leap shoot spray spin climb flash sway come light shower spiral burst spill "
    "stream"
)
AIR = set_of(
    "roll drift creep move rise swirl float flow spread billow curl crawl pour glide blow seep surge fall descend "
    "come sweep pass slide climb spin twist whirl fill engulf envelop swallow hover"
)
WATER = set_of("ripple undulate shimmer glitter sparkle glint heave swell churn lap foam rage surge glimmer rock")
SWELL = WATER | set_of("crash break roll move wave dance come rise run hit sway toss rush sweep travel drift pass")
SWAY = set_of(
    "sway rustle wave bend bow quiver tremble shiver stir rock nod toss thrash shake swing flutter move ripple billow "
    "dance blow"
)
SAIL = set_of(
    "drift move roll sail float race scud pass glide billow rush fly slide travel crawl creep swirl streak stream "
    "speed blow drive sweep flow"
)
TWINKLE = set_of("twinkle glitter sparkle shimmer flicker glimmer blink")
BURN = set_of("sway wave flicker dance gutter waver sputter glimmer leap tremble")
BLOW = set_of(
    "blow carry tear rattle push howl rise gust rush sweep stir whistle roar whip move moan sigh ruffle shake sway "
    "bend ripple tug play toss rustle come drive rage"
)
ARRIVE = set_of("fall come descend arrive settle close approach set")
GLITTER = set_of("shimmer glitter sparkle glint dance glimmer ripple twinkle")  # "moonlight shimmers on the lake"
# How what comes and goes does so, and how it gets more or less.
IN = set_of(
    "gather thicken build appear emerge arrive return strengthen intensify increase start begin fill engulf envelop"
)
IN |= {"swallow", "pick up", "set in", "come up", "come out", "kick up"}
OUT = set_of(
    "stop cease end lift clear fade dissipate disperse subside dissolve vanish disappear thin weaken abate evaporate "
    "calm"
)
OUT |= {"die down", "die away", "die out", "die", "let up", "ease off", "ease up", "ease", "burn off", "go away"}
OUT |= {"blow away", "blow over", "pass", "drift away", "move away", "float away"}
PARTICLES = set_of("in up down off away out")
MORE = set_of("heavier harder stronger thicker denser wilder fiercer")
LESS = set_of("lighter weaker thinner softer calmer")
