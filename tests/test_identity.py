from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User, UserManager
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from twilio_tokens.exceptions import IdentityNotAllowed, PermissionDenied
from twilio_tokens.grants import Chat, Voice, registered
from twilio_tokens.identity import (
    decode_identity,
    encoded_username,
    identity_for,
    primary_key,
    user_for,
    username,
    users_named,
)
from twilio_tokens.models import APIKey

from .databases import NoReplica
from .issued import record


def identify(settings: Any, identity: Any, *products: str) -> str:
    settings.TWILIO_TOKENS_IDENTITY = lambda user: identity
    return identity_for(User(username="someone"), [registered()[each] for each in products])


def refusal(settings: Any, identity: Any, *products: str) -> str:
    with pytest.raises(IdentityNotAllowed) as caught:
        identify(settings, identity, *products)
    return str(caught.value)


def encoded(name: str) -> str:
    return encoded_username(User(username=name))


def random_names(count: int) -> set[str]:
    """Of signs that are likely to be confused, and of all of Unicode, lone surrogates too."""
    source = random.Random(2016)  # noqa: S311 - the same names at each run
    likely = "_aA04é@+-. \0\x7fß\ud83d\ude00\ud800😀"
    return {
        "".join(
            source.choice(likely) if source.random() < 0.7 else chr(source.randrange(0x110000))
            for _ in range(source.randrange(1, 11))
        )
        for _ in range(count)
    }


# What each product takes


@pytest.mark.parametrize(
    ("product", "identity"),
    [
        ("video", "x"),
        ("video", "x" * 128),
        ("video", "é" * 64),
        ("video", "😀" * 64),
        ("video", "é" * 63 + "xx"),
        ("video", "\x7e" * 128),
        ("chat", "x" * 256),
        ("chat", "é" * 256),
        ("chat", "anna@example.com"),
        ("sync", "é" * 256),
        ("voice", "x" * 121),
        ("voice", "AZaz09_"),
        ("live", "é" * 256),
    ],
)
def test_an_identity_within_the_rule_is_taken_unchanged(
    settings: Any, product: str, identity: str
) -> None:
    assert identify(settings, identity, product) == identity


@pytest.mark.parametrize(
    ("product", "identity", "rule"),
    [
        ("video", "x" * 128 + "y", "129 characters, counting each non-ASCII character as two,"),
        ("video", "é" * 64 + "y", "129 characters, counting each non-ASCII character as two,"),
        ("video", "x" * 127 + "é", "but the limit is 128"),
        ("chat", "é" * 256 + "y", "it has 257 characters, but the limit is 256"),
        ("sync", "x" * 257, "it has 257 characters, but the limit is 256"),
        ("voice", "x" * 121 + "y", "it has 122 characters, but the limit is 121"),
        ("live", "x" * 257, "Live: it has 257 characters"),
    ],
)
def test_one_character_too_many_is_refused_and_named(
    settings: Any, product: str, identity: str, rule: str
) -> None:
    message = refusal(settings, identity, product)
    label = registered()[product].label
    assert message.startswith(f"This user's identity is too long for {label}: ")
    assert rule in message
    last = identity[-1]
    assert f"The first character beyond the limit is “{last}” (U+{ord(last):04X})" in message


def test_of_many_too_many_the_first_is_named(settings: Any) -> None:
    assert "The first character beyond the limit is “!”" in refusal(
        settings, "x" * 256 + "!yz", "chat"
    )
    assert "The first character beyond the limit is “é”" in refusal(
        settings, "x" * 127 + "éyz", "video"
    )


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        *((char, f"“{char}” (U+00{ord(char):02X})") for char in "@.+- "),
        ("é", "“é” (U+00E9)"),
        ("ß", "“ß” (U+00DF)"),
        ("😀", "“😀” (U+1F600)"),
        ("\u200b", "U+200B"),
    ],
)
def test_voice_takes_only_word_characters_and_names_the_first_other(
    settings: Any, char: str, shown: str
) -> None:
    message = refusal(settings, f"anna{char}!", "voice")
    assert "not allowed for Voice: it may contain only the letters A–Z and a–z" in message
    assert f"but it contains {shown}." in message


