"""Every answer of the HTTP API, as JSON and as a page of the browsable API."""

from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import OperationalError, connection, connections
from django.db.models.signals import pre_save
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.test import override_settings
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from rest_framework import exceptions as drf
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle
from rest_framework.utils.serializer_helpers import ReturnDict

from tests.issued import decoded
from tests.rows import sid
from twilio_tokens import exceptions
from twilio_tokens.credential_cache import cache as credential_cache
from twilio_tokens.error_answers import error_answer
from twilio_tokens.grants import registered
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp
from twilio_tokens.serializers import offer_serializer
from twilio_tokens.urls import token_urls
from twilio_tokens.views import TokenViewSet

JSON, HTML = "application/json", "text/html"
FORM = "application/x-www-form-urlencoded"

# Where the page of the browsable API is more than the same answer.
ACCEPTED = pytest.mark.parametrize("accept", [JSON, HTML])


@pytest.fixture
def _site(
    api_key: APIKey, chat_service: ChatService, twiml_app: Any, push_credential: Any, other: Account
) -> None:
    """Two accounts: one with a default of everything, the other's things by name only."""


def post(
    api: APIClient,
    page: str,
    body: Any,
    accept: str = JSON,
    content_type: str = JSON,
    **extra: Any,
) -> Response:
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return api.generic(
        "POST", f"/twilio/tokens/{page}", body, content_type, headers={"accept": accept}, **extra
    )


def assert_refused(response: Response, status: int, code: str, accept: str = JSON) -> None:
    assert (response.status_code, response.data["code"]) == (status, code)
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"].startswith(accept)
    written = f'"code": "{code}"' if accept == HTML else f'"code":"{code}"'
    assert written in response.content.decode().replace("&quot;", '"')
    assert not IssuedToken.objects.exists()


# Tokens


LONG_ROOM, LONG_PARAMS = "🎉" * 128, {"k": "🎉" * 85}


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("form", [False, True])
def test_emoji_count_as_what_they_are_and_stand_in_the_token_as_utf_8(
    api: APIClient, secret: str, form: bool
) -> None:
    for page, body, granted in (
        ("video/", {"room": LONG_ROOM}, {"room": LONG_ROOM}),
        ("voice/", {"params": LONG_PARAMS}, {"params": LONG_PARAMS}),
    ):
        if form:
            sent = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
            response = api.post(f"/twilio/tokens/{page}", sent)
        else:
            response = post(api, page, body)
        assert response.status_code == 201, response.data
        token = response.data["token"]
        payload = decoded(token, secret)["grants"][page[:-1]]
        assert payload.get("outgoing", payload).items() >= granted.items()
        part = token.split(".")[1]
        assert "🎉".encode() in urlsafe_b64decode(part + "=" * (-len(part) % 4))
    too_much = {"params": {"k": "🎉" * 255}}
    too_big = post(api, "voice/", too_much)
    assert (too_big.status_code, too_big.data["code"]) == (400, "max_length")
    too_long = post(api, "video/", {"room": LONG_ROOM + "a"})
    assert (too_long.status_code, too_long.data["code"]) == (400, "max_length")


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("page", "body", "granted", "ttl"),
    [
        ("video/", {}, {"video": {}}, 86_400),
        ("video/", {"room": "DailyStandup", "ttl": 60}, {"video": {"room": "DailyStandup"}}, 60),
        ("chat/", {"ttl": "60"}, {"chat": {"service_sid": sid("IS")}}, 60),
        (
            "chat/",
            {"service": "support", "push_credential": "ios"},
            {"chat": {"service_sid": sid("IS"), "push_credential_sid": sid("CR")}},
            3_600,
        ),
        (
            "voice/",
            {"app": "phone", "incoming": False, "params": {"queue": "sales"}},
            {"voice": {"outgoing": {"application_sid": sid("AP"), "params": {"queue": "sales"}}}},
            3_600,
        ),
        (
            "",
            {"video": {"room": "a"}, "chat": {}, "voice": {}, "ttl": 86_400},
            {
                "video": {"room": "a"},
                "chat": {"service_sid": sid("IS")},
                "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}},
            },
            86_400,
        ),
    ],
)
def test_a_token_is_answered_with_all_a_client_needs(
    api: APIClient, secret: str, accept: str, page: str, body: Any, granted: Any, ttl: int
) -> None:
    response = post(api, page, body, accept)
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    answer = response.data
    claims = decoded(answer["token"], secret)
    assert claims["grants"] == {"identity": "anna", **granted}
    assert claims["exp"] - claims["iat"] == ttl
    assert {**answer, "issued_at": None, "expires_at": None, "refresh_at": None} == {
        "token": answer["token"],
        "jti": claims["jti"],
        "identity": "anna",
        "account_sid": sid("AC"),
        "grants": granted,
        "issued_at": None,
        "expires_at": None,
        "expires_in": ttl,
        "refresh_at": None,
    }
    assert answer["issued_at"] < answer["refresh_at"] < answer["expires_at"]
    assert IssuedToken.objects.get().jti == claims["jti"]
    assert answer["token"] in response.content.decode()


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("page", "body", "granted"),
    [
        ("video/", "room=DailyStandup&ttl=", {"video": {"room": "DailyStandup"}}),
        (
            "voice/",
            "incoming=False&params=",
            {"voice": {"outgoing": {"application_sid": sid("AP")}}},
        ),
        ("", "video=1&video.room=&chat.service=", {"video": {}}),
    ],
)
@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8"])
def test_a_form_does_as_well(
    api: APIClient, accept: str, page: str, body: str, granted: Any, content_type: str
) -> None:
    response = post(api, page, body, accept, content_type)
    assert (response.status_code, response.data["grants"]) == (201, granted)


