"""Checks of the databases and database routers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.saving import SavesChanges


@register(Tags.compatibility)
def check_routers(**kwargs: Any) -> list[CheckMessage]:
    """Django joins and protects rows only within one database. This check does not query any."""
    return [
        checks.Error(
            f"A database router puts {model.__name__} and its “{field.name}” "
            f"({field.related_model.__name__}) in different databases, or forbids their relation. "
            "Django does not support relations across databases.",
            hint="Make the router send twilio_tokens, django.contrib.auth and the user model to "
            "the same database, and allow relations between them.",
            obj=model,
            id="twilio_tokens.E010",
        )
        for model in apps.get_models()
        if issubclass(model, SavesChanges)
        for field in _relations(model)
        if not _are_together(model, field.related_model)
    ]


def _relations(model: type[Model]) -> list[Any]:
    fields = [*model._meta.fields, *model._meta.many_to_many]
    return [field for field in fields if field.is_relation]


def _are_together(model: type[Model], other: type[Model]) -> bool:
    database = router.db_for_write(model)
    rows = model(), other()
    for row in rows:
        row._state.db = database
    return bool(
        router.db_for_write(other) == database
        and router.allow_migrate_model(database, other)
        and router.allow_relation(*rows)
    )


@register(Tags.database)
def check_character_sets(
    databases: Collection[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Old databases of MariaDB and MySQL cannot store emoji."""
    return [
        checks.Warning(
            f"The database “{alias}” stores or sends text in a character set other than utf8mb4.",
            hint="Users whose identity contains an emoji, or another character outside that set, "
            "get no Access Token (audit_unavailable). Convert the tables to utf8mb4, and remove "
            "“charset” from the database's OPTIONS.",
            id="twilio_tokens.W006",
        )
        for alias in {router.db_for_write(IssuedToken)}.intersection(databases or ())
        if connections[alias].vendor == "mysql" and not _is_utf8mb4(connections[alias])
    ]


def _is_utf8mb4(connection: BaseDatabaseWrapper) -> bool:
    if connection.settings_dict["OPTIONS"].get("charset", "utf8mb4") != "utf8mb4":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() "
            "AND table_name LIKE %s AND character_set_name <> 'utf8mb4'",
            [r"twilio\_tokens\_%"],
        )
        (others,) = cursor.fetchone()
    return bool(others == 0)


@register(Tags.database, deploy=True)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    connection = connections[router.db_for_write(APIKey)]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or options.get("transaction_mode") == "IMMEDIATE":
        return []
    return [
        checks.Warning(
            "In SQLite, a transaction that reads before it writes fails with “database is locked” "
            "if another transaction writes in between.",
            hint='Set "transaction_mode": "IMMEDIATE" in the OPTIONS of the database. See '
            "docs/reference/models.md.",
            id="twilio_tokens.W007",
        )
    ]
