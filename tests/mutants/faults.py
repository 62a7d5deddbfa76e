"""The faults of one module, each with a name that stays when lines move."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

from .operators import all_operators

NOWHERE = (0, 0)


@dataclass(frozen=True)
class Fault:
    path: Path
    function: str  #: the dotted name of what it is in; empty for the module itself
    change: str  #: “old → new”
    source: str  #: of the whole module
    lines: range  #: of the statement that it is in


def faults_of(path: Path) -> list[Fault]:
    source = path.read_text()
    tree = ast.parse(source)
    skipped = list(_skipped(tree))
    lines = source.splitlines(keepends=True)
    found: dict[tuple[str, str], Fault] = {}
    for statement in tree.body:
        # cosmic-ray reads all that it is given again for each fault, so it is not given the module.
        above, end = _first(statement) - 1, statement.end_lineno or 0
        part = "".join(lines[above:end])
        for (line, column), mutated in _mutated(part):
            start = (line + above, column)
            if any(first <= start < end for first, end in skipped):
                continue
            function, around = _place(tree, start[0])
            change = _change(part, mutated)
            number = 1
            while (function, name := change if number == 1 else f"{change} ({number})") in found:
                number += 1
            whole = "".join([*lines[:above], mutated, *lines[end:]])
            found[function, name] = Fault(path, function, name, whole, around)
    return sorted(found.values(), key=lambda fault: (fault.lines.start, fault.change))


def _mutated(source: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Where each fault is, and the source with it."""
    nodes = list(ast_nodes(get_ast(source)))
    meanings = {_meaning(source)}
    for operator in all_operators():
        for occurrence, start in enumerate(_positions(nodes, operator)):
            mutated = mutate_code(source, operator, occurrence)
            meaning = _meaning(mutated)
            if start != NOWHERE and meaning is not None and meaning not in meanings:
                meanings.add(meaning)
                yield start, mutated


def _positions(nodes: list[Any], operator: Operator) -> Iterator[tuple[int, int]]:
    for node in nodes:
        for start, _end in operator.mutation_positions(node):
            # cosmic-ray takes the star of a signature for a product.
            yield NOWHERE if node.parent and node.parent.type == "parameters" else start


class _Plain(ast.NodeTransformer):
    """``a is not b`` for ``not a is b``, and ``a`` for ``not not a``."""

    OPPOSITES = {ast.Is: ast.IsNot, ast.In: ast.NotIn, ast.Eq: ast.NotEq}
    OPPOSITES |= {other: one for one, other in OPPOSITES.items()}

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        inner = node.operand
        if not isinstance(node.op, ast.Not):
            return node
        if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
            return inner.operand
        if isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            opposite = self.OPPOSITES.get(type(inner.ops[0]))
            if opposite:
                return ast.Compare(inner.left, [opposite()], inner.comparators)
        return node


def _meaning(source: str) -> str | None:
    """The same for two sources that say the same; None where it is not Python."""
    try:
        tree = ast.parse(source)
        compile(tree, "", "exec")
    except (SyntaxError, ValueError):
        return None
    return ast.dump(_Plain().visit(tree))


def _change(old: str, new: str) -> str:
    a, b = old.splitlines(), new.splitlines()
    while a and b and a[0] == b[0]:
        del a[0], b[0]
    while a and b and a[-1] == b[-1]:
        del a[-1], b[-1]
    return f"{_one_line(a)} → {_one_line(b)}"


def _one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _skipped(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where a change means nothing."""
    for node in ast.walk(tree):
        for part in _without_effect(node):
            if part is not None:
                start = (part.lineno, part.col_offset)
                yield start, (part.end_lineno or 0, part.end_col_offset or 0)
        for decorator in getattr(node, "decorator_list", []):
            if _name(decorator) in _NEEDED:
                line, column = decorator.lineno, decorator.col_offset
                yield (line, column - 1), (line, column)


#: mypy refuses what is without one of these, and what is remembered is a matter of time only.
_NEEDED = {
    "abstractmethod",
    "cache",
    "cached_property",
    "classmethod",
    "dataclass",
    "lru_cache",
    "property",
}


def _name(decorator: ast.expr) -> str:
    return ast.unparse(decorator).partition("(")[0]


def _without_effect(node: ast.AST) -> list[Any]:
    if isinstance(node, (ast.AnnAssign, ast.arg)):
        return [node.annotation]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        caches = [each for each in node.decorator_list if _name(each) in ("cache", "lru_cache")]
        return [node.returns, *caches]
    if isinstance(node, ast.keyword) and node.arg == "frozen":
        # mypy refuses what changes such an object.
        return [node]
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return [node]
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar("):
        return [node]
    return []


def _place(tree: ast.Module, line: int) -> tuple[str, range]:
    """The dotted name of the function or class around a line, and the lines of its statement."""
    names: list[str] = []
    lines = range(line, line + 1)
    body: list[ast.stmt] = tree.body
    while body:
        around = next(
            (each for each in body if _first(each) <= line <= (each.end_lineno or 0)), None
        )
        if around is None:
            break
        if isinstance(around, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.append(around.name)
        inner = _inner(around)
        head_end = min((_first(each) for each in inner), default=(around.end_lineno or 0) + 1)
        lines = range(_first(around), max(head_end, _first(around) + 1))
        body = inner
    return ".".join(names), lines


def _first(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _inner(statement: ast.stmt) -> list[ast.stmt]:
    inner: list[ast.stmt] = []
    for name in ("body", "orelse", "finalbody"):
        inner += getattr(statement, name, [])
    for handler in getattr(statement, "handlers", []):
        inner += handler.body
    for case in getattr(statement, "cases", []):
        inner += case.body
    return inner