def test_each_page_has_a_name() -> None:
    assert reverse("twilio_tokens:tokens") == "/twilio/tokens/"
    for product in registered():
        assert reverse(f"twilio_tokens:{product}") == f"/twilio/tokens/{product}/"


# Who is not let in


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("page", ["", "video/"])
@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_one_must_be_signed_in(accept: str, page: str, method: str) -> None:
    response = getattr(APIClient(), method)(f"/twilio/tokens/{page}", headers={"accept": accept})
    assert_refused(response, 401, "not_authenticated", accept)
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.usefixtures("_site")
def test_an_inactive_user_gets_no_token_by_session(api: APIClient, user: User) -> None:
    User.objects.update(is_active=False)
    assert_refused(post(api, "video/", {}), 401, "not_authenticated")


@pytest.mark.usefixtures("_site")
def test_an_inactive_user_gets_no_token_by_token(user: User) -> None:
    token = Token.objects.create(user=user)
    User.objects.update(is_active=False)
    api = APIClient(headers={"authorization": f"Token {token.key}"})
    assert_refused(post(api, "video/", {}), 401, "authentication_failed")


@pytest.mark.usefixtures("_site")
def test_an_inactive_user_gets_no_token_where_a_sites_authentication_forgets_to_look(
    user: User,
) -> None:
    user.is_active = False
    api = APIClient()
    api.force_authenticate(user)
    assert_refused(post(api, "video/", {}), 401, "not_authenticated")


class SessionTokenViewSet(TokenViewSet):
    authentication_classes = [SessionAuthentication]


class FaultyAuthentication(BaseAuthentication):
    fault: Exception

    def authenticate(self, request: Any) -> None:
        raise self.fault


@pytest.fixture
def fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Exception:
    faulty = type("Faulty", (FaultyAuthentication,), {"fault": request.param})
    monkeypatch.setattr(TokenViewSet, "authentication_classes", [faulty])
    return request.param  # type: ignore[no-any-return]


@ACCEPTED
@pytest.mark.parametrize(
    "fault",
    [ConnectionError("directory gone"), AttributeError("company"), KeyError()],
    indirect=True,
)
@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_authentication_that_fails_is_told_in_the_log_only(
    fault: Exception, method: str, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    response = getattr(APIClient(), method)("/twilio/tokens/video/", headers={"accept": accept})
    assert (response.status_code, response.json()["code"]) == (503, "not_configured")
    assert response.json()["detail"] == MESSAGES["not_configured"]
    assert response["Cache-Control"] == "no-store"
    assert "Unexpected error: " in caplog.text
    assert f"raise self.fault\n{type(fault).__name__}" in caplog.text


class LazyAuthentication(BaseAuthentication):
    """Believes what is signed, and looks the user up when somebody asks, as allauth's does."""

    def authenticate(self, request: Any) -> Any:
        return SimpleLazyObject(lambda: User.objects.get(username="anna")), None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


@ACCEPTED
@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_a_user_who_was_deleted_after_signing_in_is_not_signed_in(
    method: str, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenViewSet, "authentication_classes", [LazyAuthentication])
    response = getattr(APIClient(), method)("/twilio/tokens/video/", headers={"accept": accept})
    if response["Content-Type"] == "application/json":
        assert response.json()["code"] == "not_authenticated"
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def bug(*args: Any, **kwargs: Any) -> Any:
    return 1 / 0


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    "method",
    ["create", "fields_from", "issued_by", "answer", "initial", "get_permissions"],
)
def test_a_bug_of_a_sites_own_viewset_is_told_in_the_log_only(
    api: APIClient,
    method: str,
    accept: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TokenViewSet, method, bug)
        response = post(api, "video/", {}, accept)
    assert (response.status_code, response.json()["code"]) == (503, "not_configured")
    # Without an answer, nobody has the token that is recorded.
    assert IssuedToken.objects.exists() == (method == "answer")
    assert "No access token issued: Unexpected error: ZeroDivisionError." in caplog.text
    assert "in bug\n    return 1 / 0" in caplog.text
    assert post(api, "video/", {}, accept).status_code == 201


