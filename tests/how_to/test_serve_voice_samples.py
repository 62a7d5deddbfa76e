"""The requests of Twilio's Voice samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from tests.how_to.front_ends import front_end, get, post, site_of
from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.models import PushCredential

PAGE = "docs/how-to/serve-voice-samples.md"
JSON = "application/json, text/javascript, */*; q=0.01"  # of jQuery's getJSON
VOICE = {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}}

pytestmark = pytest.mark.usefixtures("api_key", "twiml_app")


@pytest.fixture
def _site(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    with site_of(PAGE, settings, request.param):
        yield


def following(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("_site", [section], indirect=True, ids=[""])


@following("The JavaScript quickstarts")
@pytest.mark.usefixtures("_site")
def test_the_quickstart_reads_token_and_identity(user: User, secret: str) -> None:
    response = get(front_end(user), "/token", JSON, **{"X-Requested-With": "XMLHttpRequest"})
    data = response.json()
    assert data["identity"] == "anna"
    assert decoded(data["token"], secret)["grants"] == {"identity": "anna", "voice": VOICE}


@following("The JavaScript quickstarts")
@pytest.mark.usefixtures("_site", "db")
def test_nobody_gets_one_without_signing_in() -> None:
    assert get(front_end(), "/token", JSON).status_code == 401


@following("The JavaScript quickstarts")
@pytest.mark.usefixtures("_site")
def test_voice_takes_no_e_mail_address(secret: str) -> None:
    user = User.objects.create_user("bo@example.com")
    answer = get(front_end(user), "/token", JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "identity_not_allowed")


COMPONENTS = ["dialer", "basic-call-control", "monitoring", "noise-cancellation", "ai-conversation"]


@following("The reference components")
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_gets_its_token_and_the_next(
    user: User, secret: str, component: str
) -> None:
    client, address = front_end(user), f"/twilio-voice-{component}/token?identity=boss"
    first, again = (get(client, address).json()["token"] for _ in range(2))
    assert first != again
    assert decoded(again, secret)["grants"] == {"identity": "anna", "voice": VOICE}


@pytest.fixture
def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {Token.objects.create(user=user).key}"}


@following("The React Native app")
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("platform", "stored"), [("ios", "apn"), ("android", "fcm")])
def test_the_react_native_app_gets_a_token_with_its_push_credential(
    bearer: dict[str, str], secret: str, make: Any, platform: str, stored: str
) -> None:
    make(PushCredential, "7", platform=stored, is_default=True)
    response = post(front_end(), "/token", {"platform": platform}, **bearer)
    assert response.status_code == 201  # "tokenResponse.ok"
    voice = decoded(response.content.decode(), secret)["grants"]["voice"]
    assert voice == VOICE | {"push_credential_sid": sid("CR", "7")}


@following("The React Native app")
@pytest.mark.usefixtures("_site")
def test_without_a_push_credential_it_is_told_so(bearer: dict[str, str]) -> None:
    response = post(front_end(), "/token", {"platform": "ios"}, **bearer)
    assert response.status_code == 400
    assert response.content.decode().startswith("does_not_exist: platform: ")


@following("The React Native app")
@pytest.mark.usefixtures("_site")
def test_a_session_is_not_enough(user: User) -> None:
    assert post(front_end(user), "/token", {"platform": "ios"}).status_code == 401
