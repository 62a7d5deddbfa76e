"""What the system checks say of usernames as identities."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import Info, Warning
from django.db import models

from twilio_tokens.checks import identities
from twilio_tokens.checks.identities import (
    check_username_is_chosen,
    check_usernames_are_not_empty,
    check_usernames_are_one_persons,
    check_usernames_stay,
)

CHECKS = (check_usernames_are_one_persons, check_usernames_are_not_empty, check_usernames_stay)


def told(monkeypatch: pytest.MonkeyPatch, field: Any, *constraints: Any) -> list[str]:
    """Of a site whose usernames are in that field."""
    field.name = "login"
    field.model = SimpleNamespace(_meta=SimpleNamespace(total_unique_constraints=constraints))
    meta = SimpleNamespace(get_field={"login": field}.get)
    model = SimpleNamespace(_meta=meta, USERNAME_FIELD="login")
    monkeypatch.setattr(identities, "get_user_model", lambda: model)
    messages = [message for check in CHECKS for message in check()]
    assert all(type(message) is Warning and "“login”" in message.msg for message in messages)
    assert all("twilio_tokens.identity.primary_key" in message.hint for message in messages)
    return [message.id.rpartition(".")[2] for message in messages]


@pytest.mark.parametrize(
    ("field", "ids"),
    [
        (models.CharField(unique=True), []),
        (models.CharField(), ["W051"]),
        (models.CharField(unique=True, null=True), ["W052"]),
        (models.CharField(unique=True, blank=True), ["W052"]),
        (models.EmailField(unique=True), ["W053"]),
        (models.EmailField(blank=True), ["W051", "W052", "W053"]),
    ],
)
def test_usernames_that_are_not_one_persons_are_told(
    field: Any, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(monkeypatch, field) == ids


def test_a_constraint_makes_them_unique_but_not_with_another_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = models.UniqueConstraint(fields=["login"], name="alone")
    assert told(monkeypatch, models.CharField(), alone) == []
    in_company = models.UniqueConstraint(fields=["login", "company"], name="in_company")
    assert told(monkeypatch, models.CharField(), in_company) == ["W051"]


@pytest.mark.parametrize(
    ("identity", "is_told"),
    [
        ("twilio_tokens.identity.username", True),
        ("twilio_tokens.identity.encoded_username", True),
        ("twilio_tokens.identity.primary_key", False),
        (lambda user: user.nickname, False),
        ("no.such.function", False),
    ],
)
def test_only_usernames_that_are_identities_matter(
    identity: Any, is_told: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = identity
    assert bool(told(monkeypatch, models.EmailField())) is is_told


def test_the_default_is_told_until_it_is_chosen(settings: Any) -> None:
    [message] = check_username_is_chosen()
    assert (message.id, type(message)) == ("twilio_tokens.I050", Info)
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.username"
    assert check_username_is_chosen() == []


def test_the_usernames_of_django_are_one_persons() -> None:
    assert User.USERNAME_FIELD == "username"
    assert [message for check in CHECKS for message in check()] == []
