"""For the tests of your own site: rows with valid SIDs, and an independent verifier of tokens."""

from .access_tokens import assert_access_token
from .factories import (
    make_account,
    make_api_key,
    make_chat_service,
    make_push_credential,
    make_sync_service,
    make_twiml_app,
    make_workspace,
    new_secret,
    new_sid,
)

__all__ = [
    "assert_access_token",
    "make_account",
    "make_api_key",
    "make_chat_service",
    "make_push_credential",
    "make_sync_service",
    "make_twiml_app",
    "make_workspace",
    "new_secret",
    "new_sid",
]
