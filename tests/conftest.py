"""What most tests start from: a key ring, an account that can sign, and a user.

SIDs are built, never written out: secret scanners know their shape. Secrets are made at run
time, so that finding one anywhere proves a leak.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache as django_cache
from rest_framework.test import APIClient

from twilio_tokens.credentials import cache as credential_cache
from twilio_tokens.crypto import generate_key
from twilio_tokens.models import Account, APIKey, ChatService, PushCredential, TwiMLApp


def sid(prefix: str, digit: str = "0") -> str:
    return prefix + digit * 32


def new_secret() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def decoded(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token, its signature checked with the secret that the test typed in."""
    return jwt.decode(token, secret, algorithms=["HS256"])


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
    return PushCredential.objects.create(
        account=account, name="ios", sid=sid("CR"), platform="apn"
    )


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("anna", "anna@example.com", "password")


@pytest.fixture
def api(user: User) -> APIClient:
    """An HTTP client, signed in as ``user`` by session."""
    client = APIClient()
    client.force_login(user)
    return client
