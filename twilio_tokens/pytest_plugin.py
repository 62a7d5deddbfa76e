"""Fixtures for the tests of your own site. pytest finds them by itself.

pytest loads this module with each project that shares an environment with this package, so it
imports nothing of Django, and nothing of the rest of the package, before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .models import (
        Account,
        APIKey,
        ChatService,
        PushCredential,
        SyncService,
        TwiMLApp,
        Workspace,
    )


@pytest.fixture
def twilio_encryption_keys() -> Iterator[list[str]]:
    """A new key in ``TWILIO_TOKENS_ENCRYPTION_KEYS`` while the test runs."""
    from django.test import override_settings

    from .crypto import generate_key

    keys = [generate_key()]
    with override_settings(TWILIO_TOKENS_ENCRYPTION_KEYS=keys):
        yield keys


@pytest.fixture
def twilio_unlimited() -> Iterator[None]:
    """No limit on how many tokens a user may ask for while the test runs."""
    from django.test import override_settings

    with override_settings(TWILIO_TOKENS_THROTTLE_RATE=None):
        yield


@pytest.fixture
def twilio_account(db: None) -> Account:
    """The default account."""
    from .testing import make_account

    return make_account(is_default=True)


@pytest.fixture
def twilio_api_key_secret() -> str:
    """The plaintext of the secret of ``twilio_api_key``."""
    from .testing import new_secret

    return new_secret()


@pytest.fixture
def twilio_api_key(
    twilio_account: Account, twilio_api_key_secret: str, twilio_encryption_keys: list[str]
) -> APIKey:
    """A key that signs for ``twilio_account``."""
    from .testing import make_api_key

    return make_api_key(account=twilio_account, secret=twilio_api_key_secret)


@pytest.fixture
def twilio_chat_service(twilio_account: Account) -> ChatService:
    """The default Chat service."""
    from .testing import make_chat_service

    return make_chat_service(account=twilio_account)


@pytest.fixture
def twilio_twiml_app(twilio_account: Account) -> TwiMLApp:
    """The default TwiML app. It allows incoming calls."""
    from .testing import make_twiml_app

    return make_twiml_app(account=twilio_account, allow_incoming=True)


@pytest.fixture
def twilio_push_credential(twilio_account: Account) -> PushCredential:
    """The default push credential for iOS."""
    from .testing import make_push_credential

    return make_push_credential(account=twilio_account)


@pytest.fixture
def twilio_sync_service(twilio_account: Account) -> SyncService:
    """The default Sync service."""
    from .testing import make_sync_service

    return make_sync_service(account=twilio_account)


@pytest.fixture
def twilio_workspace(twilio_account: Account) -> Workspace:
    """The default TaskRouter workspace."""
    from .testing import make_workspace

    return make_workspace(account=twilio_account)
