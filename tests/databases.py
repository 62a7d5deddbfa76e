"""Servers that may be there, connections of threads, and a replica that must not be asked."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any

import environ
import psycopg
import pymysql
from django.db import connection, connections

#: As in the Makefile, which exports them.
SERVERS = {
    "POSTGRESQL_URL": "postgres://postgres@127.0.0.1:5432/postgres",
    "MARIADB_URL": "mysql://root@127.0.0.1:3306/mysql",
}


def address_of(server: str) -> str:
    """The server's database, as in ``DATABASE_URL``."""
    return os.environ.get(server, SERVERS[server])


def server_connection(server: str) -> Any:
    """A connection beside Django's, to make databases with."""
    settings = environ.Env.db_url_config(address_of(server))
    at = {
        "host": settings["HOST"],
        "port": int(settings["PORT"]),
        "user": settings["USER"],
        "password": settings["PASSWORD"],
    }
    if server == "POSTGRESQL_URL":
        return psycopg.connect(**at, dbname=settings["NAME"], autocommit=True)
    return pymysql.connect(**at, database=settings["NAME"], autocommit=True)


@lru_cache
def why_it_does_not_answer(server: str) -> str:
    """Why tests on ``POSTGRESQL_URL`` or ``MARIADB_URL`` have to be skipped; empty if they need
    not."""
    try:
        server_connection(server).close()
    except (psycopg.OperationalError, pymysql.OperationalError) as error:
        return f"{server}: {error}"
    return ""


def disconnect() -> None:
    """Close this thread's connection, also one to a database in memory, which Django keeps open.

    But not that of the tests themselves, which live on in the main thread.
    """
    connection.close()
    is_ours = threading.current_thread() is threading.main_thread()
    if connection.connection is not None and not (is_ours or connection.allow_thread_sharing):
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
