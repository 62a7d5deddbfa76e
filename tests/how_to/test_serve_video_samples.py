"""The requests of Twilio's Video samples, answered as their code reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from tests.how_to.front_ends import front_end, get, post, site_of
from tests.issued import decoded
from twilio_tokens.models import IssuedToken

PAGE = "docs/how-to/serve-video-samples.md"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture
def _apps(settings: Any) -> Iterator[None]:
    with site_of(PAGE, settings, "The Video apps"):
        yield


@pytest.fixture
def _quickstart(settings: Any) -> Iterator[None]:
    with site_of(PAGE, settings, "video-quickstart-js"):
        yield


def grants(token: str, secret: str) -> Any:
    return decoded(token, secret)["grants"]


REACT = {"user_identity": "Anna B.", "room_name": "Daily", "create_conversation": False}
PASSCODE = REACT | {"passcode": "123456", "create_room": True}


@pytest.mark.usefixtures("_apps")
@pytest.mark.parametrize("body", [REACT, PASSCODE])
def test_the_react_app_gets_a_token_for_its_room(user: User, secret: str, body: Any) -> None:
    response = post(front_end(user), "/token", body, **SAME_ORIGIN)
    assert response.status_code == 201  # "res.ok"
    answer = response.json()
    assert answer["room_type"] == "group"
    assert grants(answer["token"], secret) == {"identity": "anna", "video": {"room": "Daily"}}


@pytest.mark.usefixtures("_apps")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
def test_no_other_page_gets_one_by_the_cookie(user: User, site: str | None) -> None:
    sent = {} if site is None else {"Sec-Fetch-Site": site}
    assert post(front_end(user), "/token", REACT, **sent).status_code == 403
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("_apps")
def test_a_csrf_token_does_as_well(user: User) -> None:
    client = front_end(user)
    client.cookies["csrftoken"] = csrf = "a" * 32
    assert post(client, "/token", REACT, **{"X-CSRFToken": csrf}).status_code == 201


@pytest.mark.usefixtures("_apps", "db")
def test_nobody_gets_one_without_signing_in() -> None:
    answer = post(front_end(), "/token", PASSCODE, **SAME_ORIGIN)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.usefixtures("_apps")
@pytest.mark.parametrize("name", ["", None, 1, " "])
def test_no_room_but_a_named_one_is_granted(user: User, name: object) -> None:
    answer = post(front_end(user), "/token", REACT | {"room_name": name}, **SAME_ORIGIN)
    assert answer.status_code == 400
    assert not IssuedToken.objects.exists()


#: What both apps leave out where they have none: JSONEncoder and Gson write no null.
SIGN_IN = {"passcode": "123456", "user_identity": "Anna B.", "create_room": False}


@pytest.mark.usefixtures("_apps")
@pytest.mark.parametrize(
    ("body", "room"),
    [(SIGN_IN, "sign-in"), (SIGN_IN | {"room_name": "Daily", "create_room": True}, "Daily")],
)
def test_the_apps_for_phones_get_a_token_with_a_bare_key(
    user: User, secret: str, body: Any, room: str
) -> None:
    key = Token.objects.create(user=user).key
    answer = post(front_end(), "/token", body, Authorization=key).json()
    assert isinstance(answer["token"], str)
    assert answer["room_type"] in ("go", "group", "group-small", "peer-to-peer")
    assert grants(answer["token"], secret) == {"identity": "anna", "video": {"room": room}}


@pytest.mark.usefixtures("_apps")
@pytest.mark.parametrize("key", ["123456", "Token x"])
def test_a_wrong_key_is_refused_whoever_has_a_session(user: User, key: str) -> None:
    answer = post(front_end(user), "/token", REACT, Authorization=key, **SAME_ORIGIN)
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


@pytest.mark.usefixtures("_quickstart")
def test_the_quickstart_reads_the_token_as_text(user: User, secret: str) -> None:
    response = get(front_end(user), "/token?identity=Bold Anna Berlin")
    token = response.content.decode()  # "await response.text()"
    assert grants(token, secret) == {"identity": "anna", "video": {}}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("_quickstart")
def test_the_quickstart_gets_none_where_rooms_are_required(user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    response = get(front_end(user), "/token?identity=anna")
    assert response.content.decode().startswith("required: room: ")


@pytest.mark.usefixtures("_quickstart")
def test_a_room_in_the_address_is_refused_rather_than_ignored(user: User) -> None:
    response = get(front_end(user), "/token?identity=anna&room=Daily")
    assert (response.status_code, response.content[:13]) == (400, b"parse_error: ")