class SitesPermission(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        raise ConnectionError


@ACCEPTED
@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_a_permission_that_raises_is_told_in_the_log_only(
    api: APIClient, accept: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenViewSet, "permission_classes", [IsAuthenticated, SitesPermission])
    response = getattr(api, method)("/twilio/tokens/video/", headers={"accept": accept})
    assert (response.status_code, response.json()["code"]) == (503, "not_configured")


class SitesThrottle(UserRateThrottle):
    """REST framework's own, in a cache that is gone."""

    rate = "5/min"
    fault: Exception

    @property
    def cache(self) -> Any:
        raise self.fault


@ACCEPTED
@pytest.mark.parametrize("fault", [ConnectionError(), OperationalError()])
def test_what_a_sites_own_throttle_cannot_count_is_not_issued(
    api: APIClient,
    accept: str,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    throttle = type("Faulty", (SitesThrottle,), {"fault": fault})
    monkeypatch.setattr(TokenViewSet, "throttle_classes", [throttle])
    assert_refused(post(api, "video/", {}, accept), 503, "throttle_unavailable", accept)
    assert f"A throttle raised {type(fault).__name__}." in caplog.text


@ACCEPTED
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (drf.PermissionDenied(), 403),
        (DjangoPermissionDenied(), 403),
        (Http404(), 404),
        (drf.Throttled(7), 429),
        (BadRequest(), 400),
        (SuspiciousOperation(), 400),
        (MultiPartParserError(), 400),
    ],
)
def test_what_django_and_rest_framework_answer_is_theirs_to_answer(
    api: APIClient, error: Exception, status: int, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(TokenViewSet, "fields_from", refuse)
    response = api.post("/twilio/tokens/video/", headers={"accept": accept})
    assert response.status_code == status


FAILED = drf.AuthenticationFailed.default_code


def unlike_drf(detail: Any) -> drf.APIException:
    error = drf.AuthenticationFailed()
    error.detail = detail
    return error


@ACCEPTED
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (drf.ValidationError("no such company"), 400, "invalid"),
        (drf.ValidationError({"company": [str(each) for each in range(20)]}), 400, "invalid"),
        (drf.AuthenticationFailed({"detail": "gone", "left": [{"in": "2"}]}), 403, FAILED),
        (unlike_drf("gone"), 403, FAILED),
        (unlike_drf({"message": "gone", "left": 2, "since": None}), 403, FAILED),
        (unlike_drf([{"message": "gone"}]), 403, FAILED),
    ],
    indirect=["fault"],
)
def test_the_errors_of_a_sites_own_authentication_may_have_any_form(
    fault: Exception, status: int, code: str, accept: str
) -> None:
    for _again in range(2):  # some sites raise one and the same exception
        response = APIClient().post("/twilio/tokens/video/", headers={"accept": accept})
        assert_refused(response, status, code, accept)


@pytest.mark.usefixtures("_site")
def test_a_viewset_of_ones_own_has_its_own_urls(api: APIClient, settings: Any) -> None:
    settings.ROOT_URLCONF = tuple(token_urls(SessionTokenViewSet))
    assert api.post("/tokens/video/").status_code == 201
    IssuedToken.objects.all().delete()
    response = APIClient().post("/tokens/video/")
    assert_refused(response, 403, "not_authenticated")


# Bad fields

