from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pythonjsonlogger.json import JsonFormatter
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from twilio_tokens.exceptions import PermissionDenied, TwilioTokensError
from twilio_tokens.grants import Chat, Video, Voice
from twilio_tokens.issuing import aissue_access_token, issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken, TwiMLApp
from twilio_tokens.outcomes import NO_FIELDS, Asking
from twilio_tokens.signals import access_token_refused
from twilio_tokens.views import TokenViewSet

from .console import permit, staff
from .rows import new_secret

LOGGER = "twilio_tokens.outcomes"
ALL, VIDEO, CHAT = "/twilio/tokens/", "/twilio/tokens/video/", "/twilio/tokens/chat/"
TEST_PAGE = "admin:twilio_tokens_issuedtoken_test"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """What the log has beside the messages, a dictionary for each line."""
    caplog.set_level(logging.INFO, LOGGER)
    return lambda: [
        {name: vars(each)[name] for name in NO_FIELDS}
        for each in caplog.records
        if each.name == LOGGER
    ]


@pytest.fixture
def ends(lines: Lines) -> Callable[[], list[str]]:
    """How each token that was asked for has ended."""
    return lambda: [line["code"] or line["outcome"] for line in lines()]


@pytest.fixture
def refusals() -> Iterator[list[tuple[Any, tuple[str, ...], str]]]:
    """User, products and code of each signal."""
    kept: list[tuple[Any, tuple[str, ...], str]] = []

    def keep(sender: object, user: Any, products: Any, code: str, signal: object) -> None:
        assert (sender, signal) == (IssuedToken, access_token_refused)
        kept.append((user, products, code))

    access_token_refused.connect(keep)
    yield kept
    access_token_refused.disconnect(keep)


# Issued


