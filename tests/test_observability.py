"""What docs/observability.md promises."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from twilio_tokens import metrics
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, Outcome
from twilio_tokens.outcomes import NO_FIELDS

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "observability.md").read_text()


def rows(table: str) -> list[list[str]]:
    """The cells of a table between two comments, without its head."""
    text = PAGE.partition(f"<!-- {table} -->\n")[2].partition(f"<!-- end of {table} -->")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


def test_the_fields_of_the_table_are_those_of_a_line() -> None:
    assert [row[0].strip("`") for row in rows("fields")] == [*NO_FIELDS]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, api_key: APIKey) -> dict[str, list[Any]]:
    """What an SDK collects: kind, unit and labels of each metric."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    monkeypatch.setattr(metrics, "_keys", {})
    monkeypatch.setattr(metrics, "_instruments", metrics._Instruments(meter))
    metrics.issued(["video"], api_key)
    metrics.refused(["video"], "invalid")
    metrics.checked("APIKey", "verified")
    metrics.signed(1)
    metrics.answered(1, "invalid")
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [
            {"Sum": "counter"}.get(kind := type(metric.data).__name__, kind.lower()),
            metric.unit,
            sorted(metric.data.data_points[0].attributes or {}),
        ]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }


def test_the_metrics_of_the_table_are_those_that_are_measured(
    measured: dict[str, list[Any]],
) -> None:
    assert {name: [kind, unit, labels] for name, kind, unit, labels, _is in cells()} == measured


def cells() -> Iterator[tuple[str, str, str, list[str], str]]:
    for name, kind, unit, labels, what in rows("metrics"):
        yield name.strip("`"), kind, unit.strip("`"), sorted(re.findall(r"[\w.]+", labels)), what


def test_the_verdicts_that_the_table_names_are_those_of_checks() -> None:
    (what,) = (what for name, *_rest, what in cells() if name == "twilio_tokens.checks")
    assert set(re.findall(r"`(\w+)`", what)) <= {*Outcome.values}
    assert {"verified", "refused", "unreachable"} <= {*Outcome.values}


def test_the_hash_of_an_identity_is_computed_as_the_page_says(
    api_key: APIKey, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twilio_tokens.outcomes")
    issue_access_token(user=user, grants=[Video()])
    (line,) = re.findall(r"^salted_hmac\(.*$", PAGE, re.MULTILINE)
    told = vars(caplog.records[0])["identity"]
    assert eval(line, {"salted_hmac": salted_hmac}) == told  # noqa: S307 - the page's own


def test_the_logging_of_the_page_is_that_of_the_example() -> None:
    def logging_in(text: str) -> Any:
        (found,) = (
            ast.literal_eval(node.value)
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOGGING"
        )
        return found

    blocks = re.findall(r"```python\n(LOGGING.*?)```", PAGE, re.DOTALL)
    example = logging_in((DOCS.parent / "example_project" / "settings.py").read_text())
    del example["loggers"]["example_project"]
    assert [logging_in(block) for block in blocks] == [example]


def test_the_filter_of_the_page_is_that_of_the_example() -> None:
    blocks = re.findall(r"```python\n(class .*?)```", PAGE, re.DOTALL)
    example = (DOCS.parent / "example_project" / "request_ids.py").read_text()
    assert len(blocks) == 1
    assert blocks[0] in example
