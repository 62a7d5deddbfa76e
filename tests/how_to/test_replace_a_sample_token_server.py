"""sdk-starter's pages, and what issuing on GET means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from rest_framework.permissions import IsAuthenticated

from tests.how_to.front_ends import front_end, get, post, site_of
from tests.issued import decoded
from twilio_tokens.models import Account, IssuedToken, SyncService
from twilio_tokens.views import TokenViewSet

JSON = "application/json, text/javascript, */*; q=0.01"  # of jQuery's getJSON

pytestmark = pytest.mark.usefixtures("api_key", "chat_service")


@pytest.fixture
def site(settings: Any, account: Account, make: Any) -> Iterator[Any]:
    make(SyncService, "0", is_default=True)
    with site_of("docs/how-to/replace-a-sample-token-server.md", settings) as site:
        yield site


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("address", ["/token", "/token/boss", "/token?identity=boss"])
def test_the_pages_of_sdk_starter_get_one_token_for_three_products(
    user: User, secret: str, address: str
) -> None:
    response = get(front_end(user), address, JSON, **{"X-Requested-With": "XMLHttpRequest"})
    answer = response.json()
    assert answer["identity"] == "anna"
    claims = decoded(answer["token"], secret)
    assert claims["grants"].keys() == {"identity", "video", "chat", "data_sync"}
    assert claims["grants"]["identity"] == "anna"


@pytest.mark.usefixtures("site")
def test_a_post_needs_a_csrf_token(user: User) -> None:
    assert post(front_end(user), "/token", {"identity": "boss"}).status_code == 403
    client = front_end(user)
    client.cookies["csrftoken"] = csrf = "a" * 32
    response = post(client, "/token", {"identity": "boss"}, **{"X-CSRFToken": csrf})
    assert response.json()["identity"] == "anna"


@pytest.mark.usefixtures("site")
def test_nobody_gets_a_token_without_signing_in(db: None) -> None:
    assert get(front_end(), "/token/anna").status_code == 401
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("site")
def test_each_get_and_head_counts_and_nothing_is_kept(user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    client = front_end(user)
    answers = [client.head("/token"), client.get("/token"), client.get("/token")]
    assert [each.status_code for each in answers] == [201, 201, 429]
    assert {each["Cache-Control"] for each in answers} == {"no-store"}
    assert {each["X-Content-Type-Options"] for each in answers} == {"nosniff"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({}, 201),
    ],
)
def test_the_permission_refuses_what_other_sites_cause(
    site: Any, user: User, sent: dict[str, str], status: int
) -> None:
    class Guarded(TokenViewSet):
        permission_classes = [IsAuthenticated, site.permissions.FromThisSite]

    request = RequestFactory().get("/token", headers=sent)
    request.user = user
    assert Guarded.as_view({"get": "create"}, product="video")(request).status_code == status
    assert IssuedToken.objects.exists() == (status == 201)
