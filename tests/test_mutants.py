"""What the mutation run is told is still so. The run itself takes too long for here."""

from __future__ import annotations

import ast

import pytest

from .mutants.config import PACKAGE, TESTS, files_for, modules
from .mutants.equivalents import EQUIVALENTS, Named


def words(text: str) -> str:
    return " ".join(text.split())


def test_each_module_is_tried_with_tests_that_exist() -> None:
    assert sorted(TESTS) == sorted(modules())
    files = {file for module in TESTS for file in files_for(module)}
    assert not [file for file in files if not (PACKAGE.parent / file).exists()]


@pytest.mark.parametrize("fault", EQUIVALENTS, ids=" ".join)
def test_each_fault_that_nobody_can_notice_can_still_be_made(fault: Named) -> None:
    source = (PACKAGE / f"{fault.module}.py").read_text()
    names = {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }
    assert {*fault.function.split(".")} - {""} <= names
    assert words(fault.change.partition(" → ")[0]) in words(source)
