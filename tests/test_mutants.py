"""What the mutation run is told is still so. The run itself takes too long for here."""

from __future__ import annotations

import ast

import pytest

from .mutants.config import PACKAGE, TESTS, files_for, modules
from .mutants.equivalents import EQUIVALENTS


def words(text: str) -> str:
    return " ".join(text.split())


def test_each_module_is_tried_with_tests_that_exist() -> None:
    assert sorted(TESTS) == sorted(modules())
    files = {file for module in TESTS for file in files_for(module)}
    assert not [file for file in files if not (PACKAGE.parent / file).exists()]


@pytest.mark.parametrize(
    ("module", "function", "change"),
    [(module, *fault) for module, faults in EQUIVALENTS.items() for fault in faults],
)
def test_each_fault_that_nobody_can_notice_can_still_be_made(
    module: str, function: str, change: str
) -> None:
    source = (PACKAGE / f"{module}.py").read_text()
    names = {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }
    assert {*function.split(".")} - {""} <= names
    assert words(change.partition(" → ")[0]) in words(source)
    assert EQUIVALENTS[module][function, change]