def test_a_token_is_a_line_of_the_log(
    api_key: APIKey, user: User, lines: Lines, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    issued = issue_access_token(user=user, grants=[Video("DailyStandup")], ttl=60)
    (line,) = lines()
    assert 0 < line.pop("duration_ms") < 60_000
    assert line == {
        "outcome": "issued",
        "code": None,
        "products": ["video"],
        "identity": "anna",
        "jti": issued.jti,
        "key_sid": api_key.sid,
        "ttl": 60,
    }
    assert caplog.messages == ["Access token issued: video."]
    assert caplog.records[0].levelno == logging.INFO


def by_python(user: User) -> None:
    issue_access_token(user=user, grants=[Video()])


def by_async_code(user: User) -> None:
    async_to_sync(aissue_access_token)(user=user, grants=[Video()])


def by_the_api(user: User) -> None:
    client = APIClient()
    client.force_login(user)
    assert client.post(VIDEO).status_code == 201


def by_the_command(user: User) -> None:
    call_command("twilio_token", "anna", "--video", stdout=StringIO(), stderr=StringIO())


def by_the_page(user: User) -> None:
    page = staff("issue_test_token").post(reverse(TEST_PAGE), {"username": "anna", "video": "on"})
    assert page.context["form"].issued


DOORS = [by_python, by_async_code, by_the_api, by_the_command, by_the_page]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", DOORS)
def test_a_token_is_told_once_whichever_door_it_leaves_by(
    door: Callable[[User], None],
    api_key: APIKey,
    user: User,
    ends: Callable[[], list[str]],
    refusals: list[Any],
) -> None:
    door(user)
    assert ends() == ["issued"]
    assert refusals == []


def test_of_several_products_there_is_one_line(
    api_key: APIKey, chat_service: object, api: APIClient, lines: Lines
) -> None:
    api.post(ALL, {"video": {}, "chat": {}}, format="json")
    assert [line["products"] for line in lines()] == [["video", "chat"]]


# Refused


@pytest.mark.parametrize(
    "door", [by_python, by_the_api, by_the_command, by_the_page], ids=lambda door: door.__name__
)
def test_a_refusal_is_told_once_whichever_door_was_knocked_at(
    door: Callable[[User], None],
    user: User,
    account: Account,
    ends: Callable[[], list[str]],
    refusals: list[Any],
) -> None:
    with pytest.raises((TwilioTokensError, AssertionError, CommandError)):
        door(user)
    assert ends() == ["not_configured"]
    assert refusals == [(user, ("video",), "not_configured")]


def test_a_refusal_is_a_line_of_the_log(
    api_key: APIKey, user: User, lines: Lines, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    with pytest.raises(TwilioTokensError):
        issue_access_token(user=user, grants=[Video(), Voice()], ttl=0)
    (line,) = lines()
    assert line.pop("duration_ms") > 0
    assert line == {
        "outcome": "refused",
        "code": "min_value",
        "products": ["video", "voice"],
        "identity": "anna",
        "jti": None,
        "key_sid": None,
        "ttl": None,
    }
    assert caplog.messages == ["Access token refused: min_value."]


def test_whatever_makes_a_site_unable_to_issue_is_told(
    unavailable: str, api: APIClient, user: User, ends: Callable[[], list[str]], refusals: list[Any]
) -> None:
    assert api.post(CHAT).data["code"] == unavailable
    assert ends() == [unavailable]
    assert refusals == [(user, ("chat",), unavailable)]


@pytest.mark.parametrize(
    ("user", "products", "code"),
    [
        (AnonymousUser(), ("video",), "not_authenticated"),
        (None, ("video",), "not_authenticated"),
        (AnonymousUser(), (), "not_authenticated"),
    ],
)
def test_who_is_not_signed_in_is_nobody(
    user: Any, products: tuple[str, ...], code: str, refusals: list[Any], lines: Lines
) -> None:
    with pytest.raises(TwilioTokensError):
        issue_access_token(user=user, grants=[Video() for _product in products])
    assert refusals == [(None, products, code)]
    assert [line["identity"] for line in lines()] == [None]


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "body", "kind", "products", "code"),
    [
        (VIDEO, '{"rooom": "x"}', JSON, ["video"], "unknown_field"),
        (VIDEO, '{"ttl": "x", "room": ""}', JSON, ["video"], "invalid"),
        (VIDEO, '{"room": "x"', JSON, ["video"], "parse_error"),
        (VIDEO, "room", "text/plain", ["video"], "unsupported_media_type"),
        (f"{VIDEO}?room=x", "", JSON, ["video"], "parse_error"),
        (ALL, "{}", JSON, [], "required"),
        (ALL, "[]", JSON, [], "invalid"),
        (ALL, '{"video": {"rooom": "x"}, "fax": {}}', JSON, ["video"], "unknown_field"),
        (ALL, '{"video": {}, "voice": {}, "ttl": 0}', JSON, ["video", "voice"], "min_value"),
        (ALL, "voice.incoming=x&video=on", "application/x-www-form-urlencoded", None, "invalid"),
        (ALL, '{"video": {}, "chat": {"service": "x"}}', JSON, ["video", "chat"], "does_not_exist"),
    ],
)
def test_a_request_that_is_refused_is_told_once_with_the_code_of_its_answer(
    path: str,
    body: str,
    kind: str,
    products: list[str] | None,
    code: str,
    api: APIClient,
    api_key: APIKey,
    user: User,
    lines: Lines,
    refusals: list[Any],
) -> None:
    response = api.post(path, body, content_type=kind)
    assert response.data["code"] == code
    (line,) = lines()
    expected = ["video", "voice"] if products is None else products
    assert (line["outcome"], line["code"], line["products"]) == ("refused", code, expected)
    assert refusals == [(user, tuple(expected), code)]


@pytest.mark.parametrize(("path", "products"), [(VIDEO, ("video",)), (ALL, ())])
@pytest.mark.django_db
def test_a_stranger_who_is_sent_away_is_told(
    path: str, products: tuple[str, ...], refusals: list[Any], ends: Callable[[], list[str]]
) -> None:
    assert APIClient().post(path, {"video": {}}, format="json").status_code == 401
    assert refusals == [(None, products, "not_authenticated")]
    assert ends() == ["not_authenticated"]