BAD_FIELDS = [
    ("video", {"room": ""}, "room", "blank"),
    ("video", {"room": " \t\u3000"}, "room", "blank"),
    ("video", {"room": "x" * 129}, "room", "max_length"),
    ("video", {"room": "a\x00b"}, "room", "null_characters_not_allowed"),
    ("video", {"room": "a\nb"}, "room", "invalid"),
    ("video", {"room": "a\x85b"}, "room", "invalid"),
    ("video", {"room": "a\ud800b"}, "room", "surrogate_characters_not_allowed"),
    ("video", {"room": 5}, "room", "invalid"),
    ("video", {"room": True}, "room", "invalid"),
    ("video", {"room": None}, "room", "null"),
    ("video", {"room": ["a"]}, "room", "invalid"),
    ("video", {"rooom": "a"}, "rooom", "unknown_field"),
    ("video", {"identity": "bob"}, "identity", "unknown_field"),
    ("video", {"csrfmiddlewaretoken": "x"}, "csrfmiddlewaretoken", "unknown_field"),
    ("chat", {"service": "suport"}, "service", "does_not_exist"),
    ("chat", {"service": sid("IS")}, "service", "does_not_exist"),
    ("chat", {"service": ""}, "service", "does_not_exist"),
    ("chat", {"service": "\ud800"}, "service", "does_not_exist"),
    ("chat", {"service": 5}, "service", "invalid"),
    ("chat", {"service": None}, "service", "null"),
    ("chat", {"push_credential": "android"}, "push_credential", "does_not_exist"),
    ("voice", {"app": "telephone"}, "app", "does_not_exist"),
    ("voice", {"app": {"name": "phone"}}, "app", "invalid"),
    ("voice", {"incoming": "maybe"}, "incoming", "invalid"),
    ("voice", {"incoming": 2}, "incoming", "invalid"),
    ("voice", {"incoming": None}, "incoming", "null"),
    ("voice", {"push_credential": "android"}, "push_credential", "does_not_exist"),
    ("voice", {"params": []}, "params", "invalid"),
    ("voice", {"params": '{"a": "b"}'}, "params", "invalid"),
    ("voice", {"params": {"a": 1}}, "params", "invalid"),
    ("voice", {"params": {"a": {"b": "c"}}}, "params", "invalid"),
    ("voice", {"params": {"a": "\x00"}}, "params", "null_characters_not_allowed"),
    ("voice", {"params": {"a": "\ud800"}}, "params", "surrogate_characters_not_allowed"),
    ("voice", {"params": {"a": "x" * 1_024}}, "params", "max_length"),
    ("voice", {"params": None}, "params", "null"),
]


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("product", "values", "field", "code"), BAD_FIELDS)
def test_a_bad_field_is_refused_on_the_page_of_its_product(
    api: APIClient, accept: str, product: str, values: Any, field: str, code: str
) -> None:
    response = post(api, f"{product}/", values, accept)
    assert_refused(response, 400, code, accept)
    assert [each.code for each in response.data[field]] == [code]


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("product", "values", "field", "code"), BAD_FIELDS)
def test_a_bad_field_is_refused_on_the_page_of_all_products(
    api: APIClient, product: str, values: Any, field: str, code: str
) -> None:
    response = post(api, "", {product: values})
    assert_refused(response, 400, code)
    assert [each.code for each in response.data[product][field]] == [code]


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("page", "rest"), [("video/", {}), ("chat/", {}), ("", {"video": {}})])
@pytest.mark.parametrize(
    ("ttl", "code"),
    [
        (0, "min_value"),
        (-1, "min_value"),
        (86_401, "max_value"),
        (10**30, "max_value"),
        (1.5, "invalid"),
        ("1h", "invalid"),
        ("", "invalid"),
        (True, "invalid"),
        ([60], "invalid"),
        ("\ud800", "invalid"),
        ("9" * 2_000, "max_string_length"),
        (None, "null"),
    ],
)
def test_a_bad_ttl_is_refused(api: APIClient, page: str, rest: Any, ttl: Any, code: str) -> None:
    response = post(api, page, {**rest, "ttl": ttl})
    assert_refused(response, 400, code)
    assert [each.code for each in response.data["ttl"]] == [code]


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({}, "required", {"non_field_errors": ["Request at least one product."]}),
        ({"ttl": 60}, "required", {"non_field_errors": ["Request at least one product."]}),
        ({"vidio": {}}, "unknown_field", {"vidio": ["Unknown field."]}),
        ({"code": {}}, "unknown_field", {"non_field_errors": ["Unknown field: code."]}),
        ({"video": {"ttl": 60}}, "unknown_field", {"video": {"ttl": ["Unknown field."]}}),
        ({"video": None}, "null", {"video": ["This field may not be null."]}),
        (
            {"video": "x"},
            "invalid",
            {"video": {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}},
        ),
        # Of several codes none can stand for all.
        (
            {"video": {"room": 5}, "chat": {"x": 1}},
            "invalid",
            {"video": {"room": ["Not a valid string."]}, "chat": {"x": ["Unknown field."]}},
        ),
    ],
)
def test_the_page_of_all_products_says_which_is_wrong(
    api: APIClient, body: Any, code: str, detail: Any
) -> None:
    response = post(api, "", body)
    assert_refused(response, 400, code)
    assert response.data == {**detail, "code": code}


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("page", "body", "code"),
    [
        ("video/", "rooom=a", "unknown_field"),
        ("video/", "identity=bob", "unknown_field"),
        ("video/", "room=+", "blank"),
        ("video/", "room=%00", "null_characters_not_allowed"),
        ("video/", "room=a%0D%0Ab", "invalid"),
        ("video/", "ttl=0", "min_value"),
        ("video/", "ttl=1.5", "invalid"),
        ("chat/", "service=theirs&push_credential=android", "does_not_exist"),
        ("voice/", "incoming=maybe", "invalid"),
        ("voice/", "params=%7B", "invalid"),
        ("voice/", "params=5", "invalid"),
        ("voice/", "params=" + "[" * 100_000, "parse_error"),
        ("", "", "required"),
        ("", "video=&video.room=", "required"),
        ("", "video.rooom=a", "unknown_field"),
        ("", "vidio=1", "unknown_field"),
    ],
)
def test_a_bad_form_is_refused_as_well(
    api: APIClient, accept: str, page: str, body: str, code: str
) -> None:
    assert_refused(post(api, page, body, accept, FORM), 400, code, accept)


@ACCEPTED
@pytest.mark.usefixtures("_site")
def test_a_file_is_no_value(api: APIClient, accept: str) -> None:
    body = b"\r\n".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\na' % name
        for name in (b"app", b"incoming", b"params", b"ttl")
    )
    response = post(api, "voice/", body + b"\r\n--x--", accept, "multipart/form-data; boundary=x")
    assert_refused(response, 400, "invalid", accept)
    assert {*response.data} == {"app", "incoming", "ttl", "code"}


# Bad bodies

ODD_CHARSETS = ["rot13", "hex", "zlib", "bz2", "utf-16", "utf-7", "punycode", "undefined", "x"]

