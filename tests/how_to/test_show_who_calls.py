"""From identities to names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User

from tests.how_to.front_ends import front_end, site_of
from twilio_tokens.identity import identity_for

IDENTITIES = ["username", "encoded_username", "primary_key"]


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[Any]:
    with site_of("docs/how-to/show-who-calls.md", settings) as site:
        yield site


@pytest.fixture
def bo(db: None) -> User:
    return User.objects.create_user("bo@example.com", first_name="Bo", last_name="<b>Diddley</b>")


def names(user: User | None, *identities: str) -> Any:
    return front_end(user).get("/people/names/", {"identity": identities})


@pytest.mark.parametrize("function", IDENTITIES)
def test_identities_become_names(settings: Any, user: User, bo: User, function: str) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{function}"
    answer = names(user, identity_for(bo), identity_for(user), "nobody", "+15005550006")
    assert answer.json() == {identity_for(bo): "Bo <b>Diddley</b>", identity_for(user): "anna"}
    assert answer["Content-Type"] == "application/json"


def test_only_signed_in_users_ask(user: User) -> None:
    assert names(None, "anna").status_code == 302
    assert front_end(user).post("/people/names/", {"identity": "anna"}).status_code in (403, 405)


def test_nobody_asks_for_all_at_once(user: User) -> None:
    assert names(user, *["x"] * 50, "anna").json() == {}


def test_a_blocked_user_has_no_name(user: User, bo: User) -> None:
    User.objects.filter(pk=bo.pk).update(is_active=False)
    assert names(user, bo.username).json() == {}


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        ("client:bo@example.com", "Bo <b>Diddley</b>"),
        ("+15005550006", "+15005550006"),
        ("client:nobody", "client:nobody"),
    ],
)
def test_the_twiml_hands_the_name_to_the_page(site: Any, bo: User, caller: str, name: str) -> None:
    answer = ElementTree.fromstring(str(site.ringing.ring("anna", caller)))  # noqa: S314 - our own
    client = answer.find("Dial/Client")
    assert client is not None
    assert client.findtext("Identity") == "anna"
    assert [each.attrib for each in client.findall("Parameter")] == [
        {"name": "caller", "value": name}
    ]
