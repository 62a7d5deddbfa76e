from __future__ import annotations

import pickle
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models.functions import Cast, Length
from django.forms.models import model_to_dict
from django.test.utils import isolate_apps, register_lookup
from rest_framework import serializers

from twilio_tokens import sids
from twilio_tokens.crypto import Sealed, generate_key, load_key_ring, unseal
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable
from twilio_tokens.fields import SealedField, SealedInput, SIDField
from twilio_tokens.models import Account, APIKey

from .conftest import error_report, new_secret, sid


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


def test_text_is_plaintext_whatever_it_looks_like(account: Account, api_key: APIKey) -> None:
    looks_sealed = api_key.secret.text
    key = new_key(account, secret=looks_sealed)
    key.save()
    assert stored_text(key) != looks_sealed
    assert opened(key) == looks_sealed


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
def test_a_damaged_row_loads_saves_unchanged_and_can_be_mended(api_key: APIKey, text: str) -> None:
    store_text(text)
    key = APIKey.objects.get()
    assert key.secret == Sealed(text)
    with pytest.raises(SecretUnavailable, match=r"^The signing secret is not available"):
        opened(key)
    key.name = "Other"
    key.full_clean()
    key.save()
    assert stored_text(key) == text
    assert KeyForm(instance=key).as_p()
    assert KeySerializer(key).data["secret"] == str(Sealed(text))
    key.secret = mended = new_secret()
    key.save()
    assert opened(key) == mended


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
    call_command("dumpdata", "twilio_tokens", format=form, output=str(fixture), verbosity=0)
    assert secret not in fixture.read_text()
    assert api_key.secret.text in fixture.read_text()
    api_key.account.delete()
    call_command("loaddata", str(fixture), verbosity=0)
    assert APIKey.objects.get() == api_key
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
