from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import IntegrityError, OperationalError, models, router, transaction

from twilio_tokens.characters import visible
from twilio_tokens.crypto import matches
from twilio_tokens.management import variables
from twilio_tokens.management.terminal import FAILED, NO_ANSWER, TerminalCommand
from twilio_tokens.management.variables import (
    Purpose,
    ResourcePurpose,
    TwilioVariables,
    Variable,
)
from twilio_tokens.models import Account, APIKey, Outcome, Region, Resource
from twilio_tokens.verification import Finding, verify_credentials

_Row = TypeVar("_Row", bound=models.Model)

#: Concurrent imports can conflict; then one of them is repeated.
ATTEMPTS = 5


class Command(TerminalCommand):
    help = (
        "Imports the credentials that Twilio's guides and samples keep in environment variables: "
        + ", ".join(each.first_name for each in variables.PURPOSES)
        + ". If one of them is invalid, it imports nothing. If you run it again, it updates only "
        "SIDs and secrets that have changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--env-file",
            type=Path,
            metavar="FILE",
            help="read this file of NAME=value lines instead of the environment",
        )
        parser.add_argument(
            "--retire-others",
            action="store_true",
            help="if Twilio accepts the API key, retire the account's older keys",
        )

    def handle(self, *, env_file: Path | str | None, retire_others: bool, **options: Any) -> None:
        given = variables.twilio_variables(
            os.environ if env_file is None else variables.read_env_file(Path(env_file))
        )
        finding = _finding_before_retirement(given) if retire_others else None
        done = _import(given, finding, retire_others=retire_others)
        for line in done.lines:
            self.stdout.write(line)
        if given.left_alone:
            self.stdout.write(f"left alone: {', '.join(map(visible, given.left_alone))}")
        for note in done.notes:
            self.stderr.write(note)


def _finding_before_retirement(given: TwilioVariables) -> Finding | None:
    """Twilio's verdict on the API key; None if no key would be retired or nothing imported."""
    if given.problems:
        return None
    account_sid, key_sid = (
        given.found[each].value for each in (variables.ACCOUNT, variables.API_KEY)
    )
    others = _rows(APIKey).filter(account__sid=account_sid, is_active=True).exclude(sid=key_sid)
    key = _rows(APIKey).filter(sid=key_sid).first()
    if key is not None:
        others = others.filter(created_at__lt=key.created_at) if key.is_active else others.none()
    if not others.exists():
        return None
    return verify_credentials(account_sid, key_sid, given.found[variables.API_SECRET].value)


def _import(given: TwilioVariables, finding: Finding | None, *, retire_others: bool) -> _Import:
    for attempt in range(1, ATTEMPTS):
        try:
            return _import_once(given, finding, retire_others=retire_others)
        except (IntegrityError, OperationalError):
            time.sleep(0.1 * attempt)
    return _import_once(given, finding, retire_others=retire_others)


def _import_once(
    given: TwilioVariables, finding: Finding | None, *, retire_others: bool
) -> _Import:
    with transaction.atomic(using=router.db_for_write(Account)):
        done = _Import(given, finding)
        done.run(retire_others=retire_others)
    return done


