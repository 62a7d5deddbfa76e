from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.core.management.base import CommandError
from django.db import models, router

from twilio_tokens.characters import visible
from twilio_tokens.conf import settings
from twilio_tokens.exceptions import Unavailable
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.models import Account, APIKey, Outcome, Resource, resource_kinds
from twilio_tokens.verification import Finding, verify_key, verify_resource

_Row = TypeVar("_Row", bound=models.Model)
COLUMNS = ("outcome", "kind", "name", "sid")


class Command(TerminalCommand):
    help = (
        "Asks Twilio whether every active API key, and every service, app and push credential is "
        "real. Exit status 0 only if all are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list")

    def handle(self, **options: Any) -> None:
        results = list(_results())
        if options["json"]:
            self.stdout.write(json.dumps(results, indent=2))
        else:
            for line in _table(results):
                self.stdout.write(line)
        failed = sum(each["outcome"] != Outcome.VERIFIED for each in results)
        if failed:
            raise CommandError(f"{failed} of {len(results)} are not verified.")
        if not _rows(APIKey).filter(is_active=True).exists():
            raise CommandError("There is no active API key.")
        if settings.account is None and not _rows(Account).filter(is_default=True).exists():
            raise CommandError("No account is the default. Choose one in the admin.")


def _rows(model: type[_Row]) -> models.QuerySet[_Row]:
    """Not a replica's: what it finds is stored with the rows that there are."""
    return model._default_manager.using(router.db_for_write(model))


def _results() -> Iterator[dict[str, Any]]:
    without_key = _rows(Account).filter(is_default=True).exclude(api_keys__is_active=True)
    for account in without_key if settings.account is None else ():
        yield _result(account, "not_configured", "It has no active API key.", account=account)
    for key in _rows(APIKey).filter(is_active=True).select_related("account"):
        yield _checked(key, verify_key)
    for model in resource_kinds():
        for resource in [] if model.at_twilio is None else _rows(model).select_related("account"):
            yield _checked(resource, verify_resource)


def _checked(row: APIKey | Resource, verify: Callable[[Any], Finding]) -> dict[str, Any]:
    try:
        finding = verify(row)
    except Unavailable as error:
        # Twilio was not asked, so what it said last stays stored.
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


def _table(results: list[dict[str, Any]]) -> Iterator[str]:
    rows = [{name: visible(str(value)) for name, value in each.items()} for each in results]
    widths = {name: max((len(each[name]) for each in rows), default=0) for name in COLUMNS}
    for each in rows:
        cells = [each[name].ljust(widths[name]) for name in COLUMNS]
        yield "  ".join([*cells, each["message"]])
