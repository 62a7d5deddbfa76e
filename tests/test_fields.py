from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.contrib.auth.models import User
from django.core import serializers as serializers_of_django
from django.core.exceptions import FieldError, ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, ExpressionWrapper, F, Subquery, Value, When
from django.db.models.constants import OnConflict
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Coalesce, Concat, Length, Upper
from django.db.models.signals import post_save, pre_save
from django.db.models.sql import InsertQuery
from django.forms.models import model_to_dict
from django.test import Client
from django.test.utils import isolate_apps, register_lookup
from rest_framework import serializers
from rest_framework.test import APIClient

from tests.site.models import BilledKey, OwnKey, Webhook
from twilio_tokens import sids
from twilio_tokens.crypto import Sealed, generate_key, load_key_ring, seal, unseal
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable
from twilio_tokens.fields import NameField, SealedField, SealedInput, SIDField, SlugNameField
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken

from .reports import error_report
from .rows import new_secret, sid


class KeyForm(forms.ModelForm):
    class Meta:
        model = APIKey
        fields = ("account", "name", "sid", "region", "secret")


class KeySerializer(serializers.ModelSerializer):
    class Meta:
        model = APIKey
        fields = ("account", "name", "sid", "region", "secret")


def stored_text(key: APIKey) -> str:
    """What the database holds, without the field in between."""
    rows = APIKey.objects.annotate(text=Cast("secret", models.TextField()))
    return rows.values_list("text", flat=True).get(pk=key.pk)


