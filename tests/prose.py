"""Reads the code blocks of README and docs, so that tests run what people copy."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

REPOSITORY = Path(__file__).resolve().parent.parent


def blocks(page: str, language: str = "python") -> list[str]:
    """The code blocks of a page, by its path in the repository, in order."""
    return _blocks((REPOSITORY / page).read_text(), language)


def section(page: str, title: str, language: str = "python") -> list[str]:
    """The code blocks between a heading of a page and the next; before the first, without one."""
    before, *sections = re.split("^##+ ", (REPOSITORY / page).read_text(), flags=re.MULTILINE)
    text = next(each for each in sections if each.startswith(f"{title}\n")) if title else before
    found = _blocks(text, language)
    assert found, f"{page} has no {language} under “{title}”."
    return found


def _blocks(text: str, language: str) -> list[str]:
    pattern = rf"^ *```{language}\n(.*?)^ *```$"
    return [dedent(each) for each in re.findall(pattern, text, re.DOTALL | re.MULTILINE)]
