from __future__ import annotations

import sys
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied

from twilio_tokens import conf, identity
from twilio_tokens.exceptions import PermissionDenied, SettingError
from twilio_tokens.grants import Chat, Sync, TaskRouter, Video, Voice

CALLABLES = {
    "IDENTITY": "identity",
    "ACCOUNT": "account",
    "ROOM_POLICY": "room_policy",
    "PARAMS": "params",
    "HTTP_CLIENT": "http_client",
}
PATH = "twilio_tokens.identity.encoded_username"


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("identity", identity.username),
        ("account", None),
        ("ttls", {}),
        ("worker", None),
        ("max_ttl", 86_400),
        ("room_required", False),
        ("room_policy", None),
        ("params", True),
        ("throttle_rate", "60/min"),
        ("audit", True),
        ("log_identity", False),
        ("credential_cache_seconds", 15),
        ("http_client", None),
        ("encryption_keys", None),
    ],
)
def test_each_setting_has_the_documented_default(settings: Any, name: str, default: object) -> None:
    del settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    assert getattr(conf.settings, name) == default


def test_names_lists_every_setting_that_is_read() -> None:
    read = set()

    class Recorder(conf.Settings):
        def given(self, name: str) -> object:
            read.add(f"TWILIO_TOKENS_{name}")
            return super().given(name)

    for name, member in vars(conf.Settings).items():
        if isinstance(member, property):
            getattr(Recorder(), name)
    assert sorted(conf.NAMES) == sorted(read)


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("MAX_TTL", "max_ttl", 1),
        ("MAX_TTL", "max_ttl", 86_400),
        ("ROOM_REQUIRED", "room_required", True),
        ("PARAMS", "params", False),
        ("AUDIT", "audit", False),
        ("LOG_IDENTITY", "log_identity", True),
        ("THROTTLE_RATE", "throttle_rate", None),
        ("THROTTLE_RATE", "throttle_rate", "5/s"),
        ("THROTTLE_RATE", "throttle_rate", "1000/day"),
        ("CREDENTIAL_CACHE_SECONDS", "credential_cache_seconds", 0),
        ("CREDENTIAL_CACHE_SECONDS", "credential_cache_seconds", 0.5),
        ("CREDENTIAL_CACHE_SECONDS", "credential_cache_seconds", 86_400),
    ],
)
def test_a_setting_is_read_when_it_is_used(
    settings: Any, setting: str, name: str, value: object
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{setting}", value)
    assert getattr(conf.settings, name) == value


def test_a_setting_that_was_looked_for_in_vain_is_read_once_it_is_there(settings: Any) -> None:
    assert conf.settings.room_required is False
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    assert conf.settings.room_required is True
    del settings.TWILIO_TOKENS_ROOM_REQUIRED
    assert conf.settings.room_required is False


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        *(("MAX_TTL", "max_ttl", value) for value in (0, -1, 86_401, 60.0, "60", True, None)),
        *(("TTL", "ttls", value) for value in (None, 7_777, [("chat", 60)], {7_777: 60})),
        *(("TTL", "ttls", {"chat": value}) for value in (0, 86_401, 77.5, "77", True, None)),
        *(("ROOM_REQUIRED", "room_required", value) for value in ("False", 0, None)),
        *(("AUDIT", "audit", value) for value in ("True", 1, None)),
        *(("LOG_IDENTITY", "log_identity", value) for value in ("True", 1, None)),
        *(
            ("THROTTLE_RATE", "throttle_rate", value)
            for value in ("77", "77/fortnight", "77/min ", "/min", 77, ["77/min"])
        ),
        *(
            ("CREDENTIAL_CACHE_SECONDS", "credential_cache_seconds", value)
            for value in (-1, 86_401, "77", True, None, float("nan"), float("inf"))
        ),
    ],
)
def test_an_unusable_value_is_refused_by_the_name_of_its_setting(
    settings: Any, setting: str, name: str, value: object
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{setting}", value)
    with pytest.raises(ImproperlyConfigured, match=rf"^TWILIO_TOKENS_{setting}\b.* should be "):
        getattr(conf.settings, name)


def test_a_refusal_does_not_tell_the_value(settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "canary"
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.settings.throttle_rate  # noqa: B018
    assert "canary" not in str(caught.value)


def test_a_partial_ttl_dictionary_keeps_the_other_defaults(settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 1, "sync": 86_400}
    grants = (Video, Chat, Voice, Sync, TaskRouter)
    assert [grant.lifetime() for grant in grants] == [86_400, 3_600, 1, 86_400, 3_600]


@pytest.mark.parametrize(("setting", "name"), CALLABLES.items())
@pytest.mark.parametrize("value", [identity.encoded_username, PATH])
def test_a_callable_may_be_given_as_such_or_as_dotted_path(
    settings: Any, setting: str, name: str, value: object
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{setting}", value)
    assert getattr(conf.settings, name) is identity.encoded_username


@pytest.mark.parametrize(("setting", "name"), CALLABLES.items())
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no.such.module", "a dotted path to one, but the path cannot be imported"),
        ("twilio_tokens.identity.nobody", "a dotted path to one, but the path cannot be imported"),
        ("word", "a dotted path to one, but the path cannot be imported"),
        (".word", "a dotted path to one, but the path cannot be imported (ValueError)"),
        ("..no.module", "a dotted path to one, but the path cannot be imported (TypeError)"),
        (
            "tests.broken.identity",
            "a dotted path to one, but the path cannot be imported (ZeroDiv",
        ),
        ("twilio_tokens.conf.LONGEST_TTL", "a dotted path to one."),
        (7, "a dotted path to one."),
    ],
)
def test_what_is_no_callable_is_refused_by_the_name_of_its_setting(
    settings: Any, setting: str, name: str, value: object, problem: str
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{setting}", value)
    with pytest.raises(ImproperlyConfigured) as caught:
        getattr(conf.settings, name)
    expected = f"TWILIO_TOKENS_{setting} should be a function or {problem}"
    assert str(caught.value).startswith(expected)


def test_identity_may_not_be_none(settings: Any) -> None:
    settings.TWILIO_TOKENS_IDENTITY = None
    with pytest.raises(ImproperlyConfigured, match=r"^TWILIO_TOKENS_IDENTITY .*not None"):
        conf.settings.identity  # noqa: B018


def keys_from_a_vault() -> list[str]:
    return ["from the vault"]


@pytest.mark.parametrize(
    "value", [["from the vault"], keys_from_a_vault, f"{__name__}.keys_from_a_vault"]
)
def test_encryption_keys_are_a_list_or_what_a_callable_returns(
    settings: Any, value: object
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = value
    assert conf.settings.encryption_keys == ["from the vault"]


def test_one_key_without_a_list_is_left_for_the_key_ring_to_judge(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = "a key, not a path"
    assert conf.settings.encryption_keys == "a key, not a path"


def refuse(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (DjangoPermissionDenied("Members only."), PermissionDenied, "Members only."),
        (
            DjangoPermissionDenied(),
            PermissionDenied,
            "You do not have permission to get this Access Token.",
        ),
        (PermissionDenied("Members only."), PermissionDenied, "Members only."),
        (KeyError("canary"), SettingError, "The function in TWILIO_TOKENS_X raised KeyError."),
    ],
)
def test_a_function_of_the_sites_answers_or_refuses_or_is_at_fault(
    error: Exception, kind: type[Exception], told: str
) -> None:
    assert conf.answer_of("X", lambda *arguments: arguments, 1, 2) == (1, 2)
    with pytest.raises(kind) as caught:
        conf.answer_of("X", refuse, error)
    assert str(caught.value) == told


def test_what_ends_the_process_is_not_taken_for_a_fault_of_the_function() -> None:
    with pytest.raises(SystemExit):
        conf.answer_of("IDENTITY", sys.exit)


def test_what_a_site_does_not_set_it_has_by_default() -> None:
    assert [name for name in conf.NAMES if not hasattr(django_settings, name)] == []


def test_what_is_unusable_is_listed_but_for_the_encryption_keys(settings: Any) -> None:
    assert list(conf.unusable_settings()) == []
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = "no.such.function"
    settings.TWILIO_TOKENS_MAX_TTL = 0
    settings.TWILIO_TOKENS_AUDIT = "yes"
    reasons = list(conf.unusable_settings())
    assert [each.partition(" ")[0] for each in reasons] == [
        "TWILIO_TOKENS_MAX_TTL",
        "TWILIO_TOKENS_AUDIT",
    ]
