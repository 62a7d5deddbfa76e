"""What the example answers when Twilio asks whom to call."""

from __future__ import annotations

import secrets
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from twilio.request_validator import RequestValidator

URL = "https://testserver/phone/twiml/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def auth_token(settings: Any) -> str:
    settings.TWILIO_AUTH_TOKEN = secrets.token_hex(16)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALLOWED_HOSTS = ["testserver"]
    User.objects.create(username="anna", first_name="Anna", last_name="Silva")
    User.objects.create(username="bob")
    User.objects.create(username="eve@example.com")
    User.objects.create(username="gone", is_active=False)
    return str(settings.TWILIO_AUTH_TOKEN)


def ask(auth_token: str, url: str = URL, **fields: str) -> HttpResponse:
    """As Twilio does, to a site behind a proxy that ends TLS."""
    signature = RequestValidator(auth_token).compute_signature(url, fields)
    headers = {"X-Twilio-Signature": signature, "X-Forwarded-Proto": "https"}
    client = Client(enforce_csrf_checks=True)
    return client.post("/phone/twiml/", fields, headers=headers)  # type: ignore[return-value]


def twiml(answer: HttpResponse) -> ElementTree.Element:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/xml"
    return ElementTree.fromstring(answer.content)[0]  # noqa: S314 - of our own site


@pytest.mark.parametrize("to", ["bob", "client:bob"])
def test_a_user_calls_another_who_sees_the_name(to: str, auth_token: str) -> None:
    dial = twiml(ask(auth_token, From="client:anna", To=to))
    assert (dial.tag, dial.get("answerOnBridge")) == ("Dial", "true")
    [client] = dial
    assert client.findtext("Identity") == "bob"
    assert [each.attrib for each in client.findall("Parameter")] == [
        {"name": "caller", "value": "Anna Silva"}
    ]


@pytest.mark.parametrize("to", ["", "nobody", "gone", "eve@example.com", "+15550100"])
def test_nobody_else_is_called(to: str, auth_token: str) -> None:
    answer = twiml(ask(auth_token, From="client:anna", To=to))
    assert (answer.tag, answer.text) == ("Say", "Nobody by that name can be called.")


@pytest.mark.parametrize("caller", ["", "client:nobody", "client:gone", "+15550100"])
def test_who_is_no_user_calls_nobody(caller: str, auth_token: str) -> None:
    assert twiml(ask(auth_token, From=caller, To="bob")).tag == "Reject"


def test_who_is_not_twilio_is_answered_nothing(auth_token: str, settings: Any) -> None:
    fields = {"From": "client:anna", "To": "bob"}
    assert ask(secrets.token_hex(16), **fields).status_code == 403
    assert ask(auth_token, "https://elsewhere/phone/twiml/", **fields).status_code == 403
    assert Client().post("/phone/twiml/", fields).status_code == 403
    assert Client().get("/phone/twiml/").status_code == 405
    settings.TWILIO_AUTH_TOKEN = ""
    assert ask("", **fields).status_code == 403
