from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from tests.site.models import InvitedService, Stage
from twilio_tokens.models import (
    REGION_REFUSED,
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    Region,
    SyncService,
    TwiMLApp,
    Workspace,
    resource_kinds,
)

from .rows import PREFIXES, add_key, new_secret, sid

RESOURCES = [ChatService, TwiMLApp]


@pytest.fixture
def issued_token(api_key: APIKey, user: User) -> IssuedToken:
    now = timezone.now()
    return IssuedToken.objects.create(
        jti="a-jti",
        user=user,
        identity="anna",
        api_key=api_key,
        grants={},
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )


# API keys


@pytest.mark.parametrize("region", [*Region.values[1:], "us2", "", None])
def test_every_region_but_us1_is_refused_by_validation_and_by_the_database(
    api_key: APIKey, region: str | None
) -> None:
    api_key.region = region
    with pytest.raises(ValidationError) as caught:
        api_key.full_clean()
    assert caught.value.message_dict.keys() == {"region"}
    if region in Region.values:
        (error,) = caught.value.error_dict["region"]
        assert (error.code, error.messages) == ("region", [str(REGION_REFUSED)])
    with pytest.raises(IntegrityError), transaction.atomic():
        api_key.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        APIKey.objects.update(region=region)
    assert APIKey.objects.get().region == "us1"


def test_the_refusal_of_a_region_says_why_and_what_to_do(api_key: APIKey) -> None:
    api_key.region = "ie1"
    with pytest.raises(ValidationError) as caught:
        api_key.validate_constraints()
    assert caught.value.messages == [str(REGION_REFUSED)]
    assert "Video need an API key from region US1" in str(REGION_REFUSED)
    assert "Create a key in region US1 in the Twilio Console" in str(REGION_REFUSED)


def test_a_region_is_chosen_and_never_assumed() -> None:
    assert APIKey().region == ""
    assert {"us1", "ie1", "au1"} <= set(Region.values)
    assert all(f"({region.value.upper()})" in region.label for region in Region)


def test_sid_and_account_of_an_api_key_are_read_only_after_creation(
    make: Any, api_key: APIKey
) -> None:
    api_key.full_clean()
    for field, value in {"sid": sid("SK", "9"), "account": make(Account, "9")}.items():
        changed = APIKey.objects.get()
        setattr(changed, field, value)
        with pytest.raises(ValidationError) as caught:
            changed.full_clean()
        assert caught.value.message_dict.keys() == {field}
        assert caught.value.error_dict[field][0].code == "read_only"


def test_the_sid_of_an_account_is_read_only_after_creation(account: Account) -> None:
    Account(name="Other", sid=sid("AC", "9")).full_clean()
    account.name = "Renamed"
    account.full_clean()
    account.sid = sid("AC", "9")
    with pytest.raises(ValidationError, match="cannot be changed") as caught:
        account.full_clean()
    assert caught.value.message_dict.keys() == {"sid"}


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_added_comes_last_where_the_clock_was_fast_before(api_key: APIKey) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    APIKey.objects.update(created_at=tomorrow)
    newer = add_key(api_key.account)
    stored = APIKey.objects.get(pk=newer.pk).created_at
    assert newer.created_at == stored == tomorrow + timedelta(microseconds=1)
    assert newer.changed_fields("default") == set()


def test_the_newest_active_key_of_the_account_is_found(make: Any, api_key: APIKey) -> None:
    def add(digit: str, age: timedelta, **values: Any) -> APIKey:
        row = {"account": api_key.account, "region": "us1", "secret": new_secret(), **values}
        key = APIKey.objects.create(name=digit, sid=sid("SK", digit), **row)
        APIKey.objects.filter(pk=key.pk).update(created_at=now - age)
        return key

    now = api_key.created_at
    newest = lambda: APIKey.objects.newest_active(api_key.account_id)  # noqa: E731
    add("1", timedelta(hours=1))
    add("2", timedelta(hours=-1), is_active=False)
    add("3", timedelta(hours=-1), account=make(Account, "9"))
    assert newest() == api_key
    twins = [api_key.pk, add("4", timedelta()).pk]
    # MariaDB has an order of its own for UUIDs.
    assert newest() == APIKey.objects.filter(pk__in=twins).latest("id")
    APIKey.objects.update(is_active=False)
    assert newest() is None


@pytest.mark.parametrize("update_fields", [None, ["is_active"]])
def test_a_key_remembers_since_when_it_is_inactive(
    api_key: APIKey, update_fields: list[str] | None
) -> None:
    def save(is_active: bool) -> Any:
        api_key.is_active = is_active
        api_key.save(update_fields=update_fields)
        return APIKey.objects.get().retired_at

    assert api_key.retired_at is None
    before = timezone.now()
    retired_at = save(is_active=False)
    assert before <= retired_at <= timezone.now()
    assert save(is_active=False) == retired_at
    assert save(is_active=True) is None


def test_saving_another_field_alone_retires_nothing(api_key: APIKey) -> None:
    api_key.is_active = False
    api_key.save(update_fields=["name"])
    stored = APIKey.objects.get()
    assert (stored.is_active, stored.retired_at) == (True, None)


# What Twilio said


