"""What a site has in its database, made up."""

from __future__ import annotations

from secrets import token_urlsafe

from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from twilio_tokens.models import Account, APIKey, ChatService, TwiMLApp

SECRET = token_urlsafe(24)


def sid(prefix: str, number: int = 0) -> str:
    return f"{prefix}{number:032x}"


def add_credentials() -> Account:
    """An account with a key, and its default service and app."""
    account = Account.objects.create(name="Benchmark", sid=sid("AC"))
    add_key(account, 0)
    ChatService.objects.create(account=account, name="support", sid=sid("IS"), is_default=True)
    TwiMLApp.objects.create(account=account, name="phone", sid=sid("AP"), is_default=True)
    return account


def add_key(account: Account, number: int) -> APIKey:
    return APIKey.objects.create(
        account=account, name="Key", sid=sid("SK", number), region="us1", secret=SECRET
    )


def add_users(count: int) -> list[str]:
    """Users, and the tokens that they authenticate with."""
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(count))
    tokens = [Token(user=user, key=f"{user.pk:040x}") for user in users]
    return [token.key for token in Token.objects.bulk_create(tokens)]
