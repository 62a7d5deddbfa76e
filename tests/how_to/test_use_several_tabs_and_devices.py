"""An identity for each tab, in Video only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.how_to.front_ends import front_end, post, site_of
from tests.issued import decoded
from twilio_tokens.identity import primary_key
from twilio_tokens.models import IssuedToken

ADDRESS = "/tabs/tokens/video/"

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture(autouse=True)
def _site(settings: Any) -> Iterator[None]:
    with site_of("docs/how-to/use-several-tabs-and-devices.md", settings):
        yield


@pytest.fixture
def client(user: User) -> Any:
    client = front_end(user)
    client.cookies["csrftoken"] = "a" * 32
    return client


def ask(client: Any, body: Any, address: str = ADDRESS) -> Any:
    return post(client, address, body, **{"X-CSRFToken": "a" * 32})


def test_each_tab_has_an_identity_and_one_user(client: Any, user: User, secret: str) -> None:
    for tab in (4711, 0):
        claims = decoded(ask(client, {"room": "Daily", "tab": tab}).json()["token"], secret)
        assert claims["grants"] == {"identity": f"{user.pk}_tab{tab}", "video": {"room": "Daily"}}
    assert {each.user for each in IssuedToken.objects.all()} == {user}


def test_other_products_and_addresses_keep_the_identity(client: Any, user: User) -> None:
    assert ask(client, {"room": "A"}, "/twilio/tokens/video/").json()["identity"] == str(user.pk)


@pytest.mark.parametrize("tab", [None, "1", -1, 10_000, 1.0, True, [1], "1_tab2"])
def test_a_tab_is_a_number(client: Any, tab: object) -> None:
    answer = ask(client, {"room": "Daily", "tab": tab})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "tab" in answer.json()


@pytest.mark.parametrize(
    "body", [{"room": "Daily"}, {"tab": 1, "rooom": "x"}, {"tab": 1, "room": None}]
)
def test_the_rest_is_read_as_strictly_as_ever(client: Any, body: Any) -> None:
    assert ask(client, body).status_code == 400
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize("key", ["7_tab1", "7", "_tab1", "7_ta", "ü_tab"])
def test_no_key_makes_the_identity_of_anothers_tab(key: str) -> None:
    class Keyed:
        class _meta:
            class pk:
                to_python = str

        pk = key

    assert "_t" not in primary_key(Keyed())  # type: ignore[arg-type]


def test_the_room_policy_and_the_limit_are_the_users(client: Any, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    asked: list[Any] = []
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: asked.append(user.username) or True
    statuses = [ask(client, {"room": "A", "tab": tab}).status_code for tab in range(3)]
    assert statuses == [201, 201, 429]
    assert asked == ["anna", "anna"]
