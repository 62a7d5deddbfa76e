"""Puts a fault into functions that are already imported, or into a module before it is."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from .faults import Fault
from .subprocesses import sitecustomize


class NotWithinFunctions(Exception):
    """The fault is in what runs when the module is imported."""


def functions_of(path: Path) -> list[FunctionType]:
    """Those that are imported."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType and each.__code__.co_filename == str(path)
    ]


def swap(fault: Fault, functions: list[FunctionType]) -> None:
    """Give the imported functions the code that they have with the fault."""
    name = str(fault.path)
    old = compile(fault.original, name, "exec", dont_inherit=True)
    new = compile(fault.source, name, "exec", dont_inherit=True)
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


def import_with(fault: Fault) -> None:
    """Have the module imported with the fault, here and in the processes that a test starts."""
    os.environ["MUTANT_PATH"], os.environ["MUTANT_SOURCE"] = str(fault.path), fault.source
    os.environ["PYTHONPATH"] = str(Path(sitecustomize.__file__).parent)


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
