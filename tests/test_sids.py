from __future__ import annotations

from random import Random
from string import ascii_letters, digits

import pytest
from django.core.exceptions import ValidationError

from twilio_tokens import sids
from twilio_tokens.sids import KINDS, SIDKind, holds_secret, is_shown, secret_problem

from .issued import signed
from .rows import new_secret, sid

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
    assert f"has {digits + 2} characters, but {kind.label} has 34" in message


@each_kind
@pytest.mark.parametrize("digits", ["g" + "0" * 31, "0" * 32 + "\n", "0" * 31 + "\uff10", " " * 32])
def test_what_is_no_hex_digit_is_told(kind: SIDKind, digits: str) -> None:
    assert f"After {kind.prefix}, only the digits" in refusal(kind, kind.prefix + digits)


@each_kind
@pytest.mark.parametrize("other", KINDS, ids=lambda kind: kind.prefix)
def test_a_sid_of_another_kind_is_named(kind: SIDKind, other: SIDKind) -> None:
    if other is not kind:
        assert refusal(kind, sid(other.prefix)) == (
            f"This is {other.label} ({other.prefix}…). Expected {kind.label}, which "
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
    needed = f"Expected {kind.label}: {kind.prefix} and 32 digits (0–9, a–f)."
    assert refusal(kind, value) == needed


@each_kind
def test_a_problem_is_told_as_text_or_there_is_none(kind: SIDKind) -> None:
    assert kind.problem(sid(kind.prefix)) is None
    needed = f"Expected {kind.label}: {kind.prefix} and 32 digits (0–9, a–f)."
    assert [kind.problem(value) for value in ("hello", None, 7)] == [needed] * 3


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


#: The same in each worker that collects these tests.
GENUINE, ANOTHER = (
    "".join(Random(seed).choices(ascii_letters + digits, k=32))  # noqa: S311 - it opens nothing
    for seed in (1, 2)
)


def test_what_twilio_makes_is_a_secret() -> None:
    assert not [secret for secret in (new_secret() for _ in range(500)) if secret_problem(secret)]


@pytest.mark.parametrize(
    "value",
    [
        GENUINE[:16],
        GENUINE + ANOTHER + GENUINE[::-1] + ANOTHER[::-1],
        "".join(map(chr, range(33, 127))),
        "0123456789ABCDEFFEDCBA9876543210",
        "correct-horse-battery-staple",
    ],
)
def test_16_to_128_printable_ascii_characters_are_a_secret(value: str) -> None:
    assert secret_problem(value) is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            [
                "",
                GENUINE[:15],
                GENUINE * 5 + "!",
                GENUINE * 5_000,
                f"{GENUINE} {ANOTHER}",
                f"{GENUINE} ",
                f"{GENUINE}\n",
                f"{GENUINE}\x7f",
                f"{GENUINE}é",
                f"{GENUINE}\u200b",
            ],
            "16 to 128",
        ),
        ([*(sid(kind.prefix) for kind in KINDS), sid("ZZ", "F"), sid("sk"), sid("Ac")], "is a SID"),
        ([f"{sid('SK')}:{GENUINE}", f"{sid('SK')},{GENUINE}"], "starts with a SID"),
        ([AUTH_TOKEN], "looks like the account's auth token"),
        (
            [
                *(f"{quote}{GENUINE}{quote}" for quote in "'\"`\u00b4”\u2019"),
                *(
                    f"{left}{GENUINE}{right}"
                    for left, right in ("“”", "„“", "\u2018\u2019", "«»", "\u2039\u203a")
                ),
                f'"{GENUINE}";',
                f"'{GENUINE}",
                f'{GENUINE}"',
                f"b'{GENUINE}'",
                f'\\"{GENUINE}\\"',
            ],
            "quotation marks",
        ),
        (
            [
                "tt1:0123456789ab:" + "A" * 60,
                "tt2:x",
                "gAAAAAB" + "Ab1-" * 25 + "==",
                "ENC[AES256_GCM,data:p673w7E=,iv:YY=,tag:dQ=,type:str]",
                "$ANSIBLE_VAULT;1.1;AES256",
            ],
            "is an encrypted secret",
        ),
        (["eyJhbGciOi.eyJpc3Mi.c2ln", f"Bearer {GENUINE}", f"Basic {GENUINE}"], "is a token"),
        (
            [
                "${TWILIO_API_SECRET}",
                "${TWILIO_API_SECRET:-none}",
                "$(cat secret)",
                "$TWILIO_API_SECRET",
                "%TWILIO_API_SECRET%",
                "%(twilio_api_secret)s",
                "{{ twilio_api_secret }}",
                "{{twilio.api.secret}}",
                "{% secret %}",
                "op://Vault/Twilio/secret",
                "vault:secret/data/twilio#secret",
                "ssm:/prod/twilio/secret",
                "arn:aws:secretsmanager:eu-west-1:1:secret:twilio",
                "@Microsoft.KeyVault(VaultName=mine;SecretName=twilio)",
                "projects/mine/secrets/twilio/versions/latest",
                "/run/secrets/twilio_api_secret",
                "file:///run/secrets/twilio",
                "env:TWILIO_API_SECRET",
                "process.env.TWILIO_API_SECRET",
                "os.environ['TWILIO_API_SECRET']",
                "os.getenv('TWILIO_API_SECRET')",
            ],
            "is a reference",
        ),
        (
            [
                f"TWILIO_API_SECRET={GENUINE}",
                f"export TWILIO_API_SECRET={GENUINE}",
                f"TWILIO_API_SECRET: {GENUINE}",
                f"secret: {GENUINE}",
                f"twilioApiSecret = {GENUINE}",
            ],
            "has a name in front",
        ),
        (["<your API secret>", "[AuthToken]", "{API_SECRET}", "(secret)"], "in brackets"),
        ([f"{GENUINE};", f"{GENUINE},"], "at the end"),
        ([f"{GENUINE}\\", rf"{GENUINE}\n", rf"{GENUINE}\r"], "backslash at the end"),
        (["x" * 32, "X" * 32, "0" * 64, "*" * 20, "•" * 20], "one character repeated"),
        ([GENUINE * 2, GENUINE * 3, f"{GENUINE}\n{GENUINE}\n"], "more than once"),
        (
            [
                "your_twilio_api_secret",
                "YOUR-TWILIO-API-SECRET",
                "yourTwilioApiSecret",
                "your_api_key_secret_here",
                "your_secret_here",
                "TWILIO_API_SECRET",
                "TWILIO_API_KEY_SECRET",
                "TWILIO_PROD_AUTH_TOKEN_GOES_HERE",
                "twilio-api-key-secret:latest",
                "change-me-please",
                "ChangeMe1234567890",
                "REPLACE_WITH_YOUR_SECRET",
                "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
                "this-is-not-a-real-secret",
                "• • • hidden • • •",
            ],
            "is a placeholder from an example",
        ),
    ],
)
def test_what_is_no_secret_is_told_without_repeating_it(values: list[str], problem: str) -> None:
    for value in values:
        message = str(secret_problem(value))
        assert problem in message, value
        assert not value or value not in message


