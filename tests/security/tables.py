"""The tables of ``who_may.md``, as the tests read them and print them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

PAGE = Path(__file__).parent / "who_may.md"


class Table:
    """Rows by name, each with a cell for every person at the head of a column."""

    def __init__(self, heading: str) -> None:
        section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
        lines = [line for line in section.splitlines() if line.startswith("|")]
        head, _rule, *rows = ([each.strip() for each in line[1:-1].split("|")] for line in lines)
        self.people = head[1:]
        self.cells = {row[0]: dict(zip(self.people, row[1:], strict=True)) for row in rows}
        assert len(self.cells) == len(rows), "Two rows have one name."

    @property
    def rows(self) -> list[str]:
        return list(self.cells)

    def lines(self, rows: Iterable[str]) -> list[str]:
        return [_line(row, self.cells[row].values()) for row in rows]

    def measured(self, rows: Iterable[str], cell: Callable[[str, str], str]) -> list[str]:
        """The lines as they would have to stand there."""
        return [_line(row, (cell(row, person) for person in self.people)) for row in rows]


def _line(row: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join([row, *cells])} |"
