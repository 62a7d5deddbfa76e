"""Reads the code blocks of README and docs, so that tests run what people copy."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

REPOSITORY = Path(__file__).resolve().parent.parent


def blocks(page: str, language: str = "python") -> list[str]:
    """The code blocks of a page, by its path in the repository, in order."""
    text = (REPOSITORY / page).read_text()
    return [
        dedent(each)
        for each in re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    ]