@pytest.mark.parametrize("product", registered())
@pytest.mark.parametrize("identity", ["", " ", " \t ", "\u3000", None, 7, b"anna"])
def test_no_product_takes_an_empty_identity(settings: Any, product: str, identity: Any) -> None:
    message = refusal(settings, identity, product)
    assert "This user has no identity" in message
    assert str(registered()[product].label) in message


@pytest.mark.parametrize("product", registered())
@pytest.mark.parametrize("char", ["\0", "\n", "\x1f", "\x7f", "\x85", "\x9f", "\ud800", "\u202e"])
def test_no_product_takes_control_characters_or_lone_surrogates(
    settings: Any, product: str, char: str
) -> None:
    message = refusal(settings, f"anna{char}", product)
    assert f"not allowed for {registered()[product].label}" in message
    assert f"U+{ord(char):04X}" in message
    assert char not in message


def test_a_token_with_several_grants_must_satisfy_the_rule_of_each(settings: Any) -> None:
    assert identify(settings, "x" * 121, "video", "chat", "voice") == "x" * 121
    assert "Voice" in refusal(settings, "anna@x", "video", "chat", "voice")
    assert "Video" in refusal(settings, "x" * 129, "chat", "video")
    assert "which is required for Video, Chat." in refusal(settings, "", "video", "chat")


# The username, as it is


def test_by_default_the_username_is_the_identity() -> None:
    user = User(username="anna@example.com")
    assert username(user) == identity_for(user, [Chat]) == "anna@example.com"


def test_a_username_that_is_no_text_is_its_text() -> None:
    assert username(User(username=7)) == "7"


# The username, encoded


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("anna", "anna"),
        ("AZaz09", "AZaz09"),
        ("anna@x", "anna_40x"),
        ("a_b", "a_5fb"),
        ("a_40x", "a_5f40x"),
        ("é", "_c3_a9"),
        ("e\u0301", "e_cc_81"),
        ("", ""),
    ],
)
def test_other_bytes_than_letters_and_digits_are_encoded(name: str, identity: str) -> None:
    assert encoded(name) == identity
    assert decode_identity(identity) == name


def test_encoding_is_injective_reversible_and_legal_for_every_product(settings: Any) -> None:
    names = random_names(5_000)
    identities = {name: encoded(name) for name in names}
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.encoded_username"
    assert len(set(identities.values())) == len(names) > 4_000
    for name, identity in identities.items():
        assert decode_identity(identity) == name
        assert identity_for(User(username=name), [*registered().values()]) == identity