def test_a_check_stores_its_result_and_nothing_else_of_the_row(api_key: APIKey) -> None:
    stale = APIKey.objects.get()
    api_key.name = "Renamed"
    api_key.save()
    before = timezone.now()
    stale.record_check("refused", "Wrong secret.", 20003)
    stored = APIKey.objects.get()
    result = ("refused", "Wrong secret.", 20003)
    for row in (stale, stored):
        assert (row.check_outcome, row.check_message, row.check_code) == result
        assert before <= row.checked_at <= timezone.now()
    assert (stored.name, stored.updated_at) == ("Renamed", api_key.updated_at)
    stored.record_check("verified", "")
    assert APIKey.objects.get().check_code is None


@pytest.mark.parametrize("character", ["\ud800", "😀", "\0"])
def test_a_check_is_stored_whatever_twilio_says(api_key: APIKey, character: str) -> None:
    api_key.record_check("refused", f"No such account: {character}", 20404)
    stored = APIKey.objects.get()
    assert stored.check_message in (f"No such account: {character}", "No such account: ?")
    assert stored.check_code == 20404


@pytest.mark.parametrize("model", [*RESOURCES, PushCredential])
def test_a_check_of_other_credentials_is_forgotten(make: Any, model: Any) -> None:
    row, other = make(model, "1"), make(model, "2")
    other.record_check("refused", "Not in this account.", 20404)
    row.record_check("refused", "Wrong secret.", 20003)
    row.forget_check()
    row.save()
    stored = model.objects.get(pk=row.pk)
    assert (stored.checked_at, stored.check_outcome) == (None, "")
    assert (stored.check_message, stored.check_code) == ("", None)
    assert model.objects.get(pk=other.pk).check_code == 20404


# Services, apps and push credentials


@pytest.mark.parametrize("model", [*RESOURCES, PushCredential])
def test_a_name_is_a_slug_and_unique_across_accounts(make: Any, model: Any) -> None:
    make(model, "1")
    with pytest.raises(ValidationError) as caught:
        model(name="no slug", account=Account.objects.get(), sid=sid(PREFIXES[model])).clean_fields(
            exclude=["platform"]
        )
    assert caught.value.message_dict.keys() == {"name"}
    with pytest.raises(IntegrityError), transaction.atomic():
        make(model, "2", name="row-1", account=make(Account, "2"))


def test_the_platform_of_a_push_credential_is_apn_or_fcm() -> None:
    assert PushCredential.Platform.values == ["apn", "fcm"]


def test_only_apples_push_service_has_a_sandbox(make: Any) -> None:
    make(PushCredential, "1", platform="apn", sandbox=True).full_clean()
    with pytest.raises(ValidationError) as caught:
        make(PushCredential, "2", platform="fcm", sandbox=True).full_clean()
    [error] = caught.value.error_dict["sandbox"]
    assert error.code == "no_sandbox"


# Where Twilio has them


def test_every_kind_that_grants_can_name_is_listed_once() -> None:
    """A site's own among them; not what only extends one of them."""
    assert resource_kinds() == [
        *(ChatService, TwiMLApp, PushCredential, SyncService, Workspace),
        *(Stage, InvitedService),
    ]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"type": "apn", "sandbox": "False"}, {"platform": "apn", "sandbox": False}),
        ({"type": "apn", "sandbox": "True"}, {"platform": "apn", "sandbox": True}),
        ({"type": "apn", "sandbox": "true"}, {"platform": "apn", "sandbox": True}),
        ({"type": "apn"}, {"platform": "apn"}),
        ({"type": "fcm", "sandbox": "False"}, {"platform": "fcm"}),
        ({"type": "gcm"}, {"platform": "fcm"}),
        ({}, {}),
    ],
)
def test_twilio_tells_platform_and_sandbox_of_a_push_credential(item: Any, told: Any) -> None:
    assert PushCredential.told_by_twilio(item) == told


# The audit record


def test_a_key_with_issued_tokens_is_protected_and_so_is_its_account(
    issued_token: IssuedToken,
) -> None:
    for protected in (issued_token.api_key, issued_token.api_key.account):
        with pytest.raises(ProtectedError), transaction.atomic():
            protected.delete()
    issued_token.delete()
    Account.objects.get().delete()
    assert not APIKey.objects.exists()


def test_a_record_outlives_its_user_and_who_issued_it(
    issued_token: IssuedToken, user: User
) -> None:
    issued_token.issued_by = user
    issued_token.save()
    user.delete()
    issued_token.refresh_from_db()
    assert (issued_token.user, issued_token.issued_by, issued_token.identity) == (
        None,
        None,
        "anna",
    )


def test_a_token_is_live_until_it_expires(issued_token: IssuedToken) -> None:
    assert IssuedToken.objects.live().get() == issued_token
    just_before = issued_token.expires_at - timedelta(microseconds=1)
    assert IssuedToken.objects.live(just_before).exists()
    assert not IssuedToken.objects.live(issued_token.expires_at).exists()


def test_a_jti_is_recorded_once(issued_token: IssuedToken) -> None:
    issued_token.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        issued_token.save(force_insert=True)


def test_each_row_names_itself(make: Any, issued_token: IssuedToken) -> None:
    assert str(issued_token) == "a-jti"
    assert str(issued_token.api_key) == f"Key ({sid('SK')})"
    assert str(issued_token.api_key.account) == "Main"
    assert [str(make(model, "7")) for model in (*RESOURCES, PushCredential)] == ["row-7"] * 3
