from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from django.core.management.base import CommandError
from django.utils.timesince import timesince, timeuntil

from twilio_tokens.characters import visible
from twilio_tokens.decoding import DecodedToken, decode
from twilio_tokens.exceptions import InvalidToken
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.models import IssuedToken
from twilio_tokens.token_text import LONGEST_TOKEN

STDIN = "-"
SIGNATURE = {
    True: "valid",
    False: "not valid",
    None: "cannot be checked: the secret of its API key is not available",
}


class Command(TerminalCommand):
    help = (
        "Shows the contents of an Access Token, even an expired one: header, claims, which stored "
        "key signed it, and the errors that Twilio would report."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "token", nargs="*", help="the token; with - or without a token, reads standard input"
        )

    def handle(self, *, token: list[str], **options: Any) -> None:
        text = " ".join(token)  # a header has several words
        try:
            decoded = decode(self._read() if text in ("", STDIN) else text)
        except InvalidToken as error:
            raise CommandError(f"20101: {error.message}") from None
        for line in _lines(decoded):
            self.stdout.write(line)

    def _read(self) -> str:
        if sys.stdin is None or sys.stdin.closed:
            raise CommandError("There is no standard input. Pass the token as an argument.")
        if sys.stdin.isatty():
            self.stderr.write("Paste the token, press Enter, then Ctrl-D.")
        try:
            return sys.stdin.read(2 * LONGEST_TOKEN)
        except UnicodeDecodeError:
            raise InvalidToken("This is not an Access Token: it is binary data.") from None
        except OSError as error:
            raise CommandError(f"Cannot read standard input: {error.strerror}.") from None


def _lines(token: DecodedToken) -> Iterator[str]:
    record = token.record
    yield f"Header     {json.dumps(token.header)}"
    yield f"Claims     {json.dumps(token.claims, indent=2)}"
    yield f"Issued     {_when(token.issued_at)}"
    yield f"Expires    {_when(token.expires_at)}"
    yield f"API key    {token.api_key or 'not stored here'}"
    yield f"Signature  {SIGNATURE[token.signature_holds]}"
    yield f"Audit      {_issued_to(record) if record else 'no record'}"
    for problem in token.problems:
        yield f"Error      {problem.code}: {visible(problem.message)}"
    if not token.problems:
        yield "Twilio     no problems found"


def _issued_to(record: IssuedToken) -> str:
    return f"issued to {visible(str(record.user or record.identity))}"


def _when(moment: datetime | None) -> str:
    if moment is None:
        return "not stated"
    now = datetime.now(timezone.utc)
    distance = f"{timesince(moment, now)} ago" if moment <= now else f"in {timeuntil(moment, now)}"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({distance})"