class _Import:
    """One attempt. It examines every row, so that all problems are reported together."""

    def __init__(self, given: TwilioVariables, finding: Finding | None) -> None:
        self.found = given.found
        self.problems = [*given.problems]
        self.finding = finding
        self.lines: list[str] = []
        self.notes: list[str] = []

    def run(self, *, retire_others: bool) -> None:
        """Raises ``CommandError``, after which the caller must roll back."""
        if self.finding is not None and self.finding.outcome != Outcome.VERIFIED:
            self.problems.append(f"{self._name(variables.API_KEY)}: {self.finding.message}")
        if variables.ACCOUNT in self.found:
            # Takes SQLite's write lock now, instead of failing at the first save if another process
            # has written.
            _rows(Account).filter(pk=0).update(is_default=False)
            account = self._account(self.found[variables.ACCOUNT])
            key = self._api_key(account)
            for purpose in variables.RESOURCES:
                if purpose in self.found:
                    self._resource(account, purpose, self.found[purpose])
            if retire_others and key is not None and not self.problems:
                self._retire_older_than(key)
        if self.problems:
            text = "Nothing was imported.\n" + "\n".join(self.problems)
            raise CommandError(text, returncode=self._status())

    def _status(self) -> int:
        """``NO_ANSWER`` if the only thing to do is to try again later."""
        waits = self.finding is not None and self.finding.outcome == Outcome.UNREACHABLE
        return NO_ANSWER if waits and len(self.problems) == 1 else FAILED

    def _name(self, purpose: Purpose) -> str:
        return self.found[purpose].name

    def _account(self, sid: Variable) -> Account:
        account: Account | None = _rows(Account).filter(sid=sid.value).first()
        if account is not None:
            self._tell("unchanged", account)
            return account
        account = Account(name=variables.NAME, sid=sid.value, is_default=True)
        self._create(account)
        return account

    def _api_key(self, account: Account) -> APIKey | None:
        if not {variables.API_KEY, variables.API_SECRET} <= self.found.keys():
            return None
        # The secret is not kept in a variable, which an error report would show.
        sid, secret = self.found[variables.API_KEY].value, self.found[variables.API_SECRET]
        key: APIKey | None = _rows(APIKey).filter(sid=sid).first()
        if key is None:
            name = f"Imported …{sid[-6:]}"
            key = APIKey(account=account, name=name, sid=sid, region=Region.US1)
            key.secret = secret.value
            self._create(key)
        elif key.account_id != account.pk:
            self.problems.append(
                f"{self._name(variables.API_KEY)}: this API key is stored with a different account "
                f"from {self._name(variables.ACCOUNT)}."
            )
            return None
        elif matches(key.secret, secret.value, row=key.id, sid=key.sid):
            self._tell("unchanged", key)
        else:
            key.secret = secret.value
            self._update(key, ["secret"])
        if not key.is_active:
            self.notes.append(f"API key {key} is not active. Activate it in the admin.")
        if self.finding is not None and not self.problems:
            key.record_check(self.finding.outcome, self.finding.message, self.finding.code)
        return key

    def _resource(self, account: Account, purpose: ResourcePurpose, sid: Variable) -> None:
        rows = _rows(purpose.model)
        kind, name = purpose.model._meta.verbose_name, purpose.made_with["name"]
        same = ({"sid": sid.value, "account": account}, {"sid": sid.value}, {"name": name})
        row = next((row for each in same if (row := rows.filter(**each).first())), None)
        if row is None:
            # Set only on creation; from then on, admins may change it.
            values = {"account": account, "sid": sid.value, **purpose.made_with}
            self._create(purpose.model(**values))
        elif row.account_id != account.pk:
            self.problems.append(
                f"{sid.name}: the {kind} “{row}” on this site belongs to another account. Rename "
                f"or delete it in the admin, or unset {sid.name}."
            )
        elif row.sid == sid.value:
            self._tell("unchanged", row)
        else:
            row.sid, row.friendly_name = sid.value, ""
            self._update(row, ["sid", "friendly_name"])

    def _retire_older_than(self, key: APIKey) -> None:
        active = _rows(APIKey).filter(account_id=key.account_id, is_active=True)
        if not key.is_active:
            self.notes.append("No other API key was retired.")
        elif self.finding is not None:
            for older in active.filter(created_at__lt=key.created_at):
                older.is_active = False
                older.save(update_fields=["is_active", "updated_at"])
                self._tell("retired", older)
        for newer in active.filter(created_at__gt=key.created_at):
            self.notes.append(
                f"API key {newer} is newer, so it was not retired and continues to sign."
            )

    def _create(self, row: models.Model) -> None:
        if self._is_valid(row):
            row.save()
            self._tell("created", row)

    def _update(self, row: APIKey | Resource, changes: list[str]) -> None:
        row.forget_check()
        noted = {"updated_at", "checked_at", "check_outcome", "check_code", "check_message"}
        fields = noted & {field.name for field in row._meta.fields}
        if self._is_valid(row):
            row.save(update_fields=[*changes, *fields])
            self._tell("updated", row)

    def _is_valid(self, row: models.Model) -> bool:
        # The account exists, but a replica may not know it yet. The look-ups above and the database
        # prevent duplicates.
        try:
            row.clean_fields(exclude={"account"})
        except ValidationError as error:
            secret = self._name(variables.API_SECRET) if isinstance(row, APIKey) else ""
            for field, messages in error.message_dict.items():
                name = secret if field == "secret" else field
                self.problems += [f"{name}: {message}" for message in messages]
            return False
        return True

    def _tell(self, outcome: str, row: models.Model) -> None:
        self.lines.append(f"{outcome}: {row._meta.verbose_name} {row}")


def _rows(model: type[_Row]) -> models.QuerySet[_Row]:
    """From the database for writes: a replica may lag behind."""
    return model._default_manager.using(router.db_for_write(model))
