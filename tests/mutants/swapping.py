"""Puts a fault into functions that are already imported, or into a module before it is."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType


class NotWithinFunctions(Exception):
    """The fault is in what runs when the module is imported."""


def functions_of(path: Path) -> list[FunctionType]:
    """Those that are imported."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType and each.__code__.co_filename == str(path)
    ]


def swap(path: Path, faulty: str, functions: list[FunctionType]) -> None:
    """Give the imported functions the code that they have in ``faulty``."""
    name = str(path)
    old = compile(path.read_text(), name, "exec", dont_inherit=True)
    new = compile(faulty, name, "exec", dont_inherit=True)
    changed = list(_changed(old, new))
    swapped = False
    for one, other in changed:
        same = [each for each in functions if _key(each.__code__) == _key(one)]
        if len({id(each.__code__) for each in same}) > 1 or one.co_freevars != other.co_freevars:
            raise NotWithinFunctions
        for function in same:
            function.__code__ = other
            swapped = True
    if not swapped:
        raise NotWithinFunctions


def import_with(path: Path, faulty: str) -> None:
    """Have the module imported from ``faulty``, once it is."""
    read = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path == str(path):
            return compile(faulty, self.path, "exec", dont_inherit=True)
        return read(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def _changed(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The functions that differ, with those around them."""
    ones, others = _inner(old), _inner(new)
    of_function = bool(old.co_flags & inspect.CO_OPTIMIZED)
    if not of_function and (_shallow(old) != _shallow(new) or len(ones) != len(others)):
        raise NotWithinFunctions
    if of_function and _deep(old) != _deep(new):
        yield old, new
    if len(ones) == len(others):
        for one, other in zip(ones, others, strict=True):
            yield from _changed(one, other)


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _shallow(code: CodeType) -> tuple[object, ...]:
    consts = [repr(each) for each in code.co_consts if not isinstance(each, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, consts, code.co_name


def _deep(code: CodeType) -> tuple[object, ...]:
    return _shallow(code), [_deep(each) for each in _inner(code)]


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno
