"""The API's answer as bare text, and the hooks for front ends with a contract of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ErrorDetail
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIClient

from tests.issued import decoded
from twilio_tokens.exceptions import NotConfigured
from twilio_tokens.issuing import IssuedAccessToken
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.renderers import TokenTextRenderer
from twilio_tokens.views import TokenViewSet

pytestmark = pytest.mark.usefixtures("api_key")

TEXT = "text/plain; charset=utf-8"


class TextTokenViewSet(TokenViewSet):
    renderer_classes = [TokenTextRenderer]


class SampleTokenViewSet(TokenViewSet):
    """Its front end has other names for what it asks and for what it reads."""

    def fields_from(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"room": data.get("roomName")}

    def answer(self, issued: IssuedAccessToken) -> Mapping[str, Any]:
        return {"accessToken": issued.token}


class SeveralTokenViewSet(TokenViewSet):
    renderer_classes = [TokenTextRenderer]

    def fields_from(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"video": dict(data)}


class BrokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> None:
        raise RuntimeError


class BrokenTokenViewSet(TextTokenViewSet):
    authentication_classes = [BrokenAuthentication]


class PageTokenViewSet(TokenViewSet):
    authentication_classes = [BrokenAuthentication]
    renderer_classes = [BrowsableAPIRenderer]


class SeveralKindsTokenViewSet(TokenViewSet):
    authentication_classes = [BrokenAuthentication]
    renderer_classes = [BrowsableAPIRenderer, TokenTextRenderer, JSONRenderer]


class EarlyTokenViewSet(SeveralKindsTokenViewSet):
    """Its site queries the database before anything else."""

    def initial(self, *args: Any, **kwargs: Any) -> None:
        raise OperationalError


urlpatterns = [
    path("text", TextTokenViewSet.as_view({"get": "create", "post": "create"}, product="video")),
    path("offer", TextTokenViewSet.as_view({"get": "list"}, product="video")),
    path("sample", SampleTokenViewSet.as_view({"post": "create"}, product="video")),
    path("several", SeveralTokenViewSet.as_view({"post": "create"})),
    path("broken", BrokenTokenViewSet.as_view({"get": "create"}, product="video")),
    path("kinds", SeveralKindsTokenViewSet.as_view({"get": "create"}, product="video")),
    path("early", EarlyTokenViewSet.as_view({"get": "create"}, product="video")),
    path("page", PageTokenViewSet.as_view({"get": "create"}, product="video")),
]


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def said(response: Any, status: int = 400) -> str:
    assert (response.status_code, response["Content-Type"]) == (status, TEXT)
    assert response["Cache-Control"] == "no-store"
    text: str = response.content.decode()
    return text


# The text


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_whole_answer_is_the_token(api: APIClient, secret: str, method: str) -> None:
    claims = decoded(said(getattr(api, method)("/text"), 201), secret)
    assert claims["grants"] == {"identity": "anna", "video": {}}


def test_head_issues_as_get_does_and_counts(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    assert [api.head("/text").status_code for _ in range(2)] == [201, 429]
    assert IssuedToken.objects.count() == 1


@pytest.mark.parametrize(
    ("page", "body", "text"),
    [
        ("text", {"rooom": "x"}, "unknown_field: rooom: Unknown field."),
        ("text", {"token": "x"}, "unknown_field: token: Unknown field."),
        ("text", {"code": "x"}, "unknown_field: Unknown field: code."),
        (
            "text",
            {"room": None, "ttl": "x"},
            "invalid: room: This field may not be null. ttl: A valid integer is required.",
        ),
        ("text", [], "invalid: Invalid data. Expected a dictionary, but got list."),
        ("several", {"room": None}, "null: video: room: This field may not be null."),
        ("several", {"detail": 1}, "unknown_field: video: Unknown field: detail."),
    ],
)
def test_an_error_is_a_sentence_that_is_no_token(
    api: APIClient, page: str, body: Any, text: str
) -> None:
    assert said(api.post(f"/{page}", body, format="json")) == text


def test_who_is_not_signed_in_reads_so(db: None) -> None:
    assert said(APIClient().get("/text"), 401) == (
        "not_authenticated: Authentication credentials were not provided."
    )


def test_an_unavailable_site_says_so(api: APIClient) -> None:
    APIKey.objects.update(is_active=False)
    assert said(api.get("/text"), 503) == f"not_configured: {NotConfigured('').message}"


def test_an_error_of_the_authentication_is_text_as_well(db: None) -> None:
    assert said(APIClient().get("/broken"), 503).startswith("not_configured: ")


def test_it_is_json_where_there_is_no_renderer_but_the_browsable_api(db: None) -> None:
    assert APIClient().get("/page").json()["code"] == "not_configured"


@pytest.mark.parametrize("page", ["kinds", "early"])
def test_instead_of_a_page_it_is_the_first_kind_that_is_none(db: None, page: str) -> None:
    answer = APIClient().get(f"/{page}", headers={"Accept": "text/html"})
    assert said(answer, 503).startswith("not_configured: ")


def test_who_asks_for_json_reads_json(db: None) -> None:
    answer = APIClient().get("/kinds", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


def test_what_is_neither_is_json(api: APIClient) -> None:
    assert said(api.get("/offer"), 200).startswith('{"identity":"anna"')
    assert said(api.options("/text"), 200).startswith('{"name":"Video ')


def test_no_error_ends_as_a_token() -> None:
    """Whatever the site's own authentication raises, even a token."""
    data = {"token": "a.b.c", "detail": [ErrorDetail("d.e.f", "x")], "code": "x"}
    response = Response(data, 401, exception=True)
    text = TokenTextRenderer().render(data, None, {"response": response})
    assert text == "x: token: a.b.c d.e.f"


def test_it_renders_outside_of_a_request() -> None:
    assert TokenTextRenderer().render({"token": "a.b.c"}) == "a.b.c"
    assert TokenTextRenderer().render({"token": 1}) == b'{"token":1}'
    assert TokenTextRenderer().render([1]) == b"[1]"


# A contract of the front end's own


def test_a_front_end_may_have_its_own_names(api: APIClient, secret: str) -> None:
    response = api.post("/sample", {"roomName": "A", "identity": "boss"}, format="json")
    claims = decoded(response.json()["accessToken"], secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "A"}}
    assert list(response.json()) == ["accessToken"]


@pytest.mark.parametrize("body", [{}, {"roomname": "A"}, {"roomName": None}])
def test_a_room_that_is_missing_is_not_every_room(api: APIClient, body: Any) -> None:
    answer = api.post("/sample", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "null")
    assert not IssuedToken.objects.exists()


def test_what_is_no_object_does_not_reach_the_hook(api: APIClient) -> None:
    answer = api.post("/sample", [1], format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_the_refusal_is_told_of_the_products_that_were_asked_for(
    api: APIClient, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "twilio_tokens.outcomes")
    api.post("/several", {"room": None}, format="json")
    told = [each for each in caplog.records if each.name == "twilio_tokens.outcomes"]
    assert [vars(each)["products"] for each in told] == [["video"]]


# Other origins


@pytest.mark.parametrize("status", [201, 400, 401])
def test_no_answer_may_be_run_as_a_script(api: APIClient, status: int) -> None:
    client = APIClient() if status == 401 else api
    body = {"rooom": "x"} if status == 400 else {}
    response = client.post("/text", body, format="json")
    assert response.status_code == status
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
