"""The map of the house in CONTRIBUTING.md is that of the house."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
GUIDE = (REPOSITORY / "CONTRIBUTING.md").read_text()
_, ROOMS, ANSWERS = re.split("<!-- (?:rooms|answers).*-->", GUIDE)


def test_the_map_names_each_module_in_the_order_of_the_levels() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    levels = setup["importlinter:contract:levels"]["layers"]
    assert re.findall(r"^\| `(\w+)` \|", ROOMS, re.MULTILINE) == re.findall(r"\w+", levels)


WHERE = re.findall(r"^\| (.+) \| `(.+)` \| `(.+)` \|$", ANSWERS, re.MULTILINE)


def test_ten_questions_are_answered() -> None:
    assert len(WHERE) == 10


@pytest.mark.parametrize(("question", "file", "text"), WHERE, ids=[each[0] for each in WHERE])
def test_what_is_asked_for_stands_in_the_file_that_is_named(
    question: str, file: str, text: str
) -> None:
    assert text in (REPOSITORY / file).read_text()


@pytest.mark.parametrize("path", re.findall(r"`((?:docs|tests|twilio_tokens)/[\w./-]+)`", GUIDE))
def test_the_files_that_are_named_exist(path: str) -> None:
    assert (REPOSITORY / path).exists()
