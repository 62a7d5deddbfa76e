"""What the files of ``requirements/`` pin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


class Pin(NamedTuple):
    """One version, with the systems and Pythons that it is for in the marker of `requirement`."""

    name: str
    version: str
    requirement: Requirement
    hashes: list[str]


def pins(file: str) -> list[Pin]:
    lines = (REQUIREMENTS / file).read_text().replace("\\\n", "").splitlines()
    return [pin(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pin(line: str) -> Pin:
    stated, *hashes = re.split(r"\s+--hash=", line.strip())
    requirement = Requirement(stated)
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return Pin(canonicalize_name(requirement.name), specifier.version, requirement, hashes)
