from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from twilio_tokens.exceptions import Unavailable
from twilio_tokens.models import APIKey, ChatService, Outcome, PushCredential, TwiMLApp
from twilio_tokens.verification import Finding, verify_key, verify_resource

RESOURCES: tuple[Any, ...] = (ChatService, TwiMLApp, PushCredential)


class Command(BaseCommand):
    help = (
        "Asks Twilio whether every active API key, Chat service, TwiML app and push credential is "
        "real. Exit status 0 only if all are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list")

    def handle(self, **options: Any) -> None:
        results = list(_results())
        if options["json"]:
            self.stdout.write(json.dumps(results, indent=2))
        else:
            widths = [max((len(row[name]) for row in results), default=0) for name in COLUMNS]
            for row in results:
                cells = [
                    row[name].ljust(width) for name, width in zip(COLUMNS, widths, strict=True)
                ]
                self.stdout.write("  ".join([*cells, row["message"]]))
        if not any(row["kind"] == APIKey._meta.verbose_name for row in results):
            raise CommandError("There is no active API key.")
        failed = sum(row["outcome"] != Outcome.VERIFIED for row in results)
        if failed:
            raise CommandError(f"{failed} of {len(results)} are not verified.")


COLUMNS = ("outcome", "kind", "name", "sid")


def _results() -> Iterator[dict[str, str]]:
    for key in APIKey.objects.filter(is_active=True).select_related("account"):
        yield _result(key, verify_key)
    for model in RESOURCES:
        for resource in model.objects.select_related("account"):
            yield _result(resource, verify_resource)


def _result(row: Any, verify: Any) -> dict[str, str]:
    try:
        finding: Finding = verify(row)
    except Unavailable as error:
        # Twilio was not asked, so what it said last stays stored.
        outcome, message = error.code, error.reason
    else:
        row.record_check(finding.outcome, finding.message, finding.code)
        outcome, message = finding.outcome.value, finding.message
    return {
        "outcome": outcome,
        "kind": str(row._meta.verbose_name),
        "name": row.name,
        "sid": row.sid,
        "message": message,
    }
