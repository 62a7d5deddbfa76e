"""Every page: its blocks are run or marked, and its links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest

from docs.conf import ELSEWHERE

from .prose import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [
    str(page.relative_to(REPOSITORY))
    for page in (
        REPOSITORY / "README.md",
        REPOSITORY / "CONTRIBUTING.md",
        REPOSITORY / "SECURITY.md",
        REPOSITORY / "deploy" / "README.md",
        *sorted(DOCS.rglob("*.md")),
    )
]
FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")
RUN = re.compile(r"<!-- run by (tests/[\w/.]+\.py(?:, tests/[\w/.]+\.py)*) -->")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
#: What Sphinx reads itself is no code.
DIRECTIVE = re.compile(r"\{\w+\}")


def fences(page: str) -> list[tuple[str, str, str]]:
    """Of each fenced block the line above it, its language and its text."""
    found, above, language, text, end = [], "", "", [], ""
    for line in (REPOSITORY / page).read_text().splitlines():
        if end:
            if line.strip() == end:
                found.append((above, language, dedent("\n".join(text))))
                above = end = ""
            else:
                text.append(line)
        elif fence := FENCE.match(line):
            language, text, end = fence[3].strip(), [], fence[2]
        else:
            above = line.strip()
    assert not end, f"{page} has a block without an end"
    return [each for each in found if not DIRECTIVE.match(each[1])]


BLOCKS = [
    pytest.param(page, above, id=f"{page}-{number}")
    for page in PAGES
    for number, (above, _, _) in enumerate(fences(page), start=1)
]


@pytest.mark.parametrize(("page", "above"), BLOCKS)
def test_a_test_runs_each_block_or_a_comment_says_why_not(page: str, above: str) -> None:
    if NOT_RUN.fullmatch(above):
        return
    run = RUN.fullmatch(above)
    assert run, f"Above the block stands {above!r}."
    for test in run[1].split(", "):
        source = (REPOSITORY / test).read_text()
        assert page in source or is_named_in_parts(page, source), f"{test} does not name {page}."


def is_named_in_parts(page: str, source: str) -> bool:
    """As ``DOCS / "scale.md"``, which says the same."""
    return bool(re.search(rf"""["'/]{re.escape(Path(page).name)}["']""", source))


@pytest.mark.parametrize("page", PAGES)
def test_its_python_is_python(page: str) -> None:
    for above, language, text in fences(page):
        if language == "python" and "the signature" not in above:
            ast.parse(text)


@pytest.mark.parametrize("page", PAGES)
def test_its_links_to_files_and_headings_lead_somewhere(page: str) -> None:
    file = REPOSITORY / page
    text = re.sub(r"^( *```).*?^\1", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    dead = []
    for path, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?", text):
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or (anchor and anchor not in headings(target)):
            dead.append(f"{path}#{anchor}")
    assert dead == []


def headings(page: Path) -> set[str]:
    """The anchors that a forge and the docs' site give them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_page_of_the_docs_is_in_a_table_of_contents() -> None:
    entries = re.findall(
        r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text(), re.DOTALL | re.MULTILINE
    )
    listed = {DOCS / "index.md"}
    for entry in "\n".join(entries).splitlines():
        if entry and not entry.startswith(":"):
            listed |= set(DOCS.glob(f"{entry}.md"))
    assert {*DOCS.rglob("*.md")} - {*DOCS.glob("node_modules/**")} == listed


def test_pages_of_the_site_that_live_elsewhere_say_where() -> None:
    for page, path in ELSEWHERE.items():
        link = "../" + path
        assert (DOCS / f"{page}.md").read_text() == f"This page is [{path}]({link}).\n"
        assert (DOCS / link).exists()
