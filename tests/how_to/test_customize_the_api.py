"""Viewsets of a site's own, as ``docs/how-to/customize-the-api.md`` has them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.how_to.sites import on_site
from tests.issued import decoded
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/customize-the-api.md"
VIDEO = "/api/v2/tokens/video/"


def check_token(response: Any, secret: str, room: str) -> None:
    assert response.status_code == 201, response.content
    assert "no-store" in response["Cache-Control"]
    grants = decoded(response.json()["token"], secret)["grants"]
    assert grants == {"identity": "anna", "video": {"room": room}}


@on_site(PAGE, "", "Add to the answer")
def test_the_answer_has_more(api: APIClient, user: User, api_key: APIKey, secret: str) -> None:
    User.objects.update(first_name="Anna")
    response = api.post(VIDEO, {"room": "A"}, format="json")
    check_token(response, secret, "A")
    assert response.json()["display_name"] == "Anna"
    assert {"identity", "expires_in", "refresh_at"} <= {*response.json()}
    assert api.post(VIDEO, {"rooom": "A"}, format="json").json()["code"] == "unknown_field"


@on_site(PAGE, "", "Let in fewer people")
def test_only_customers_are_let_in(
    api: APIClient, user: User, api_key: APIKey, secret: str
) -> None:
    assert api.post(VIDEO, {}, format="json").status_code == 401  # a session does not count
    api.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    refused = api.post(VIDEO, {}, format="json")
    assert (refused.status_code, refused.json()) == (
        403,
        {"detail": "Only customers may call us.", "code": "permission_denied"},
    )
    user.groups.add(Group.objects.create(name="Customers"))
    check_token(api.post(VIDEO, {"room": "A"}, format="json"), secret, "A")


@on_site(PAGE, "Choose the room on the server")
def test_the_server_chooses_the_room(
    api: APIClient, user: User, api_key: APIKey, secret: str, settings: Any
) -> None:
    assert api.post("/orders/7/token/").status_code == 404
    user.groups.add(Group.objects.create(name="order-7"))
    for body in ({}, {"room": "order-8"}):
        response = api.post("/orders/7/token/", body, format="json")
        check_token(response, secret, "order-7")
    check_token(api.post("/orders/7/token/"), secret, "order-7")
    assert api.post("/orders/8/token/").json()["code"] == "not_found"
    assert APIClient().post("/orders/7/token/").status_code == 401
    settings.TWILIO_TOKENS_THROTTLE_RATE = "5/hour"
    assert api.post("/orders/7/token/").json()["code"] == "throttled"
    call_command("check", "--deploy", "--tag", "security")
