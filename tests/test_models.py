from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.test.utils import isolate_apps
from django.utils import timezone

from twilio_tokens.models import (
    REGION_REFUSED,
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    Region,
    TwiMLApp,
    WithDefault,
)

from .conftest import new_secret, sid

RESOURCES = [ChatService, TwiMLApp]
WITH_DEFAULT = [Account, *RESOURCES]
PREFIXES = {Account: "AC", ChatService: "IS", TwiMLApp: "AP", PushCredential: "CR"}

on_a_server = pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="SQLite has one writer at a time: nothing is concurrent. Set DATABASE_URL.",
)


@pytest.fixture
def make(db: None) -> Callable[..., Any]:
    """Save a row; its SID and name are made from ``digit``."""

    def save(model: type[models.Model], digit: str, **values: Any) -> Any:
        if model is not Account:
            values.setdefault("account", Account.objects.first() or save(Account, "0"))
        row = {"name": f"row-{digit}", "sid": sid(PREFIXES[model], digit), **values}
        return model._default_manager.create(**row)

    return save


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


def defaults(model: type[models.Model]) -> list[str]:
    return [str(row) for row in model._default_manager.filter(is_default=True)]


def at_once(*jobs: Callable[[], object]) -> list[BaseException]:
    """Run the jobs in threads that start together; what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            job()
        except Exception as error:  # noqa: BLE001 - told to the test
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# One default at most


def test_the_first_account_becomes_the_default_and_the_second_does_not(make: Any) -> None:
    first, second = make(Account, "1"), make(Account, "2")
    assert (first.is_default, second.is_default) == (True, False)
    assert defaults(Account) == ["row-1"]


def test_an_account_alone_need_not_stay_the_default(make: Any) -> None:
    account = make(Account, "1")
    account.is_default = False
    account.save()
    assert defaults(Account) == []


@pytest.mark.parametrize("model", RESOURCES)
def test_a_service_or_app_is_the_default_only_if_it_says_so(make: Any, model: Any) -> None:
    assert not make(model, "1").is_default
    assert defaults(model) == []


@pytest.mark.parametrize("model", WITH_DEFAULT)
@pytest.mark.parametrize("update_fields", [None, ["is_default"]])
def test_saving_a_second_default_demotes_the_first(
    make: Any, model: Any, update_fields: list[str] | None
) -> None:
    make(model, "1", is_default=True)
    second = make(model, "2", is_default=True)
    assert defaults(model) == ["row-2"]
    first = model.objects.get(name="row-1")
    first.is_default = True
    first.full_clean()
    first.save(update_fields=update_fields)
    assert defaults(model) == ["row-1"]
    # Saving the default again changes nothing; nor does a stale row whose name alone is saved.
    first.save()
    second.name = "renamed"
    second.save(update_fields=["name"])
    assert defaults(model) == ["row-1"]


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_a_second_default_is_valid(make: Any, model: Any) -> None:
    first = make(model, "1", is_default=True)
    within = {name: getattr(first, name) for name in model.default_within}
    model(name="row-2", sid=sid(PREFIXES[model], "2"), is_default=True, **within).full_clean()


@isolate_apps("twilio_tokens")
@pytest.mark.django_db
def test_other_constraints_are_validated_as_ever() -> None:
    class Other(WithDefault):
        name = models.CharField(max_length=9)

        class Meta:
            app_label = "twilio_tokens"
            constraints = [models.CheckConstraint(condition=models.Q(name="good"), name="good")]

    Other(name="good", is_default=True).validate_constraints()
    Other(name="bad").validate_constraints(exclude={"name"})
    with pytest.raises(ValidationError, match="good"):
        Other(name="bad").validate_constraints()


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_the_database_refuses_a_second_default_that_goes_round_save(make: Any, model: Any) -> None:
    make(model, "1", is_default=True)
    second = make(model, "2")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(is_default=True)
    second.is_default = True
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.bulk_update([second], ["is_default"])
    second.pk, second.name, second.sid = None, "row-3", sid(PREFIXES[model], "3")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.bulk_create([second])
    assert defaults(model) == ["row-1"]


@pytest.mark.parametrize("model", RESOURCES)
def test_each_account_has_a_default_of_its_own(make: Any, model: Any) -> None:
    accounts = make(Account, "1"), make(Account, "2")
    for digit, account in zip("12", accounts, strict=True):
        make(model, digit, account=account, is_default=True)
    assert defaults(model) == ["row-1", "row-2"]
    # To another account it goes as the default there.
    moved = model.objects.get(name="row-1")
    moved.account = accounts[1]
    moved.save()
    assert defaults(model) == ["row-1"]


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_a_default_that_cannot_be_saved_demotes_nothing(make: Any, model: Any) -> None:
    first = make(model, "1", is_default=True)
    taken = {"sid": first.sid} if model is Account else {"name": first.name}
    with pytest.raises(IntegrityError), transaction.atomic():
        make(model, "2", is_default=True, **taken)
    assert defaults(model) == ["row-1"]


@on_a_server
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_concurrent_saves_leave_one_default_and_do_not_fail(make: Any, model: Any) -> None:
    account = make(Account, "f")
    within = dict.fromkeys(model.default_within, account)
    rows = [
        # Some do not become the default: on MariaDB their foreign keys lock the account, too.
        model(name=f"row-{n}", sid=f"{PREFIXES[model]}{n:032}", is_default=n % 3 > 0, **within)
        for n in range(9)
    ]
    for _ in range(3):
        assert at_once(*(row.save for row in rows)) == []
        assert len(defaults(model)) == 1
        for row in rows:
            row.is_default = not row.is_default


@on_a_server
@pytest.mark.django_db(transaction=True)
def test_of_two_first_accounts_the_later_does_not_demote_the_earlier(make: Any) -> None:
    thread = threading.Thread(target=at_once, args=[lambda: make(Account, "2")])
    with transaction.atomic():
        make(Account, "1")
        thread.start()
        thread.join(timeout=0.5)  # it has found no account, and waits for this transaction
    thread.join()
    assert Account.objects.count() == 2
    assert defaults(Account) == ["row-1"]


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
    assert "Video work only with an API key of region US1" in str(REGION_REFUSED)
    assert "Make a key with region US1 in the Twilio Console" in str(REGION_REFUSED)


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


SAVE_CONCURRENTLY = """
import threading

import django

django.setup()

from django.core.management import call_command
from django.db import connections
from twilio_tokens.models import Account

call_command("migrate", verbosity=0)


def save(thread):
    for number in range(5):
        sid = f"AC{thread:016x}{number:016x}"
        Account.objects.create(name="Account", sid=sid, is_default=number % 2 == 1)
    connections.close_all()


threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(Account.objects.count(), Account.objects.filter(is_default=True).count())
"""


def test_concurrent_saves_in_a_sqlite_file_wait_for_each_other(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}?timeout=60",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SAVE_CONCURRENTLY],
        env=environment,
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("30 1\n", "")
