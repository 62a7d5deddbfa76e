"""Users without a name are nobody to Twilio."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.checks import Tags, run_checks

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


def test_a_user_without_a_name_has_a_primary_key(
    settings: Any, django_user_model: Any, api_key: APIKey
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.primary_key"
    nameless = django_user_model.objects.create(email=None)
    answer = Caller(nameless).ask("tokens/video/", {"room": "A"})
    assert answer["identity"] == nameless.pk.hex


def test_before_a_deployment_its_addresses_and_missing_names_are_told() -> None:
    messages = run_checks(tags=[Tags.security], include_deployment_checks=True)
    ids = [message.id for message in messages if re.search(r"twilio_tokens\..05", message.id)]
    # Django keeps checks in a set, so they run in any order.
    assert sorted(ids) == ["twilio_tokens.W052", "twilio_tokens.W053"]
