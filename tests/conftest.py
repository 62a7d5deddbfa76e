"""What most tests start from: a key ring, an account that can sign, and a user.

SIDs are built, never written out: secret scanners know their shape. Secrets are made at run
time, so that finding one anywhere proves a leak.
"""

from __future__ import annotations

import os
import secrets
import string
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache as django_cache
from django.db import DatabaseError, connection, models
from django.db.models.signals import pre_save
from rest_framework.test import APIClient

from twilio_tokens.credentials import cache as credential_cache
from twilio_tokens.crypto import Sealed, generate_key
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from . import twilio_server
from .twilio_server import TwilioServer


def sid(prefix: str, digit: str = "0") -> str:
    return prefix + digit * 32


def new_secret() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def decoded(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token, its signature checked with the secret that the test typed in."""
    return jwt.decode(token, secret, algorithms=["HS256"])


def error_report(error: BaseException, *, of: str = "") -> str:
    """What a report of ``error`` can show: the messages and the variables of every frame that it
    and its causes passed; ``of`` leaves only the frames of files with that in their path.

    The frames of the tests hold what was typed in, and are left out.
    """
    shown, chain, tests = [], [error], str(Path(__file__).parent)
    for each in chain:
        shown += [str(each), repr(each), repr(vars(each))]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            path = frame.f_code.co_filename
            if of in path and not path.startswith(tests):
                shown += map(_shown, frame.f_locals.values())
        chain += {each.__cause__, each.__context__} - {None, *chain}
    return "\n".join(shown)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - such a variable is not shown
        return repr(error)


def disconnect() -> None:
    """Close this thread's connection, also one to a database in memory, which Django keeps open."""
    connection.close()
    if connection.connection is not None:
        connection.connection.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a server, take only the tests that use its database."""
    if "DATABASE_URL" in os.environ:
        config.hook.pytest_deselected(items=[each for each in items if not uses_database(each)])
        items[:] = filter(uses_database, items)


def uses_database(test: Any) -> bool:
    fixtures = {"db", "transactional_db", "live_server"}
    return bool(test.get_closest_marker("django_db") or fixtures & {*test.fixturenames})


@pytest.fixture(autouse=True)
def _empty_caches() -> None:
    credential_cache.clear()
    django_cache.clear()


@pytest.fixture(autouse=True)
def key_ring(settings: Any) -> list[str]:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    return settings.TWILIO_TOKENS_ENCRYPTION_KEYS


@pytest.fixture
def secret() -> str:
    """The plaintext of ``api_key``."""
    return new_secret()


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Main", sid=sid("AC"))


@pytest.fixture
def api_key(account: Account, secret: str) -> APIKey:
    return APIKey.objects.create(
        account=account, name="Key", sid=sid("SK"), region="us1", secret=secret
    )


@pytest.fixture
def chat_service(account: Account) -> ChatService:
    return ChatService.objects.create(
        account=account, name="support", sid=sid("IS"), is_default=True
    )


@pytest.fixture
def twiml_app(account: Account) -> TwiMLApp:
    return TwiMLApp.objects.create(
        account=account, name="phone", sid=sid("AP"), is_default=True, allow_incoming=True
    )


@pytest.fixture
def push_credential(account: Account) -> PushCredential:
    return PushCredential.objects.create(account=account, name="ios", sid=sid("CR"), platform="apn")


@pytest.fixture
def every_row(
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    make: Callable[..., Any],
) -> None:
    """One row of each model that operators edit."""
    make(SyncService, "0", is_default=True)
    make(Workspace, "0", is_default=True)


@pytest.fixture
def other(account: Account) -> Account:
    """A second account, with all but a key, and no defaults."""
    other = Account.objects.create(name="Other", sid=sid("AC", "1"))
    ChatService.objects.create(account=other, name="theirs", sid=sid("IS", "1"))
    TwiMLApp.objects.create(account=other, name="their-phone", sid=sid("AP", "1"))
    PushCredential.objects.create(account=other, name="their-ios", sid=sid("CR", "1"))
    return other


@pytest.fixture
def twilio(settings: Any) -> Iterator[TwilioServer]:
    with twilio_server.running(settings) as server:
        yield server


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("anna", "anna@example.com", "password")


@pytest.fixture
def api(user: User) -> APIClient:
    """An HTTP client, signed in as ``user`` by session."""
    client = APIClient()
    client.force_login(user)
    return client


PREFIXES = {
    Account: "AC",
    ChatService: "IS",
    TwiMLApp: "AP",
    PushCredential: "CR",
    SyncService: "IS",
    Workspace: "WS",
}


@pytest.fixture
def make(db: None) -> Callable[..., Any]:
    """Save a row; its SID and name are made from ``digit``."""

    def save(model: type[models.Model], digit: str, **values: Any) -> Any:
        if model is not Account:
            values.setdefault("account", Account.objects.first() or save(Account, "0"))
        if model is PushCredential:
            values.setdefault("platform", "apn")
        row = {"name": f"row-{digit}", "sid": sid(PREFIXES[model], digit), **values}
        return model._default_manager.create(**row)

    return save


class NoReplica:
    """A router with a replica that lags so far behind that asking it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


# Why a site cannot issue at all


def no_account(settings: Any) -> None:
    Account.objects.all().delete()


def no_default_account(settings: Any) -> None:
    Account.objects.update(is_default=False)


def no_account_of_the_tenant(settings: Any) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: None


def no_default_service(settings: Any) -> None:
    ChatService.objects.update(is_default=False)


def no_key(settings: Any) -> None:
    APIKey.objects.all().delete()


def only_inactive_keys(settings: Any) -> None:
    APIKey.objects.update(is_active=False)


def newest_key_not_us1(settings: Any) -> None:
    """The database has to be talked out of its constraint."""
    allow, forbid = {
        "sqlite": ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF"),
        "mysql": ("SET check_constraint_checks = OFF", "SET check_constraint_checks = ON"),
        "postgresql": (
            "SET CONSTRAINTS ALL IMMEDIATE; "
            "ALTER TABLE twilio_tokens_apikey DROP CONSTRAINT twilio_tokens_apikey_region",
            "",  # the test's transaction is rolled back
        ),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(allow)
        add_key(Account.objects.get(), region="ie1")
        if forbid:
            cursor.execute(forbid)


def unusable_setting(settings: Any) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = "1h"


def no_key_ring(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []


def malformed_key_ring(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ["short"]


def other_key_ring(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]


def damaged_secret(settings: Any) -> None:
    APIKey.objects.update(secret=Sealed(APIKey.objects.get().secret.text[:-2] + "!!"))


def secret_of_another_row(settings: Any) -> None:
    other = add_key(Account.objects.get(), is_active=False)
    APIKey.objects.filter(is_active=True).update(secret=other.secret)


def audit_not_writable(settings: Any) -> None:
    pre_save.connect(_fail_to_write, sender=IssuedToken)


def _fail_to_write(**kwargs: Any) -> None:
    raise DatabaseError("disk full")


def add_key(account: Account, **fields: Any) -> APIKey:
    """A key of the account, newer than those it has."""
    digit = f"{APIKey.objects.count():x}"
    values = {"name": "Key", "sid": sid("SK", digit), "region": "us1", "secret": new_secret()}
    return APIKey.objects.create(account=account, **values | fields)


UNAVAILABLE = {
    no_account: "not_configured",
    no_default_account: "not_configured",
    no_account_of_the_tenant: "not_configured",
    no_default_service: "not_configured",
    no_key: "not_configured",
    only_inactive_keys: "not_configured",
    newest_key_not_us1: "not_configured",
    unusable_setting: "not_configured",
    no_key_ring: "secret_unavailable",
    malformed_key_ring: "secret_unavailable",
    other_key_ring: "secret_unavailable",
    damaged_secret: "secret_unavailable",
    secret_of_another_row: "secret_unavailable",
    audit_not_writable: "audit_unavailable",
}


@pytest.fixture(params=UNAVAILABLE, ids=lambda make: make.__name__)
def unavailable(
    request: pytest.FixtureRequest, settings: Any, api_key: APIKey, chat_service: ChatService
) -> Iterator[str]:
    """A site that cannot issue the token for ``Chat()``, for each reason: the code of its error."""
    request.param(settings)
    yield UNAVAILABLE[request.param]
    pre_save.disconnect(_fail_to_write, sender=IssuedToken)
