"""The view that Twilio asks what to do with a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from twilio.request_validator import RequestValidator

from tests.how_to.front_ends import front_end, site_of
from tests.rows import sid
from twilio_tokens.identity import identity_for

OUTSIDE = "https://example.com/calls/voice/"
AUTH_TOKEN = "0123456789abcdef" * 2
PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}


@pytest.fixture(autouse=True)
def _site(settings: Any, monkeypatch: pytest.MonkeyPatch, user: User) -> Iterator[None]:
    User.objects.create_user("bo")
    settings.ALLOWED_HOSTS = ["example.com"]
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    with site_of("docs/how-to/answer-incoming-calls.md", settings):
        yield


def call(signed: str = OUTSIDE, token: str = AUTH_TOKEN, **fields: str) -> Any:
    """As Twilio sends it, and the proxy passes it on."""
    fields = {"CallSid": sid("CA"), "AccountSid": sid("AC"), "Direction": "inbound", **fields}
    signature = RequestValidator(token).compute_signature(signed, fields)
    headers = {**PROXY, "X-Twilio-Signature": signature}
    return front_end().post("/calls/voice/", fields, headers=headers)


def verbs(response: Any) -> list[tuple[str, str]]:
    assert (response.status_code, response["Content-Type"]) == (200, "text/xml")
    tree = ElementTree.fromstring(response.content)  # noqa: S314 - our own
    return [(each.tag, (each.text or "").strip()) for each in tree.iter()][1:]


NOBODY = [("Say", "Nobody by that name can be called.")]


def test_a_user_calls_another() -> None:
    answer = verbs(call(From="client:anna", username="bo"))
    assert answer == [("Dial", ""), ("Client", "bo")]


def test_a_telephone_rings_the_reception() -> None:
    assert verbs(call(From="+15005550006", To="+15005550001"))[1] == ("Client", "anna")


@pytest.mark.parametrize("name", ["nobody", "+15005550006", "client:bo", "Bo"])
def test_nothing_else_is_dialled(name: str) -> None:
    assert verbs(call(From="client:anna", username=name, To="+15005550006")) == NOBODY


def test_who_cannot_have_a_voice_identity_is_not_rung() -> None:
    User.objects.create_user("bo@example.com")
    assert verbs(call(From="client:anna", username="bo@example.com")) == NOBODY


@pytest.mark.parametrize("blocked", ["anna", "bo"])
def test_a_blocked_user_neither_calls_nor_is_called(blocked: str) -> None:
    User.objects.filter(username=blocked).update(is_active=False)
    refused = {"anna": [("Reject", "")], "bo": NOBODY}
    assert verbs(call(From="client:anna", username="bo")) == refused[blocked]


@pytest.mark.parametrize("caller", ["client:", "client:mallory", "client:client:anna"])
def test_a_caller_who_is_nobody_is_rejected(caller: str) -> None:
    assert verbs(call(From=caller, username="bo")) == [("Reject", "")]


@pytest.mark.parametrize("function", ["primary_key", "encoded_username"])
def test_it_works_with_the_other_identities(settings: Any, user: User, function: str) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{function}"
    bo = User.objects.get(username="bo")
    answer = verbs(call(From=f"client:{identity_for(user)}", username="bo"))
    assert answer[1] == ("Client", identity_for(bo))


@pytest.mark.parametrize(
    "signed",
    [
        "http://example.com/calls/voice/",
        "https://example.org/calls/voice/",
        "https://example.com/calls/voice",
        "https://example.com/calls/voice/?x=1",
    ],
)
def test_a_signature_for_another_address_is_refused(signed: str) -> None:
    assert call(signed, From="client:anna").status_code == 403


def test_a_request_that_twilio_did_not_sign_is_refused() -> None:
    fields = {"From": "client:anna", "username": "bo"}
    client = front_end()
    assert call(token="f" * 32, **fields).status_code == 403
    assert client.post("/calls/voice/", fields, headers=PROXY).status_code == 403
    signature = RequestValidator(AUTH_TOKEN).compute_signature(OUTSIDE, fields)
    changed = client.post(
        "/calls/voice/",
        {**fields, "From": "client:bo"},
        headers={**PROXY, "X-Twilio-Signature": signature},
    )
    assert changed.status_code == 403
    assert client.get("/calls/voice/", headers=PROXY).status_code == 405
