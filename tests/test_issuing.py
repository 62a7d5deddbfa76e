"""The tokens are verified with PyJWT, from the plaintext that the test typed in."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pprint import pformat
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import jwt
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError, connection, transaction
from django.db.models.signals import pre_save
from django.utils import timezone
from rest_framework.test import APIClient
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant, VideoGrant, VoiceGrant

from tests.issued import decoded
from tests.reports import error_report
from tests.rows import add_key, new_secret, sid
from twilio_tokens.crypto import generate_key, load_key_ring, seal
from twilio_tokens.exceptions import (
    AccountMismatch,
    AuditUnavailable,
    DoesNotExist,
    IdentityNotAllowed,
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    PermissionDenied,
    SecretUnavailable,
    Unavailable,
)
from twilio_tokens.grants import Chat, Grant, Video, Voice, register
from twilio_tokens.grants import base as registry
from twilio_tokens.issuing import IssuedAccessToken, aissue_access_token, issue_access_token
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    TwiMLApp,
)
from twilio_tokens.offers import offers


def issue(user: Any, *grants: Grant, ttl: int | None = None) -> IssuedAccessToken:
    return issue_access_token(user=user, grants=grants, ttl=ttl)


# The token


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential")
@pytest.mark.parametrize(
    ("grants", "granted", "ttl"),
    [
        ([Video()], {"video": {}}, 86_400),
        ([Video("DailyStandup")], {"video": {"room": "DailyStandup"}}, 86_400),
        ([Chat()], {"chat": {"service_sid": sid("IS")}}, 3_600),
        (
            [Chat("support", "ios")],
            {"chat": {"service_sid": sid("IS"), "push_credential_sid": sid("CR")}},
            3_600,
        ),
        (
            [Voice()],
            {
                "voice": {
                    "incoming": {"allow": True},
                    "outgoing": {"application_sid": sid("AP")},
                }
            },
            3_600,
        ),
        (
            [Voice("phone", False, "ios", {"queue": "sales"}), Video(), Chat()],
            {
                "voice": {
                    "outgoing": {"application_sid": sid("AP"), "params": {"queue": "sales"}},
                    "push_credential_sid": sid("CR"),
                },
                "video": {},
                "chat": {"service_sid": sid("IS")},
            },
            86_400,
        ),
    ],
)
def test_a_token_is_as_twilio_documents_it(
    user: User, secret: str, grants: list[Grant], granted: dict[str, Any], ttl: int
) -> None:
    before = int(time.time())
    issued = issue(user, *grants)
    assert jwt.get_unverified_header(issued.token) == {
        "typ": "JWT",
        "alg": "HS256",
        "cty": "twilio-fpa;v=1",
    }
    claims = decoded(issued.token, secret)
    assert before <= claims["iat"] <= time.time()
    assert claims == {
        "jti": issued.jti,
        "iss": sid("SK"),
        "sub": sid("AC"),
        "iat": claims["iat"],
        "exp": claims["iat"] + ttl,
        "grants": {"identity": "anna", **granted},
    }
    assert issued.grants == granted
    assert (issued.identity, issued.account_sid) == ("anna", sid("AC"))
    assert issued.issued_at.timestamp() == claims["iat"]
    assert issued.expires_at.timestamp() == claims["exp"]
    assert issued.issued_at.utcoffset() == timedelta(0)


def test_a_token_is_the_one_of_twilios_library(
    api_key: APIKey, chat_service: ChatService, twiml_app: TwiMLApp, user: User, secret: str
) -> None:
    issued = issue(user, Video("DailyStandup"), Chat(), Voice())
    theirs = AccessToken(
        sid("AC"),
        sid("SK"),
        secret,
        grants=[
            VideoGrant(room="DailyStandup"),
            ChatGrant(service_sid=sid("IS")),
            VoiceGrant(outgoing_application_sid=sid("AP"), incoming_allow=True),
        ],
        identity="anna",
        nbf=None,
        valid_until=int(issued.expires_at.timestamp()),
    )
    own = {"jti": issued.jti, "iat": int(issued.issued_at.timestamp())}
    assert decoded(issued.token, secret) == {**theirs.payload, **own}
    assert jwt.get_unverified_header(issued.token) == theirs.headers


def test_a_token_does_not_open_with_another_secret(api_key: APIKey, user: User) -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        decoded(issue(user, Video()).token, new_secret())


@pytest.mark.parametrize("room", ["é" * 128, "会議室", '"\\/<>&', "🎉"])
def test_a_room_is_granted_exactly_as_asked_for(
    api_key: APIKey, user: User, secret: str, room: str
) -> None:
    claims = decoded(issue(user, Video(room)).token, secret)
    assert claims["grants"]["video"] == {"room": room}


@pytest.mark.django_db(transaction=True)
def test_ten_thousand_tokens_of_one_second_have_ten_thousand_ids(
    api_key: APIKey, user: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TWILIO_TOKENS_AUDIT = False
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    issued = [issue(user, Video()) for _ in range(10_000)]
    assert len({each.jti for each in issued}) == 10_000
    assert len({each.issued_at for each in issued}) == 1


def test_its_id_is_16_random_bytes(api_key: APIKey, user: User) -> None:
    assert re.fullmatch("[0-9a-f]{32}", issue(user, Video()).jti)


def test_its_repr_hides_the_token(api_key: APIKey, user: User) -> None:
    issued = issue(user, Video())
    for shown in (repr(issued), str(issued), pformat(issued)):
        assert issued.jti in shown
        assert issued.token not in shown


# Its lifetime


def lifetime(issued: IssuedAccessToken, secret: str) -> int:
    claims = decoded(issued.token, secret)
    return int(claims["exp"] - claims["iat"])


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app")
@pytest.mark.parametrize(
    ("ttls", "longest", "grants", "expected"),
    [
        ({}, 86_400, [Chat()], 3_600),
        ({"chat": 600}, 86_400, [Chat()], 600),
        ({"chat": 600}, 86_400, [Voice()], 3_600),
        ({"chat": 600}, 86_400, [Chat(), Voice()], 3_600),
        ({}, 86_400, [Chat(), Video(), Voice()], 86_400),
        ({}, 7_200, [Video()], 7_200),
        ({"video": 60}, 30, [Video()], 30),
    ],
)
def test_the_longest_default_of_the_products_is_taken_up_to_the_maximum(
    user: User,
    secret: str,
    settings: Any,
    ttls: dict[str, int],
    longest: int,
    grants: list[Grant],
    expected: int,
) -> None:
    settings.TWILIO_TOKENS_TTL = ttls
    settings.TWILIO_TOKENS_MAX_TTL = longest
    assert lifetime(issue(user, *grants), secret) == expected


@pytest.mark.parametrize(
    ("ttl", "margin"), [(86_400, 300), (600, 300), (599, 299.5), (60, 30), (1, 0.5)]
)
def test_one_may_ask_for_less_and_refresh_in_time(
    api_key: APIKey, user: User, secret: str, ttl: int, margin: float
) -> None:
    issued = issue(user, Video(), ttl=ttl)
    assert lifetime(issued, secret) == ttl
    assert issued.expires_in == ttl
    assert issued.expires_at - issued.refresh_at == timedelta(seconds=margin)


@pytest.mark.parametrize(
    ("ttl", "code"),
    [
        (0, "min_value"),
        (-1, "min_value"),
        (7_201, "max_value"),
        (10**30, "max_value"),
        (True, "invalid"),
        (False, "invalid"),
        (60.0, "invalid"),
        ("60", "invalid"),
    ],
)
def test_other_lifetimes_are_refused(
    api_key: APIKey, user: User, settings: Any, ttl: Any, code: str
) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = 7_200
    with pytest.raises(InvalidGrant) as refused:
        issue(user, Video(), ttl=ttl)
    error = refused.value
    assert (error.product, error.field, error.code) == (None, "ttl", code)
    assert error.message == {
        "min_value": "Ensure this value is greater than or equal to 1.",
        "max_value": "Ensure this value is less than or equal to 7200.",
        "invalid": "A valid integer is required.",
    }.get(code)


# Who and what


def inactive() -> User:
    return User.objects.create_user("gone", is_active=False)


class Machine:
    """What some authentication classes give for a client that is no user."""

    is_authenticated = is_active = True

    def get_username(self) -> str:
        return "anna"


class Customer(Group):
    """Of a site that has customers beside its users."""

    is_authenticated = is_active = True

    class Meta:
        app_label = "tests"
        proxy = True

    def get_username(self) -> str:
        return "customer"


def customer() -> Customer:
    """With the primary key of the user."""
    return Customer(pk=User.objects.get().pk)


@pytest.mark.parametrize(
    "make_user",
    [
        AnonymousUser,
        inactive,
        lambda: None,
        lambda: User(username="anna"),
        Machine,
        customer,
        lambda: SimpleNamespace(pk=1, is_active=True),
        lambda: SimpleNamespace(pk=1, is_authenticated=True),
    ],
)
def test_only_active_users_get_a_token(
    api_key: APIKey, user: User, make_user: Callable[[], Any]
) -> None:
    with pytest.raises(NotAuthenticated):
        issue(make_user(), Video())


def test_a_machine_that_is_no_user_is_answered_like_nobody(
    api: APIClient, api_key: APIKey, user: User
) -> None:
    for stranger in (Machine(), customer()):
        api.force_authenticate(stranger)
        response = api.post("/twilio/tokens/video/")
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        assert api.get("/twilio/tokens/video/").status_code == 200


@dataclass(frozen=True)
class Whiteboard(Grant):
    product = "whiteboard"

    def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
        return VideoGrant()


@dataclass(frozen=True)
class OtherVideo(Video):
    """Under the name of a registered product."""


@pytest.mark.parametrize(
    ("grants", "product", "code"),
    [
        ([], None, "required"),
        ([Video(), Video()], "video", "invalid"),
        ([Video("a"), Chat(), Video("b")], "video", "invalid"),
        ([Whiteboard()], "whiteboard", "invalid"),
        ([OtherVideo()], "video", "invalid"),
        ([Video(room="")], "video", "blank"),
    ],
)
def test_grants_that_no_user_gets(
    api_key: APIKey,
    chat_service: ChatService,
    user: User,
    grants: list[Grant],
    product: str | None,
    code: str,
) -> None:
    with pytest.raises(InvalidGrant) as refused:
        issue(user, *grants)
    assert (refused.value.product, refused.value.code) == (product, code)
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app")
def test_the_identity_must_suit_every_product() -> None:
    user = User.objects.create_user("anna@example.com")
    assert issue(user, Video(), Chat()).identity == "anna@example.com"
    with pytest.raises(IdentityNotAllowed, match=r"Voice.*“@”"):
        issue(user, Video(), Chat(), Voice())


# Which account


def default_in(account: Account, model: Any) -> None:
    model.objects.filter(account=account).update(is_default=True)


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app")
def test_the_account_of_what_is_named_signs_and_gives_the_other_defaults(
    user: User, secret: str, other: Account
) -> None:
    their_secret = new_secret()
    add_key(other, secret=their_secret)
    assert decoded(issue(user, Chat()).token, secret)["sub"] == sid("AC")
    issued = issue(user, Chat("theirs"))
    claims = decoded(issued.token, their_secret)
    assert (claims["sub"], claims["iss"]) == (sid("AC", "1"), sid("SK", "1"))
    assert issue(user, Voice("their-phone", push_credential="their-ios")).account_sid == other.sid
    default_in(other, TwiMLApp)
    issued = issue(user, Voice(), Chat("theirs"))
    assert issued.grants["voice"]["outgoing"] == {"application_sid": sid("AP", "1")}
    assert issued.grants["chat"] == {"service_sid": sid("IS", "1")}


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential", "other")
@pytest.mark.parametrize(
    "grants",
    [
        [Chat("support"), Voice("their-phone")],
        [Voice("phone"), Chat("theirs")],
        [Chat("support", "their-ios")],
        [Chat(push_credential="their-ios")],
        [Chat("theirs", "ios")],
        [Chat("theirs"), Voice("their-phone", push_credential="ios")],
    ],
)
def test_one_token_never_mixes_accounts(user: User, grants: list[Grant]) -> None:
    with pytest.raises(AccountMismatch):
        issue(user, *grants)


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential")
def test_a_tenant_has_its_own_account_only(user: User, other: Account, settings: Any) -> None:
    their_secret = new_secret()
    add_key(other, secret=their_secret)
    default_in(other, ChatService)
    asked = []

    def account_of(user: User) -> Account:
        asked.append(user)
        return other

    settings.TWILIO_TOKENS_ACCOUNT = account_of
    for grant in (Video(), Chat(), Chat("theirs", "their-ios"), Voice("their-phone")):
        assert decoded(issue(user, grant).token, their_secret)["sub"] == other.sid
    assert asked == [user] * 4
    for grant in (Chat("support"), Voice("phone"), Chat(push_credential="ios")):
        with pytest.raises(DoesNotExist):
            issue(user, grant)


# Permissions


@pytest.mark.usefixtures("api_key")
@pytest.mark.parametrize("is_superuser", [False, True])
def test_a_restricted_service_is_for_members_only(
    user: User, chat_service: ChatService, is_superuser: bool
) -> None:
    staff = Group.objects.create(name="staff")
    chat_service.groups.add(staff)
    user.is_superuser = is_superuser
    user.save()
    for grant in (Chat("support"), Chat()):
        with pytest.raises(DoesNotExist) as refused:
            issue(user, grant)
        assert (refused.value.product, refused.value.field) == ("chat", "service")
    assert refused.value.message == "You may not use the default Chat service. Name another one."
    user.groups.add(staff)
    assert issue(user, Chat("support")).grants == issue(user, Chat()).grants


@pytest.mark.usefixtures("api_key", "chat_service", "push_credential")
@pytest.mark.parametrize(
    ("grant", "field"),
    [
        (Chat("suport"), "service"),
        (Chat("support", "android"), "push_credential"),
        (Chat(""), "service"),
        (Chat("\x00"), "service"),
        (Chat("\ud800"), "service"),
        (Chat("x" * 1_000), "service"),
        (Voice("phone"), "app"),
    ],
)
def test_a_name_that_does_not_exist_is_told_at_its_field(
    user: User, grant: Grant, field: str
) -> None:
    with pytest.raises(DoesNotExist) as refused:
        issue(user, grant)
    error = refused.value
    assert (error.product, error.field, error.code) == (grant.product, field, "does_not_exist")


@pytest.mark.usefixtures("api_key")
@pytest.mark.parametrize(
    ("allow_incoming", "incoming", "granted"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, False, False),
    ],
)
def test_incoming_calls_follow_the_app_unless_declined(
    user: User, twiml_app: TwiMLApp, allow_incoming: bool, incoming: bool | None, granted: bool
) -> None:
    twiml_app.allow_incoming = allow_incoming
    twiml_app.save()
    claim = issue(user, Voice(incoming=incoming)).grants["voice"]
    assert claim.get("incoming") == ({"allow": True} if granted else None)


@pytest.mark.usefixtures("api_key")
def test_incoming_calls_cannot_be_had_where_the_app_forbids_them(
    user: User, twiml_app: TwiMLApp
) -> None:
    twiml_app.allow_incoming = False
    twiml_app.save()
    with pytest.raises(PermissionDenied):
        issue(user, Voice(incoming=True))


def test_the_room_policy_sees_the_user_and_the_room(
    api_key: APIKey, user: User, settings: Any
) -> None:
    asked: list[Any] = []
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda *args: asked.append(args) or True
    issue(user, Video())
    issue(user, Video("DailyStandup"))
    assert asked == [(user, None), (user, "DailyStandup")]


def test_a_permission_that_ends_now_is_none(
    api_key: APIKey, user: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now().replace(microsecond=0)
    monkeypatch.setattr(time, "time", now.timestamp)
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: now
    with pytest.raises(PermissionDenied):
        issue(user, Video())


async def later(user: User, room: str | None) -> bool:
    return True


# What an async function returns is dropped without having been awaited, and Python says so.
@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
@pytest.mark.parametrize(
    "policy",
    [lambda user, room: False, lambda user, room: None, lambda user, room: 1, later],
)
def test_the_room_policy_says_yes_with_true_and_nothing_else(
    api_key: APIKey, user: User, settings: Any, policy: Callable[..., Any]
) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = policy
    with pytest.raises(PermissionDenied):
        issue(user, Video("DailyStandup"))


@dataclass(frozen=True)
class Meeting(Video):
    product = "meeting"


@pytest.mark.usefixtures("_no_product_stays")
def test_of_two_products_with_one_grant_at_twilio_none_is_dropped_in_silence(
    api_key: APIKey, user: User
) -> None:
    register(Meeting)
    assert issue(user, Meeting("b")).grants == {"video": {"room": "b"}}
    with pytest.raises(InvalidGrant, match="use the same Twilio grant"):
        issue(user, Video("a"), Meeting("b"))


@dataclass(frozen=True)
class Naive(Video):
    product = "naive"

    def authorize(self, user: Any, resources: Any) -> datetime:
        return datetime(2100, 1, 1)  # noqa: DTZ001


@pytest.mark.usefixtures("_no_product_stays")
def test_the_end_of_a_permission_needs_a_time_zone(
    api_key: APIKey, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    register(Naive)
    with pytest.raises(NotConfigured):
        issue(user, Naive())
    assert "without a time zone" in caplog.text


@pytest.mark.parametrize("issued_by", [AnonymousUser(), "support", 1])
def test_who_issues_is_a_user_or_nobody(
    api_key: APIKey, user: User, caplog: pytest.LogCaptureFixture, issued_by: Any
) -> None:
    with pytest.raises(NotConfigured):
        issue_access_token(user=user, grants=[Video()], issued_by=issued_by)
    assert "should be a user or None" in caplog.text
    assert not IssuedToken.objects.exists()


# For async code


@pytest.mark.django_db(transaction=True)
def test_async_code_gets_the_same_token(api_key: APIKey, user: User, secret: str) -> None:
    support = User.objects.create_user("support")

    async def issue_one() -> IssuedAccessToken:
        with pytest.raises(SynchronousOnlyOperation):
            issue_access_token(user=user, grants=[Video("a")])
        return await aissue_access_token(user=user, grants=[Video("a")], ttl=60, issued_by=support)

    issued = async_to_sync(issue_one)()
    claims = decoded(issued.token, secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "a"}}
    assert claims["exp"] - claims["iat"] == 60
    assert IssuedToken.objects.get(jti=issued.jti).issued_by == support


@pytest.mark.django_db(transaction=True)
def test_async_code_gets_the_same_errors(api_key: APIKey, user: User) -> None:
    with pytest.raises(InvalidGrant):
        async_to_sync(aissue_access_token)(user=user, grants=[])
    with pytest.raises(NotAuthenticated):
        async_to_sync(aissue_access_token)(user=AnonymousUser(), grants=[Video()])


# The record


@pytest.mark.usefixtures("chat_service", "twiml_app")
def test_the_record_says_who_got_what_for_how_long_but_not_the_token(
    api_key: APIKey, user: User
) -> None:
    issued = issue(user, Video("DailyStandup"), Chat(), ttl=60)
    record = IssuedToken.objects.values().get()
    assert issued.token not in str(record)
    assert (
        record.items()
        >= {
            "jti": issued.jti,
            "user_id": user.pk,
            "identity": "anna",
            "api_key_id": api_key.pk,
            "grants": {"video": {"room": "DailyStandup"}, "chat": {"service_sid": sid("IS")}},
            "issued_at": issued.issued_at,
            "expires_at": issued.issued_at + timedelta(seconds=60),
        }.items()
    )
    assert abs(timezone.now() - issued.issued_at) < timedelta(seconds=5)


def test_without_the_audit_nothing_is_recorded(api_key: APIKey, user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_AUDIT = False
    assert issue(user, Video()).identity == "anna"
    assert not IssuedToken.objects.exists()


@pytest.fixture
def _no_product_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))


@pytest.mark.usefixtures("_no_product_stays")
def test_a_grant_decides_what_the_record_must_not_know(
    api_key: APIKey, user: User, secret: str
) -> None:
    @register
    @dataclass(frozen=True)
    class Discreet(Whiteboard):
        product = "discreet"

        def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
            return VideoGrant(room="confidential")

        def to_audit(self, payload: dict[str, Any]) -> dict[str, Any]:
            return {"room": "hidden"}

    issued = issue(user, Discreet())
    assert decoded(issued.token, secret)["grants"]["video"] == {"room": "confidential"}
    assert IssuedToken.objects.get().grants == {"discreet": {"room": "hidden"}}


# When it cannot be done


def test_the_reason_is_logged_and_not_told(
    unavailable: str, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable) as raised:
        issue(user, Chat())
    error = raised.value
    assert error.code == unavailable
    assert str(error) == str(error.default_message)
    assert error.reason not in str(error)
    (record,) = caplog.records
    assert record.name.startswith("twilio_tokens.")
    assert record.levelno >= logging.WARNING
    assert error.reason in record.getMessage()
    assert not IssuedToken.objects.exists()


def test_there_is_no_falling_back_to_an_older_key(
    api_key: APIKey, user: User, settings: Any
) -> None:
    """To do so would hide for how long a rotation has been failing."""
    newer = add_key(api_key.account)
    APIKey.objects.filter(pk=newer.pk).update(secret=api_key.secret)
    with pytest.raises(SecretUnavailable):
        issue(user, Video())


def delete(key: APIKey, settings: Any) -> None:
    APIKey.objects.filter(pk=key.pk)._raw_delete("default")


def encrypt_anew(key: APIKey, settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    sealed = seal(new_secret(), ring=load_key_ring(), row=key.pk, sid=key.sid)
    APIKey.objects.filter(pk=key.pk).update(secret=sealed)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "error"), [(delete, AuditUnavailable), (encrypt_anew, SecretUnavailable)]
)
def test_what_another_process_has_changed_fails_one_request_and_not_the_next(
    api_key: APIKey, user: User, settings: Any, change: Any, error: type[Exception]
) -> None:
    newer = add_key(api_key.account)
    assert issue(user, Video())
    IssuedToken.objects.all().delete()
    change(newer, settings)  # no signal tells of it
    with pytest.raises(error):
        issue(user, Video())
    assert not IssuedToken.objects.exists()
    assert issue(user, Video())
    assert IssuedToken.objects.count() == 1


def shows(secret: str, report: str) -> bool:
    """Whether the secret or any token is in the report."""
    return secret in report or re.search(r"eyJ[\w-]+\.eyJ", report) is not None


def test_the_error_shows_neither_the_secret_nor_a_key_nor_a_token(
    unavailable: str,
    user: User,
    secret: str,
    key_ring: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    encryption_key = key_ring[0]
    with pytest.raises(Unavailable) as raised:
        issue(user, Chat())
    report = error_report(raised.value) + caplog.text
    assert "twilio_tokens" in report
    assert not shows(secret, report)
    assert encryption_key not in report


@dataclass(frozen=True)
class NotJSON(Whiteboard):
    product = "not_json"

    def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
        return VideoGrant(room=object())


@dataclass(frozen=True)
class BrokenAudit(Whiteboard):
    product = "broken_audit"

    def to_audit(self, payload: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError


@pytest.mark.usefixtures("_no_product_stays")
@pytest.mark.parametrize(
    ("grant", "raises"), [(NotJSON, SecretUnavailable), (BrokenAudit, RuntimeError)]
)
def test_nor_does_the_error_of_a_grant_that_fails_while_the_token_is_made(
    api_key: APIKey,
    user: User,
    secret: str,
    caplog: pytest.LogCaptureFixture,
    grant: type[Grant],
    raises: type[Exception],
) -> None:
    register(grant)
    with pytest.raises(raises) as raised:
        issue(user, grant())
    assert not shows(secret, error_report(raised.value) + caplog.text)
    if raises is SecretUnavailable:
        assert f"Signing with API key {api_key.sid} raised TypeError." in caplog.messages
    assert not IssuedToken.objects.exists()


def test_a_database_that_fails_is_as_if_nothing_were_configured(
    api_key: APIKey, user: User
) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("gone away")

    with connection.execute_wrapper(fail), pytest.raises(NotConfigured) as caught:
        issue(user, Video())
    assert caught.value.reason == "The database failed: OperationalError."
    assert isinstance(caught.value.__cause__, OperationalError)


def test_no_record_takes_the_place_of_another(api_key: APIKey, user: User) -> None:
    first = IssuedToken.objects.get(jti=issue(user, Video()).jti)

    def confuse(instance: IssuedToken, **kwargs: Any) -> None:
        instance.pk = first.pk

    pre_save.connect(confuse, sender=IssuedToken)
    try:
        with pytest.raises(AuditUnavailable), transaction.atomic():
            issue(user, Video())
    finally:
        pre_save.disconnect(confuse, sender=IssuedToken)
    assert IssuedToken.objects.get().jti == first.jti


# What a user may ask for


def problems(user: User, *products: str) -> dict[str, str | None]:
    offered = offers(user, products or None)
    return {
        product: None if offer.problem is None else offer.problem.code
        for product, offer in offered.items()
    }


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential")
def test_an_offer_tells_the_names_and_the_default(user: User, account: Account) -> None:
    ChatService.objects.create(account=account, name="sales", sid=sid("IS", "1"))
    offered = offers(user)
    assert [*offered] == ["video", "chat", "voice", "sync", "taskrouter", "live"]
    assert offered["video"].resources == {}
    assert offered["chat"].resources == {
        "service": ["sales", "support"],
        "push_credential": ["ios"],
    }
    assert offered["voice"].resources == {"app": ["phone"], "push_credential": ["ios"]}
    defaults = [offer.default for offer in offered.values()]
    assert defaults == [None, "support", "phone", None, None, None]
    assert problems(user, "video", "chat", "voice") == dict.fromkeys(["video", "chat", "voice"])
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("api_key")
def test_without_a_default_there_is_no_problem_as_long_as_something_can_be_named(
    user: User, chat_service: ChatService, account: Account
) -> None:
    staff = Group.objects.create(name="staff")
    chat_service.groups.add(staff)
    assert problems(user, "chat") == {"chat": "does_not_exist"}
    other = ChatService.objects.create(account=account, name="sales", sid=sid("IS", "1"))
    offer = offers(user, ["chat"])["chat"]
    assert (offer.resources["service"], offer.default, offer.problem) == (["sales"], None, None)
    chat_service.delete()
    assert problems(user, "chat") == {"chat": None}
    other.delete()
    assert problems(user, "chat") == {"chat": "not_configured"}


@pytest.mark.usefixtures("chat_service")
def test_an_offer_looks_for_a_name_that_works(user: User, account: Account, other: Account) -> None:
    """No account is the default, and only one has a key."""
    Account.objects.update(is_default=False)
    add_key(other)
    assert offers(user, ["chat"])["chat"].resources["service"] == ["support", "theirs"]
    assert problems(user, "chat", "video") == {"chat": None, "video": "not_configured"}
    APIKey.objects.all().delete()
    assert problems(user, "chat") == {"chat": "not_configured"}


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app")
def test_an_offer_tells_that_the_identity_does_not_suit_the_product() -> None:
    user = User.objects.create_user("anna@example.com")
    assert problems(user, "video", "chat", "voice") == {
        "video": None,
        "chat": None,
        "voice": "identity_not_allowed",
    }


# There a service can still be named, or the trouble is not known before a token is asked for.
CAN_BE_ASKED_FOR = {
    "no_default_account",
    "no_default_service",
    "unusable_setting",
    "audit_not_writable",
}


def test_an_offer_tells_why_the_site_cannot_issue(
    unavailable: str,
    user: User,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "twilio_tokens")
    expected = None if request.node.callspec.id in CAN_BE_ASKED_FOR else unavailable
    assert problems(user, "chat") == {"chat": expected}
    assert bool(caplog.records) == (expected is not None)
    level = logging.INFO if expected == "not_configured" else logging.WARNING
    assert {each.levelno for each in caplog.records} <= {level}


@pytest.mark.usefixtures("api_key", "chat_service")
@pytest.mark.parametrize("setting", ["ACCOUNT", "IDENTITY"])
def test_an_offer_tells_of_a_wrong_setting(
    user: User, settings: Any, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    caplog.set_level(logging.INFO, "twilio_tokens")
    setattr(settings, f"TWILIO_TOKENS_{setting}", "no.such.path")
    assert problems(user, "chat") == {"chat": "not_configured"}
    assert f"TWILIO_TOKENS_{setting}" in caplog.text


# Sites without time zones, and users without a name


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_site_without_time_zones_records_its_own_time(
    api_key: APIKey, user: User, secret: str, settings: Any, zone: str
) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    before = timezone.now()
    issued = issue(user, Video())
    record = IssuedToken.objects.get()
    assert before.replace(microsecond=0) <= record.issued_at <= timezone.now()
    assert record.expires_at - record.issued_at == timedelta(days=1)
    assert IssuedToken.objects.live().get() == record
    assert issued.expires_at.timestamp() == decoded(issued.token, secret)["exp"]


class Nameless:
    """A user whose username may be missing, as where users sign in by telephone."""

    is_authenticated = is_active = True
    pk = 1

    def __init__(self, name: Any) -> None:
        self.name = name

    def get_username(self) -> Any:
        return self.name


@pytest.mark.parametrize(
    ("function", "name"),
    [
        *(("username", name) for name in (None, "", " ", "\u3000")),
        *(("encoded_username", name) for name in (None, "")),
    ],
)
def test_a_user_without_a_name_has_no_identity(
    api_key: APIKey, settings: Any, function: str, name: str | None
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{function}"
    with pytest.raises(IdentityNotAllowed):
        issue(Nameless(name), Video())


@pytest.mark.parametrize("name", [7, 0, UUID(int=0)])
def test_a_name_that_is_no_text_is_the_identity_as_text(
    api_key: APIKey, settings: Any, name: Any
) -> None:
    settings.TWILIO_TOKENS_AUDIT = False
    assert issue(Nameless(name), Video()).identity == str(name)
