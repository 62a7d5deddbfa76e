"""python -m tests.mutants [MODULE …]: try the faults of these modules, or of all."""

from __future__ import annotations

import os
import sys
from itertools import chain, groupby

from tests.fresh_pytest import VARIABLES

from .config import LEAST, PACKAGE, files_for, modules
from .equivalents import EQUIVALENTS, Named
from .faults import faults_of
from .trying import survivors

ROW = "{:<42} {:>7} {:>7} {:>9} {:>11} {:>7}"


def main(names: list[str]) -> int:
    os.environ |= {**VARIABLES, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    os.environ.pop("DATABASE_URL", None)
    print(ROW.format("module", "mutants", "killed", "survived", "equivalent", "percent"))
    unexplained, rows = 0, []
    for tests, group in groupby(sorted(names or modules(), key=files_for), files_for):
        faults = {module: faults_of(PACKAGE / f"{module}.py") for module in group}
        passed = survivors(list(chain(*faults.values())), tests)
        for module in faults:
            left = [each for each in passed if each in faults[module]]
            named = {each: Named(module, each.function, each.change) for each in left}
            unnamed = [name for name in named.values() if name not in EQUIVALENTS]
            counts = len(left), len(unnamed), len(left) - len(unnamed)
            rows.append((len(faults[module]), len(faults[module]) - len(left), *counts[1:]))
            print(row(module, rows[-1]), flush=True)
            for each in unnamed:
                print(*each, sep=" | ", flush=True)
            unexplained += len(unnamed)
    total = tuple(map(sum, zip(*rows, strict=True)))
    print(row("all", total))
    return int(bool(unexplained) or percent(total) < LEAST)


def percent(numbers: tuple[int, ...]) -> float:
    """Of the faults that are faults."""
    mutants, killed, _survived, equivalent = numbers
    return 100 * killed / max(mutants - equivalent, 1)


def row(name: str, numbers: tuple[int, ...]) -> str:
    return ROW.format(name, *numbers, f"{percent(numbers):.1f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