def test_so_is_who_asks_too_often(
    api: APIClient,
    api_key: APIKey,
    user: User,
    settings: Any,
    ends: Callable[[], list[str]],
    refusals: list[Any],
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    api.post(VIDEO)
    api.post(VIDEO)
    assert ends() == ["issued", "throttled"]
    assert refusals == [(user, ("video",), "throttled")]


def test_what_cannot_be_counted_is_told(
    api: APIClient, api_key: APIKey, settings: Any, ends: Callable[[], list[str]]
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert api.post(VIDEO).data["code"] == "throttle_unavailable"
    assert ends() == ["throttle_unavailable"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_ask_for_a_token_and_are_refused(
    method: str, api: APIClient, ends: Callable[[], list[str]]
) -> None:
    assert getattr(api, method)(VIDEO).status_code == 405
    assert ends() == ["method_not_allowed"]


def test_an_answer_that_cannot_be_given_is_refused(
    api: APIClient, ends: Callable[[], list[str]]
) -> None:
    assert api.post(VIDEO, headers={"accept": "image/png"}).status_code == 406
    assert ends() == ["not_acceptable"]


@pytest.mark.parametrize("method", ["get", "head", "options"])
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_who_only_looks_asks_for_nothing(
    method: str, is_signed_in: bool, api: APIClient, lines: Lines, refusals: list[Any]
) -> None:
    getattr(api if is_signed_in else APIClient(), method)(VIDEO)
    assert (lines(), refusals) == ([], [])


def failing(error: Exception) -> type[BaseAuthentication]:
    class Authentication(BaseAuthentication):
        def authenticate(self, request: Any) -> None:
            raise error

    return Authentication


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationFailed("No.", code="expired"), "expired"),
        (AuthenticationFailed({"detail": "No.", "messages": []}, code=7), "7"),
        (DatabaseError("gone"), "not_configured"),
        (ZeroDivisionError("a mistake of the site"), "not_configured"),
        (DjangoPermissionDenied("No."), "permission_denied"),
    ],
)
@pytest.mark.django_db
def test_authentication_that_fails_is_told_with_the_code_of_the_answer(
    error: Exception,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    refusals: list[Any],
    ends: Callable[[], list[str]],
) -> None:
    monkeypatch.setattr(TokenViewSet, "authentication_classes", [failing(error)])
    assert str(APIClient().post(VIDEO).data["code"]) == code
    assert refusals == [(None, ("video",), code)]
    assert ends() == [code]


# What a site makes of it


def by(
    viewset: type[TokenViewSet], actions: dict[str, str], user: User, method: str = "get"
) -> Any:
    request = getattr(APIRequestFactory(), method)("/")
    force_authenticate(request, user)
    return viewset.as_view(actions, product="video")(request)


class Own(TokenViewSet):
    """Issues by GET, and answers in ways of its own."""

    def list(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        for _token in range(2):
            issue_access_token(user=request.user, grants=[Video()])
        return Response("two")

    @action(detail=False)
    def refuse(self, request: Any) -> HttpResponse:
        return HttpResponse("No.", status=402)

    @action(detail=False)
    def crash(self, request: Any) -> Response:
        raise ZeroDivisionError("a mistake of the site")

    @action(detail=False)
    def ask_elsewhere(self, request: Any) -> Response:
        return Response("see there")

    @action(detail=False)
    def crash_later(self, request: Any) -> Response:
        issue_access_token(user=request.user, grants=[Video()])
        raise ZeroDivisionError("a mistake of the site")


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("list", ["issued", "issued"]),
        ("refuse", ["error"]),
        ("ask_elsewhere", []),
        ("crash", ["not_configured"]),
        ("crash_later", ["issued"]),
    ],
)
def test_each_token_of_a_sites_own_view_is_told(
    method: str, told: list[str], api_key: APIKey, user: User, ends: Callable[[], list[str]]
) -> None:
    by(Own, {"get": method}, user)
    assert ends() == told


@pytest.mark.parametrize(
    ("error", "code", "answered"),
    [
        (ZeroDivisionError("a mistake of the site"), "error", "not_configured"),
        (DjangoPermissionDenied("No."), "permission_denied", "permission_denied"),
        (PermissionDenied("No."), "permission_denied", "permission_denied"),
    ],
)
def test_a_grant_that_raises_is_told_once(
    error: Exception,
    code: str,
    answered: str,
    api_key: APIKey,
    api: APIClient,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[], list[str]],
) -> None:
    def authorize(*args: Any) -> None:
        raise error

    monkeypatch.setattr(Video, "authorize", authorize)
    with pytest.raises(type(error)):
        issue_access_token(user=user, grants=[Video()])
    assert ends() == [code]
    assert api.post(VIDEO).json()["code"] == answered
    assert ends() == [code, answered]


@pytest.fixture
def _failing_receiver() -> Iterator[None]:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("a mistake of the site")

    access_token_refused.connect(fail)
    yield
    access_token_refused.disconnect(fail)


