"""The requests of the Conversations demos."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed

from tests.how_to.front_ends import front_end, get, site_of
from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.models import IssuedToken, PushCredential

AXIOS = "application/json, text/plain, */*"
CHAT = {"service_sid": sid("IS")}

pytestmark = pytest.mark.usefixtures("api_key", "chat_service")


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[Any]:
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    with site_of("docs/how-to/serve-conversations-demos.md", settings) as site:
        yield site


def address(password: str = "password", identity: str = "anna") -> str:
    return "/token-service?" + urlencode({"identity": identity, "password": password})


def test_the_react_demo_gets_a_token_for_username_and_password(user: User, secret: str) -> None:
    response = get(front_end(), address(), AXIOS, Origin="http://localhost:3000")
    assert response["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert response["Content-Type"].startswith("text/plain")  # axios parses what looks like JSON
    token = response.content.decode()
    assert decoded(token, secret)["grants"] == {"identity": "anna", "chat": CHAT}


def test_the_kotlin_demo_gets_one_as_well(user: User, secret: str) -> None:
    """Java's HttpURLConnection accepts these."""
    accept = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
    token = get(front_end(), address(), accept).content.decode()
    assert decoded(token, secret)["grants"] == {"identity": "anna", "chat": CHAT}


@pytest.mark.parametrize(
    "wrong", [address("guess"), address(""), address(identity="boss"), "/token-service"]
)
def test_a_wrong_password_is_told_in_a_sentence(user: User, wrong: str) -> None:
    failed: list[Any] = []

    def note(credentials: Any, **kwargs: Any) -> None:
        failed.append(credentials["username"])

    user_login_failed.connect(note)
    response = get(front_end(), wrong, AXIOS)
    user_login_failed.disconnect(note)
    assert response.status_code == 401  # the one that the demo shows
    assert response.content.decode() == "authentication_failed: Invalid username/password."
    assert response["WWW-Authenticate"] == "Password"
    assert len(failed) == 1  # by which django-axes counts
    assert not IssuedToken.objects.exists()


def test_a_user_who_was_blocked_gets_none(user: User) -> None:
    User.objects.update(is_active=False)
    assert get(front_end(), address(), AXIOS).status_code == 401


def test_an_origin_that_is_not_listed_may_not_read_it(user: User) -> None:
    response = get(front_end(), address(), AXIOS, Origin="http://localhost:3001")
    assert "Access-Control-Allow-Origin" not in response


def test_the_password_may_be_in_a_header(user: User, secret: str) -> None:
    basic = b64encode(b"anna:password").decode()
    token = get(
        front_end(), "/by-header/token-service", AXIOS, Authorization=f"Basic {basic}"
    ).content.decode()
    assert decoded(token, secret)["grants"] == {"identity": "anna", "chat": CHAT}
    assert get(front_end(), "/by-header" + address(), AXIOS).status_code == 401


def test_axios_may_send_that_header_from_the_other_origin() -> None:
    response = front_end().options(
        "/by-header/token-service",
        headers={
            "origin": "http://localhost:3000",
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
        },
    )
    assert "authorization" in response["Access-Control-Allow-Headers"]


def test_without_the_class_the_session_says_who_it_is(site: Any, user: User, secret: str) -> None:
    class BySession(site.tokens.ConversationsDemoTokenViewSet):  # type: ignore[misc]
        authentication_classes = site.tokens.TokenViewSet.authentication_classes

    view = BySession.as_view({"get": "create"}, product="chat")
    request = get(front_end(user), address("guess", "boss")).wsgi_request
    request.user = user
    response = view(request).render()
    assert decoded(response.content.decode(), secret)["grants"]["identity"] == "anna"


def test_the_platform_adds_the_push_credential(
    site: Any, user: User, secret: str, make: Any
) -> None:
    make(PushCredential, "7", platform="fcm", is_default=True)

    class WithPush(site.tokens.ConversationsDemoTokenViewSet):  # type: ignore[misc]
        def fields_from(self, data: Any) -> Any:
            return {"platform": "android"}

    request = get(front_end(), address()).wsgi_request
    view = WithPush.as_view({"get": "create"}, product="chat")
    chat = decoded(view(request).render().content.decode(), secret)["grants"]["chat"]
    assert chat == CHAT | {"push_credential_sid": sid("CR", "7")}
