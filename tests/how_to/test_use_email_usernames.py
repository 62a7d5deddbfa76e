"""E-mail addresses as usernames, as ``docs/how-to/use-email-usernames.md`` has them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.how_to.sites import on_site
from tests.issued import decoded
from tests.prose import section
from twilio_tokens.exceptions import IdentityNotAllowed
from twilio_tokens.grants import Voice
from twilio_tokens.identity import decode_identity, user_for
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, TwiMLApp

PAGE = "docs/how-to/use-email-usernames.md"


def identity(user: User, secret: str) -> str:
    token = issue_access_token(user=user, grants=[Voice()]).token
    return decoded(token, secret)["grants"]["identity"]


@on_site(PAGE)
def test_the_primary_key_calls_and_has_a_name(
    user: User, api_key: APIKey, twiml_app: TwiMLApp, secret: str
) -> None:
    from mysite.names import names_of  # noqa: PLC0415 - only this site has it

    user.username, user.first_name = "anna@example.com", "Anna"
    user.save()
    assert identity(user, secret) == str(user.pk)
    assert user_for(f"client:{user.pk}") == user
    assert names_of([str(user.pk), "12345"]) == {str(user.pk): "Anna"}


def test_the_encoded_username_calls_and_gives_the_address_back(
    user: User, api_key: APIKey, twiml_app: TwiMLApp, secret: str, settings: Any
) -> None:
    user.username = "anna@example.com"
    with pytest.raises(IdentityNotAllowed):
        identity(user, secret)
    [block] = section(PAGE, "If Twilio's logs should show who it is")
    exec(block, made := {})  # noqa: S102 - the page's own
    settings.TWILIO_TOKENS_IDENTITY = made["TWILIO_TOKENS_IDENTITY"]
    assert identity(user, secret) == "anna_40example_2ecom"
    user.save()
    assert user_for("client:anna_40example_2ecom") == user
    assert decode_identity("anna_40example_2ecom") == "anna@example.com"