@pytest.mark.parametrize(("length", "problem"), [(1_024, "is a placeholder"), (1_025, "16 to 128")])
def test_mistakes_are_looked_for_in_what_is_not_far_too_long(length: int, problem: str) -> None:
    assert problem in str(secret_problem(f"<{'a' * (length - 2)}>"))


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        (GENUINE, True),
        (f"Key {GENUINE}", True),
        (f"TWILIO_API_SECRET={GENUINE}", True),
        (AUTH_TOKEN, True),
        (f"token:{AUTH_TOKEN}.", True),
        (f"Bearer {signed({'jti': 'x'})}", True),
        ("", False),
        ("Main", False),
        ("Production key, made in November 2026 by Ann", False),
        ("ProductionVideoKeyForTheMainSite", False),
        ("ProductionVideoKeyForMainSite202", False),
        ("PRODUCTIONVIDEOKEYFORTHEMAINSITE", False),
        ("production-video-key-for-the-main-website", False),
        ("7K3QX9B2" * 4, False),
        (f"Key {sid('SK')}", False),
        ("9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d", False),
        ("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", False),
        (GENUINE[:31], False),
        (GENUINE * 2, False),
        ("eyJ is how a token begins", False),
    ],
)
def test_a_name_that_holds_a_secret_is_told_from_names_that_people_give(
    name: str, holds: bool
) -> None:
    assert holds_secret(name) is holds
