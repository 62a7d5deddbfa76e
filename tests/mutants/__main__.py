"""python -m tests.mutants [MODULE …]: try the faults of these modules, or of all."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple

from tests.fresh_pytest import VARIABLES

from .config import LEAST, PACKAGE, files_for, modules
from .equivalents import EQUIVALENTS, Named
from .faults import faults_of
from .trying import survivors

ROW = "{:<42} {:>7} {:>7} {:>9} {:>11} {:>7}"


class Tried(NamedTuple):
    module: str
    mutants: int
    survivors: list[Named]


def main(names: list[str]) -> int:
    os.environ |= {**VARIABLES, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    os.environ.pop("DATABASE_URL", None)
    print(ROW.format("module", "mutants", "killed", "survived", "equivalent", "percent"))
    unexplained, rows = 0, []
    with ProcessPoolExecutor() as pool:
        trials = [pool.submit(try_faults, group) for group in groups(names or modules())]
        finished = chain.from_iterable(trial.result() for trial in as_completed(trials))
        for module, mutants, left in finished:
            unnamed = [each for each in left if each not in EQUIVALENTS]
            rows.append((mutants, mutants - len(left), len(unnamed), len(left) - len(unnamed)))
            print(row(module, rows[-1]), flush=True)
            for each in unnamed:
                print(*each, sep=" | ", flush=True)
            unexplained += len(unnamed)
    total = tuple(map(sum, zip(*rows, strict=True)))
    print(row("all", total))
    return int(bool(unexplained) or percent(total) < LEAST)


def groups(names: list[str]) -> list[list[str]]:
    """Modules that have the same tests, so that these are set up once; the largest first."""
    same = [list(group) for _, group in groupby(sorted(names, key=files_for), files_for)]
    return sorted(same, key=lambda group: sum(map(_size, group)), reverse=True)


def _size(module: str) -> int:
    return _path(module).stat().st_size


def try_faults(group: list[str]) -> list[Tried]:
    faults = {module: faults_of(_path(module)) for module in group}
    passed = survivors(list(chain(*faults.values())), files_for(group[0]))
    tried = []
    for module, made in faults.items():
        left = [Named(module, each.function, each.change) for each in passed if each in made]
        tried.append(Tried(module, len(made), left))
    return tried


def _path(module: str) -> Path:
    return PACKAGE / f"{module}.py"


def percent(numbers: tuple[int, ...]) -> float:
    """Of the faults that are faults."""
    mutants, killed, _survived, equivalent = numbers
    return 100 * killed / max(mutants - equivalent, 1)


def row(name: str, numbers: tuple[int, ...]) -> str:
    return ROW.format(name, *numbers, f"{percent(numbers):.1f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
