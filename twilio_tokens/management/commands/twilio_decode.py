from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil

from twilio_tokens.decoding import DecodedToken, decode
from twilio_tokens.exceptions import InvalidToken

STDIN = "-"
SIGNATURE = {
    True: "holds",
    False: "does not hold",
    None: "cannot be checked: the secret of its API key is not at hand",
}


class Command(BaseCommand):
    help = (
        "Shows what is in an Access Token, also an expired one: header, claims, which stored key "
        "signed it, and the errors that it would meet at Twilio."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "token", nargs="?", default=STDIN, help="the token; - or nothing reads standard input"
        )

    def handle(self, *, token: str, **options: Any) -> None:
        try:
            decoded = decode(token if token != STDIN else sys.stdin.read())
        except InvalidToken as error:
            raise CommandError(f"20101: {error.message}") from None
        for line in _lines(decoded):
            self.stdout.write(line)


def _lines(token: DecodedToken) -> list[str]:
    record = token.record
    return [
        f"Header     {json.dumps(token.header)}",
        f"Claims     {json.dumps(token.claims, indent=2)}",
        f"Issued     {_when(token.issued_at)}",
        f"Expires    {_when(token.expires_at)}",
        f"API key    {token.api_key or 'not stored here'}",
        f"Signature  {SIGNATURE[token.signature_holds]}",
        f"Audit      {f'issued to {record.user or record.identity}' if record else 'no record'}",
        *(f"Error      {problem.code}: {problem.message}" for problem in token.problems),
        *([] if token.problems else ["Twilio     nothing speaks against it"]),
    ]


def _when(moment: datetime | None) -> str:
    if moment is None:
        return "not said"
    past = moment <= timezone.now()
    distance = f"{timesince(moment)} ago" if past else f"in {timeuntil(moment)}"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({distance})"
