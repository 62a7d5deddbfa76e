"""Phones ask with what they run on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from tests.how_to.front_ends import front_end, post, site_of
from tests.issued import decoded
from tests.prose import blocks
from tests.rows import sid
from twilio_tokens.models import PushCredential

PAGE = "docs/how-to/reach-phones-by-push.md"

pytestmark = pytest.mark.usefixtures("api_key", "twiml_app", "chat_service")


@pytest.fixture(autouse=True)
def _site(settings: Any, make: Any, account: Any) -> Iterator[None]:
    make(PushCredential, "1", platform="apn", is_default=True)
    make(PushCredential, "2", platform="apn", sandbox=True, is_default=True)
    make(PushCredential, "3", platform="fcm", is_default=True)
    with site_of(PAGE, settings):
        yield


def grants(user: User, address: str, body: Any, secret: str) -> Any:
    key = Token.objects.create(user=user).key
    answer = post(front_end(), address, body, Authorization=f"Token {key}")
    assert answer.status_code == 201, answer.content
    return decoded(answer.json()["token"], secret)["grants"]


@pytest.mark.parametrize("product", ["voice", "chat"])
def test_a_development_build_gets_the_credential_of_the_sandbox(
    user: User, secret: str, product: str
) -> None:
    one, _several = map(json.loads, blocks(PAGE, "json"))
    found = grants(user, f"/twilio/tokens/{product}/", one, secret)
    assert found[product]["push_credential_sid"] == sid("CR", "2")


def test_one_token_carries_the_credential_for_both_products(user: User, secret: str) -> None:
    _one, several = map(json.loads, blocks(PAGE, "json"))
    found = grants(user, "/twilio/tokens/", several, secret)
    assert [found[each]["push_credential_sid"] for each in ("voice", "chat")] == [
        sid("CR", "3"),
        sid("CR", "3"),
    ]


@pytest.mark.parametrize(("platform", "digit"), [("ios", "1"), ("fcm", "3")])
def test_the_path_tells_the_platform_of_an_app_that_cannot(
    user: User, secret: str, platform: str, digit: str
) -> None:
    found = grants(user, f"/{platform}/tokens/voice/", {}, secret)
    assert found["voice"]["push_credential_sid"] == sid("CR", digit)


def test_an_unknown_platform_is_refused(user: User) -> None:
    key = Token.objects.create(user=user).key
    answer = post(front_end(), "/pager/tokens/voice/", {}, Authorization=f"Token {key}")
    assert answer.status_code == 400
    assert "platform" in answer.json()