@pytest.mark.usefixtures("_failing_receiver")
def test_a_receiver_that_raises_is_logged_and_changes_nothing(
    api: APIClient, refusals: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = api.post(VIDEO, {"rooom": "x"}, format="json")
    assert (response.status_code, response.data["code"]) == (400, "unknown_field")
    assert len(refusals) == 1
    assert "a mistake of the site" in caplog.text


# The page for test tokens


@pytest.mark.parametrize(
    ("data", "products", "code"),
    [
        ({"username": "nobody", "video": "on"}, ("video",), "does_not_exist"),
        ({"username": "nobody", "video": "on", "ttl": "x"}, ("video",), "invalid"),
        ({"username": "boss", "video": "on"}, ("video",), "more_rights"),
        ({"username": "", "video": "on"}, ("video",), "required"),
        ({"username": "anna"}, (), "required"),
        ({"username": "anna", "video": "on", "ttl": "7200"}, ("video",), "invalid"),
        ({"username": "anna", "video": "on", "ttl": "0"}, ("video",), "min_value"),
    ],
)
def test_what_the_page_for_test_tokens_refuses_is_told_once(
    data: dict[str, str],
    products: tuple[str, ...],
    code: str,
    api_key: APIKey,
    user: User,
    refusals: list[Any],
    ends: Callable[[], list[str]],
) -> None:
    User.objects.create_superuser("boss")
    client = staff("issue_test_token")
    client.get(reverse(TEST_PAGE))
    assert client.post(reverse(TEST_PAGE), data).status_code == 200
    assert ends() == [code]
    ((who, *told),) = refusals
    assert told == [products, code]
    assert who.get_username() in {"staff", "anna"}


def test_the_page_counts_requests_and_tells_of_those_that_are_too_many(
    api_key: APIKey, user: User, settings: Any, ends: Callable[[], list[str]]
) -> None:
    client, data = staff("issue_test_token"), {"username": "anna", "video": "on"}
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    client.post(reverse(TEST_PAGE), data)
    client.post(reverse(TEST_PAGE), data)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    client.post(reverse(TEST_PAGE), data)
    assert ends() == ["issued", "throttled", "throttle_unavailable"]


def test_a_page_whose_database_fails_is_a_refusal(
    api_key: APIKey, monkeypatch: pytest.MonkeyPatch, refusals: list[Any]
) -> None:
    def fail(name: str) -> None:
        raise DatabaseError("gone")

    client = staff("issue_test_token")
    monkeypatch.setattr("twilio_tokens.admin.token_forms.users_named", fail)
    client.post(reverse(TEST_PAGE), {"username": "anna", "video": "on"})
    assert [code for _user, _products, code in refusals] == ["not_configured"]


def test_who_may_not_issue_test_tokens_is_refused_one(
    user: User, ends: Callable[[], list[str]], refusals: list[Any]
) -> None:
    permit(user)
    client = Client()
    client.force_login(user)
    assert client.get(reverse(TEST_PAGE)).status_code == 403
    assert ends() == []
    assert client.post(reverse(TEST_PAGE)).status_code == 403
    assert refusals == [(user, (), "permission_denied")]


# Identities


def identities(lines: Lines, *users: User) -> list[str]:
    for each in users:
        issue_access_token(user=each, grants=[Video()])
    return [line["identity"] for line in lines()]


def test_an_identity_is_a_hash_that_is_equal_for_equal_ones_only(
    api_key: APIKey, user: User, lines: Lines
) -> None:
    berta = User.objects.create_user("berta")
    first, second, other = identities(lines, user, user, berta)
    assert first == second != other
    assert len(first) == 32
    assert "anna" not in first


def test_the_hash_cannot_be_told_without_the_secret_key(
    api_key: APIKey, user: User, lines: Lines, settings: Any
) -> None:
    (first,) = identities(lines, user)
    settings.SECRET_KEY = "another"
    assert identities(lines, user)[1] != first


def test_a_refusal_has_the_same_identity_as_a_token(
    api_key: APIKey, user: User, lines: Lines, api: APIClient
) -> None:
    (issued,) = identities(lines, user)
    api.post(VIDEO, {"rooom": "x"}, format="json")
    assert lines()[1]["identity"] == issued


def test_who_has_no_identity_is_refused_without_one(
    api_key: APIKey, lines: Lines, settings: Any
) -> None:
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    with pytest.raises(TwilioTokensError):
        issue_access_token(user=User.objects.create(username="\x1b[2J"), grants=[Video()])
    assert [(line["code"], line["identity"]) for line in lines()] == [
        ("identity_not_allowed", None)
    ]


@pytest.mark.parametrize("value", ["True", 1, None])
def test_a_setting_that_cannot_be_used_shows_no_identity_and_keeps_nobody_from_a_token(
    value: object, api_key: APIKey, user: User, lines: Lines, settings: Any
) -> None:
    (hashed,) = identities(lines, user)
    settings.TWILIO_TOKENS_LOG_IDENTITY = value
    assert identities(lines, user)[1] == hashed


# What a line may hold


HOSTILE = [
    "anna\u2028outcome=issued",
    'anna", "outcome": "issued',
    "anna\u202e\u200b",
    "anna %(jti)s %s {jti}",
    "anna outcome=issued code=None",
    "anna\\u0022\\n",
]


def shown_as_json(caplog: pytest.LogCaptureFixture) -> list[str]:
    formatter = JsonFormatter("%(levelname)s %(name)s %(message)s")
    return [formatter.format(each) for each in caplog.records if each.name == LOGGER]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_neither_breaks_a_line_nor_adds_a_field(
    name: str, api_key: APIKey, lines: Lines, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    user = User.objects.create(username=name)
    try:
        issue_access_token(user=user, grants=[Video()])
        expected = "issued"
    except TwilioTokensError as error:
        expected = error.code
    (text,) = shown_as_json(caplog)
    assert len(text.splitlines()) == 1
    fields = json.loads(text)
    assert {"levelname", "name", "message", *NO_FIELDS} <= fields.keys()
    assert len(fields) - len(NO_FIELDS) <= 4  # those, and Python's own taskName
    assert (fields["code"] or fields["outcome"]) == expected
    assert fields["message"] in {
        "Access token issued: video.",
        "Access token refused: identity_not_allowed.",
    }


@pytest.mark.django_db
def test_a_code_of_the_sites_own_does_not_break_a_line(
    monkeypatch: pytest.MonkeyPatch, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    error = AuthenticationFailed("No.", code="bad\ncode\x1b[2J")
    monkeypatch.setattr(TokenViewSet, "authentication_classes", [failing(error)])
    APIClient().post(VIDEO)
    assert caplog.messages[0] == r"Access token refused: bad\ncode\x1b[2J."
    assert lines()[0]["code"] == r"bad\ncode\x1b[2J"


def test_what_cannot_be_seen_in_an_identity_is_shown(
    api_key: APIKey, lines: Lines, settings: Any
) -> None:
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    hidden = User.objects.create(username="anna\u200b")
    assert identities(lines, hidden) == [r"anna\u200b"]


def test_neither_a_token_nor_a_secret_nor_parameters_are_told(
    api_key: APIKey,
    secret: str,
    key_ring: list[str],
    twiml_app: TwiMLApp,
    api: APIClient,
    refusals: list[Any],
    caplog: pytest.LogCaptureFixture,
    settings: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.TWILIO_TOKENS_LOG_IDENTITY = True
    canary, room = new_secret(), new_secret()
    asked_for = {"voice": {"params": {"canary": canary}}, "video": {"room": room}}
    issued = api.post(ALL, asked_for, format="json")
    assert issued.status_code == 201
    assert api.post(ALL, {**asked_for, "ttl": 0}, format="json").status_code == 400
    assert api.post(ALL, {**asked_for, canary: canary}, format="json").status_code == 400
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    assert api.post(ALL, asked_for, format="json").status_code == 503
    told = repr(refusals) + repr([vars(each) for each in caplog.records if each.name == LOGGER])
    assert len(refusals) == 3
    claims, signature = issued.data["token"].split(".")[1:]
    for hidden in (canary, room, secret, *key_ring, claims, signature):
        assert hidden not in told


def test_where_the_logger_is_off_nothing_is_asked_for_its_sake(
    api_key: APIKey, user: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[object] = []
    settings.TWILIO_TOKENS_IDENTITY = lambda user: asked.append(user) or "anna"
    with pytest.raises(TwilioTokensError):
        issue_access_token(user=user, grants=[Chat()], ttl=0)
    assert asked == []
    assert caplog.records == []
    caplog.set_level(logging.INFO, LOGGER)
    with pytest.raises(TwilioTokensError):
        issue_access_token(user=user, grants=[Chat()], ttl=0)
    assert asked == [user]


def test_the_time_of_a_request_is_counted_from_its_beginning(
    api_key: APIKey, user: User, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    now = 0.0

    def later(*args: Any) -> None:
        nonlocal now
        now += 1.5

    monkeypatch.setattr("twilio_tokens.outcomes.time.perf_counter", lambda: now)
    monkeypatch.setattr(Video, "authorize", later)
    monkeypatch.setattr(TokenViewSet, "check_throttles", later)
    by(TokenViewSet, {"post": "create"}, user, "post")
    issue_access_token(user=user, grants=[Video()])
    assert [line["duration_ms"] for line in lines()] == [3_000, 1_500]


def test_an_end_is_told_once() -> None:
    codes: list[str] = []

    def note(code: str, **kwargs: Any) -> None:
        codes.append(code)

    access_token_refused.connect(note)
    asking = Asking()
    asking.refused("first")
    asking.refused("second")
    access_token_refused.disconnect(note)
    assert codes == ["first"]


def test_what_is_no_user_is_told_as_nobody() -> None:
    users: list[object] = []

    def note(user: object, **kwargs: Any) -> None:
        users.append(user)

    access_token_refused.connect(note)
    Asking(object()).refused("code")  # type: ignore[arg-type]
    access_token_refused.disconnect(note)
    assert users == [None]
