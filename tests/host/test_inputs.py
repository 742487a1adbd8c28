"""Every input of every node, from the nodes' own schemas: what is no value of it is refused by name."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from nodes_kit import Kit, pictures

LITERALS = ("index", "", 3, 2.5, False, {}, ["index"])  # what JSON can hold; none is what a link brings


def is_number(expected: Any) -> bool:
    return expected.get_io_type() in ("INT", "FLOAT")


def is_socket(expected: Any) -> bool:
    return not hasattr(expected, "default") and not hasattr(expected, "options")


def good(kit: Kit, expected: Any) -> Any:
    """A value that the input takes; of a choice the one that brings most."""
    if is_socket(expected):
        return {
            "MODEL": kit.model, "APPEARNET": kit.appearnet, "VAE": kit.vae, "IMAGE": pictures(1),
            "LATENT": {"samples": torch.zeros(3, 4, 4, 5)}, "CONDITIONING": [[torch.zeros(1, 2, 3), {}]],
            "MASK": torch.ones(1, 32, 40), "MOTION": still(kit), "CURVE": curve(),
        }[expected.get_io_type()]  # fmt: skip
    if hasattr(expected, "default"):
        return expected.default
    option = max(expected.options, key=lambda option: len(option.inputs))
    return {expected.id: option.key} | {part.id: good(kit, part) for part in option.inputs}


def still(kit: Kit) -> Any:
    return kit.core("motion.scene").Motion(kit.core("motion.plan").Plan())


def curve() -> Any:
    from comfy_api.input import MonotoneCubicCurve

    return MonotoneCubicCurve([(0, 0), (1, 1)])


def places(inputs: list[Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, input) of each input, those that a choice brings too."""
    for expected in inputs:
        path = (*before, expected.id)
        yield path, expected
        if not hasattr(expected, "default"):
            for option in getattr(expected, "options", ()):
                yield from places(option.inputs, path)


def refusal(kit: Kit, node: type, path: tuple[str, ...], value: Any) -> str:
    """What the node says of this value in an otherwise good call."""
    given = {expected.id: good(kit, expected) for expected in node.GET_SCHEMA().inputs}
    inner = given
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(kit.core("errors").InputError) as refused:
        node.execute(**given)
    return str(refused.value)


def beyond(expected: Any) -> tuple[Any, ...]:
    """Numbers that are not the input's: below, above, none at all; and what is no number."""
    assert expected.min is not None, expected.id
    assert expected.max is not None, expected.id
    numbers = (expected.min - 1, expected.max * 2 + 1, -(10**30), 10**30, math.nan, math.inf, -math.inf)
    return (*numbers, "3", True, None, torch.ones(1), *((1.5,) if expected.get_io_type() == "INT" else ()))


def test_numbers_out_of_bounds_are_refused_everywhere(small: Kit, pack_nodes: dict[str, type]) -> None:
    seen = []
    for node in pack_nodes.values():
        schema = node.GET_SCHEMA()
        for path, expected in places(schema.inputs):
            if not is_number(expected):
                continue
            seen.append(".".join(path))
            for value in beyond(expected):
                if value is None and expected.optional:
                    continue
                said = refusal(small, node, path, value)
                assert said.startswith(f"{schema.display_name}: {'.'.join(path)} must be "), said
    assert {"steps", "fps", "batch", "gamma.value", "keyframe_at.index", "seed"} <= set(seen)


def test_values_in_sockets_are_refused_everywhere(small: Kit, pack_nodes: dict[str, type]) -> None:
    seen = set()
    for node in pack_nodes.values():
        schema = node.GET_SCHEMA()
        for path, expected in places(schema.inputs):
            if not is_socket(expected):
                continue
            seen.add(kind := expected.get_io_type())
            for value in (*LITERALS, *(() if expected.optional else (None,))):
                said = refusal(small, node, path, value)
                assert said.startswith(f"{schema.display_name}: {path[0]} is "), said
                assert f"which is no {kind}; connect an output of that kind: {expected.tooltip}" in said
    assert seen == set(small.ours("node").SOCKETS)


def test_choices_that_do_not_exist_are_refused_everywhere(small: Kit, pack_nodes: dict[str, type]) -> None:
    for node in pack_nodes.values():
        for path, expected in places(node.GET_SCHEMA().inputs):
            if not hasattr(expected, "options"):
                continue
            inner = path if isinstance(expected.options[0], str) else (*path, path[-1])
            for value in ("none of them", 3, None, torch.ones(1)):
                assert f"{path[0]} must be one of " in refusal(small, node, inner, value)
            assert f"{path[0]} must be one of " in refusal(small, node, path, None)  # as the host gives unknown ones


def test_every_node_is_checked(small: Kit, pack_nodes: dict[str, type]) -> None:
    assert all(issubclass(node, small.ours("node").Node) for node in pack_nodes.values())
    assert not any("execute" in vars(node) for node in pack_nodes.values())


def test_what_is_no_text_is_refused_everywhere(small: Kit, pack_nodes: dict[str, type]) -> None:
    seen = []
    for node in pack_nodes.values():
        schema = node.GET_SCHEMA()
        for expected in schema.inputs:
            if expected.get_io_type() != "STRING":
                continue
            seen.append(expected.id)
            for value in (3, True, ["plan"], {}, torch.ones(1)):
                assert refusal(small, node, (expected.id,), value).startswith(
                    f"{schema.display_name}: {expected.id} must be text, got "
                )
    assert set(seen) == {"prompt", "plan"}
