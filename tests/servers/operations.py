"""What an operator's process does when it is told to, by ``tests.servers.operator``."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import OperationalError, connection  # noqa: E402
from django.test import Client  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp  # noqa: E402

STAFF = "staff"
#: What may refer to another comes first.
MODELS = (IssuedToken, ChatService, TwiMLApp, APIKey, Account)


def populate(secret: str) -> dict[str, str]:
    """A site with a key and a TwiML app; the API token of anna, and a session of the boss."""
    call_command("migrate", verbosity=0)
    call_command("createcachetable", "cache")
    account = begin(secret)
    TwiMLApp.objects.create(
        account=account, name="phone", sid="AP" + "0" * 32, is_default=True, allow_incoming=True
    )
    console = Client()
    console.force_login(User.objects.create_superuser("boss", password="boss"))
    anna = User.objects.create(username="anna")
    return {"token": Token.objects.create(user=anna).key, "session": console.session.session_key}


def add_users(number: int) -> list[str]:
    """The API token of each."""
    users = User.objects.bulk_create(User(username=f"user-{each}") for each in range(number))
    tokens = [Token(user=user, key=Token.generate_key()) for user in users]
    return [token.key for token in Token.objects.bulk_create(tokens)]


def empty() -> None:
    """Nobody has stored anything yet."""
    for model in MODELS:
        model._default_manager.all().delete()


def begin(secret: str) -> Any:
    """With an account and a key, and nothing else."""
    empty()
    account = Account.objects.create(name="Main", sid="AC" + "0" * 32)
    add_key("SK" + "0" * 32, secret)
    return account


def pk(model: str, sid: str) -> str:
    return str(apps.get_model("twilio_tokens", model)._default_manager.get(sid=sid).pk)


def add_key(sid: str, secret: str) -> str:
    account = Account.objects.get(is_default=True)
    return str(
        APIKey.objects.create(account=account, name=sid, sid=sid, region="us1", secret=secret).pk
    )


def add_service_for_staff() -> None:
    account = Account.objects.get(is_default=True)
    service = ChatService.objects.create(account=account, name=STAFF, sid="IS" + "0" * 32)
    staff, _ = Group.objects.get_or_create(name=STAFF)
    service.groups.add(staff)
    let_in()


def let_in() -> None:
    User.objects.get(username="anna").groups.add(Group.objects.get(name=STAFF))


def turn_away() -> None:
    User.objects.get(username="anna").groups.clear()


def save_secret(sid: str, secret: str) -> None:
    key = APIKey.objects.get(sid=sid)
    key.secret = secret
    key.save()


def add_old_records(number: int) -> None:
    now = datetime.now(timezone.utc)
    long_ago = now - timedelta(days=30)
    values = {"api_key": APIKey.objects.earliest("created_at"), "identity": "anna", "grants": {}}
    IssuedToken.objects.bulk_create(
        IssuedToken(jti=f"old-{each}", issued_at=long_ago, expires_at=long_ago, **values)
        for each in range(number)
    )


def records() -> list[Any]:
    return list(IssuedToken.objects.values_list("jti", "api_key__sid"))


def stored(model: str) -> list[Any]:
    """Each row's name, and whether it is the default or active."""
    of_model = apps.get_model("twilio_tokens", model)
    flag = "is_active" if of_model is APIKey else "is_default"
    return list(of_model._default_manager.order_by("name").values_list("name", flag))


def run(line: list[str], variables: dict[str, str] | None = None) -> str:
    """What a command says."""
    os.environ.update(variables or {})
    output = io.StringIO()
    call_command(*line, stdout=output, stderr=output)
    return output.getvalue()


# Several at once, in this process and in others


def add(model: str, numbers: list[int], is_default: bool) -> list[str]:
    """What was raised by the threads that each add a row."""
    of_model = apps.get_model("twilio_tokens", model)
    among = {} if of_model is Account else {"account": Account.objects.get()}
    prefix = "AC" if of_model is Account else "IS"
    rows = [
        of_model(name=f"row-{n}", sid=f"{prefix}{n:032x}", is_default=is_default, **among)
        for n in numbers
    ]
    return _at_once(row.save for row in rows)


def choose(model: str, numbers: list[int]) -> list[str]:
    """What was raised by the threads that each make their row the default."""
    of_model = apps.get_model("twilio_tokens", model)
    rows = [of_model._default_manager.get(name=f"row-{n}") for n in numbers]
    for row in rows:
        row.is_default = True
    return _at_once(row.save for row in rows)


def _at_once(jobs: Iterable[Callable[[], object]]) -> list[str]:
    raised: list[str] = []
    jobs = list(jobs)
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait()
            _persistently(job)
        except Exception as error:  # noqa: BLE001 - told to the test
            raised.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def _persistently(operation: Callable[[], object]) -> object:
    """As an operator who is told that the database is locked, which SQLite may be."""
    for _ in range(50):
        try:
            return operation()
        except OperationalError:
            if connection.vendor != "sqlite":
                raise
    return operation()


def main() -> None:
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            done = {"done": _persistently(partial(globals()[name], **arguments))}
        except BaseException as error:  # noqa: BLE001 - told to the test
            done = {"raised": repr(error)}
        sys.stdout.write(f"{json.dumps(done, default=str)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