def store_text(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE twilio_tokens_apikey SET secret = %s", [text])


def opened(key: APIKey) -> str:
    key = APIKey.objects.get(pk=key.pk)
    return unseal(key.secret, row=key.id, sid=key.sid)


def new_key(account: Account, **values: Any) -> APIKey:
    return APIKey(
        **{"account": account, "name": "New", "sid": sid("SK", "1"), "region": "us1", **values}
    )


def typed(account: Account, **values: Any) -> dict[str, Any]:
    return {"account": account.pk, "name": "N", "sid": sid("SK"), "region": "us1", **values}


# What a SealedField stores


def test_saving_seals_the_plaintext_in_the_row_and_in_the_database(
    api_key: APIKey, secret: str
) -> None:
    assert isinstance(api_key.secret, Sealed)
    assert stored_text(api_key) == api_key.secret.text
    assert api_key.secret.text.startswith(f"tt1:{load_key_ring().newest_id}:")
    assert secret not in api_key.secret.text
    assert opened(api_key) == secret


def test_bulk_create_seals(account: Account, secret: str) -> None:
    keys = APIKey.objects.bulk_create([new_key(account, secret=secret)])
    assert isinstance(keys[0].secret, Sealed)
    assert opened(keys[0]) == secret


def test_update_or_create_and_update_fields_seal(api_key: APIKey) -> None:
    first, second = new_secret(), new_secret()
    APIKey.objects.update_or_create(sid=api_key.sid, defaults={"secret": first})
    assert opened(api_key) == first
    api_key.secret = second
    api_key.save(update_fields=["secret"])
    assert opened(api_key) == second


def test_outer_white_space_is_stripped_before_sealing(account: Account, secret: str) -> None:
    key = new_key(account, sid=f" {sid('SK', '1')}\n", secret=f"\t{secret} \r\n")
    key.save()
    assert opened(key) == secret


def test_a_row_whose_id_is_given_as_text_opens(account: Account, secret: str) -> None:
    key = new_key(account, id=str(uuid4()), secret=secret)
    key.save()
    assert opened(key) == secret


def test_ciphertext_typed_in_as_a_secret_is_refused(account: Account, api_key: APIKey) -> None:
    with pytest.raises(ValidationError, match="is an encrypted secret"):
        new_key(account, secret=api_key.secret.text).save()


def test_a_copied_ciphertext_does_not_open(account: Account, api_key: APIKey) -> None:
    other = new_key(account, secret=new_secret())
    other.save()
    APIKey.objects.filter(pk=other.pk).update(secret=api_key.secret)
    assert stored_text(other) == stored_text(api_key)
    with pytest.raises(SecretUnavailable):
        opened(other)


@pytest.mark.parametrize("attribute", ["id", "sid"])
def test_a_row_changed_behind_the_app_s_back_does_not_open(api_key: APIKey, attribute: str) -> None:
    changed = {"id": uuid4(), "sid": sid("SK", "9")}[attribute]
    APIKey.objects.update(**{attribute: changed})
    with pytest.raises(SecretUnavailable):
        opened(APIKey.objects.get())


@pytest.mark.parametrize("keys", [[], ["malformed"], [generate_key()]], ids=["no", "bad", "wrong"])
@pytest.mark.parametrize("update_fields", [None, ["name"]])
def test_saving_other_fields_leaves_the_ciphertext_as_it_is_whatever_the_key_ring(
    settings: Any,
    key_ring: list[str],
    api_key: APIKey,
    secret: str,
    keys: list[str],
    update_fields: list[str] | None,
) -> None:
    before = stored_text(api_key)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
    key = APIKey.objects.get()
    key.name = "Other"
    key.full_clean()
    key.save(update_fields=update_fields)
    APIKey.objects.bulk_update([key], ["name", "secret"])
    assert APIKey.objects.get().name == "Other"
    assert stored_text(api_key) == before
    # Putting the key back heals everything.
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = key_ring
    assert opened(api_key) == secret


@pytest.mark.parametrize(
    "text", ["", "damaged", "tt1:0123456789ab:x", "tt2:0123456789ab:" + "A" * 40]
)
def test_a_damaged_row_loads_saves_unchanged_and_can_be_fixed(api_key: APIKey, text: str) -> None:
    store_text(text)
    key = APIKey.objects.get()
    assert key.secret == Sealed(text)
    with pytest.raises(
        SecretUnavailable, match=r"^The secret that signs Access Tokens is not available"
    ):
        opened(key)
    key.name = "Other"
    key.full_clean()
    key.save()
    assert stored_text(key) == text
    assert KeyForm(instance=key).as_p()
    assert KeySerializer(key).data["secret"] == str(Sealed(text))
    key.secret = fixed = new_secret()
    key.save()
    assert opened(key) == fixed


@pytest.fixture
def nullable_column(transactional_db: None) -> Iterator[None]:
    """The table as somebody has changed it."""
    field = APIKey._meta.get_field("secret")
    nullable = SealedField(null=True)
    nullable.set_attributes_from_name("secret")
    nullable.model = APIKey

    def alter(old: models.Field, new: models.Field) -> None:
        with connection.schema_editor() as editor:
            editor.alter_field(APIKey, old, new)

    alter(field, nullable)
    yield
    APIKey.objects.all().delete()
    alter(nullable, field)


@pytest.mark.usefixtures("nullable_column")
@pytest.mark.parametrize(
    "value",
    [
        None,
        pytest.param(
            b"\x00\xff",
            marks=pytest.mark.skipif(
                connection.vendor != "sqlite", reason="Other databases refuse other types."
            ),
        ),
        7,
        "",
        "tt1:0123456789ab:" + "A" * 200_000,
    ],
)
def test_with_anything_else_for_a_secret_the_site_lives_on_and_the_row_can_be_fixed(
    api_key: APIKey, api: APIClient, admin_client: Client, user: User, value: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE twilio_tokens_apikey SET secret = %s", [value])
    assert isinstance(APIKey.objects.get().secret, Sealed)
    for secret in (APIKey.objects.only("name").get().secret, *APIKey.objects.defer("name")):
        assert secret
    response = api.post("/twilio/tokens/video/")
    assert (response.status_code, response.json()["code"]) == (503, "secret_unavailable")
    for page in ("", f"{api_key.pk}/change/"):
        assert (
            "secret unreadable"
            in admin_client.get(f"/admin/twilio_tokens/apikey/{page}").content.decode()
        )
    call_command("dumpdata", "twilio_tokens", stdout=StringIO())
    with pytest.raises(CommandError, match="some secrets cannot be decrypted"):
        call_command("twilio_reencrypt", stdout=StringIO(), stderr=StringIO())
    key = APIKey.objects.get()
    key.name = "Other"
    key.save()
    assert APIKey.objects.filter(secret__isnull=value is None).get().name == "Other"
    key.secret = new_secret()
    key.save()
    assert api.post("/twilio/tokens/video/").status_code == 201
    IssuedToken.objects.all().delete()


# What is sealed before others see it


@pytest.fixture(params=["of every model", "of this model"])
def overheard(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What receivers of signals, and the apps that keep a history with them, find in a row."""
    heard: list[str] = []

    def listen(sender: Any, instance: models.Model, **kwargs: Any) -> None:
        heard.extend(map(repr, vars(instance).values()))
        heard.append(serializers_of_django.serialize("json", [instance]))

    senders = [None] if request.param == "of every model" else [APIKey, OwnKey, BilledKey, Webhook]
    for sender in senders:
        for signal in (pre_save, post_save):
            signal.connect(listen, sender=sender)
    yield heard
    for sender in senders:
        for signal in (pre_save, post_save):
            signal.disconnect(listen, sender=sender)


def save_new(model: type[models.Model], **values: Any) -> Any:
    row = model(**values)
    row.save()
    return row


@pytest.mark.parametrize(
    "create",
    [
        save_new,
        lambda model, **values: model._default_manager.create(**values),
        lambda model, **values: model._base_manager.create(**values),
        lambda model, **values: model._default_manager.get_or_create(
            sid=values.pop("sid"), defaults=values
        )[0],
        lambda model, **values: model._default_manager.update_or_create(
            sid=values.pop("sid"), defaults=values
        )[0],
    ],
    ids=["save", "create", "base manager", "get_or_create", "update_or_create"],
)
@pytest.mark.parametrize("model", [APIKey, OwnKey, BilledKey, Webhook])
def test_no_receiver_of_signals_sees_the_plaintext_of_a_new_row(
    account: Account, overheard: list[str], secret: str, model: Any, create: Any
) -> None:
    values = {"sid": sid("SK", "1"), "secret": secret}
    if model is Webhook:
        values["id"] = uuid4()
    else:
        values |= {"account": account, "name": "New", "region": "us1"}
    row = create(model, **values)
    assert unseal(row.secret, row=row.id, sid=row.sid) == secret
    assert overheard
    assert secret not in str(overheard)


@pytest.mark.parametrize(
    "save",
    [
        lambda key: key.save(),
        lambda key: key.save(update_fields=["secret"]),
        lambda key: key.save(update_fields=["name"]),
        lambda key: key.save_base(),
        lambda key: async_to_sync(key.asave)(),
    ],
    ids=["save", "the secret", "another field", "save_base", "asave"],
)
@pytest.mark.parametrize("model", [APIKey, OwnKey])
def test_no_receiver_of_signals_sees_the_plaintext_of_a_changed_row(
    api_key: APIKey, overheard: list[str], model: Any, save: Any
) -> None:
    canary = new_secret()
    key = model.objects.get()
    key.secret = canary
    save(key)
    assert overheard
    assert canary not in str(overheard)
    key.save()
    assert opened(key) == canary


def test_no_receiver_of_signals_sees_the_plaintext_of_a_fixture(
    api_key: APIKey, overheard: list[str]
) -> None:
    canary = new_secret()
    dump = serializers_of_django.serialize("json", [api_key])
    (row,) = serializers_of_django.deserialize("json", dump.replace(api_key.secret.text, canary))
    with pytest.raises(TypeError, match="takes plaintext only through save"):
        row.save()
    assert canary not in str(overheard)


# What a SealedField refuses


@pytest.mark.parametrize("method", ["save", "bulk_create"])
@pytest.mark.parametrize("text", ["", "short", "with spaces in between", "x" * 129, sid("SK")])
def test_what_is_no_secret_is_refused_when_it_is_saved_too(
    account: Account, method: str, text: str
) -> None:
    key = new_key(account, secret=text)
    with pytest.raises(ValidationError) as caught, transaction.atomic():
        key.save() if method == "save" else APIKey.objects.bulk_create([key])
    assert caught.value.message_dict.keys() == {"secret"}
    assert not APIKey.objects.exists()
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ([], "TWILIO_TOKENS_ENCRYPTION_KEYS is not set"),
        ([generate_key(), "malformed"], "Key 2 of TWILIO_TOKENS_ENCRYPTION_KEYS"),
    ],
)
def test_a_key_ring_that_cannot_be_used_is_an_error_of_validation(
    settings: Any, account: Account, secret: str, keys: list[str], problem: str
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
    with pytest.raises(ValidationError) as caught:
        new_key(account, secret=secret).full_clean()
    (error,) = caught.value.error_dict["secret"]
    assert error.code == "encryption_key"
    assert error.messages[0].startswith(f"The secret cannot be stored: {problem}")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"keys": []}, EncryptionKeyError),
        ({"keys": ["malformed"]}, EncryptionKeyError),
        ({"end": " x"}, ValidationError),
        ({"end": "é"}, ValidationError),
        ({"end": "\ud800"}, ValidationError),
        ({"id": "none"}, ValidationError),
        ({"sid": None}, ValueError),
        ({"sid": sid("SK", "0")}, IntegrityError),
    ],
)
@pytest.mark.parametrize("method", ["full_clean", "save"])
def test_no_refusal_has_the_secret_in_its_report(
    settings: Any, api_key: APIKey, values: dict[str, Any], error: type[Exception], method: str
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = values.get(
        "keys", settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    )
    canary = new_secret()
    changed = {name: values[name] for name in ("id", "sid") if name in values}
    key = new_key(api_key.account, secret=canary + values.get("end", ""), **changed)
    with pytest.raises(ValidationError if method == "full_clean" else error) as caught:
        getattr(key, method)()
    assert canary not in error_report(caught.value)


@pytest.mark.parametrize(
    "use",
    [
        lambda key, text: APIKey.objects.update(secret=text),
        lambda key, text: APIKey.objects.filter(secret=text).exists(),
        lambda key, text: APIKey.objects.exclude(secret__exact=text).exists(),
        lambda key, text: APIKey.objects.get(secret=text),
        lambda key, text: (
            setattr(key, "secret", text) or APIKey.objects.bulk_update([key], ["secret"])
        ),
        lambda key, text: setattr(key, "secret", text) or key.save_base(raw=True),
        lambda key, text: (
            setattr(key, "secret", text) or key._meta.get_field("secret").value_to_string(key)
        ),
    ],
    ids=["update", "filter", "exclude", "get", "bulk_update", "raw save", "serialize"],
)
@pytest.mark.parametrize("kind", [str, str.encode, lambda text: f"tt1:{text}", lambda text: [text]])
def test_plaintext_is_refused_where_nothing_would_seal_it_and_not_echoed(
    api_key: APIKey, use: Any, kind: Any
) -> None:
    before, canary = stored_text(api_key), new_secret()
    refused = pytest.raises(TypeError, match="takes plaintext only through save")
    with refused as caught, transaction.atomic():
        use(api_key, kind(canary))
    assert canary not in str(caught.value)
    assert canary not in error_report(caught.value, of="twilio_tokens")
    assert stored_text(api_key) == before


EXPRESSIONS = {
    "Value": Value,
    "Value of a field": lambda text: Value(text, output_field=APIKey._meta.get_field("secret")),
    "Concat": lambda text: Concat(Value(text[:9]), Value(text[9:])),
    "Case": lambda text: Case(When(name="none", then=F("secret")), default=Value(text)),
    "When": lambda text: Case(When(pk__isnull=False, then=Value(text)), default=F("secret")),
    "Coalesce": lambda text: Coalesce(F("secret"), Value(text)),
    "Cast": lambda text: Cast(Value(text), SealedField()),
    "wrapped": lambda text: ExpressionWrapper(Value(text), SealedField()),
    "another column": lambda text: F("name"),
    "Subquery": lambda text: Subquery(Account.objects.values("name")[:1]),
    "RawSQL": lambda text: RawSQL("%s", [text]),
    "Func": lambda text: Upper(Value(text)),
    "list": lambda text: Value([text]),
    "bytes": lambda text: Value(text.encode()),
}


USES = {
    "update": lambda key, text: APIKey.objects.update(secret=text),
    "save": lambda key, text: setattr(key, "secret", text) or key.save(),
    "annotation": lambda key, text: APIKey.objects.annotate(other=text).update(secret=F("other")),
    "proxy": lambda key, text: OwnKey._base_manager.update(secret=text),
    "child": lambda key, text: BilledKey.objects.update(secret=text),
    "update_fields": lambda key, text: (
        setattr(key, "secret", text) or key.save(update_fields=["name"])
    ),
    "raw save": lambda key, text: setattr(key, "secret", text) or key.save_base(raw=True),
    "bulk_update": lambda key, text: (
        setattr(key, "secret", text) or APIKey.objects.bulk_update([key], ["secret"])
    ),
    "insert": lambda key, text: new_key(key.account, secret=text).save(),
    "bulk_create": lambda key, text: APIKey._base_manager.bulk_create(
        [new_key(key.account, secret=text)]
    ),
}


@pytest.mark.parametrize(
    ("expression", "use"),
    [
        *((expression, use) for expression in EXPRESSIONS for use in ("update", "save")),
        *(("Value", use) for use in USES),
    ],
)
def test_an_expression_that_could_carry_plaintext_is_refused_and_not_echoed(
    api_key: APIKey, expression: str, use: str
) -> None:
    before, canary = stored_text(api_key), new_secret()
    Account.objects.update(name=canary)
    APIKey.objects.update(name=canary)
    BilledKey(apikey_ptr=api_key, cost_centre="1").save_base(raw=True)
    refused = pytest.raises(TypeError, match="takes plaintext only through save")
    with refused as caught, transaction.atomic():
        USES[use](api_key, EXPRESSIONS[expression](canary))
    assert canary not in str(caught.value)
    assert canary not in error_report(caught.value, of="twilio_tokens")
    assert stored_text(api_key) == before


@pytest.mark.parametrize(
    "hide", [Value, lambda text: SimpleNamespace(name="secret", text=text)], ids=["Value", "named"]
)
def test_no_receiver_of_signals_sees_an_expression(
    api_key: APIKey, overheard: list[str], hide: Callable[[str], object]
) -> None:
    canary = new_secret()
    setattr(api_key, "secret", hide(canary))  # noqa: B010 - of any type
    with pytest.raises(TypeError):
        api_key.save()
    assert overheard == []


def test_a_template_cannot_save_a_row() -> None:
    assert APIKey.save_base.alters_data  # type: ignore[attr-defined]


@pytest.mark.parametrize("expression", [F("secret"), Case(When(name="Key", then=F("secret")))])
def test_a_reference_to_the_column_itself_passes(
    api_key: APIKey, secret: str, expression: Any
) -> None:
    assert APIKey.objects.update(secret=expression) == 1
    assert opened(api_key) == secret


def test_a_row_may_refer_to_its_own_secret(api_key: APIKey, secret: str) -> None:
    api_key.secret, api_key.name = F("secret"), "Other"
    api_key.save()
    assert APIKey.objects.get().name == "Other"
    assert opened(api_key) == secret


def test_bulk_update_stores_ciphertext(api_key: APIKey, account: Account) -> None:
    first, second = new_secret(), new_secret()
    other = new_key(account, secret=second)
    other.save()
    keys = [api_key, other]
    texts = [seal(first, ring=load_key_ring(), row=key.id, sid=key.sid) for key in keys]
    for key, text in zip(keys, texts, strict=True):
        key.secret = text
    assert APIKey.objects.bulk_update(keys, ["secret", "name"]) == 2
    assert [opened(key) for key in keys] == [first, first]


# A ciphertext opens only in the row that it was made for


upserts = pytest.mark.skipif(
    not connection.features.supports_update_conflicts_with_target,
    reason="MariaDB is not told which conflict is meant.",
)


@pytest.mark.parametrize(
    ("unique_fields", "update_fields"),
    [
        pytest.param(["sid"], ["secret"], marks=upserts),
        pytest.param(["sid"], ["secret", "name", "sid"], marks=upserts),
        pytest.param(["pk"], ["secret"], marks=upserts),
        pytest.param(["id"], ["name", "sid"], marks=upserts),
        pytest.param(
            None,
            ["secret", "sid"],
            marks=pytest.mark.skipif(
                connection.features.supports_update_conflicts_with_target,
                reason="These databases must be told which conflict is meant.",
            ),
        ),
    ],
)
@pytest.mark.parametrize("manager", ["objects", "base manager", "related", "proxy", "async"])
def test_an_upsert_that_could_put_a_secret_into_another_row_is_refused(
    api_key: APIKey, secret: str, unique_fields: Any, update_fields: list[str], manager: str
) -> None:
    bulk_create = {
        "objects": APIKey.objects.bulk_create,
        "base manager": APIKey._base_manager.bulk_create,
        "related": api_key.account.api_keys.bulk_create,
        "proxy": OwnKey.objects.bulk_create,
        "async": lambda *args, **kwargs: async_to_sync(upsert)(*args, **kwargs),
    }[manager]

    async def upsert(*args: Any, **kwargs: Any) -> Any:
        return await APIKey.objects.abulk_create(*args, **kwargs)

    rows = [
        new_key(api_key.account, sid=text, secret=new_secret())
        for text in (sid("SK", "1"), api_key.sid)
    ]
    with pytest.raises(TypeError, match="not encrypted for"), transaction.atomic():
        bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=unique_fields,
            update_fields=update_fields,
            batch_size=1,
        )
    assert APIKey.objects.count() == 1
    assert opened(api_key) == secret


@pytest.mark.parametrize(
    ("unique_fields", "update_fields", "is_replaced"),
    [(["sid"], ["name"], False), (["id"], ["secret", "sid", "name"], True)],
)
def test_another_upsert_passes(
    api_key: APIKey, secret: str, unique_fields: Any, update_fields: Any, is_replaced: bool
) -> None:
    if not connection.features.supports_update_conflicts_with_target:
        unique_fields, update_fields, is_replaced = None, ["name"], False
    row_id = api_key.id if is_replaced else uuid4()
    canary = new_secret()
    row = new_key(api_key.account, id=row_id, sid=api_key.sid, secret=canary)
    APIKey.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=unique_fields, update_fields=update_fields
    )
    assert APIKey.objects.get().name == "New"
    assert opened(api_key) == (canary if is_replaced else secret)


def test_an_ignored_conflict_leaves_the_row_as_it_is(api_key: APIKey, secret: str) -> None:
    row = new_key(api_key.account, sid=api_key.sid, secret=new_secret())
    APIKey.objects.bulk_create([row], ignore_conflicts=True)
    assert opened(api_key) == secret


def copy_with_new_id(key: APIKey) -> None:
    key.id, key.sid = uuid4(), sid("SK", "2")
    key._state.adding = True
    key.save()


def copy_without_id(key: APIKey) -> None:
    key.pk, key.sid = None, sid("SK", "2")
    key.save()


def take_over_a_secret(key: APIKey) -> None:
    new_key(key.account, secret=key.secret).save()


def take_over_a_secret_in_bulk(key: APIKey) -> None:
    APIKey.objects.bulk_create([new_key(key.account, secret=key.secret)])


def exchange_the_secret(key: APIKey) -> None:
    other = new_key(key.account, secret=new_secret())
    other.save()
    key.secret = other.secret
    key.save()


def change_the_sid(key: APIKey) -> None:
    key.sid = sid("SK", "2")
    key.save()


def change_the_sid_with_a_new_secret(key: APIKey) -> None:
    key.sid, key.secret = sid("SK", "2"), new_secret()
    key.save(update_fields=["secret"])


def write_over_a_row(key: APIKey) -> None:
    new_key(key.account, id=key.id, secret=new_secret()).save(update_fields=["secret"])


def force_over_a_row(key: APIKey) -> None:
    new_key(key.account, id=key.id, secret=new_secret()).save(force_update=True)


def insert_over_a_row(key: APIKey) -> None:
    new_key(key.account, id=key.id, secret=new_secret()).save()


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize(
    "do",
    [
        copy_with_new_id,
        copy_without_id,
        take_over_a_secret,
        take_over_a_secret_in_bulk,
        exchange_the_secret,
        change_the_sid,
        change_the_sid_with_a_new_secret,
        write_over_a_row,
        force_over_a_row,
        insert_over_a_row,
    ],
)
def test_no_save_leaves_a_secret_that_does_not_open(
    api_key: APIKey, secret: str, do: Any, is_loaded: bool
) -> None:
    key = APIKey.objects.get() if is_loaded else api_key
    with pytest.raises((ValidationError, ValueError, IntegrityError)), transaction.atomic():
        do(key)
    assert [unseal(key.secret, row=key.id, sid=key.sid) for key in APIKey.objects.all()] == [secret]


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_copy_with_a_secret_of_its_own_is_saved(api_key: APIKey, is_loaded: bool) -> None:
    key = APIKey.objects.get() if is_loaded else api_key
    key.secret = canary = new_secret()
    copy_with_new_id(key)
    assert APIKey.objects.count() == 2
    assert opened(key) == canary


def test_a_well_formed_ciphertext_passes_where_nothing_would_seal_it(
    api_key: APIKey, secret: str
) -> None:
    text = stored_text(api_key)
    store_text("damaged")
    assert APIKey.objects.update(secret=text) == 1
    assert opened(api_key) == secret


def test_a_secret_is_looked_up_by_its_ciphertext_or_by_being_there(api_key: APIKey) -> None:
    assert APIKey.objects.get(secret=api_key.secret) == api_key
    assert not APIKey.objects.filter(secret__exact=Sealed("damaged")).exists()
    assert APIKey.objects.get(secret__isnull=False) == api_key
    assert not APIKey.objects.filter(secret=None).exists()


@pytest.mark.parametrize(
    ("lookup", "list_of"),
    [
        *((name, False) for name in ("iexact", "contains", "startswith", "regex", "gt", "length")),
        *((name, True) for name in ("in", "range")),
    ],
)
def test_other_lookups_are_refused(secret: str, lookup: str, list_of: bool) -> None:
    with (
        register_lookup(models.TextField, Length),
        pytest.raises(FieldError, match="Unsupported lookup") as caught,
    ):
        APIKey.objects.filter(**{f"secret__{lookup}": [secret, secret] if list_of else secret})
    assert secret not in str(caught.value)


@isolate_apps("twilio_tokens")
def test_a_row_without_a_uuid_is_refused_before_the_plaintext_is_touched(secret: str) -> None:
    class Other(models.Model):  # noqa: DJ008 - never saved
        sid = SIDField()
        secret = SealedField()

        class Meta:
            app_label = "twilio_tokens"

    with pytest.raises(ValueError, match=r"Other\.secret is bound to id and sid") as caught:
        Other._meta.get_field("secret").pre_save(Other(id=1, sid=sid("AC"), secret=secret), True)
    assert secret not in error_report(caught.value)


@isolate_apps("twilio_tokens")
@pytest.mark.parametrize("option", ["primary_key", "unique", "db_index"])
def test_unique_index_and_primary_key_are_refused(option: str) -> None:
    class Other(models.Model):  # noqa: DJ008 - never saved
        secret = SealedField(**{option: True})

        class Meta:
            app_label = "twilio_tokens"

    field = Other._meta.get_field("secret")
    errors = {error.msg: (error.id, error.obj) for error in field.check()}
    assert errors[f"A SealedField should not set {option}."] == ("twilio_tokens.E009", field)
    assert APIKey._meta.get_field("secret").check() == []


def test_a_nullable_secret_may_be_missing(account: Account) -> None:
    assert Account.objects.values_list("api_keys__secret", flat=True).get() is None
    with pytest.raises(ValidationError, match="cannot be null"):
        new_key(account, secret=None).full_clean()
    assert APIKey._meta.get_field("secret").value_to_string(new_key(account, secret=None)) == ""
    with pytest.raises(IntegrityError):
        new_key(account, secret=None).save()


# What is seen of a SealedField


@pytest.mark.parametrize(
    "look",
    [
        lambda: APIKey.objects.get().secret,
        lambda: APIKey.objects.values("secret").get()["secret"],
        lambda: APIKey.objects.values_list("secret", flat=True).get(),
        lambda: APIKey.objects.annotate(other=models.F("secret")).get().other,
        lambda: APIKey.objects.raw("SELECT * FROM twilio_tokens_apikey")[0].secret,
        lambda: APIKey.objects.defer("secret").get().secret,
        lambda: model_to_dict(APIKey.objects.get())["secret"],
        lambda: pickle.loads(pickle.dumps(APIKey.objects.get())).secret,  # noqa: S301
    ],
    ids=["row", "values", "values_list", "F", "raw", "defer", "model_to_dict", "pickle"],
)
def test_what_is_loaded_is_ciphertext(api_key: APIKey, look: Any) -> None:
    assert look() == Sealed(stored_text(api_key))


def test_neither_plaintext_nor_ciphertext_is_in_what_a_row_shows(
    api_key: APIKey, secret: str
) -> None:
    key = APIKey.objects.get()
    shown = f"{key!r} {key} {vars(key)} {model_to_dict(key)} {APIKey.objects.values()}"
    assert "hidden" in shown
    assert stored_text(key) not in shown
    assert secret not in shown
    assert secret.encode() not in pickle.dumps(key)


@pytest.mark.parametrize("form", ["json", "jsonl", "xml"])
def test_dumpdata_carries_ciphertext_only_and_loads_back(
    api_key: APIKey, secret: str, tmp_path: Path, form: str
) -> None:
    fixture = tmp_path / f"dump.{form}"
    BilledKey(apikey_ptr=api_key, cost_centre="1").save_base(raw=True)
    call_command("dumpdata", "twilio_tokens", "site", format=form, output=str(fixture), verbosity=0)
    assert secret not in fixture.read_text()
    assert api_key.secret.text in fixture.read_text()
    api_key.account.delete()
    call_command("loaddata", str(fixture), verbosity=0)
    assert APIKey.objects.get() == api_key
    assert OwnKey.objects.get().pk == BilledKey.objects.get().pk
    assert opened(api_key) == secret


def test_a_fixture_with_plaintext_is_refused_and_not_echoed(
    api_key: APIKey, tmp_path: Path
) -> None:
    fixture, canary, before = tmp_path / "dump.json", new_secret(), stored_text(api_key)
    dump = StringIO()
    call_command("dumpdata", "twilio_tokens", stdout=dump)
    fixture.write_text(dump.getvalue().replace(before, canary))
    with pytest.raises(TypeError) as caught, transaction.atomic():
        call_command("loaddata", str(fixture), verbosity=0)
    assert canary not in str(caught.value)
    assert stored_text(api_key) == before


# A SealedField in forms


def test_a_form_seals_what_is_typed_in_and_never_shows_it(account: Account, secret: str) -> None:
    form = KeyForm(typed(account, secret=f" {secret} "))
    assert form.is_valid()
    assert opened(form.save()) == secret
    assert secret not in form.as_p()


def test_a_new_row_needs_a_secret(account: Account) -> None:
    assert 'type="password" name="secret"' in KeyForm().as_p()
    assert "required" in str(KeyForm()["secret"])
    for empty in ({}, {"secret": ""}, {"secret": "  "}):
        form = KeyForm(typed(account, **empty))
        assert form.errors.as_data()["secret"][0].code == "required"


@pytest.mark.parametrize("empty", [{}, {"secret": ""}, {"secret": " \t"}])
def test_left_empty_a_form_keeps_the_stored_secret(
    settings: Any, api_key: APIKey, empty: dict[str, str]
) -> None:
    # The key ring is not even looked at.
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    before = stored_text(api_key)
    form = KeyForm({**typed(api_key.account, name="Other"), **empty}, instance=api_key)
    assert "required" not in str(form["secret"])
    assert form.is_valid()
    assert form.changed_data == ["name"]
    form.save()
    assert APIKey.objects.get().name == "Other"
    assert stored_text(api_key) == before


def test_a_form_replaces_the_stored_secret(api_key: APIKey) -> None:
    canary = new_secret()
    form = KeyForm(typed(api_key.account, secret=canary), instance=api_key)
    assert "secret" in form.changed_data
    assert opened(form.save()) == canary


def test_the_input_takes_attributes_and_never_a_value(secret: str) -> None:
    html = SealedInput({"class": "wide"}).render("secret", secret)
    assert 'class="wide"' in html
    assert secret not in html


def test_one_form_does_not_make_the_secret_optional_in_the_next(api_key: APIKey) -> None:
    assert KeyForm(typed(api_key.account, name="Other"), instance=api_key).is_valid()
    assert "secret" in KeyForm(typed(api_key.account)).errors


@pytest.mark.parametrize("bound", [True, False])
def test_a_form_shows_neither_plaintext_nor_ciphertext_nor_a_mask(
    api_key: APIKey, secret: str, bound: bool
) -> None:
    data = typed(api_key.account, secret=secret) if bound else None
    html = KeyForm(data, instance=api_key).as_p()
    assert 'autocomplete="new-password"' in html
    assert not [text for text in (secret, stored_text(api_key), "hidden") if text in html]


@pytest.mark.parametrize("keys", [[], ["malformed"]])
def test_a_key_ring_that_cannot_be_used_is_a_form_error(
    settings: Any, account: Account, secret: str, keys: list[str]
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
    form = KeyForm(typed(account, secret=secret))
    assert form.errors.keys() == {"secret"}
    assert "The secret cannot be stored" in form.errors["secret"][0]
    assert secret not in form.as_p()


@pytest.mark.parametrize("wrong", ["{0} {0}", "é{0}", "{0}\n{0}", "{0}\0"])
def test_a_form_refuses_what_is_no_secret_without_showing_it(account: Account, wrong: str) -> None:
    canary = new_secret()
    form = KeyForm(typed(account, secret=wrong.format(canary)))
    assert form.errors.keys() == {"secret"}
    assert canary not in form.as_p() + str(form.errors.as_json())


# A SealedField in a ModelSerializer


def test_a_serializer_shows_a_mask_and_takes_a_secret(account: Account) -> None:
    canary = new_secret()
    serializer = KeySerializer(data=typed(account, secret=canary))
    serializer.is_valid(raise_exception=True)
    key = serializer.save()
    assert opened(key) == canary
    assert serializer.data["secret"] == KeySerializer(key).data["secret"] == str(key.secret)
    assert canary not in str(serializer.data)


@pytest.mark.parametrize("partial", [True, False])
def test_the_mask_that_was_read_is_refused_when_it_is_written_back(
    api_key: APIKey, partial: bool
) -> None:
    before = stored_text(api_key)
    read = KeySerializer(api_key).data
    serializer = KeySerializer(api_key, data={**read, "name": "Other"}, partial=partial)
    with pytest.raises(serializers.ValidationError) as caught:
        serializer.is_valid(raise_exception=True)
    assert caught.value.status_code == 400
    assert caught.value.detail.keys() == {"secret"}
    assert caught.value.detail["secret"][0].code == "invalid"
    assert stored_text(api_key) == before


def test_left_out_of_a_partial_update_the_secret_stays(api_key: APIKey, secret: str) -> None:
    before = stored_text(api_key)
    serializer = KeySerializer(APIKey.objects.get(), data={"name": "Other"}, partial=True)
    serializer.is_valid(raise_exception=True)
    serializer.save()
    assert stored_text(api_key) == before


@pytest.mark.parametrize("value", ["", None, "short", 7, ["x" * 32]])
def test_a_serializer_refuses_what_is_no_secret(account: Account, value: object) -> None:
    assert KeySerializer(data=typed(account, secret=value)).is_valid() is False


def test_a_key_ring_that_cannot_be_used_is_a_serializer_error(
    settings: Any, account: Account, secret: str
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    serializer = KeySerializer(data=typed(account, secret=secret))
    assert not serializer.is_valid()
    assert serializer.errors["secret"][0].code == "encryption_key"


# SIDField


def test_a_sid_is_stripped_when_validated_saved_and_looked_up(db: None) -> None:
    account = Account(name="Main", sid=f" {sid('AC')}\n")
    account.save()
    assert account.sid == sid("AC")
    assert Account.objects.get(sid=f"\t{sid('AC')} ") == account
    account.sid = f" {sid('AC')} "
    account.full_clean()
    assert account.sid == sid("AC")


@pytest.mark.parametrize("text", [sid("SK"), sid("AC")[:-1], sid("AC") + "0", "", "x" * 32])
def test_a_sid_of_its_kind_only_is_valid(db: None, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Account(name="Main", sid=text).full_clean()
    # One message, the kind's own, and not the one of a length besides.
    assert len(caught.value.message_dict["sid"]) == 1


def test_a_field_remembers_its_kind_but_migrations_need_not() -> None:
    name, path, args, kwargs = SIDField(kind=sids.TWIML_APP, unique=True).deconstruct()
    assert (name, path, args, kwargs) == (
        None,
        "twilio_tokens.fields.SIDField",
        [],
        {"unique": True},
    )
    assert SIDField(kind=sids.TWIML_APP).max_length == 34


def test_the_form_s_input_does_not_cut_a_paste_off(db: None) -> None:
    html = str(KeyForm()["sid"])
    assert "maxlength" not in html
    assert 'autocomplete="off"' in html
    form = KeyForm({"sid": sid("SK") + "0"})
    assert "This has 35 characters" in form.errors["sid"][0]


@pytest.mark.parametrize("text", [sid("SK"), sid("AC"), "SK12", f" {sid('SK')} "])
def test_a_sid_or_the_start_of_one_is_shown_again(db: None, text: str) -> None:
    assert f'value="{text}"' in str(KeyForm({"sid": text})["sid"])


@pytest.mark.parametrize("prefix", ["", "SK", "AC", "z"])
def test_a_secret_typed_into_the_sid_field_is_not_shown_again(db: None, prefix: str) -> None:
    canary = new_secret()
    form = KeyForm({"sid": prefix + "z" + canary})
    assert "sid" in form.errors
    assert canary not in form.as_p() + form.errors.as_json()


def test_an_unbound_form_shows_the_stored_sid(api_key: APIKey) -> None:
    assert f'value="{api_key.sid}"' in KeyForm(instance=api_key).as_p()


# Names


class ServiceForm(forms.ModelForm):
    class Meta:
        model = ChatService
        fields = ("name",)


class AccountForm(forms.ModelForm):
    class Meta:
        model = Account
        fields = ("name",)


@pytest.mark.parametrize("form_class", [KeyForm, AccountForm, ServiceForm])
def test_a_secret_typed_into_a_name_is_refused_and_not_shown_again(
    db: None, secret: str, form_class: Any
) -> None:
    form = form_class({"name": secret})
    assert form.errors["name"] == [
        "This looks like a secret. Everyone who can open this page sees the name, so choose "
        "another one."
    ]
    assert secret not in form.as_p() + form.errors.as_json()
    assert 'value="main-1"' in form_class({"name": "main-1"}).as_p()


def test_migrations_know_a_name_as_what_stores_it() -> None:
    assert NameField(max_length=9).deconstruct()[1] == "django.db.models.CharField"
    assert SlugNameField().deconstruct()[1:] == ("django.db.models.SlugField", [], {})


@isolate_apps("twilio_tokens")
def test_a_model_may_have_two_secrets(secret: str) -> None:
    class Two(models.Model):  # noqa: DJ008 - never saved
        id = models.UUIDField(primary_key=True)
        sid = SIDField()
        first = SealedField()
        second = SealedField()

        class Meta:
            app_label = "twilio_tokens"

    row = Two(id=uuid4(), sid=sid("SK"), first=secret, second=secret)
    for name in ("first", "second"):
        assert isinstance(Two._meta.get_field(name).pre_save(row, True), Sealed)


def test_django_6_asks_for_the_parameters_with_the_placeholder(api_key: APIKey) -> None:
    field = APIKey._meta.get_field("secret")
    compiler = APIKey.objects.all().query.get_compiler(connection=connection)
    ask = partial(field.get_placeholder_sql, compiler=compiler, connection=connection)
    assert [ask(None), ask("text")] == [("NULL", ()), ("%s", ("text",))]
    assert ask(Value("text"))[0] == "%s"
    assert field.get_placeholder("text", compiler, connection) == "%s"


@pytest.mark.parametrize("ask", ["get_placeholder", "get_placeholder_sql"])
def test_each_django_asks_whether_an_upsert_may_store_it(ask: str) -> None:
    field = APIKey._meta.get_field("secret")
    query = InsertQuery(
        APIKey, on_conflict=OnConflict.UPDATE, update_fields=[field], unique_fields=[]
    )
    with pytest.raises(TypeError, match="This upsert could store"):
        getattr(field, ask)("text", query.get_compiler(connection=connection), connection)
