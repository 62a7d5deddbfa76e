"""Charts as SVG. Each comes with a table of the same data.

Sizes are attributes and colours are classes of ``console.css``, so the charts need no inline styles
and follow the theme. Widths are percentages, so text keeps its size on a phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Pixels: the columns, the space above them, and everything including the labels below.
HEIGHT, ABOVE, WHOLE = 160, 16, 200
#: The share of a column's width that stays empty.
GAP = 0.2
#: Labels below the columns.
MOST_LABELS = 4


@dataclass(frozen=True)
class Series:
    """``colour`` is the number of a class in ``console.css``."""

    name: str
    values: Sequence[int]
    colour: int

    @property
    def swatch(self) -> SafeString:
        return format_html(
            '<svg class="twilio-swatch" width="12" height="12" aria-hidden="true">'
            '<rect class="twilio-series-{}" width="12" height="12"/></svg>',
            self.colour,
        )


@dataclass(frozen=True)
class Chart:
    """Columns over time, each with its series stacked.

    ``totals`` has one number per column. It is not the sum of the series if a token counts in
    several of them.
    """

    name: str
    title: _StrOrPromise
    description: _StrOrPromise
    labels: Sequence[str]
    long_labels: Sequence[str]
    totals: Sequence[int]
    series: Sequence[Series]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table's rows, latest first: the period, then the total and each of the series."""
        columns = zip(self.totals, *(each.values for each in self.series), strict=True)
        rows = zip(self.long_labels, columns, strict=True)
        return [(label, [grouped(value) for value in values]) for label, values in rows][::-1]

    @property
    def sum(self) -> str:
        return grouped(sum(self.totals))

    @property
    def svg(self) -> SafeString:
        return format_html(
            '<svg class="twilio-chart" role="img" width="100%" height="{}"'
            ' aria-labelledby="{name}-title {name}-description">'
            '<title id="{name}-title">{}</title>'
            '<desc id="{name}-description">{}</desc>{}{}{}</svg>',
            WHOLE,
            self.title,
            self.description,
            _joined(self._lines()),
            _joined(self._columns()),
            _joined(self._texts()),
            name=self.name,
        )

    @property
    def _top(self) -> int:
        columns = zip(*(each.values for each in self.series), strict=True)
        return round_up(max(map(sum, columns), default=0))

    def _lines(self) -> Iterator[SafeString]:
        top = self._top
        for value in (0, top // 2, top) if top % 2 == 0 else (0, top):
            yield format_html(
                '<line class="twilio-grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
                '<text class="twilio-axis" x="-6" y="{}" text-anchor="end">{}</text>',
                self._y(value) + 4,
                grouped(value),
                y=self._y(value),
            )

    def _columns(self) -> Iterator[SafeString]:
        width = 100 / len(self.labels)
        for number, label in enumerate(self.long_labels):
            values = [(each, each.values[number]) for each in self.series]
            shown = [(each, value) for each, value in values if value]
            parts = ", ".join(f"{each.name} {grouped(value)}" for each, value in shown)
            told = f"{label}: {grouped(self.totals[number])}" + (f" ({parts})" if parts else "")
            yield format_html(
                '<g><title>{}</title><rect class="twilio-hover" x="{}%" y="0" width="{}%"'
                ' height="{}"/>{}</g>',
                told,
                _short(number * width),
                _short(width),
                ABOVE + HEIGHT,
                _joined(self._stack(number, shown)),
            )

    def _stack(self, number: int, shown: Sequence[tuple[Series, int]]) -> Iterator[SafeString]:
        width, below = 100 / len(self.labels), 0
        for series, value in shown:
            y = self._y(below + value)
            height = max(1, self._y(below) - y)
            yield format_html(
                '<rect class="twilio-series-{}" x="{}%" y="{}" width="{}%" height="{}"/>',
                series.colour,
                _short((number + GAP / 2) * width),
                _short(y),
                _short((1 - GAP) * width),
                _short(height),
            )
            below += value

    def _texts(self) -> Iterator[SafeString]:
        count = len(self.labels)
        step = -(-count // MOST_LABELS)
        for number in range(count - 1, -1, -step):
            yield format_html(
                '<text class="twilio-axis" x="{}%" y="{}" text-anchor="{}">{}</text>',
                _short((number + 0.5) * 100 / count),
                ABOVE + HEIGHT + 18,
                "end" if number == count - 1 else "middle",
                self.labels[number],
            )

    def _y(self, value: int) -> float:
        return ABOVE + HEIGHT * (1 - value / self._top)


def round_up(value: int) -> int:
    """Up to 1, 2 or 5 followed by zeros, where the axis ends."""
    if value < 1:
        return 1
    unit = int(10 ** floor(log10(value)))
    return next(each for each in (unit, 2 * unit, 5 * unit, 10 * unit) if each >= value)


@dataclass(frozen=True)
class Bar:
    """A table row with its number drawn as a bar."""

    name: str
    value: int
    most: int
    url: str = ""
    note: str | SafeString = ""

    @property
    def number(self) -> str:
        return grouped(self.value)

    @property
    def svg(self) -> SafeString:
        return format_html(
            '<svg class="twilio-bar" width="100%" height="12" aria-hidden="true">'
            '<rect class="twilio-series-1" width="{}%" height="12"/></svg>',
            _short(100 * min(self.value, self.most) / self.most),
        )


def grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((each,) for each in parts))


def _short(number: float) -> str:
    """In SVG's notation, whatever the language."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
