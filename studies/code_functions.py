"""The functions of a source file: how long they are, what is annotated, and whether docstrings state shapes."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

TENSORS = frozenset({"Tensor", "NDArray", "ndarray", "Image"})
LENGTH = r"\s*(?:\.\.\.|[\w *+/()'-]+)\s*"  # of one axis: T, 3, H/8, (T-1)*factor+1, T or 1
SHAPE = re.compile(rf"(?<![\w\])])\[(?:{LENGTH}(?:,{LENGTH})*)?\](?!\()")  # neither list[int] nor [words](link)

Modules = Mapping[PurePosixPath, tuple[str, ast.Module]]  # a file's path in the repository -> its text, parsed too
AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `shapes`: whether its docstring states them; None where it is not public or handles no tensors."""

    place: str
    lines: int
    annotated: bool
    shapes: bool | None


def walk(node: ast.AST, scope: str = "", public: bool = True) -> Iterator[tuple[str, AnyFunction, bool]]:
    """Every function below a node: its dotted name, itself, and whether one outside may know it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, AnyFunction | ast.ClassDef):
            yield from walk(child, scope, public)
            continue
        name, known = f"{scope}{child.name}", public and not child.name.startswith("_")
        if isinstance(child, AnyFunction):
            yield name, child, known
        yield from walk(child, f"{name}.", known and isinstance(child, ast.ClassDef))


def types_of(function: AnyFunction) -> list[ast.expr | None]:
    """The annotation of every argument but `self` and `cls`, and of the return; None for each that lacks."""
    given = function.args
    both = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *both]
    return [one.annotation for one in arguments if one.arg not in ("self", "cls")] + [function.returns]


def mentions(annotation: ast.AST | None, names: Collection[str]) -> bool:
    """Whether a type is made of one of these. What a Callable takes and gives is another function's affair."""
    match annotation:
        case None | ast.Subscript(value=ast.Name(id="Callable")):
            return False
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in names
    return any(mentions(child, names) for child in ast.iter_child_nodes(annotation))


def tensor_names(modules: Modules) -> frozenset[str]:
    """TENSORS, and the names that modules give to types made of them, such as Frames."""
    given = [
        statement.targets
        for _, tree in modules.values()
        for statement in tree.body
        if isinstance(statement, ast.Assign) and mentions(statement.value, TENSORS)
    ]
    return TENSORS | {name.id for targets in given for name in targets if isinstance(name, ast.Name)}


def functions_of(path: PurePosixPath, tree: ast.Module, tensors: Collection[str]) -> Iterator[Function]:
    """Every function of a file; tensors: the names of types whose shapes a docstring has to state."""
    for name, function, public in walk(tree):
        types = types_of(function)
        shapes = SHAPE.search(ast.get_docstring(function) or "") is not None
        yield Function(
            place=f"{path}:{function.lineno} {name}",
            lines=(function.end_lineno or function.lineno) - function.lineno + 1,
            annotated=None not in types,
            shapes=shapes if public and any(mentions(one, tensors) for one in types) else None,
        )
