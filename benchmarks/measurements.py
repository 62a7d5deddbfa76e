"""What was measured, and how CPU time is compared."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

#: Calls in a row.
TURN = 25


@dataclass(frozen=True)
class Measurement:
    """One value for each round, and what they should reach."""

    what: str
    values: list[float]
    limit: float
    unit: str = ""
    #: Whether the limit is the least that is wanted, instead of the most.
    is_least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reach(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.limit:g}{self.unit}"

    @property
    def is_reached(self) -> bool:
        return self.share <= 1

    @property
    def share(self) -> float:
        """Of what is allowed: 1 and less is reached."""
        return self.share_of(self.median)

    def share_of(self, value: float) -> float:
        if self.is_least:
            return self.limit / value
        return value / self.limit if self.limit else 1 + value


def ratios(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    calls: int,
    rounds: int,
    before: Callable[[], object] = int,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """How many times as dear ours is as theirs, for each round.

    They are called in turns, a few dozen times each, and the median calls of a round are compared:
    so what disturbs the machine disturbs both, or does not count.
    """
    turns = range(int(os.environ.get("BENCHMARK_CALLS", calls)) // TURN + 1)
    found = []
    for _ in range(rounds + 1):
        before()
        taken = [(seconds(ours, clock), seconds(theirs, clock)) for _ in turns]
        our_calls, their_calls = map(chain.from_iterable, zip(*taken, strict=True))
        found.append(statistics.median(our_calls) / statistics.median(their_calls))
    return found[1:]  # the first one warms up


def seconds(call: Callable[[], object], clock: Callable[[], float]) -> list[float]:
    """Of each call of a turn."""
    taken = []
    for _ in range(TURN):
        start = clock()
        call()
        taken.append(clock() - start)
    return taken


def to_json(measurement: Measurement) -> Mapping[str, object]:
    spread = [min(measurement.values), max(measurement.values)]
    return {
        **vars(measurement),
        "median": measurement.median,
        "spread": spread,
        "is_reached": measurement.is_reached,
    }
