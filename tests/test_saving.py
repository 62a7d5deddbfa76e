from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, models, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from tests.site.models import BilledKey, OwnKey
from twilio_tokens.crypto import generate_key, load_key_ring, unseal
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, PushCredential, TwiMLApp
from twilio_tokens.saving import savepoint

from .rows import new_secret, sid

committing = pytest.mark.django_db(transaction=True)


def changed_elsewhere(row: models.Model, **values: Any) -> None:
    assert type(row)._base_manager.filter(pk=row.pk).update(**values) == 1


@committing
def test_a_savepoint_begins_no_transaction() -> None:
    with savepoint("default"):
        assert not connection.in_atomic_block


@pytest.mark.django_db
def test_what_fails_within_a_savepoint_leaves_nothing_behind() -> None:
    with suppress(DatabaseError), savepoint("default"):
        Account.objects.create(name="Main", sid=sid("AC"))
        raise DatabaseError
    assert not Account.objects.exists()


@pytest.mark.parametrize("fixture", ["account", "api_key", "chat_service", "twiml_app"])
def test_a_save_writes_what_was_changed_and_leaves_the_rest(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    model = type(request.getfixturevalue(fixture))
    first, second = model.objects.get(), model.objects.get()
    prefix = first.sid[:2]
    first.name = "renamed"
    first.save()
    field, value = {
        Account: ("is_default", True),
        APIKey: ("is_active", False),
        ChatService: ("sid", sid(prefix, "1")),
        TwiMLApp: ("allow_incoming", False),
    }[model]
    setattr(second, field, value)
    second.save()
    stored = model.objects.get()
    assert (stored.name, getattr(stored, field)) == ("renamed", value)


def test_whichever_process_encrypts_again_meanwhile_its_ciphertext_stays(
    settings: Any, key_ring: list[str], api_key: APIKey, secret: str
) -> None:
    loaded = APIKey.objects.get()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), *key_ring]
    again = APIKey.objects.get()
    again.secret = secret
    again.save()
    loaded.name, loaded.is_active = "Other", False
    loaded.save()
    stored = APIKey.objects.get()
    assert (stored.name, stored.is_active) == ("Other", False)
    assert stored.secret.key_id == load_key_ring().newest_id


def deferred(model: type[models.Model]) -> Any:
    return model._default_manager.only("region").get()


def refreshed(model: type[models.Model]) -> Any:
    row = model._default_manager.get()
    changed_elsewhere(row, region="us1", name="Before")
    row.refresh_from_db()
    return row


def partly_refreshed(model: type[models.Model]) -> Any:
    row = deferred(model)
    row.refresh_from_db(fields=["name", "account"])
    return row


def refreshed_from_a_queryset(model: type[models.Model]) -> Any:
    row = model._default_manager.get()
    row.refresh_from_db(from_queryset=model._default_manager.only("region"))
    return row


def pickled(model: type[models.Model]) -> Any:
    return pickle.loads(pickle.dumps(model._default_manager.get()))  # noqa: S301


def copied(model: type[models.Model]) -> Any:
    return copy.deepcopy(copy.copy(model._default_manager.get()))


def selected_with_another(model: type[models.Model]) -> Any:
    now = timezone.now()
    record = IssuedToken.objects.create(
        api_key=APIKey.objects.get(), jti="1", grants={}, issued_at=now, expires_at=now
    )
    return IssuedToken.objects.select_related("api_key").get(pk=record.pk).api_key


@pytest.mark.parametrize(
    "load",
    [
        lambda model: model._default_manager.get(),
        lambda model: model._base_manager.raw("SELECT * FROM twilio_tokens_apikey")[0],
        deferred,
        refreshed,
        partly_refreshed,
        refreshed_from_a_queryset,
        pickled,
        copied,
        selected_with_another,
    ],
)
@pytest.mark.parametrize("model", [APIKey, OwnKey])
def test_however_a_row_was_loaded_it_writes_its_changes_only(
    api_key: APIKey, load: Callable[[Any], Any], model: Any
) -> None:
    key = load(model)
    changed_elsewhere(api_key, retired_at=(moment := timezone.now()), check_message="Found.")
    key.name = "Other"
    key.save()
    stored = APIKey.objects.get()
    assert (stored.name, stored.retired_at, stored.check_message) == ("Other", moment, "Found.")
    # What was written is written again if it is changed back.
    key.name = "Key"
    key.save()
    assert APIKey.objects.get().name == "Key"


def test_a_row_of_a_child_model_writes_its_changes_only(api_key: APIKey) -> None:
    BilledKey(apikey_ptr=api_key, cost_centre="1").save_base(raw=True)
    key = BilledKey.objects.get()
    changed_elsewhere(api_key, name="Other")
    key.cost_centre = "2"
    key.save()
    assert (BilledKey.objects.get().name, BilledKey.objects.get().cost_centre) == ("Other", "2")


@committing
def test_a_row_that_was_added_is_known_from_its_commit_on(api_key: APIKey) -> None:
    changed_elsewhere(api_key, name="Other")
    api_key.is_active = False
    api_key.save()
    assert APIKey.objects.get().name == "Other"


@committing
def test_what_was_rolled_back_is_written_by_the_next_save(api_key: APIKey) -> None:
    key = APIKey.objects.get()
    with transaction.atomic():
        key.name = "Other"
        key.save()
        transaction.set_rollback(True)
    assert APIKey.objects.get().name == "Key"
    key.save()
    assert APIKey.objects.get().name == "Other"


@committing
def test_what_is_changed_back_within_a_transaction_is_written(api_key: APIKey) -> None:
    key = APIKey.objects.get()
    with transaction.atomic():
        for name in ("Other", "Key"):
            key.name = name
            key.save()
    assert APIKey.objects.get().name == "Key"
    changed_elsewhere(key, name="Third")
    key.is_active = False
    key.save()
    assert APIKey.objects.get().name == "Third"