BAD_BODIES = [
    (JSON, b"{", "parse_error"),
    (JSON, b"room=a", "parse_error"),
    (JSON, b'{"room": "\xff"}', "parse_error"),
    (JSON, b'{"ttl": NaN}', "parse_error"),
    (JSON, b'{"ttl": 1e400}', "invalid"),
    (JSON, b'{"ttl": ' + b"9" * 5_000 + b"}", "parse_error"),
    (JSON, b"[]", "invalid"),
    (JSON, b"5", "invalid"),
    (JSON, b'"room"', "invalid"),
    (JSON, b"null", "null"),
    (JSON, b"[" * 100_000 + b"]" * 100_000, "parse_error"),
    (JSON, b'{"params":' * 100_000, "parse_error"),
    (JSON, b'{"room": "' + b"x" * 10_000_000 + b'"}', "parse_error"),
    (FORM, b"room=" + b"x" * 10_000_000, "parse_error"),
    (FORM, b"&".join(b"a%d=" % number for number in range(2_000)), "parse_error"),
    ("multipart/form-data", b"room=a", "parse_error"),
    ("multipart/form-data; boundary=\xe9", b"room=a", "parse_error"),
    *((f"{JSON}; charset={charset}", b'{"room": "a"}', "parse_error") for charset in ODD_CHARSETS),
    *((f"{FORM}; charset={charset}", b"room=a", "parse_error") for charset in ODD_CHARSETS),
    ("text/plain", b"{}", "unsupported_media_type"),
    ("nonsense", b"{}", "unsupported_media_type"),
]


@pytest.fixture(params=["session", "token"])
def strict_api(request: pytest.FixtureRequest, user: User) -> APIClient:
    """As from a browser, whose CSRF token is looked for in the body too; or from an app."""
    if request.param == "token":
        token = Token.objects.create(user=user)
        return APIClient(headers={"authorization": f"Token {token.key}"})
    api = APIClient(enforce_csrf_checks=True, headers={"x-csrftoken": "a" * 32})
    api.force_login(user)
    api.cookies["csrftoken"] = "a" * 32
    return api


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    BAD_BODIES,
    ids=[f"{content_type}-{body[:20]!r}" for content_type, body, _ in BAD_BODIES],
)
def test_a_bad_body_is_refused(
    strict_api: APIClient,
    accept: str,
    content_type: str,
    body: bytes,
    code: str,
) -> None:
    response = post(strict_api, "video/", body, accept, content_type)
    status = 415 if code == "unsupported_media_type" else 400
    assert_refused(response, status, code, accept)


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("levels", [100, 900, 3_000, 30_000])
@pytest.mark.parametrize(
    ("page", "start", "end"),
    [
        ("video/", '{"room": ', "}"),
        ("voice/", '{"params": ', "}"),
        ("", '{"voice": {"params": ', "}}"),
        ("", "", ""),
    ],
)
def test_a_deep_body_is_refused_by_whoever_notices_first(
    strict_api: APIClient, accept: str, levels: int, page: str, start: str, end: str
) -> None:
    body = start + '{"a":' * levels + "1" + "}" * levels + end
    response = post(strict_api, page, body, accept)
    code = response.data["code"]
    assert code in {"invalid", "unknown_field", "parse_error"}
    assert_refused(response, 400, code, accept)


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("length", ["abc", "1e3", "-1", "²"])
def test_a_body_must_state_its_length(api: APIClient, length: str) -> None:
    response = post(api, "video/", {"room": "a"}, CONTENT_LENGTH=length)
    assert_refused(response, 400, "parse_error")


@ACCEPTED
@pytest.mark.parametrize(
    ("method", "page"), [("PUT", ""), ("PATCH", "video/"), ("DELETE", "video/")]
)
def test_other_methods_are_refused_in_the_same_shape(
    api: APIClient, accept: str, method: str, page: str
) -> None:
    response = api.generic(method, f"/twilio/tokens/{page}", headers={"accept": accept})
    assert_refused(response, 405, "method_not_allowed", accept)


def test_what_cannot_be_rendered_is_refused_in_json(api: APIClient) -> None:
    for page in ("", "video/"):
        response = api.get(f"/twilio/tokens/{page}?format=xml")
        assert_refused(response, 404, "not_found")
        response = api.get(f"/twilio/tokens/{page}", headers={"accept": "image/png"})
        assert_refused(response, 406, "not_acceptable")


# Not for this user


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("membership", "is_superuser", "is_found"),
    [("staff", False, True), ("crew", False, False), ("crew", True, False)],
)
@pytest.mark.parametrize("body", [{}, {"service": "support"}])
def test_what_a_user_may_not_use_does_not_exist(
    api: APIClient,
    user: User,
    chat_service: ChatService,
    membership: str,
    is_superuser: bool,
    is_found: bool,
    body: Any,
) -> None:
    chat_service.groups.add(Group.objects.create(name="staff"))
    user.groups.add(Group.objects.get_or_create(name=membership)[0])
    User.objects.update(is_superuser=is_superuser)
    response = post(api, "chat/", body)
    if is_found:
        assert response.status_code == 201
        return
    assert_refused(response, 400, "does_not_exist")
    assert [*response.data] == ["service", "code"]


