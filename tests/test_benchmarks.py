"""That ``python -m benchmarks`` works; what it measures is no matter of a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import svg
from benchmarks.measurements import Measurement
from benchmarks.table import table
from twilio_tokens.crypto import generate_key

ROOT = Path(__file__).resolve().parent.parent
#: Where nobody listens.
NO_SERVER = "postgres://nobody@127.0.0.1:1/none"


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    few = {"BENCHMARK_CALLS": "2", "BENCHMARK_CREDENTIALS": "20", "BENCHMARK_RECORDS": "20"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "1", *arguments],
        env=os.environ | few | {"POSTGRESQL_URL": NO_SERVER},
        capture_output=True,
        cwd=ROOT,
        text=True,
    )


def test_it_writes_a_table_json_and_a_chart_of_the_chosen_rows(tmp_path: Path) -> None:
    run = benchmarks("issue", "growth", "--output", str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert "SKIPPED: growth on PostgreSQL: " in run.stdout
    measured = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [each["what"] for each in measured] == [
        "issue_access_token ÷ Twilio's AccessToken, one grant",
        "issue_access_token ÷ Twilio's AccessToken, three grants",
        "growth on sqlite, cache cold",
        "growth on sqlite, cache off",
    ]
    chart = ElementTree.parse(tmp_path / "benchmarks.svg")  # noqa: S314 - it is our own
    assert len(chart.findall(".//{*}rect")) == len(measured)


def test_a_worker_starts_without_what_only_the_console_and_tokens_need() -> None:
    command = [sys.executable, "-m", "benchmarks.worker", "with"]
    own = {"BENCHMARK_KEY": generate_key(), "DATABASE_URL": "sqlite://:memory:"}
    run = subprocess.run(command, env=os.environ | own, capture_output=True, cwd=ROOT, check=True)
    assert json.loads(run.stdout)["imported"] == []


def test_a_row_that_is_not_there_is_refused() -> None:
    run = benchmarks("speed")
    assert run.returncode == 2
    assert "There is no row speed; choose of issue, " in run.stderr


@pytest.mark.parametrize(
    ("measurement", "is_reached"),
    [
        (Measurement("dearer", [1.3, 1.34, 9.0], 1.35, "×"), True),
        (Measurement("dearer", [1.4, 1.3, 1.4], 1.35, "×"), False),
        (Measurement("share", [0.9, 0.96], 0.95, is_least=True), False),
        (Measurement("share", [0.95], 0.95, is_least=True), True),
        (Measurement("none", [0.0], 0), True),
        (Measurement("none", [1.0], 0), False),
    ],
)
def test_the_median_tells_whether_it_is_reached(measurement: Measurement, is_reached: bool) -> None:
    assert measurement.is_reached == is_reached
    said = table([measurement]).splitlines()[1]
    assert said.endswith("  reached" if is_reached else "not reached")
    assert ("bar over" in svg([measurement])) == (not is_reached)
