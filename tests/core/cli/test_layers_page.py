"""docs/layers.md: every kind with what it is and where it belongs, in the order in which the groups are drawn."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

from microcinema_core.cli.layers import KEYS, ToldLayer
from microcinema_core.motion.layer import KINDS, Group, LayerKind

PAGE = (Path(__file__).parents[3] / "docs" / "layers.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+) \| ([\w ]+) \|$", PAGE, flags=re.MULTILINE)


def test_every_kind_is_there() -> None:
    assert len(ROWS) == len(LayerKind)
    for name, said, place in ROWS:
        kind = LayerKind(name)
        assert said == KINDS[kind].help
        assert place == ("a mask" if kind.place is None else kind.place)


def test_the_groups_come_in_the_order_in_which_they_are_drawn() -> None:
    shown = [LayerKind(name).group for name, _, _ in ROWS]
    assert list(dict.fromkeys(shown)) == list(Group)


def test_the_options_are_layers() -> None:
    options = [word for line in re.findall(r"^    microcinema .*$", PAGE, re.MULTILINE) for word in shlex.split(line)]
    told = [ToldLayer.parse(after) for word, after in itertools.pairwise(options) if word == "--layer"]
    assert [one.layer.kind for one in told if one.layer] == ["snow", "night", "pulse", "swing"]
    assert told[1].layer is not None
    assert told[1].layer.fade_in == 1


def test_the_keys_are_named() -> None:
    assert set(KEYS) <= set(re.findall(r"`(\w+)", PAGE.partition("## Keys")[2]))
