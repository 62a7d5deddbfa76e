"""What ``docs/scale.md`` has people run, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from .prose import blocks
from .security.breakable import CONSOLE, BreakableSite
from .servers.databases import made

PREPARE, FUNCTIONS, CHANGE, MAKE, DROP, REST = blocks("docs/scale.md", "postgresql")

BEFORE, LAST = "twilio_tokens_until_now", "twilio_tokens_issuedtoken_rest"

#: A token that is issued at another time.
ISSUE = """
import sys, django
django.setup()
import time_machine
from django.contrib.auth.models import User
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
with time_machine.travel(float(sys.argv[1])):
    print(issue_access_token(user=User.objects.get(username="anna"), grants=[Video()]).jti)
"""


class Database:
    def __init__(self, settings: dict[str, Any]) -> None:
        names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
        at = {ours: settings[name] for name, ours in names.items() if settings[name]}
        self.connection = psycopg.connect(**at, dbname=settings["NAME"], autocommit=True)

    def run(self, block: str) -> list[tuple[Any, ...]]:
        """As psql does: a statement at a time, but where a function or a transaction is one."""
        rows = []
        for statement in [block] if "$$" in block else re.findall(r"[^;]+;", block):
            rows = self.ask(statement)
        return rows

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def places(self) -> dict[str, str]:
        """Of each record, the newest first, the partition that holds it."""
        return dict(
            self.ask(
                "SELECT jti, tableoid::regclass::text FROM twilio_tokens_issuedtoken"
                " ORDER BY issued_at DESC"
            )
        )

    def keys(self) -> set[tuple[str, str]]:
        return {
            (kind, definition)
            for kind, definition in self.ask(
                "SELECT contype::text, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conrelid = 'twilio_tokens_issuedtoken'::regclass"
            )
        }

    def indexes(self) -> set[str]:
        return {
            name
            for (name,) in self.ask(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'twilio_tokens_issuedtoken'"
            )
        }

    def partitions(self) -> set[str]:
        return {
            name
            for (name,) in self.ask(
                "SELECT inhrelid::regclass::text FROM pg_inherits"
                " WHERE inhparent = 'twilio_tokens_issuedtoken'::regclass"
            )
        }

    def month(self, months: int) -> datetime:
        """The first moment of the month that is so many from now."""
        [(moment,)] = self.ask(
            "SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + %s * interval '1 month')"
            " AT TIME ZONE 'UTC'",
            months,
        )
        return moment

    def of_month(self, months: int) -> str:
        """Its partition."""
        return f"twilio_tokens_issuedtoken_{self.month(months).astimezone(timezone.utc):%Y_%m}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BreakableSite, Database]]:
    folder = tmp_path_factory.mktemp("site")
    with made("postgresql", folder) as settings:
        site = BreakableSite(folder, DATABASES={"default": settings})
        database = Database(settings)
        yield site, database
        database.connection.close()


def issue(site: BreakableSite, moment: datetime) -> str:
    """A token, two weeks after this moment; its ID."""
    done = subprocess.run(
        [sys.executable, "-c", ISSUE, str((moment + timedelta(days=14)).timestamp())],
        env=site.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_audit_is_partitioned_and_a_month_is_dropped(
    world: tuple[BreakableSite, Database],
) -> None:
    site, database = world
    of_old = [issue(site, database.month(months)) for months in (-4, 0)]
    keys, indexes = database.keys(), database.indexes()

    database.run(PREPARE)
    database.run(FUNCTIONS)
    database.run(CHANGE)

    # All is there, under the same names, but for two keys.
    assert database.places() == dict.fromkeys(of_old, BEFORE)
    assert database.indexes() == indexes
    assert {each for each in keys if each[0] == "f"} <= database.keys()
    assert database.keys() - keys == {
        ("p", "PRIMARY KEY (id, issued_at)"),
        ("u", "UNIQUE (jti, issued_at)"),
    }
    assert database.partitions() == {BEFORE, LAST, *map(database.of_month, (1, 2, 3))}

    # Tokens go where they belong, and the admin lists and finds them.
    with site.served() as served:
        served.assert_works()
        [now] = database.places().keys() - {*of_old}
        first, third, fourth = (issue(site, database.month(months)) for months in (1, 3, 4))
        assert database.places() == {
            **dict.fromkeys([*of_old, now], BEFORE),
            first: database.of_month(1),
            third: database.of_month(3),
            fourth: LAST,
        }
        assert database.run(REST) == [(1,)]
        listed = served.operator.get(f"{CONSOLE}/issuedtoken/").text
        newest_first = database.ask(
            "SELECT id::text FROM twilio_tokens_issuedtoken ORDER BY issued_at DESC"
        )
        links = re.findall(r"/issuedtoken/(\d+)/change/", listed)
        assert [(each,) for each in dict.fromkeys(links)] == newest_first
        for jti in database.places():
            found = served.operator.get(f"{CONSOLE}/issuedtoken/", params={"q": jti})
            assert "1 issued token" in found.text

    # New months are made where there is room; the last resort has to be emptied first.
    assert database.run(MAKE) == []
    with pytest.raises(psycopg.errors.CheckViolation):
        database.run(MAKE.replace("3", "4"))
    database.ask("DELETE FROM twilio_tokens_issuedtoken WHERE jti = %s", fourth)
    assert database.run(MAKE.replace("3", "4")) == [(database.of_month(4),)]

    # A month is dropped when all of its tokens have expired long enough ago.
    assert database.run(DROP) == []
    left = database.month(2) + timedelta(days=1) - datetime.now(timezone.utc)
    assert database.run(DROP.replace("90", f"{-left.days}")) == []
    assert database.run(DROP.replace("90", f"{-left.days - 1}")) == [(database.of_month(1),)]
    assert database.places().keys() == {*of_old, now, third}

    # And what was there before is purged as ever.
    assert site.run("twilio_purge") == "Deleted 1 audit records.\n"
    assert database.places().keys() == {of_old[1], now, third}
    assert "No changes" in site.run("makemigrations", "twilio_tokens", "--check", "--dry-run")


@pytest.mark.parametrize(
    ("jti", "key", "refusal"),
    [
        ("jti", "api_key_id", psycopg.errors.UniqueViolation),
        ("'x'", "gen_random_uuid()", psycopg.errors.ForeignKeyViolation),
    ],
)
def test_the_keys_of_a_partitioned_audit_hold(
    jti: str, key: str, refusal: type[Exception], world: tuple[BreakableSite, Database]
) -> None:
    _site, database = world
    columns = "identity, grants, issued_at, expires_at"
    with pytest.raises(refusal):
        database.ask(
            f"INSERT INTO twilio_tokens_issuedtoken (jti, api_key_id, {columns})"  # noqa: S608
            f" SELECT {jti}, {key}, {columns} FROM twilio_tokens_issuedtoken LIMIT 1"
        )
