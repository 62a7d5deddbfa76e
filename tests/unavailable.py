"""Why a site cannot issue at all, and the code of the error."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connection
from django.db.models.signals import pre_save

from twilio_tokens.crypto import Sealed, generate_key
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken

from .rows import add_key


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
    pre_save.connect(fail_to_write, sender=IssuedToken)


def fail_to_write(**kwargs: Any) -> None:
    raise DatabaseError("disk full")


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
