"""The measurements as text."""

from __future__ import annotations

from .measurements import Measurement

FOOT = """\
Ratios are of median calls, by CPU time but for growth on PostgreSQL; the spread is that of the
rounds. What is not reached, and why:
- Three grants: each grant is checked against the site's rules and finds its service or app, whose
  groups may forbid it. Twilio's class does neither.
- The start: half of it is cryptography and PyJWT, which Twilio's library imports; a site that has
  them already pays the other half only. To import them at the first token would let users wait."""


def line(each: Measurement) -> str:
    return f"{each.what:72}{each.reach:>9} {shown(each):>9}  {verdict(each)}"


def table(measured: list[Measurement]) -> str:
    head = f"{'':72}{'reach':>9} {'median':>9} {'spread':>15}"
    return "\n".join([head, *(row(each) for each in measured)])


def row(each: Measurement) -> str:
    spread = f"{number(min(each.values))}–{number(max(each.values))}"
    return f"{each.what:72}{each.reach:>9} {shown(each):>9} {spread:>15}  {verdict(each)}"


def shown(each: Measurement) -> str:
    return f"{number(each.median)}{each.unit}"


def verdict(each: Measurement) -> str:
    return "reached" if each.is_reached else "not reached"


def number(value: float) -> str:
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