@pytest.mark.usefixtures("_site")
def test_a_name_that_is_not_for_this_user_is_answered_as_one_that_is_not_there(
    api: APIClient, chat_service: ChatService
) -> None:
    chat_service.groups.add(Group.objects.create(name="staff"))
    existing = post(api, "chat/", {"service": "support"})
    missing = post(api, "chat/", {"service": "suport"})
    assert existing.data == missing.data


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("page", "body"),
    [
        ("chat/", {"service": "support", "push_credential": "their-ios"}),
        ("chat/", {"push_credential": "their-ios"}),
        ("", {"chat": {"service": "theirs"}, "voice": {"app": "phone"}}),
    ],
)
def test_one_token_is_of_one_account(api: APIClient, page: str, body: Any) -> None:
    assert_refused(post(api, page, body), 400, "account_mismatch")


@pytest.mark.usefixtures("_site")
def test_a_tenant_does_not_learn_of_other_accounts(
    api: APIClient, account: Account, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: account
    response = post(api, "chat/", {"service": "theirs"})
    assert_refused(response, 400, "does_not_exist")
    assert api.get("/twilio/tokens/chat/").data["services"] == ["support"]


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("page", "body"), [("voice/", {}), ("", {"voice": {}, "video": {}})])
def test_an_identity_that_does_not_suit_is_refused_with_product_rule_and_character(
    api: APIClient, page: str, body: Any
) -> None:
    User.objects.update(username="anna@example.com")
    response = post(api, page, body)
    assert_refused(response, 400, "identity_not_allowed")
    for part in ("Voice", "A–Z", "“@”"):
        assert part in response.data["detail"]


