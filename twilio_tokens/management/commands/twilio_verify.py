from __future__ import annotations

import json
import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from django.core.management.base import CommandError
from django.db import Error, connections, models, router

from twilio_tokens.characters import visible
from twilio_tokens.conf import settings
from twilio_tokens.exceptions import TwilioTokensError, Unavailable
from twilio_tokens.management.terminal import FAILED, NO_ANSWER, TerminalCommand, told
from twilio_tokens.models import Account, APIKey, Outcome, Resource, resource_kinds
from twilio_tokens.verification import Finding, verify_key, verify_resource

_Row = TypeVar("_Row", bound=models.Model)
COLUMNS = ("outcome", "kind", "name", "sid")

#: The exit status of each outcome. Credentials that this site cannot use count as failed.
STATUSES = {Outcome.VERIFIED: 0, Outcome.REFUSED: FAILED, Outcome.UNREACHABLE: NO_ANSWER}

DAY = 86_400


@dataclass(frozen=True)
class Report:
    """The output of ``--json``. ``docs/monitoring.md`` documents it for programs."""

    time: str
    outcome: str
    status: int
    message: str
    checked: list[dict[str, Any]]


class Command(TerminalCommand):
    help = (
        "Checks every active API key and every service, app and push credential with Twilio. The "
        "exit status is 0 if all are valid, 1 if one is refused, missing or not usable on this "
        "site, and 3 if the only problem is that Twilio or the database does not respond."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON object on one line")
        parser.add_argument(
            "--watch",
            type=int,
            metavar="SECONDS",
            help="repeat the check, waiting this many seconds in between, until SIGINT or SIGTERM; "
            "the exit status is that of the last check",
        )

    def handle(self, *, watch: int | None, **options: Any) -> None:
        if watch is None:
            report = _report()
            self._print((_json if options["json"] else _table)(report))
        elif 1 <= watch <= DAY:
            report = self._watch(watch, _json if options["json"] else _news)
        else:
            raise CommandError(f"--watch must be from 1 to {DAY:,} seconds.")
        if report.status:
            raise CommandError(report.message, returncode=report.status)

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)
        self.stdout.flush()

    def _watch(self, seconds: int, lines_of: Callable[[Report], Iterable[str]]) -> Report:
        """The last report before a signal. Before the first report, a signal ends the command."""
        report = None
        with _signals_noted() as signals:
            try:
                while True:
                    latest = _report()
                    if signals:
                        raise KeyboardInterrupt
                    report = latest
                    self._print(lines_of(report))
                    # Holds no connection while waiting, and reuses no broken one.
                    connections.close_all()
                    time.sleep(seconds)
            except KeyboardInterrupt:
                if report is None:
                    raise
                return report


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """SIGINT and SIGTERM interrupt and are recorded: a database driver may hide the interrupt."""
    signals: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


# The report


def _report() -> Report:
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    checked: list[dict[str, Any]] = []
    try:
        for each in _results():
            checked.append(each)
        problems = [*_not_verified(checked), *_missing()]
    except (TwilioTokensError, Error) as error:
        failure = told(error)
        problems = [*_not_verified(checked), (failure.returncode, str(failure))]
    # A problem that needs fixing counts more than one that may be temporary.
    status = min((status for status, _sentence in problems), default=0)
    outcome = next(each for each in Outcome if STATUSES[each] == status)
    sentences = [sentence for _status, sentence in problems]
    message = " ".join(sentences or [f"Verified: {len(checked)} of {len(checked)}."])
    return Report(now, outcome.value, status, message, checked)


def _not_verified(checked: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    statuses = {_status(each) for each in checked} - {0}
    if statuses:
        count = len([each for each in checked if _status(each)])
        yield min(statuses), f"Not verified: {count} of {len(checked)}."


def _status(result: dict[str, Any]) -> int:
    return STATUSES.get(result["outcome"], FAILED)


def _missing() -> Iterator[tuple[int, str]]:
    if not _rows(APIKey).filter(is_active=True).exists():
        yield FAILED, "There is no active API key. Add or activate one in the admin."
    elif settings.account is None and not _rows(Account).filter(is_default=True).exists():
        yield FAILED, "There is no default account. Choose one in the admin."


def _rows(model: type[_Row]) -> models.QuerySet[_Row]:
    """Not from a replica, because the results are stored with the rows."""
    return model._default_manager.using(router.db_for_write(model))


def _results() -> Iterator[dict[str, Any]]:
    without_key = _rows(Account).filter(is_default=True).exclude(api_keys__is_active=True)
    for account in without_key if settings.account is None else ():
        yield _result(
            account,
            "not_configured",
            "The account has no active API key. Add one.",
            account=account,
        )
    for key in _rows(APIKey).filter(is_active=True).select_related("account"):
        yield _checked(key, verify_key)
    for model in resource_kinds():
        for resource in [] if model.at_twilio is None else _rows(model).select_related("account"):
            yield _checked(resource, verify_resource)


def _checked(row: APIKey | Resource, verify: Callable[[Any], Finding]) -> dict[str, Any]:
    try:
        finding = verify(row)
    except Unavailable as error:
        # Twilio was not contacted, so its last result remains stored.
        return _result(row, error.code, error.reason, account=row.account)
    row.record_check(finding.outcome, finding.message, finding.code)
    return _result(row, finding.outcome, finding.message, finding.code, account=row.account)


def _result(
    row: Account | APIKey | Resource,
    outcome: str,
    message: str,
    code: int | None = None,
    *,
    account: Account,
) -> dict[str, Any]:
    return {
        "outcome": str(outcome),
        "kind": row._meta.object_name,
        "name": row.name,
        "sid": row.sid,
        "account": account.sid,
        "code": code,
        "message": message,
    }


# The output


def _json(report: Report) -> Iterator[str]:
    yield json.dumps(asdict(report))


def _news(report: Report) -> Iterator[str]:
    """One line, and another for each credential that is not verified."""
    first, _rest, _of_it = report.message.partition("\n")
    yield f"{report.time}  {report.outcome}  {first}"
    yield from _lines([each for each in report.checked if _status(each)])


def _table(report: Report) -> Iterator[str]:
    return _lines(report.checked)


def _lines(results: list[dict[str, Any]]) -> Iterator[str]:
    rows = [{name: visible(str(value)) for name, value in each.items()} for each in results]
    widths = {name: max((len(each[name]) for each in rows), default=0) for name in COLUMNS}
    for each in rows:
        cells = [each[name].ljust(widths[name]) for name in COLUMNS]
        yield "  ".join([*cells, each["message"]])
