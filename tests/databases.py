"""Connections of threads, and a replica that must not be asked."""

from __future__ import annotations

from typing import Any

from django.db import connection, connections


def disconnect() -> None:
    """Close this thread's connection, also one to a database in memory, which Django keeps open."""
    connection.close()
    if connection.connection is not None:
        connection.connection.close()


class NoReplica:
    """A router with a replica that lags so far behind that asking it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


def all_rows() -> dict[str, str]:
    """Of every table of every database, as the driver gives them."""
    found = {}
    for each in connections.all():
        with each.cursor() as cursor:
            for table in each.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {each.ops.quote_name(table)}")  # noqa: S608
                found[f"{each.alias}.{table}"] = str(cursor.fetchall())
    return found
