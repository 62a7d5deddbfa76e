"""Credentials with the look of Twilio's, so that the example runs without an account there."""

from __future__ import annotations

import secrets

from django.db import transaction

from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    SyncService,
    TwiMLApp,
    Workspace,
)

ACCOUNT_NAME = "Demo account (not real)"


def in_use() -> bool:
    """Whether the default account is the made-up one, whose tokens Twilio refuses."""
    return Account.objects.filter(name=ACCOUNT_NAME, is_default=True).exists()


@transaction.atomic
def store() -> None:
    account = Account(name=ACCOUNT_NAME, sid=_made_up_sid("AC"))
    account.full_clean()
    account.save()
    for row in (
        APIKey(
            account=account,
            name="Demo key (not real)",
            sid=_made_up_sid("SK"),
            region="us1",
            secret=secrets.token_urlsafe(24),
        ),
        ChatService(account=account, name="support", sid=_made_up_sid("IS"), is_default=True),
        TwiMLApp(
            account=account,
            name="phone",
            sid=_made_up_sid("AP"),
            is_default=True,
            allow_incoming=True,
        ),
        SyncService(account=account, name="documents", sid=_made_up_sid("IS"), is_default=True),
        Workspace(account=account, name="support", sid=_made_up_sid("WS"), is_default=True),
    ):
        row.full_clean()
        row.save()


def _made_up_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)
