"""Reading requests: by a grant of every type of field, as a site may declare one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail
from rest_framework.metadata import SimpleMetadata
from twilio.jwt.access_token.grants import VideoGrant

from twilio_tokens.grants import Chat, Grant, Video, Voice, registered
from twilio_tokens.issuing import IssuedAccessToken
from twilio_tokens.serializers import (
    AccessTokenRequestSerializer,
    AccessTokenSerializer,
    ProductTokenRequestSerializer,
    TokenRequestSerializer,
    errors_serializer,
    token_answer,
)


@dataclass(frozen=True)
class Desk(Grant):
    product = "desk"

    label: str | None = field(default=None, metadata={"max_length": 5, "help_text": "The sign."})
    seat: int | None = None
    muted: bool | None = None
    tags: dict[str, str] | None = None

    def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
        return VideoGrant()


def desk(**options: Any) -> TokenRequestSerializer:
    return ProductTokenRequestSerializer(Desk, **options)


def form(text: str) -> QueryDict:
    return QueryDict(text)


def codes(errors: Any) -> Any:
    """The codes in place of the messages."""
    if isinstance(errors, dict):
        return {name: codes(each) for name, each in errors.items()}
    (error,) = errors
    assert isinstance(error, ErrorDetail)
    return error.code


def refused(serializer: Callable[..., TokenRequestSerializer], data: Any) -> Any:
    invalid = serializer(data=data)
    assert not invalid.is_valid()
    return codes(invalid.errors)


def test_the_fields_follow_from_the_declaration(settings: Any) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = 7_200
    told = SimpleMetadata().get_serializer_info(desk())
    assert {name: info["type"] for name, info in told.items()} == {
        "label": "string",
        "seat": "integer",
        "muted": "boolean",
        "tags": "nested object",
        "ttl": "integer",
    }
    assert not any(info["required"] for info in told.values())
    assert (told["label"]["max_length"], told["label"]["help_text"]) == (5, "The sign.")
    assert (told["ttl"]["min_value"], told["ttl"]["max_value"]) == (1, 7_200)


def test_a_wrong_setting_does_not_keep_the_form_from_being_made(settings: Any) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = "1h"
    assert "ttl" in desk().fields


@pytest.mark.parametrize(
    ("data", "grant", "ttl"),
    [
        ({}, Desk(), None),
        (
            {"label": " a ", "seat": 7, "muted": False, "tags": {"a": "b"}, "ttl": 60},
            Desk(" a ", 7, False, {"a": "b"}),
            60,
        ),
        ({"seat": "7", "muted": "true", "ttl": "60"}, Desk(seat=7, muted=True), 60),
        ({"label": ""}, Desk(label=""), None),
        # Which values are legal is for the grant to say.
        ({"label": "\x00", "tags": [1]}, Desk(label="\x00", tags=[1]), None),  # type: ignore[arg-type]
        ({"ttl": 10**30}, Desk(), 10**30),
        (form(""), Desk(), None),
        (form("label=&seat=&muted=&tags=&ttl="), Desk(), None),
        (
            form("label=+a+&seat=7&muted=False&tags=%7B%22a%22%3A+%22b%22%7D&ttl=60"),
            Desk(" a ", 7, False, {"a": "b"}),
            60,
        ),
        (form("muted=True&csrfmiddlewaretoken=x"), Desk(muted=True), None),
    ],
)
def test_json_and_forms_are_read_alike_but_a_blank_input_is_none(
    data: Any, grant: Desk, ttl: int | None
) -> None:
    assert desk().read(data) == ([grant], ttl)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"label": 5}, {"label": "invalid"}),
        ({"label": None}, {"label": "null"}),
        ({"label": ["a"]}, {"label": "invalid"}),
        ({"label": "far too long"}, {"label": "max_length"}),
        ({"seat": 1.5}, {"seat": "invalid"}),
        ({"seat": True}, {"seat": "invalid"}),
        ({"seat": "9" * 1_001}, {"seat": "max_string_length"}),
        ({"muted": "maybe"}, {"muted": "invalid"}),
        ({"muted": None}, {"muted": "null"}),
        ({"muted": ""}, {"muted": "invalid"}),
        ({"muted": {}}, {"muted": "invalid"}),
        ({"tags": None}, {"tags": "null"}),
        (
            {"seat": "x", "label": 5, "sead": 1},
            {"seat": "invalid", "label": "invalid", "sead": "unknown_field"},
        ),
        (form("tags={"), {"tags": "invalid"}),
        (form("tags=null"), {"tags": "null"}),
        # Which of the two is meant? The last one is blank, and would not count.
        (form("label=a&label="), {"label": "invalid"}),
        (form("seat=1&seat=2"), {"seat": "invalid"}),
        (form("muted=True&muted=False"), {"muted": "invalid"}),
        (form("ttl=60&ttl="), {"ttl": "invalid"}),
        (form("seat=x&sead=1"), {"seat": "invalid", "sead": "unknown_field"}),
        ([], {"non_field_errors": "invalid"}),
        ("text", {"non_field_errors": "invalid"}),
        (5, {"non_field_errors": "invalid"}),
        (None, {"non_field_errors": "null"}),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_field(data: Any, expected: Any) -> None:
    assert refused(desk, data) == expected


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"sead": 1}, "sead"),
        ({"identity": "someone-else"}, "identity"),
        ({"": 1}, ""),
        ({"csrfmiddlewaretoken": "x"}, "csrfmiddlewaretoken"),
        (form("sead="), "sead"),
        (form("label.x=1"), "label.x"),
        (form("label[0]=1"), "label[0]"),
        # Under these names an answer says other things, or cannot be written or read.
        ({"code": 1}, "non_field_errors"),
        ({"detail": 1}, "non_field_errors"),
        ({"non_field_errors": 1}, "non_field_errors"),
        ({"\ud800": 1}, "non_field_errors"),
        ({"x" * 101: 1}, "non_field_errors"),
    ],
)
def test_an_unknown_field_is_refused(data: Any, where: str) -> None:
    assert refused(desk, data) == {where: "unknown_field"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("code", "code"), ("\ud800", "\\ud800"), ("x" * 1_000_000, "x" * 100)],
)
def test_an_unknown_field_told_of_among_the_general_errors_is_named(name: str, shown: str) -> None:
    invalid = desk(data={name: 1})
    assert not invalid.is_valid()
    assert invalid.errors == {"non_field_errors": [f"Unknown field: {shown}."]}


@pytest.mark.parametrize(
    ("data", "grants", "ttl"),
    [
        ({}, [], None),
        ({"ttl": 60}, [], 60),
        ({"video": {}}, [Video()], None),
        (
            {"voice": {"params": {}}, "video": {"room": "a"}, "ttl": 60},
            [Video("a"), Voice(params={})],
            60,
        ),
        (form("video=&chat=&video.room=&voice.params=&ttl="), [], None),
        (form("video=1&video.room="), [Video()], None),
        (form("video.room=a&chat=1&ttl=60"), [Video("a"), Chat()], 60),
        (form("voice.incoming=False&csrfmiddlewaretoken=x"), [Voice(incoming=False)], None),
        (form('voice.params={"a": "b"}'), [Voice(params={"a": "b"})], None),
    ],
)
def test_of_several_products_those_are_wanted_that_are_there_or_ticked_or_filled_in(
    data: Any, grants: list[Grant], ttl: int | None
) -> None:
    assert AccessTokenRequestSerializer().read(data) == (grants, ttl)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"vidio": {}}, {"vidio": "unknown_field"}),
        ({"room": "a"}, {"room": "unknown_field"}),
        ({"video": {"rooom": "a"}}, {"video": {"rooom": "unknown_field"}}),
        ({"video": {"ttl": 60}}, {"video": {"ttl": "unknown_field"}}),
        ({"video": {"code": 1}}, {"video": {"non_field_errors": "unknown_field"}}),
        ({"video": {}, "video.room": "a"}, {"video.room": "unknown_field"}),
        ({"video": None}, {"video": "null"}),
        ({"video": True}, {"video": {"non_field_errors": "invalid"}}),
        ({"video": []}, {"video": {"non_field_errors": "invalid"}}),
        (
            {"video": {"room": 5}, "voice": {"app": 5}, "ttl": "x"},
            {"video": {"room": "invalid"}, "voice": {"app": "invalid"}, "ttl": "invalid"},
        ),
        (form("video=1&video.rooom=a"), {"video": {"rooom": "unknown_field"}}),
        (form("video=1&video.ttl=60"), {"video": {"ttl": "unknown_field"}}),
        (form("video=1&video.=a"), {"video.": "unknown_field"}),
        (form("video=1&vidio.room=a"), {"vidio.room": "unknown_field"}),
        (form("video=1&ttl.x=60"), {"ttl.x": "unknown_field"}),
        (
            form("video.csrfmiddlewaretoken=x"),
            {"video": {"csrfmiddlewaretoken": "unknown_field"}},
        ),
        (form("voice.params={"), {"voice": {"params": "invalid"}}),
        # Taken for ticks, these would open every room.
        (form('video={"room": "a"}'), {"video": {"non_field_errors": "invalid"}}),
        (form("video=false&chat=1"), {"video": {"non_field_errors": "invalid"}}),
        (form("video=1&video.room=a&video.room="), {"video": {"room": "invalid"}}),
    ],
)
def test_errors_of_several_products_stand_at_their_product(data: Any, expected: Any) -> None:
    assert refused(AccessTokenRequestSerializer, data) == expected


@pytest.mark.parametrize(
    ("seconds", "refresh_at"),
    [(3_600, "2030-01-01T00:55:00Z"), (61, "2030-01-01T00:00:30.500000Z")],
)
def test_an_answer_has_times_in_iso_8601_utc(seconds: int, refresh_at: str) -> None:
    issued_at = datetime(2030, 1, 1, tzinfo=timezone.utc)
    expires_at = issued_at + timedelta(seconds=seconds)
    issued = IssuedAccessToken("token", "jti", "anna", "AC", {"video": {}}, issued_at, expires_at)
    answer = token_answer(issued)
    assert list(AccessTokenSerializer(issued).data.items()) == list(answer.items())
    assert answer == {
        "token": "token",
        "jti": "jti",
        "identity": "anna",
        "account_sid": "AC",
        "grants": {"video": {}},
        "issued_at": "2030-01-01T00:00:00Z",
        "expires_at": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires_in": seconds,
        "refresh_at": refresh_at,
    }


def test_the_errors_of_each_field_and_product_are_declared() -> None:
    assert {"room", "ttl", "detail", "code"} <= errors_serializer("video").fields.keys()
    fields = errors_serializer(None).fields
    assert {*registered(), "ttl", "detail", "code"} <= fields.keys()
    assert not any(fields[product].required for product in registered())
