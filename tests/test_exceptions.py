from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import gettext_lazy, override

from twilio_tokens import exceptions
from twilio_tokens.exceptions import (
    MISSING,
    SETTING,
    DoesNotExist,
    EncryptionKeyError,
    InvalidGrant,
    TwilioTokensError,
    Unavailable,
)

CODES = {
    "TwilioTokensError": "error",
    "NotAuthenticated": "not_authenticated",
    "InvalidGrant": "invalid",
    "DoesNotExist": "does_not_exist",
    "IdentityNotAllowed": "identity_not_allowed",
    "AccountMismatch": "account_mismatch",
    "PermissionDenied": "permission_denied",
    "InvalidToken": "invalid_token",
    "ListingFailed": "listing_failed",
    "Unavailable": "error",
    "NotConfigured": "not_configured",
    "SecretUnavailable": "secret_unavailable",
    "AuditUnavailable": "audit_unavailable",
    "ThrottleUnavailable": "throttle_unavailable",
    "SettingError": "not_configured",
    "EncryptionKeyError": "secret_unavailable",
}
ARGUMENTS = {
    "InvalidGrant": (("wrong",), {}),
    "DoesNotExist": (("unknown",), {"field": "service", "product": "chat"}),
    "Unavailable": (("canary",), {}),
    "NotConfigured": (("canary",), {}),
    "SecretUnavailable": (("canary",), {}),
    "AuditUnavailable": (("canary",), {}),
    "ThrottleUnavailable": (("canary",), {}),
    "SettingError": (("canary",), {}),
    "EncryptionKeyError": (({1: "canary"},), {}),
}


def make(name: str) -> TwilioTokensError:
    args, kwargs = ARGUMENTS.get(name, ((), {}))
    return getattr(exceptions, name)(*args, **kwargs)


def test_the_tree_is_complete_and_has_one_root() -> None:
    tree = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, TwilioTokensError)
    }
    errors = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert tree == errors == CODES.keys()


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_error_has_its_code_and_a_sentence(name: str, code: str) -> None:
    error = make(name)
    assert error.code == code
    assert type(error.message) is str
    own = {"InvalidGrant": "wrong", "DoesNotExist": "unknown"}.get(name, error.default_message)
    assert error.message == own != ""
    assert str(error) == (error.reason if name == "SettingError" else own)


def test_a_message_of_ones_own_replaces_the_default() -> None:
    assert str(exceptions.PermissionDenied("Members only.")) == "Members only."


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in CODES
        if name != "SettingError"  # of which nothing but the setting is told
        if issubclass(getattr(exceptions, name), Unavailable)
    ],
)
def test_the_reason_is_for_the_log_and_never_in_the_answer(name: str) -> None:
    error = make(name)
    assert error.reason == "canary"
    assert "canary" not in str(error) + repr(error)


def test_an_invalid_grant_says_where() -> None:
    error = InvalidGrant("Too long.", code="max_length", field="room", product="video")
    assert (error.code, error.field, error.product) == ("max_length", "room", "video")
    unknown = DoesNotExist("No such service.", field="service", product="chat")
    assert (unknown.code, unknown.field, unknown.product) == ("does_not_exist", "service", "chat")


def test_an_encryption_key_error_tells_each_position_and_whether_there_is_no_key_at_all() -> None:
    error = EncryptionKeyError({1: "The first.", 3: "The third."})
    assert error.problems == {1: "The first.", 3: "The third."}
    assert error.reason == "The first. The third."
    assert not error.is_missing
    assert not EncryptionKeyError({SETTING: "No list."}).is_missing
    assert EncryptionKeyError({MISSING: "Not set."}).is_missing
    assert not {MISSING, SETTING} & {*range(1, 100)}


def test_the_reason_is_logged_once_however_many_callers_it_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = Unavailable("no key")
    error.log()
    error.log()
    assert caplog.messages == ["No access token issued: no key"]


@pytest.mark.parametrize("kind", [Unavailable, lambda text: EncryptionKeyError({1: text})])
def test_the_reason_is_in_the_language_of_the_page_and_in_english_in_the_log(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with override("de"):
        error = kind(gettext_lazy("Monday"))
        error.log()
        assert error.reason == "Montag"
    assert error.log_reason == "Monday"
    assert caplog.messages == ["No access token issued: Monday"]


def test_what_stands_for_a_placeholder_may_have_braces_and_cannot_begin_a_line() -> None:
    assert Unavailable("{not} a placeholder").reason == "{not} a placeholder"
    assert Unavailable("Of {key}.", key="{a}\nb").reason == "Of {a}\\nb."
