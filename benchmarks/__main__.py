"""Everything that issuing costs, measured side by side: ``python -m benchmarks [ROW …]``.

Each kind of measurement runs in a process of its own, with a database of its own, which it makes
and removes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import environ
import psycopg

from .chart import svg
from .measurements import Measurement, to_json
from .table import FOOT, line, table

#: As in the Makefile, which exports it.
POSTGRESQL = os.environ.get("POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@dataclass(frozen=True)
class Run:
    kind: str
    is_on_postgresql: bool = False
    environment: dict[str, str] = field(default_factory=dict)


AUDIT, GROWTH = {"BENCHMARK_AUDIT": "1"}, {"BENCHMARK_GROWTH": "1"}
RUNS = {
    "issue": [Run("issue")],
    "request": [Run("request")],
    "audit": [Run("request", True, AUDIT)],
    "statements": [Run("statements"), Run("statements", False, AUDIT)],
    "growth": [Run("growth", False, GROWTH), Run("growth", True, GROWTH)],
    "start": [Run("start")],
    # SQLite lets one process write at a time, so there the audit is off.
    "crowd": [Run("crowd"), Run("crowd", True, AUDIT)],
}


def main() -> None:
    options = parsed()
    runs = [run for row in options.rows or RUNS for run in RUNS[row]]
    refusal = why_postgresql_is_not_there() if any(run.is_on_postgresql for run in runs) else ""
    measured = []
    for run in runs:
        if run.is_on_postgresql and refusal:
            print(f"SKIPPED: {run.kind} on PostgreSQL: {refusal}")
            continue
        for each in measure(run, options.rounds):
            print(line(each), flush=True)
            measured.append(each)
    write(measured, Path(options.output))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(RUNS)}; or all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", default="build/benchmarks", help="a folder")
    options = parser.parse_args()
    if unknown := set(options.rows) - RUNS.keys():
        parser.error(f"There is no row {', '.join(sorted(unknown))}; choose of {', '.join(RUNS)}.")
    if options.rounds < 1:
        parser.error("--rounds should be 1 or more.")
    return options


def why_postgresql_is_not_there() -> str:
    of = environ.Env.db_url_config(POSTGRESQL)
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    at = {name: of[key] for name, key in names.items() if of[key]}
    try:
        psycopg.connect(**at, dbname=of["NAME"]).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def measure(run: Run, rounds: int) -> Iterator[Measurement]:
    with TemporaryDirectory() as directory:
        database = (
            {
                "DATABASE_URL": POSTGRESQL,
                "BENCHMARK_DATABASE": f"twilio_tokens_benchmark_{os.getpid()}",
            }
            if run.is_on_postgresql
            else {"BENCHMARK_DATABASE": str(Path(directory, "benchmark.sqlite3"))}
        )
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.run", run.kind, str(rounds)],
            env={**inherited, **database, **run.environment, "BENCHMARK_KEY": key},
            stdout=subprocess.PIPE,
            check=True,
        )
    yield from (Measurement(**each) for each in json.loads(answer.stdout))


def write(measured: list[Measurement], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Path(folder, "benchmarks.json").write_text(
        json.dumps([to_json(each) for each in measured], indent=2, ensure_ascii=False) + "\n"
    )
    Path(folder, "benchmarks.svg").write_text(svg(measured))
    print(f"\n{table(measured)}\n\n{FOOT}\n\nWritten: {folder}/benchmarks.json and .svg")


if __name__ == "__main__":
    main()
