"""Users without a name are nobody to Twilio."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sites.caller import Caller
from twilio_tokens.models import APIKey, IssuedToken


@pytest.mark.parametrize("identity", ["username", "encoded_username"])
def test_a_user_without_a_name_gets_no_token(
    identity: str, settings: Any, django_user_model: Any, api_key: APIKey
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{identity}"
    nameless = django_user_model.objects.create(email=None)
    answer = Caller(nameless).ask("tokens/video/", {"room": "A"}, status=400)
    assert answer["code"] == "identity_not_allowed"
    assert Caller(nameless).get().json()["identity"] is None
    assert not IssuedToken.objects.exists()
