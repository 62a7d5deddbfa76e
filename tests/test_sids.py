from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError

from twilio_tokens import sids
from twilio_tokens.sids import KINDS, SIDKind, is_shown, secret_problem

from .conftest import new_secret, sid

AUTH_TOKEN = "0123456789abcdef" * 2
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.prefix)


def refusal(kind: SIDKind, value: str) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.validate(value)
    assert caught.value.code == "invalid"
    assert not value or value not in caught.value.message
    return caught.value.message


def test_the_kinds_are_those_of_twilio() -> None:
    assert [kind.prefix for kind in KINDS] == ["AC", "SK", "IS", "AP", "CR", "RM", "WS", "WK"]


@each_kind
@pytest.mark.parametrize("digits", ["0123456789abcdef" * 2, "ABCDEF01" * 4])
def test_the_prefix_and_32_hex_digits_are_a_sid(kind: SIDKind, digits: str) -> None:
    assert kind.validate(kind.prefix + digits) is None  # type: ignore[func-returns-value]


@each_kind
@pytest.mark.parametrize("digits", [1, 31, 33])
def test_a_wrong_length_is_told(kind: SIDKind, digits: int) -> None:
    message = refusal(kind, kind.prefix + "0" * digits)
    assert f"has {digits + 2} characters; {kind.label} SID has 34" in message


@each_kind
@pytest.mark.parametrize("digits", ["g" + "0" * 31, "0" * 32 + "\n", "0" * 31 + "\uff10", " " * 32])
def test_what_is_no_hex_digit_is_told(kind: SIDKind, digits: str) -> None:
    assert f"After {kind.prefix} only the digits" in refusal(kind, kind.prefix + digits)


@each_kind
@pytest.mark.parametrize("other", KINDS, ids=lambda kind: kind.prefix)
def test_a_sid_of_another_kind_is_named(kind: SIDKind, other: SIDKind) -> None:
    if other is not kind:
        assert refusal(kind, sid(other.prefix)) == (
            f"This is {other.label} SID ({other.prefix}…). Needed here is {kind.label} SID, which "
            f"starts with {kind.prefix}."
        )


@each_kind
def test_an_auth_token_or_a_secret_in_its_place_is_named(kind: SIDKind) -> None:
    assert "looks like an auth token" in refusal(kind, AUTH_TOKEN)
    assert "looks like a secret" in refusal(kind, f"z{new_secret()}")
    # It starts like another kind's SID, but is none.
    assert "looks like a secret" in refusal(sids.ACCOUNT, f"SKz{new_secret()}")


@each_kind
@pytest.mark.parametrize("value", ["", "hello", "héllo " * 6, f" {sid('AC')}", "0" * 12])
def test_anything_else_is_told_what_is_needed(kind: SIDKind, value: str) -> None:
    needed = f"Needed here is {kind.label} SID: {kind.prefix} and 32 digits (0–9, a–f)."
    assert refusal(kind, value) == needed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((sid(kind.prefix), True) for kind in KINDS),
        ("SK", True),
        ("SK12", True),
        ("SKxyz", False),
        ("SKz12", False),
        ("S", False),
        ("", False),
        ("sk" + "0" * 32, False),
        ("ZZ" + "0" * 32, False),
        (AUTH_TOKEN, False),
    ],
)
def test_only_a_sid_or_the_start_of_one_is_shown_again(value: str, shown: bool) -> None:
    assert is_shown(value) is shown


@pytest.mark.parametrize(
    "value", ["x" * 16, "x" * 128, "".join(map(chr, range(33, 127))), AUTH_TOKEN.upper()]
)
def test_16_to_128_printable_ascii_characters_are_a_secret(value: str) -> None:
    assert secret_problem(value) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "16 to 128"),
        ("x" * 15, "16 to 128"),
        ("x" * 129, "16 to 128"),
        ("x" * 16 + " ", "16 to 128"),
        ("x" * 8 + " " + "x" * 8, "16 to 128"),
        ("x" * 16 + "\n", "16 to 128"),
        ("x" * 16 + "\x7f", "16 to 128"),
        ("x" * 16 + "é", "16 to 128"),
        ("• • • hidden • • •", "16 to 128"),
        *((sid(kind.prefix), "This is a SID") for kind in KINDS),
        (sid("ZZ", "F"), "This is a SID"),
        (AUTH_TOKEN, "looks like the Account's auth token"),
    ],
)
def test_what_is_no_secret_is_told_without_repeating_it(value: str, problem: str) -> None:
    message = str(secret_problem(value))
    assert re.search(problem, message)
    assert not value or value not in message