def test_a_save_tells_when_the_row_was_changed_and_only_then(api_key: APIKey) -> None:
    heard = []
    key = APIKey.objects.get()
    before = key.updated_at
    post_save.connect(listen := lambda **kwargs: heard.append(kwargs["update_fields"]), weak=False)
    try:
        key.save()
        assert (heard, APIKey.objects.get().updated_at) == ([], before)
        key.name = "Other"
        key.save()
    finally:
        post_save.disconnect(listen)
    assert heard == [{"name", "updated_at"}]
    assert APIKey.objects.get().updated_at > before


def test_what_changes_in_place_is_written(api_key: APIKey) -> None:
    now = timezone.now()
    IssuedToken.objects.create(
        api_key=api_key, jti="1", grants={"video": {}}, issued_at=now, expires_at=now
    )
    record = IssuedToken.objects.get()
    record.grants["video"]["room"] = "Lobby"
    record.save()
    assert IssuedToken.objects.get().grants == {"video": {"room": "Lobby"}}


@pytest.mark.parametrize("fields", [["name"], ("name",), (name for name in ["name"])])
def test_named_fields_are_written_whether_changed_or_not(api_key: APIKey, fields: Any) -> None:
    key = APIKey.objects.get()
    changed_elsewhere(key, name="Other")
    key.save(update_fields=fields)
    assert APIKey.objects.get().name == "Key"


def test_a_row_that_was_deleted_meanwhile_does_not_come_back(api_key: APIKey) -> None:
    key = APIKey.objects.get()
    api_key.delete()
    key.name = "Other"
    with pytest.raises(DatabaseError, match="did not affect any rows"), transaction.atomic():
        key.save()
    assert not APIKey.objects.exists()


def test_a_deleted_row_can_be_added_again(push_credential: PushCredential) -> None:
    row = PushCredential.objects.get()
    row.delete()
    row.save()
    assert PushCredential.objects.get().name == "ios"


@committing
def test_a_later_check_stays_when_the_row_is_saved(api_key: APIKey) -> None:
    key = APIKey.objects.get()
    key.record_check("refused", "Wrong secret.", 20003)
    changed_elsewhere(api_key, check_outcome="verified", check_message="")
    key.name = "Other"
    key.save()
    assert APIKey.objects.get().check_outcome == "verified"


@pytest.mark.parametrize("attribute", ["sid", "account"])
def test_what_cannot_be_changed_is_refused_by_every_save(api_key: APIKey, attribute: str) -> None:
    account, other = api_key.account, Account.objects.create(name="Other", sid=sid("AC", "1"))
    for key in (api_key, APIKey.objects.get(), APIKey.objects.only("name").get()):
        setattr(key, attribute, {"sid": sid("SK", "1"), "account": other}[attribute])
        with pytest.raises(ValidationError, match=r"cannot be changed|another API key"):
            key.save()
    assert (APIKey.objects.get().sid, APIKey.objects.get().account) == (sid("SK"), account)


def test_the_sid_of_an_account_stays(account: Account) -> None:
    account.sid = sid("AC", "1")
    with pytest.raises(ValidationError, match="cannot be changed"):
        account.save()


def test_an_upgraded_secret_of_another_process_is_signed_with(
    settings: Any, api_key: APIKey, key_ring: list[str]
) -> None:
    canary = new_secret()
    key, stale = APIKey.objects.get(), APIKey.objects.get()
    key.secret = canary
    key.save()
    stale.created_at -= timedelta(days=1)
    stale.save()
    stored = APIKey.objects.get()
    assert unseal(stored.secret, row=stored.id, sid=stored.sid) == canary


class ReadsGoToAReplica:
    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return "default"


def test_a_row_that_was_loaded_from_a_replica_writes_its_changes_only(
    settings: Any, api_key: APIKey
) -> None:
    key = APIKey.objects.get()
    key._state.db = "replica"
    changed_elsewhere(api_key, check_message="Found.")
    settings.DATABASE_ROUTERS = [ReadsGoToAReplica()]
    key.name = "Other"
    key.save()
    stored = APIKey.objects.using("default").get()
    assert (stored.name, stored.check_message) == ("Other", "Found.")


def test_named_fields_can_be_written_without_loading_the_row(api_key: APIKey) -> None:
    APIKey(pk=api_key.pk, name="Other").save(force_update=True, update_fields=["name"])
    Account(pk=api_key.account_id, name="Other").save(update_fields=["name"])
    assert (APIKey.objects.get().name, Account.objects.get().name) == ("Other", "Other")
    assert APIKey.objects.get().secret == api_key.secret


def test_what_was_changed_is_written_though_another_field_was_read_again(api_key: APIKey) -> None:
    row = APIKey.objects.get()
    row.name = "renamed"
    changed_elsewhere(row, is_active=False)
    row.refresh_from_db(fields=["is_active"])
    assert row.changed_fields("default") == {"name", "updated_at"}
    row.save()
    stored = APIKey.objects.get()
    assert (stored.name, stored.is_active) == ("renamed", False)


def test_what_is_read_again_as_it_was_set_is_not_written(api_key: APIKey) -> None:
    row = APIKey.objects.get()
    row.is_active = False
    changed_elsewhere(row, is_active=False)
    row.refresh_from_db()
    assert row.changed_fields("default") == set()


def test_a_row_that_was_loaded_is_cleaned_without_asking_again(
    api_key: APIKey, django_assert_num_queries: Any
) -> None:
    row = APIKey.objects.get()
    with django_assert_num_queries(0):
        row.clean()
