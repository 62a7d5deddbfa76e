from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from twilio_tokens.crypto import matches
from twilio_tokens.models import Account, APIKey, ChatService, Region, TwiMLApp

#: The names that Twilio's own guides use for each value, the commoner first.
VARIABLES = {
    "account": ("TWILIO_ACCOUNT_SID", "ACCOUNT_SID"),
    "api_key": ("TWILIO_API_KEY", "API_KEY"),
    "api_secret": ("TWILIO_API_SECRET", "API_SECRET"),
    "chat_service": ("TWILIO_CHAT_SERVICE_SID", "SERVICE_SID"),
    "twiml_app": ("TWILIO_TWIML_APP_SID", "OUTGOING_SID"),
}
REQUIRED = ("account", "api_key", "api_secret")

#: Of imported rows.
NAME = "default"


@dataclass(frozen=True)
class Variable:
    name: str
    value: str


class Command(BaseCommand):
    help = (
        "Imports the credentials that Twilio's guides keep in environment variables: "
        + ", ".join(names[0] for names in VARIABLES.values())
        + ". All or nothing; running it again changes only what differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--env-file",
            type=Path,
            metavar="FILE",
            help="read this file of NAME=value lines instead of the environment",
        )

    def handle(self, *, env_file: Path | str | None, **options: Any) -> None:
        environment = os.environ if env_file is None else _read_env_file(Path(env_file))
        variables = _variables(environment)
        with transaction.atomic():
            outcomes = list(_imported(variables))
        for outcome, row in outcomes:
            self.stdout.write(f"{outcome}: {row._meta.verbose_name} {row}")
            if isinstance(row, APIKey) and not row.is_active:
                self.stderr.write(f"API key {row} is not active; activate it in the admin.")


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    environment = {}
    for number, line in enumerate(lines, start=1):
        try:
            words = [word for word in _words(line) if word != "export"]
        except ValueError:
            raise CommandError(f"{path}, line {number}: a quotation mark is not closed.") from None
        for word in words:
            name, _, value = word.partition("=")
            environment[name] = value
    return environment


def _words(line: str) -> Iterator[str]:
    """As a shell reads them: “#” starts a comment only where a word could start."""
    lexer = shlex.shlex("" if line.lstrip().startswith("#") else line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    for word in lexer:
        if word.startswith("#"):
            return
        yield word


def _variables(environment: Mapping[str, str]) -> dict[str, Variable]:
    """The values that are set, stripped. Raises ``CommandError`` for a half-set environment."""
    found = {}
    for purpose, names in VARIABLES.items():
        given = {name: value for name in names if (value := environment.get(name, "").strip())}
        if len(set(given.values())) > 1:
            raise CommandError(f"{' and '.join(given)} differ; unset one of them.")
        if given:
            found[purpose] = Variable(*next(iter(given.items())))
    missing = [VARIABLES[purpose][0] for purpose in REQUIRED if purpose not in found]
    if missing:
        raise CommandError(f"Nothing was imported. Not set: {', '.join(missing)}.")
    region = environment.get("TWILIO_REGION", "").strip().lower()
    if region not in ("", Region.US1):
        raise CommandError(
            f"Nothing was imported. TWILIO_REGION is {region}: Access Tokens need an API key of "
            "region US1. Make one in the Twilio Console, and unset TWILIO_REGION."
        )
    return found


def _imported(variables: Mapping[str, Variable]) -> Iterator[tuple[str, models.Model]]:
    """Each row, saved, with “created”, “updated” or “unchanged”."""
    account_sid, key_sid = variables["account"], variables["api_key"]
    account = Account.objects.filter(sid=account_sid.value).first() or Account(
        name=NAME, sid=account_sid.value
    )
    yield _save(account, {"sid": account_sid}, is_default=True), account

    key = APIKey.objects.filter(sid=key_sid.value).first() or APIKey(
        account=account, name=NAME, sid=key_sid.value, region=Region.US1
    )
    if key.account_id != account.pk:
        raise CommandError(
            f"Nothing was imported. The API key of {key_sid.name} is stored with another account "
            f"than that of {account_sid.name}."
        )
    secret = variables["api_secret"]
    is_stored = not key._state.adding and matches(key.secret, secret.value, row=key.id, sid=key.sid)
    changes = {} if is_stored else {"secret": secret.value}
    yield _save(key, {"sid": key_sid, "secret": secret}, **changes), key

    for purpose, model in (("chat_service", ChatService), ("twiml_app", TwiMLApp)):
        if purpose in variables:
            sid = variables[purpose]
            row = model.objects.filter(name=NAME).first() or model(name=NAME)
            yield _save(row, {"sid": sid}, account=account, sid=sid.value, is_default=True), row


def _save(row: models.Model, sources: Mapping[str, Variable], **values: Any) -> str:
    """Save what differs. ``sources`` names the variable of a field, for errors."""
    changed = {name: value for name, value in values.items() if getattr(row, name, None) != value}
    if not row._state.adding and not changed:
        return "unchanged"
    outcome = "created" if row._state.adding else "updated"
    for name, value in changed.items():
        setattr(row, name, value)
    try:
        row.full_clean()
    except ValidationError as error:
        problems = [
            f"{sources[field].name if field in sources else field}: {message}"
            for field, messages in error.message_dict.items()
            for message in messages
        ]
        raise CommandError("Nothing was imported. " + " ".join(problems)) from None
    row.save()
    return outcome