@pytest.mark.usefixtures("_site")
def test_a_room_may_be_required(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    response = post(api, "video/", {})
    assert_refused(response, 400, "required")
    assert [each.code for each in response.data["room"]] == ["required"]
    response = post(api, "", {"video": {}})
    assert_refused(response, 400, "required")
    assert [each.code for each in response.data["video"]["room"]] == ["required"]
    assert post(api, "video/", {"room": "a"}).status_code == 201


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("body", [{}, {"room": "board"}])
def test_the_room_policy_may_say_no(api: APIClient, settings: Any, body: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: room == "lobby"
    assert_refused(post(api, "video/", body), 403, "permission_denied")
    assert post(api, "video/", {"room": "lobby"}).status_code == 201


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("incoming", [True, "yes"])
def test_incoming_calls_may_not_be_allowed(
    api: APIClient, twiml_app: TwiMLApp, incoming: Any
) -> None:
    twiml_app.allow_incoming = False
    twiml_app.save()
    response = post(api, "voice/", {"incoming": incoming})
    assert_refused(response, 403, "permission_denied")


# Not for anybody now

MESSAGES = {
    each.code: str(each.default_message)
    for each in (
        exceptions.NotConfigured,
        exceptions.SecretUnavailable,
        exceptions.AuditUnavailable,
    )
}


@ACCEPTED
@pytest.mark.parametrize(("page", "body"), [("chat/", {}), ("", {"chat": {}})])
def test_all_503_of_one_code_are_alike_and_the_reason_is_in_the_log(
    unavailable: str,
    api: APIClient,
    secret: str,
    caplog: pytest.LogCaptureFixture,
    accept: str,
    page: str,
    body: Any,
) -> None:
    response = post(api, page, body, accept)
    assert_refused(response, 503, unavailable, accept)
    assert response.data == {"detail": MESSAGES[unavailable], "code": unavailable}
    ours = [each for each in caplog.records if each.name.startswith("twilio_tokens.")]
    assert max(each.levelno for each in ours) >= logging.WARNING
    assert secret not in caplog.text + response.content.decode()


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ACCOUNT", "no.such.path"),
        ("IDENTITY", None),
        ("TTL", {"video": "1h"}),
        ("MAX_TTL", 0),
        ("ROOM_REQUIRED", "yes"),
        ("ROOM_POLICY", 5),
        ("THROTTLE_RATE", "often"),
        ("AUDIT", "no"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_in_the_log_only(
    api: APIClient,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    accept: str,
    setting: str,
    value: Any,
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{setting}", value)
    response = post(api, "video/", {}, accept)
    assert_refused(response, 503, "not_configured", accept)
    assert response.data["detail"] == MESSAGES["not_configured"]
    assert f"TWILIO_TOKENS_{setting}" in caplog.text


def fail(*arguments: Any) -> Any:
    """``user.company.twilio_account`` of a user without a company."""
    return arguments[0].company.twilio_account


def fail_to_find(*arguments: Any) -> Any:
    return User.objects.get(pk=0)


FAULTY_FUNCTIONS = [
    (name, function)
    for name in ("IDENTITY", "ACCOUNT", "ROOM_POLICY")
    for function in (fail, fail_to_find, lambda: "too few arguments")
]


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(("setting", "function"), FAULTY_FUNCTIONS)
def test_a_function_of_the_site_that_raises_is_told_in_the_log_only(
    api: APIClient,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    accept: str,
    setting: str,
    function: Any,
) -> None:
    with override_settings(**{f"TWILIO_TOKENS_{setting}": function}):
        response = post(api, "video/", {"room": "a"}, accept)
        assert_refused(response, 503, "not_configured", accept)
        assert response.data["detail"] == MESSAGES["not_configured"]
        assert f"The function in TWILIO_TOKENS_{setting} raised" in caplog.text
        assert "Traceback" in caplog.text
        offer = api.get("/twilio/tokens/video/", headers={"accept": accept})
        assert offer.status_code == 200
        code = offer.data.get("problem", {}).get("code")
        assert code == (None if setting == "ROOM_POLICY" else "not_configured")
    assert post(api, "video/", {"room": "a"}, accept).status_code == 201


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("refusal", [DjangoPermissionDenied, exceptions.PermissionDenied])
def test_a_function_of_the_site_may_refuse(
    api: APIClient, settings: Any, refusal: type[Exception]
) -> None:
    def refuse(user: Any, room: Any) -> bool:
        raise refusal("Not today.")

    settings.TWILIO_TOKENS_ROOM_POLICY = refuse
    response = post(api, "video/", {"room": "a"})
    assert_refused(response, 403, "permission_denied")
    assert response.data["detail"] == "Not today."


@contextmanager
def without_table(name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO away")
        yield
        cursor.execute(f"ALTER TABLE away RENAME TO {name}")


MISSING_TABLES = {
    Account: ("not_configured", "not_configured"),
    APIKey: ("not_configured", "not_configured"),
    ChatService: ("not_configured", "not_configured"),
    IssuedToken: ("audit_unavailable", None),
    User: ("not_configured", "not_configured"),
}


@ACCEPTED
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_a_missing_table_gets_an_answer(
    api: APIClient, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    for model, (code, problem) in MISSING_TABLES.items():
        credential_cache.clear()
        with without_table(model._meta.db_table):
            response = post(api, "chat/", {}, accept)
            offer = api.get("/twilio/tokens/chat/", headers={"accept": accept})
        assert (response.status_code, response.data["code"]) == (503, code)
        assert model._meta.db_table in caplog.text
        told = offer.data if model is User else offer.data.get("problem", {})
        assert offer.status_code == (503 if model is User else 200)
        assert told.get("code") == problem
        caplog.clear()
    assert post(api, "chat/", {}, accept).status_code == 201


@ACCEPTED
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_a_database_that_is_gone_gets_an_answer_and_the_next_request_works(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("could not connect to server")

    for atomic in (False, True):
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
        for page, body in (("video/", {}), ("chat/", {}), ("", {"video": {}})):
            with monkeypatch.context() as patch:
                patch.setattr(type(connections["default"]), "ensure_connection", refuse)
                responses = [
                    post(api, page, body, accept),
                    api.get(f"/twilio/tokens/{page}", headers={"accept": accept}),
                ]
            for response in responses:
                assert (response.status_code, response.data["code"]) == (503, "not_configured")
                assert response["Cache-Control"] == "no-store"
        assert post(api, "video/", {}, accept).status_code == 201


@pytest.mark.usefixtures("_site")
def test_a_record_that_a_receiver_prevents_is_no_token(api: APIClient) -> None:
    def prevent(**kwargs: Any) -> None:
        raise RuntimeError

    pre_save.connect(prevent, sender=IssuedToken)
    try:
        assert_refused(post(api, "video/", {}), 503, "audit_unavailable")
    finally:
        pre_save.disconnect(prevent, sender=IssuedToken)
    assert post(api, "video/", {}).status_code == 201


# What one may ask for

NOTHING = {
    "default": None,
    "problem": {"code": "not_configured", "detail": MESSAGES["not_configured"]},
}
VIDEO = {"room_required": False, "default": None}
CHAT = {
    "services": ["support", "theirs"],
    "push_credentials": ["ios", "their-ios"],
    "default": "support",
}
VOICE = {
    "apps": ["phone", "their-phone"],
    "push_credentials": ["ios", "their-ios"],
    "default": "phone",
}


@ACCEPTED
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("page", "defaults", "entries"),
    [
        ("video/", {"video": 86_400}, VIDEO),
        ("chat/", {"chat": 3_600}, CHAT),
        ("voice/", {"voice": 3_600}, VOICE),
        (
            "",
            {**dict.fromkeys(registered(), 3_600), "video": 86_400},
            {
                "video": VIDEO,
                "chat": CHAT,
                "voice": VOICE,
                "sync": {"services": [], **NOTHING},
                "taskrouter": {"workspaces": [], **NOTHING},
                "live": {"stages": [], "seats": 100, **NOTHING},
            },
        ),
    ],
)
def test_get_tells_what_this_user_may_ask_for_and_issues_nothing(
    api: APIClient, accept: str, page: str, defaults: Any, entries: Any
) -> None:
    response = api.get(f"/twilio/tokens/{page}", headers={"accept": accept})
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    expected = {"identity": "anna", "ttl": {"max": 86_400, "default": defaults}, **entries}
    assert response.data == expected
    assert [*response.data] == [*expected], "in this order"
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("_site")
def test_get_follows_the_settings(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = 7_200
    settings.TWILIO_TOKENS_TTL = {"chat": 600}
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    answer = api.get("/twilio/tokens/").data
    assert answer["ttl"] == {
        "max": 7_200,
        "default": {**dict.fromkeys(registered(), 3_600), "video": 7_200, "chat": 600},
    }
    assert answer["video"]["room_required"] is True


@ACCEPTED
@pytest.mark.usefixtures("_site")
def test_get_names_only_what_is_for_this_user(
    api: APIClient, chat_service: ChatService, accept: str
) -> None:
    chat_service.groups.add(Group.objects.create(name="staff"))
    response = api.get("/twilio/tokens/chat/", headers={"accept": accept})
    assert response.data["services"] == ["theirs"]
    assert response.data["default"] is None
    assert "support" not in response.content.decode()


@ACCEPTED
@pytest.mark.usefixtures("_site")
def test_get_tells_a_problem_and_is_no_error(api: APIClient, settings: Any, accept: str) -> None:
    User.objects.update(username="anna@example.com")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    response = api.get("/twilio/tokens/", headers={"accept": accept})
    assert response.status_code == 200
    assert response.data["identity"] == "anna@example.com"
    assert {name: response.data[name]["problem"]["code"] for name in ("video", "chat")} == {
        "video": "secret_unavailable",
        "chat": "secret_unavailable",
    }
    problem = response.data["voice"]["problem"]
    assert problem["code"] == "identity_not_allowed"
    assert "“@”" in problem["detail"]


@ACCEPTED
@pytest.mark.usefixtures("_site")
def test_get_tells_that_the_user_has_no_identity(
    api: APIClient, settings: Any, accept: str
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = lambda user: ""
    response = api.get("/twilio/tokens/video/", headers={"accept": accept})
    assert (response.status_code, response.data["identity"]) == (200, None)
    assert response.data["problem"]["code"] == "identity_not_allowed"


@pytest.mark.usefixtures("_site")
def test_options_tells_choices_and_limits(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = 7_200

    def told(page: str) -> Any:
        response = api.options(f"/twilio/tokens/{page}")
        assert response["Cache-Control"] == "no-store"
        return response.data["actions"]["POST"]

    video, chat, voice, combined = map(told, ["video/", "chat/", "voice/", ""])
    assert video["room"]["max_length"] == 128
    assert (video["ttl"]["min_value"], video["ttl"]["max_value"]) == (1, 7_200)
    assert names(chat["service"]) == ["support", "theirs"]
    assert names(chat["push_credential"]) == names(voice["push_credential"]) == ["ios", "their-ios"]
    assert names(voice["app"]) == ["phone", "their-phone"]
    assert names(voice["incoming"]) == [True, False]
    assert names(chat["platform"]) == ["ios", "apn", "android", "fcm"]
    assert [*combined] == [*registered(), "ttl"]
    for product, own in (("video", video), ("chat", chat), ("voice", voice)):
        del own["ttl"]
        assert combined[product]["children"] == own


def names(field: Any) -> list[Any]:
    return [each["value"] for each in field["choices"]]


# Over a real socket


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("charset", ["utf-8", "zlib"])
@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Content-Length": "13"}, b'{"room": "a"}', None),
        ({"Content-Length": "abc"}, b'{"room": "a"}', "parse_error"),
        ({"Transfer-Encoding": "chunked"}, b'd\r\n{"room": "a"}\r\n0\r\n\r\n', "parse_error"),
        ({"Content-Length": "200000"}, b"[" * 200_000, "parse_error"),
        ({"Content-Length": "10000000"}, b" " * 10_000_000, "parse_error"),
        ({"Content-Length": "4"}, b"\xff\xfe{}", "parse_error"),
    ],
    ids=["good", "no number", "chunked", "deep", "big", "not utf-8"],
)
def test_odd_bodies_over_a_socket(
    live_server: Any,
    user: User,
    secret: str,
    charset: str,
    headers: dict[str, str],
    body: bytes,
    code: str | None,
) -> None:
    token = Token.objects.create(user=user)
    connection = HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=30)
    connection.putrequest("POST", "/twilio/tokens/video/")
    for name, value in {
        "Authorization": f"Token {token.key}",
        "Accept": JSON,
        "Content-Type": f"{JSON}; charset={charset}",
        **headers,
    }.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response: HTTPResponse = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.headers["Cache-Control"] == "no-store"
    if code is None and charset == "utf-8":
        assert response.status == 201
        assert '"room":"a"' in text
    else:
        assert response.status == 400
        assert "parse_error" in text
        assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    ("page", "beginning"),
    [
        ("", "Issues a Twilio Access Token for one"),
        ("video/", "Issues a Twilio Access Token for one"),
    ],
)
def test_options_describe_a_page_in_plain_text(api: APIClient, page: str, beginning: str) -> None:
    description = api.options(f"/twilio/tokens/{page}").data["description"]
    assert description.startswith(beginning)
    assert "<" not in description


def test_the_serializer_of_a_list_is_that_of_an_offer() -> None:
    view = TokenViewSet(product="video")
    view.action = "list"
    assert view.get_serializer().fields.keys() == offer_serializer("video").fields.keys()


def test_an_error_answer_has_ten_messages_however_they_are_spread() -> None:
    messages = [drf.ErrorDetail("first", "invalid"), drf.ErrorDetail("second", "invalid")]
    error = drf.ValidationError()
    error.detail = ReturnDict({f"field{n}": messages for n in range(8)}, serializer=None)
    answer = error_answer(error, {})
    assert answer is not None
    *fields, general = [each for each in answer.data.values() if isinstance(each, list)]
    assert [len(each) for each in fields] == [2] * 5
    assert general == ["There are more errors."]
