"""SIDs, secrets and keys as the tests make them.

SIDs are built, never written out: secret scanners know their shape. Secrets are made at run
time, so that finding one anywhere proves a leak.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)


def sid(prefix: str, digit: str = "0") -> str:
    return prefix + digit * 32


def new_secret() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


PREFIXES = {
    Account: "AC",
    ChatService: "IS",
    TwiMLApp: "AP",
    PushCredential: "CR",
    SyncService: "IS",
    Workspace: "WS",
}


def add_key(account: Account, **fields: Any) -> APIKey:
    """A key of the account, newer than those it has."""
    digit = f"{APIKey.objects.count():x}"
    values = {"name": "Key", "sid": sid("SK", digit), "region": "us1", "secret": new_secret()}
    return APIKey.objects.create(account=account, **values | fields)
