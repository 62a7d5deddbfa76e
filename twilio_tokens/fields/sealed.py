"""Secrets: plaintext goes in, and what is stored and read is ciphertext."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.expressions import BaseExpression, Col
from django.db.models.functions import Cast
from django.db.models.signals import pre_save
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from twilio_tokens import crypto, sids
from twilio_tokens.crypto import Sealed
from twilio_tokens.exceptions import EncryptionKeyError

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


class SealedInput(forms.PasswordInput):
    """Never shows a value. Tells password managers that this is not a login."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(
            {"size": 40, "autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}
        )


class SealedFormField(forms.CharField):
    """Write-only: an empty value keeps the stored secret, and is refused if there is none."""

    widget = SealedInput

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        # A form copies its fields, so this affects only the row of this form.
        self.required = not isinstance(form.get_initial_for_field(self, field_name), Sealed)
        self.widget.is_required = self.required
        return super().get_bound_field(form, field_name)

    def prepare_value(self, value: object) -> None:
        return None

    def has_changed(self, initial: object, data: object) -> bool:
        return bool(data and str(data).strip())


def validate_secret(value: object) -> None:
    if isinstance(value, str):
        problem = sids.secret_problem(value)
        if problem is not None:
            raise ValidationError(problem, code="invalid")


def validate_key_ring(value: object) -> None:
    """Refuse plaintext that could not be sealed, while that can still be a form error."""
    if isinstance(value, str):
        try:
            crypto.load_key_ring()
        except EncryptionKeyError as error:
            raise ValidationError(
                _("The secret cannot be stored: %(problem)s"),
                code="encryption_key",
                params={"problem": error.reason},
            ) from None


