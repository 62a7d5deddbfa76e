"""Databases for a site, as Django's settings have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from environ import Env

from tests.databases import address_of, server_connection, why_it_does_not_answer

#: By name, the variable with the server's address; the two of SQLite are files.
KINDS = {
    "sqlite": "",
    "sqlite-of-startproject": "",
    "postgresql": "POSTGRESQL_URL",
    "mariadb": "MARIADB_URL",
}


def sqlite(folder: Path) -> dict[str, Any]:
    """As docs/reference/models.md advises."""
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
    }
    return {**sqlite_of_startproject(folder), "OPTIONS": options}


def sqlite_of_startproject(folder: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}


@contextmanager
def made(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A new and empty one, until the end of the block."""
    server = KINDS[kind]
    if not server:
        yield sqlite(folder) if kind == "sqlite" else sqlite_of_startproject(folder)
        return
    if reason := why_it_does_not_answer(server):
        pytest.skip(reason)
    name = f"twilio_tokens_{uuid4().hex[:8]}"
    with closing(server_connection(server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield {**Env.db_url_config(address_of(server)), "NAME": name}
        finally:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            cursor.execute(f"DROP DATABASE {name}{force}")
