"""A token where much is stored, beside one where little is: what is read is read from the database.

All that is added belongs to the account that signs, which is the worst case.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial

from django.contrib.auth.models import User
from django.db import connections, models
from django.test import override_settings

from twilio_tokens.credential_cache import cache
from twilio_tokens.grants import Chat, Video, Voice
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, ChatService, IssuedToken, TwiMLApp

from .measurements import Measurement, ratios
from .rows import add_credentials, add_key

FEW = 10
MANY = int(os.environ.get("BENCHMARK_CREDENTIALS", "100000"))
RECORDS = int(os.environ.get("BENCHMARK_RECORDS", "1000000"))
CALLS = 50
LIMIT = 1.1

#: The number of a copy in 32 hexadecimal digits, and as a primary key.
HEX = {"sqlite": "printf('%%032x', n)", "postgresql": "lpad(to_hex(n), 32, '0')"}
UUID = {"sqlite": "{hex}", "postgresql": "CAST({hex} AS uuid)"}


class Chosen:
    """A database router."""

    alias = "default"

    def db_for_read(self, model: type[models.Model], **hints: object) -> str:
        return self.alias

    db_for_write = db_for_read

    def allow_relation(self, *args: object, **hints: object) -> bool:
        return True


def measure(rounds: int) -> Iterator[Measurement]:
    ask_small = make("default", FEW, 0)
    ask_large = make("large", MANY, RECORDS)
    vendor = connections["large"].vendor
    # SQLite works in this process, and waits for the disk; PostgreSQL in one of its own.
    clock = time.process_time if vendor == "sqlite" else time.perf_counter
    compared = partial(ratios, ask_large, ask_small, calls=CALLS, rounds=rounds, clock=clock)
    with override_settings(TWILIO_TOKENS_AUDIT=True):
        yield Measurement(f"growth on {vendor}, cache cold", compared(), LIMIT, "×")
        with override_settings(TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS=0):
            yield Measurement(f"growth on {vendor}, cache off", compared(), LIMIT, "×")


def make(alias: str, credentials: int, records: int) -> Callable[[], None]:
    """Fill a database, and return what issues a token from it."""
    Chosen.alias = alias
    account = add_credentials()
    user = User.objects.create(username="user0")
    for model in (ChatService, TwiMLApp):
        multiply(model, credentials, name="'copy-' || n", is_default="FALSE")
    uuid = UUID[connections[alias].vendor]
    multiply(APIKey, credentials, id=uuid, sid="'SK' || {hex}")
    add_key(account, 2**64)
    now = datetime.now(timezone.utc)
    IssuedToken.objects.create(
        jti="0",
        user=user,
        identity="user0",
        api_key=APIKey.objects.first(),
        grants={},
        issued_at=now,
        expires_at=now,
    )
    multiply(IssuedToken, records, jti="'copy-' || n")
    with connections[alias].cursor() as cursor:
        cursor.execute("ANALYZE")
    return partial(issue, alias, user)


def issue(alias: str, user: User) -> None:
    Chosen.alias = alias
    cache.clear()
    issue_access_token(user=user, grants=[Video("DailyStandup"), Chat(), Voice()])


def multiply(model: type[models.Model], count: int, **changed: str) -> None:
    """Copy the table's only row; ``changed`` is SQL for the columns in which copies differ."""
    connection = connections[Chosen.alias]
    table, fields = model._meta.db_table, model._meta.concrete_fields
    columns = [
        each.column for each in fields if not (each.generated or isinstance(each, models.AutoField))
    ]
    values = [changed.get(name, f"original.{name}") for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} ({", ".join(columns)})
            WITH RECURSIVE numbers (n) AS (
                SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}
            )
            SELECT {", ".join(values).format(hex=HEX[connection.vendor])}
            FROM numbers, (SELECT * FROM {table} LIMIT 1) AS original WHERE n <= {count}
            """,  # noqa: S608 - all of it is ours
            [],
        )
