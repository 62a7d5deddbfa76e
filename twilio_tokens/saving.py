"""Rows that save only what was changed, and writes that fail without harming the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, models, router, transaction
from django.db.models.base import ModelBase
from django.utils.translation import gettext_lazy as _

from .crypto import Sealed

if TYPE_CHECKING:
    from typing_extensions import Self

#: How often a write is tried when others are in its way. After each try one of them has finished.
TRIES = 5
#: MariaDB's error code for rolling back one of two transactions that waited for each other.
_DEADLOCK = 1213


def is_deadlock(error: DatabaseError) -> bool:
    return error.args[:1] == (_DEADLOCK,)


#: Values of other types may change in place, so they always count as changed.
_UNCHANGING = (type(None), str, bytes, int, float, Decimal, date, time, timedelta, UUID, Sealed)


def savepoint(using: str) -> AbstractContextManager[None]:
    """Keep the surrounding transaction usable after a failure, which PostgreSQL otherwise aborts.

    Outside a transaction it begins none: where SQLite's transactions begin with a lock, a read
    would wait for it.
    """
    is_needed = connections[using].in_atomic_block
    return transaction.atomic(using=using) if is_needed else nullcontext()


class SavesChanges(models.Model):
    """A loaded row saves only the fields that were changed since.

    Another process may have changed the other fields in the meantime: ``twilio_reencrypt`` the
    secret, say, or an admin the default. If nothing was changed, nothing is written and no signal
    is sent. A row that was deleted in the meantime does not come back: saving it raises
    ``DatabaseError``, as every save with ``update_fields`` does.
    """

    #: Attributes that cannot change once the row is added.
    unchangeable: tuple[str, ...] = ()

    #: The values the database is known to hold, by attribute; None for a row that was not loaded.
    _loaded: dict[str, Any] | None = None

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        names = None if update_fields is None else set(update_fields)
        if force_update or names is not None or not self._state.adding:
            self._refuse_changes(using, names)
        if names is None and not force_insert:
            names = self.changed_fields(using)
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=names
        )
        self.remember(using, names)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        row._loaded = row._values()
        return row

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        before = self._values()
        super().refresh_from_db(using, fields, from_queryset)
        fresh = self._values()
        if fields is not None or from_queryset is not None:
            read = {n: v for n, v in fresh.items() if n not in before or v is not before[n]}
            fresh = {**(self._loaded or {}), **read}
        self._loaded = fresh

    def changed_fields(self, using: str) -> set[str] | None:
        """The names of the fields that a save would write; None for all, as for a new row."""
        if self._loaded is None or self._state.adding or not self._is_kept_in(using):
            return None
        fields: list[Any] = [field for field in self._meta.concrete_fields if not field.generated]
        if any(field.primary_key and self._is_changed(field.attname) for field in fields):
            return None
        changed = {field.name for field in fields if self._is_changed(field.attname)}
        if changed:
            changed |= {field.name for field in fields if getattr(field, "auto_now", False)}
        return changed

    def _is_kept_in(self, using: str) -> bool:
        # A row loaded from a replica is saved to its primary.
        return using in (self._state.db, router.db_for_write(type(self), instance=self))

    def clean(self) -> None:
        super().clean()
        self._refuse_changes(router.db_for_write(type(self), instance=self))

    def _refuse_changes(self, using: str, names: Collection[str] | None = None) -> None:
        attributes = [
            name
            for name in self.unchangeable
            # A deferred field was not changed.
            if name in vars(self) and (names is None or self._field(name).name in names)
        ]
        stored = self._stored(using, attributes) if attributes else {}
        for attribute, value in stored.items():
            field = self._field(attribute)
            if value != field.to_python(getattr(self, attribute)):
                message = _("This cannot be changed. Add a new entry instead.")
                raise ValidationError({field.name: ValidationError(message, code="read_only")})

    def _stored(self, using: str, attributes: Collection[str]) -> Mapping[str, Any]:
        """What the database holds for this row; empty for a new one."""
        loaded = self._loaded or {}
        if self.changed_fields(using) is not None and loaded.keys() >= set(attributes):
            return {name: loaded[name] for name in attributes}
        rows: Any = type(self)._base_manager.using(using).filter(pk=self.pk)
        return rows.values(*attributes).first() or {}

    def _is_changed(self, attribute: str) -> bool:
        loaded, values = self._loaded or {}, vars(self)
        if attribute not in values:  # deferred
            return False
        value = values[attribute]
        return (
            attribute not in loaded
            or not isinstance(value, _UNCHANGING)
            or value != loaded[attribute]
        )

    def _field(self, name: str) -> models.Field[Any, Any]:
        field = self._meta.get_field(name)
        assert isinstance(field, models.Field)
        return field

    def _values(self) -> dict[str, Any]:
        values = vars(self)
        attributes = [field.attname for field in self._meta.concrete_fields]
        return {name: values[name] for name in attributes if name in values}

    def remember(self, using: str, names: Collection[str] | None) -> None:
        """Note that these fields, or all fields, were written.

        Nobody knows what the database will hold until the transaction is committed, so until then
        they count as changed.
        """
        if names is None:
            written = self._values()
            self._loaded = None
        elif self._loaded is None:
            return
        else:
            attributes = {self._field(name).attname for name in names}
            written = {name: value for name, value in self._values().items() if name in attributes}
            self._loaded = {
                name: value for name, value in self._loaded.items() if name not in attributes
            }
        transaction.on_commit(partial(self.note_stored, written), using=using)

    def note_stored(self, values: Mapping[str, Any]) -> None:
        self._loaded = {**(self._loaded or {}), **values}
