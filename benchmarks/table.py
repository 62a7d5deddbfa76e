"""The measurements as text."""

from __future__ import annotations

from .measurements import Measurement

FOOT = """\
Each ratio is of the median calls of a round, by CPU time but for growth on PostgreSQL; the spread
is that of the rounds. What a busy machine disturbs most are the constant view and the start.

What is dear, where a row is not reached:
- Three grants: Chat and Voice each find their service or app, look whether its groups let the user
  in, and check the identity, which Twilio's AccessToken does not.
- The constant view: a token's own work is about a tenth of a request. The rest of REST framework
  and the user's lookup are the same for both.
- The start: models, serializers, forms and the console are classes that Django builds when they
  are imported. They are many, and none of their modules takes much more than a tenth."""


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