@pytest.mark.parametrize(
    "identity",
    [
        "_",
        "a_",
        "_4",
        "_4g",
        "a@b",
        "é",
        "a b",
        "a\n",
        "_C3_A9",  # upper-case digits
        "_61",  # an a, which stays as it is
        "_c3",  # half a character
        "_a9",
        "_c0_80",  # an overlong NUL
        "_ff",
        "\ud800",
    ],
)
def test_what_encoding_does_not_make_is_not_decoded(identity: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - from the codec, too
        decode_identity(identity)


def test_an_encoded_username_that_is_too_long_is_refused_and_never_cut(settings: Any) -> None:
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.encoded_username"
    assert identity_for(User(username="@" * 40), [Voice]) == "_40" * 40
    with pytest.raises(IdentityNotAllowed, match="has 123"):
        identity_for(User(username="@" * 41), [Voice])


# Users by their names


@pytest.mark.django_db
def test_where_case_is_ignored_a_name_that_is_written_exactly_is_one_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        UserManager, "get_by_natural_key", lambda self, name: self.get(username__iexact=name)
    )
    User.objects.create_user("anna@example.com")
    first, second = (User.objects.create_user(f"{name}@example.org") for name in ("Anna", "Bert"))
    assert users_named("ANNA@example.org") == [first]
    if connection.vendor == "mysql":
        return  # its collation ignores case, so no two names differ in it alone
    second.username = "anna@example.org"
    second.save()
    assert users_named("Anna@example.org") == [first]
    assert users_named("anna@example.org") == [second]
    assert set(users_named("ANNA@example.org")) == {first, second}


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["username", "id", "date_joined"])
@pytest.mark.parametrize("name", ["", "x", "\x00", "\udcff", "9" * 30, "é" * 300, "😀"])
def test_what_can_be_no_username_is_no_user(
    name: str, field: str, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(User, "USERNAME_FIELD", field)
    assert users_named(name) == []
    assert User.objects.exists()  # PostgreSQL has not given up the transaction


def test_a_user_who_was_made_a_moment_ago_is_found_before_a_replica_knows(user: User) -> None:
    with override_settings(DATABASE_ROUTERS=[NoReplica()]):
        assert users_named("anna") == [user]


# From identity to user


@pytest.mark.parametrize("prefix", ["", "client:"])
@pytest.mark.parametrize("function", ["username", "encoded_username", "primary_key"])
def test_an_identity_leads_back_to_its_user(
    settings: Any, user: User, function: str, prefix: str
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{function}"
    other = User.objects.create_user("bo@example.com")
    assert user_for(prefix + identity_for(user)) == user
    assert user_for(prefix + identity_for(other)) == other


@pytest.mark.django_db
@pytest.mark.parametrize("function", [username, encoded_username, primary_key, lambda user: "x"])
@pytest.mark.parametrize(
    "identity",
    [
        "",
        "client:",
        "bo",
        "_",
        "_zz",
        "1" * 30,
        "0",
        "\x00",
        "\udcff",
        "_00",
        "😀",
        "é" * 300,
        "client:client:anna",
    ],
)
def test_what_is_nobodys_identity_leads_to_nobody(
    settings: Any, user: User, function: Any, identity: str
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = function
    assert user_for(identity) is None
    assert User.objects.exists()  # PostgreSQL has not given up the transaction


def test_the_primary_key_is_no_identity_where_usernames_are(user: User) -> None:
    assert user_for(str(user.pk)) is None


def test_an_identity_in_other_letters_is_another_one(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        UserManager, "get_by_natural_key", lambda users, name: users.get(username__iexact=name)
    )
    assert users_named("ANNA") == [user]
    assert user_for("ANNA") is None


def test_a_blocked_user_is_not_found(user: User) -> None:
    user.is_active = False
    user.save()
    assert user_for("client:anna") is None


def test_a_function_of_the_sites_own_is_traced_by_the_last_token(
    settings: Any, user: User, api_key: APIKey
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = lambda user: f"nr{user.pk}"
    record(identity="nr1", user=None)
    assert user_for(f"nr{user.pk}") is None
    now = timezone.now()
    record(identity=f"nr{user.pk}", user=user, issued_at=now - timedelta(days=2))
    assert user_for(f"client:nr{user.pk}") == user
    other = User.objects.create_user("bo")
    record(identity=f"nr{user.pk}", user=other, issued_at=now - timedelta(days=1))
    assert user_for(f"nr{user.pk}") is None  # which is not bo's any more


@pytest.mark.parametrize("error", [IdentityNotAllowed, PermissionDenied])
def test_a_user_whom_the_function_refuses_is_not_found(
    settings: Any, user: User, api_key: APIKey, error: type[Exception]
) -> None:
    def refuse(user: User) -> str:
        raise error("no")

    record(identity="anna", user=user)
    settings.TWILIO_TOKENS_IDENTITY = refuse
    assert user_for("anna") is None


@pytest.mark.django_db
def test_an_identity_of_two_users_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    users = [User.objects.create_user(f"bo{n}") for n in range(2)]
    monkeypatch.setattr("twilio_tokens.identity.users_named", lambda name: users)
    monkeypatch.setattr("twilio_tokens.identity.identity_for", lambda user: "bo")
    assert user_for("bo") is None
