"""Settings as options: typer reads a command's signature, and here it is made of the dataclasses in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_type_hints

import typer

from ..shot.dials import Dial


def option(name: str, dial: Dial) -> Any:
    """A field's dial as typer's option; the help says its bounds."""
    flag = "--" + (dial.option or name).replace("_", "-")
    bounds = " to ".join(dial.bounds)
    text = f"{dial.help.rstrip('.')} ({'above ' if dial.above else ''}{bounds})." if bounds else dial.help
    return typer.Option(flag, help=text, show_default=dial.unset or True)


def gathering(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its dataclasses' fields as options in their place; called with these, it gathers them again.

    A field is annotated with its dial or with typer's option. A parameter of the command's own stands for a field of
    the same name, which then keeps its default.
    """
    own = signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {name: p.annotation for name, p in own.items() if is_dataclass(p.annotation)}
    taken = {name: [p for p in _options(group) if p.name not in own] for name, group in groups.items()}
    parameters = [p for name in own for p in taken.get(name, [own[name].replace(kind=Parameter.KEYWORD_ONLY)])]

    @wraps(command)
    def gathered(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{p.name: given.pop(p.name) for p in taken[name]})
        command(**given)

    gathered.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # any function may have one
    gathered.__annotations__ = {p.name: p.annotation for p in parameters}
    return gathered


def given(context: typer.Context) -> frozenset[str]:
    """The options that somebody wrote, by field."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE")


def written(context: typer.Context) -> dict[str, str]:
    """How each option is written, by field."""
    return {str(parameter.name): parameter.opts[0] for parameter in context.command.params}


def _options(group: Any) -> Iterator[Parameter]:
    """A dataclass's fields as parameters that typer reads, shown under the first words of its docstring."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        kind, note = get_args(hints[field.name])
        note = option(field.name, note) if isinstance(note, Dial) else copy(note)
        if isinstance(note, typer.models.OptionInfo):
            note.rich_help_panel = re.split(r"[.:]", group.__doc__)[0]
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, note])
