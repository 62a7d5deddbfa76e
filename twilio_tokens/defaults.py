"""At most one default among similar rows, on every database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from django.db import (
    IntegrityError,
    OperationalError,
    connections,
    models,
    router,
    transaction,
)
from django.db.models import Case, F, Value, When
from django.db.models.base import ModelBase
from django.utils.translation import gettext_lazy as _

from .saving import TRIES, SavesChanges, is_deadlock

_Row = TypeVar("_Row", bound="WithDefault", covariant=True)


class DefaultQuerySet(models.QuerySet[_Row]):
    def default(self) -> _Row | None:
        return self.filter(default_marker=1).first()  # this column is indexed


class WithDefault(SavesChanges):
    """A model with at most one default among the rows that agree in ``default_within``.

    ``default_marker`` is unique: 1 for the default and NULL for the rest. A partial index would do
    the same, but MariaDB has none.
    """

    default_within: tuple[str, ...] = ()

    is_default = models.BooleanField(_("default"), default=False)
    default_marker = models.GeneratedField(
        expression=Case(When(is_default=True, then=Value(1)), default=Value(None)),
        output_field=models.SmallIntegerField(null=True),
        db_persist=True,
        serialize=False,
    )

    objects = DefaultQuerySet.as_manager()

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
        if names is None and not force_insert:
            names = self.changed_fields(using)
        if names == set():
            return
        wanted = self.is_default
        for tries_left in reversed(range(TRIES)):  # pragma: no branch - it returns or raises
            waited_for = 0
            try:
                with transaction.atomic(using=using):
                    waited_for = self._lock(using)
                    names = self._settle_default(using, names)
                    # A save that waited for nobody must not change rows that others wait for.
                    if waited_for and self._becomes_default(names):
                        self._demote_others(using)
                    super().save(
                        force_insert=force_insert,
                        force_update=force_update,
                        using=using,
                        update_fields=names,
                    )
                return
            except (IntegrityError, OperationalError) as error:
                # Several first rows saved at once do not see each other. On the next try, the
                # later ones find the earliest and wait for it.
                self.is_default = wanted
                was_overtaken = (
                    not waited_for
                    if isinstance(error, IntegrityError)
                    # A deadlock also rolls back any transaction around this one.
                    else is_deadlock(error) and not connections[using].in_atomic_block
                )
                if not (was_overtaken and tries_left):
                    raise

    def _settle_default(self, using: str, names: set[str] | None) -> set[str] | None:
        """Return the names of the fields to save."""
        return names and names | {"is_default"} if self._becomes_default(names) else names

    def _becomes_default(self, names: set[str] | None) -> bool:
        decides = names is None or names & {"is_default", *self.default_within, *self._within}
        return bool(self.is_default and decides)

    def _demote_others(self, using: str) -> None:
        self.alike(using).filter(is_default=True).exclude(pk=self.pk).update(is_default=False)

    @property
    def _within(self) -> dict[str, Any]:
        fields: list[Any] = [self._meta.get_field(name) for name in self.default_within]
        return {field.attname: getattr(self, field.attname) for field in fields}

    def alike(self, using: str | None = None) -> DefaultQuerySet[WithDefault]:
        """The rows that share one default, including rows of child models."""
        model: Any = self._meta.get_field("default_marker").model
        return DefaultQuerySet(model, using=using).filter(**self._within)

    def _lock(self, using: str) -> int:
        """Make concurrent saves wait here; return the number of rows they wait for.

        Each locks the same rows in the same order, or they would deadlock. SQLite has no row locks,
        so it gets a write that changes nothing: it would fail a transaction that reads before it
        writes if another one wrote in between.
        """
        rows = self._queue(using)
        return (
            len(rows.select_for_update().order_by("pk").values_list("pk"))
            if connections[using].features.has_select_for_update
            else rows.update(is_default=F("is_default"))
        )

    def _queue(self, using: str) -> models.QuerySet[Any]:
        return self.alike(using)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        # A second default is not an error: saving it demotes the first.
        super().validate_constraints(exclude={*(exclude or ()), "default_marker"})