class SealedField(models.TextField):  # type: ignore[type-arg]
    """Takes plaintext (``str``), stores and yields ciphertext (``Sealed``).

    ``row`` and ``sid`` name the attributes of the row that the ciphertext is bound to; both
    must be set before the row is saved. Plaintext is sealed by ``save()``, before any signal
    is sent, and by ``bulk_create()``. What bypasses them (``update()``, ``bulk_update()``,
    fixtures) may carry ciphertext only, or refer to the column itself.
    """

    description = _("A secret, stored encrypted")
    default_validators = [validate_secret, validate_key_ring]

    def __init__(self, *args: Any, row: str = "id", sid: str = "sid", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row
        self.sid = sid

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path.replace("fields.sealed.", "fields."), args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        refused = [
            option for option in ("primary_key", "unique", "db_index") if getattr(self, option)
        ]
        return super().check(**kwargs) + [
            checks.Error(
                f"A SealedField should not set {option}.",
                hint="Equal secrets have different ciphertexts, so it would have no meaning.",
                obj=self,
                id="twilio_tokens.E009",
            )
            for option in refused
        ]

    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False
    ) -> None:
        super().contribute_to_class(cls, name, private_only)
        if not hasattr(cls.save_base, "seals"):
            cls.save_base = _sealing(cls.save_base)  # type: ignore[method-assign]

    def from_db_value(
        self, value: object, expression: object, connection: BaseDatabaseWrapper
    ) -> Sealed | None:
        # SQLite stores values of any type in a text column. Those do not open.
        return None if value is None else Sealed(value if isinstance(value, str) else "")

    def to_python(self, value: object) -> object:
        # Text stays plaintext whatever it looks like: only the type decides.
        return value.strip() if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        self.seal_in(model_instance)
        return getattr(model_instance, self.attname)

    def seal_in(self, model_instance: models.Model) -> None:
        """Replace the row's plaintext with ciphertext; refuse anything that may hide plaintext."""
        # A deferred field is not loaded, and stays as it is.
        kind = type(vars(model_instance).get(self.attname))
        if issubclass(kind, str):
            ring = crypto.load_key_ring()
            problem = self._seal_in(model_instance, ring, *self._bound_to(model_instance))
            if problem is not None:
                raise ValidationError({self.name: problem})
        elif not (issubclass(kind, (Sealed, type(None))) or self._refers_to_itself(model_instance)):
            raise self._refusal()

    def is_of_another_row(self, model_instance: models.Model) -> bool:
        """Whether the row's ciphertext belongs to another row, as in a copied row."""
        sealed = vars(model_instance).get(self.attname)
        if not isinstance(sealed, Sealed):
            return False
        row, sid = self._bound_to(model_instance)
        return crypto.is_of_another_row(sealed, row=row, sid=sid)

    def _refers_to_itself(self, model_instance: models.Model) -> bool:
        value = vars(model_instance)[self.attname]
        return isinstance(value, models.F) and vars(value).get("name") == self.name

    def _bound_to(self, model_instance: models.Model) -> tuple[UUID, str]:
        fields: list[Any] = [model_instance._meta.get_field(name) for name in (self.row, self.sid)]
        row, sid = (field.to_python(getattr(model_instance, field.attname)) for field in fields)
        if not isinstance(row, UUID) or not isinstance(sid, str):
            raise ValueError(
                f"{self.model.__name__}.{self.attname} is bound to {self.row} and {self.sid}: both "
                "must be set before the row is saved."
            )
        return row, sid

    def _seal_in(
        self, model_instance: models.Model, ring: crypto.KeyRing, row: UUID, sid: str
    ) -> _StrOrPromise | None:
        """Seal the row's plaintext in place, or return what is wrong with it.

        This must not raise: an error report would show the local variables.
        """
        plaintext: str = getattr(model_instance, self.attname).strip()
        problem = sids.secret_problem(plaintext)
        if problem is None:
            sealed = crypto.seal(plaintext, ring=ring, row=row, sid=sid)
            setattr(model_instance, self.attname, sealed)
        return problem

    def get_prep_value(self, value: object) -> str | None:
        if value is None or isinstance(value, Sealed):
            return None if value is None else value.text
        # From here on an error report cannot show the value.
        value = hidden = Sealed(value if isinstance(value, str) else "")
        if hidden.is_well_formed:
            return hidden.text
        raise self._refusal()

    def get_db_prep_save(self, value: object, connection: BaseDatabaseWrapper) -> object:
        if not self._is_ciphertext(value):
            value = None
            raise self._refusal()
        return super().get_db_prep_save(value, connection)

    def _is_ciphertext(self, value: object) -> bool:
        """Whether a value or a resolved expression can store nothing but ciphertext.

        This must not raise: an error report would show the local variables.
        """
        if isinstance(value, models.Value):
            return self._is_ciphertext(value.value)
        if isinstance(value, models.When):
            return self._is_ciphertext(value.result)
        if isinstance(value, (models.Case, Cast)):  # bulk_update() makes these
            return all(map(self._is_ciphertext, value.get_source_expressions()))
        if isinstance(value, Col):
            return isinstance(value.target, SealedField)
        if isinstance(value, str):
            return Sealed(value).is_well_formed
        return value is None or isinstance(value, Sealed)

    def _refusal(self) -> TypeError:
        return TypeError(
            f"{self.model.__name__}.{self.attname} takes plaintext only through save(), "
            "create() and bulk_create(), which encrypt it."
        )

    def get_placeholder_sql(
        self, value: object, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, Sequence[object]]:
        self._refuse_upsert_of_another_row(compiler.query)
        if isinstance(value, BaseExpression):
            return compiler.compile(value)
        return ("NULL", ()) if value is None else ("%s", (value,))

    # Django 5.2 calls this one.
    def get_placeholder(
        self, value: object, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> str:
        self._refuse_upsert_of_another_row(compiler.query)
        return "%s"

    def _refuse_upsert_of_another_row(self, query: Query) -> None:
        """Refuse to put a ciphertext into a row that it may not be bound to.

        An upsert finds the old row by ``unique_fields``, which MariaDB does not have, and keeps the
        fields that are not in ``update_fields``.
        """
        if getattr(query, "on_conflict", None) != OnConflict.UPDATE:
            return
        upsert: Any = query
        found_by = {field.name for field in upsert.unique_fields or ()}
        updated = {field.name for field in upsert.update_fields}
        bound = {self.name, self.sid}
        if bound & updated and not (self.row in found_by and bound <= updated | found_by):
            raise TypeError(
                f"This upsert could store {self.model.__name__}.{self.attname} in a row that it "
                "is not encrypted for. Use update_or_create()."
            )

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def get_lookup(self, lookup_name: str) -> type[models.Lookup[Any]] | None:
        return super().get_lookup(lookup_name) if lookup_name in ("exact", "isnull") else None

    def get_transform(self, lookup_name: str) -> None:
        return None

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{"form_class": SealedFormField, **kwargs, "widget": SealedInput})

    def save_form_data(self, instance: models.Model, data: object) -> None:
        if data:
            super().save_form_data(instance, data)


def _sealing(save_base: Callable[..., None]) -> Callable[..., None]:
    """Seal before ``save_base()`` sends ``pre_save``: a receiver may record what it sees."""

    @wraps(save_base)
    def sealing(self: models.Model, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        if not raw:
            for field in _sealed(self._meta.concrete_fields):
                # A row built to save other fields has no secret; pre_save() checks that.
                if vars(self).get(field.attname) != "":
                    field.seal_in(self)
        save_base(self, raw, *args, **kwargs)

    sealing.seals = True  # type: ignore[attr-defined]
    return sealing


@receiver(pre_save)
def _refuse_plaintext_of_fixtures(instance: models.Model, raw: bool, **kwargs: Any) -> None:
    # Fixtures are saved by Model.save_base() alone, which is called again for each parent.
    if raw:
        model: Any = instance._meta.concrete_model
        for field in _sealed(model._meta.local_concrete_fields):
            field.get_prep_value(vars(instance).get(field.attname))


def _sealed(fields: Iterable[Any]) -> list[SealedField]:
    return [field for field in fields if isinstance(field, SealedField)]
