"""The faults that no test can notice, each with the reason why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Named(NamedTuple):
    """A fault by its name, which stays when lines move."""

    module: str
    function: str
    change: str


def _read() -> Iterator[tuple[Named, str]]:
    _about, _, faults = Path(__file__).with_suffix(".txt").read_text().partition("\n\n")
    named: list[Named] = []
    for line in faults.splitlines():
        if line.startswith(" "):
            for fault in named:
                yield fault, line.strip()
            named = []
        else:
            named.append(Named(*line.split(" | ", 2)))
    assert not named, f"No reason is given for {named}"


EQUIVALENTS = dict(_read())
