"""The factories for the tests of sites."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from tests.prose import REPOSITORY
from twilio_tokens import testing
from twilio_tokens.models import Account, PushCredential
from twilio_tokens.testing import new_secret, new_sid

PAGE = (REPOSITORY / "docs/reference/testing.md").read_text()
MAKE = {name: getattr(testing, name) for name in testing.__all__ if name.startswith("make_")}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_what_is_made_without_arguments_is_valid_and_unique(db: None, make: Any) -> None:
    rows = [make() for _ in range(3)]
    for row in rows:
        row.full_clean()
    assert len({each.sid for each in rows}) == len({str(each) for each in rows}) == 3
    assert Account.objects.filter(is_default=True).count() == 1


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_factories_take_keyword_arguments_only_as_the_page_says(make: Callable[..., Any]) -> None:
    parameters = inspect.signature(make).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    (row,) = re.findall(rf"^\| `{make.__name__}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"\w+", row)) == {each.name for each in parameters}


OF_ACCOUNTS = {name: make for name, make in MAKE.items() if name != "make_account"}
RESOURCES = {name: make for name, make in OF_ACCOUNTS.items() if name != "make_api_key"}


@pytest.mark.parametrize("make", OF_ACCOUNTS.values(), ids=OF_ACCOUNTS)
def test_a_row_belongs_to_the_default_account_or_to_the_given_one(db: None, make: Any) -> None:
    first = make().account
    assert first.is_default
    other = testing.make_account()
    assert not other.is_default
    assert make().account == first
    sid = make().sid[:2] + "1" * 32
    row = make(account=other, name="mine", sid=sid)
    row.refresh_from_db()
    assert (row.account, row.name, row.sid) == (other, "mine", sid)


@pytest.mark.parametrize("make", RESOURCES.values(), ids=RESOURCES)
def test_the_first_resource_is_the_default_unless_told_otherwise(db: None, make: Any) -> None:
    assert not make(is_default=False).is_default
    first = make()
    assert first.is_default
    assert not make().is_default
    assert make(is_default=True).is_default
    first.refresh_from_db()
    assert not first.is_default


@pytest.mark.parametrize("make", RESOURCES.values(), ids=RESOURCES)
def test_groups_restrict_a_resource(db: None, make: Any) -> None:
    if make is testing.make_push_credential:
        return
    staff = Group.objects.create(name="staff")
    assert make().groups.count() == 0
    row = make(groups=[staff])
    assert row.is_restricted
    assert row.groups.get() == staff


def test_the_account_may_be_named_and_be_the_default(db: None) -> None:
    testing.make_account()
    account = testing.make_account(name="Main", sid="AC" + "1" * 32, is_default=True)
    assert Account.objects.default() == account
    assert (account.name, account.sid) == ("Main", "AC" + "1" * 32)


def test_without_a_default_account_one_is_made(db: None) -> None:
    """As there is none any more once it was deleted."""
    testing.make_account()
    other = testing.make_account()
    Account.objects.filter(is_default=True).delete()
    account = testing.make_api_key().account
    assert account.is_default
    assert account != other


def test_other_fields_may_be_given(db: None) -> None:
    assert not testing.make_twiml_app().allow_incoming
    assert testing.make_twiml_app(allow_incoming=True).allow_incoming
    assert testing.make_api_key().is_active
    assert not testing.make_api_key(is_active=False).is_active
    credential = testing.make_push_credential()
    assert (credential.platform, credential.sandbox) == (PushCredential.Platform.APN, False)
    assert testing.make_push_credential(platform="fcm").is_default
    assert testing.make_push_credential(sandbox=True).is_default


def test_what_could_not_be_entered_in_the_console_is_not_made(db: None) -> None:
    with pytest.raises(ValidationError):
        testing.make_chat_service(sid=new_sid("AP"))
    with pytest.raises(ValidationError):
        testing.make_push_credential(platform="fcm", sandbox=True)


def test_sids_and_secrets_have_the_shape_of_twilios() -> None:
    assert re.fullmatch("WK[0-9a-f]{32}", new_sid("WK"))
    assert re.fullmatch(r"[\w-]{32}", new_secret())
