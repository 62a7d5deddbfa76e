"""Commands that are killed half-way, and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from tests.rows import new_secret, sid
from twilio_tokens.crypto import Sealed, generate_key, load_key_ring, seal, unseal

from .breakable import BreakableSite
from .private_servers import PostgreSQL


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def site(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> BreakableSite:
    database = postgresql.as_django_knows_it()
    return BreakableSite(tmp_path_factory.mktemp("site"), DATABASES={"default": database})


@pytest.fixture(autouse=True)
def _key_ring(site: BreakableSite, settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = list(site.encryption_keys)


def kill_half_way(
    command: str, site: BreakableSite, server: PostgreSQL, held: str, **environment: str
) -> None:
    """The command is killed where it waits for what another session holds."""
    with closing(server.connect("site")) as other:
        other.execute(f"BEGIN; {held}")
        with site.running(command, **environment) as process:
            server.wait_for_blocked()
            process.kill()
        server.disconnect_site()  # of which a server that waits for a lock knows nothing yet


def add_keys(server: PostgreSQL, secrets: list[str]) -> None:
    """Of the account that is there, each newer than the one before."""
    for number, secret in enumerate(secrets, start=1):
        row, key_sid = uuid4(), sid("SK", f"{number}")
        sealed = seal(secret, ring=load_key_ring(), row=row, sid=key_sid)
        changed = {"id": str(row), "sid": key_sid, "secret": sealed.text}
        with server.connect("site") as connection:
            connection.execute(
                "INSERT INTO twilio_tokens_apikey SELECT (jsonb_populate_record(key, %s::jsonb"
                " || jsonb_build_object('created_at', now()))).* FROM twilio_tokens_apikey AS key"
                " ORDER BY created_at LIMIT 1",
                [json.dumps(changed)],
            )


def opened(server: PostgreSQL) -> list[str]:
    """The secrets of all keys, in order."""
    with server.connect("site") as connection:
        rows = connection.execute(
            "SELECT id, sid, secret FROM twilio_tokens_apikey ORDER BY created_at"
        )
        return [unseal(Sealed(text), row=row, sid=of) for row, of, text in rows.fetchall()]


def test_secrets_of_which_some_are_encrypted_again_all_open_and_the_rest_follows(
    site: BreakableSite, postgresql: PostgreSQL, settings: Any
) -> None:
    secrets = [site.secret, *(new_secret() for _ in range(4))]
    add_keys(postgresql, secrets[1:])
    [old], new = site.encryption_keys, generate_key()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new, old]
    site.change_encryption_keys(new, old)
    third = "SELECT * FROM twilio_tokens_apikey WHERE sid LIKE 'SK2%' FOR UPDATE"

    kill_half_way("twilio_reencrypt", site, postgresql, third)
    assert opened(postgresql) == secrets
    done = site.run("twilio_reencrypt")
    assert done == "3 encrypted again, 2 already new, 0 changed meanwhile, 0 unreadable.\n"

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new]
    assert opened(postgresql) == secrets


def test_a_purge_has_deleted_the_oldest_and_goes_on_where_it_was(
    site: BreakableSite, postgresql: PostgreSQL
) -> None:
    postgresql.query(
        "INSERT INTO twilio_tokens_issuedtoken"
        " (jti, identity, api_key_id, grants, issued_at, expires_at)"
        " SELECT 'jti-' || days, 'anna', id, '{}', now() - interval '2091 days',"
        " now() - days * interval '1 day'"
        " FROM generate_series(-9, 2090) AS days,"
        " (SELECT id FROM twilio_tokens_apikey LIMIT 1) AS key"
    )
    held = "SELECT * FROM twilio_tokens_issuedtoken WHERE jti = 'jti-1000' FOR UPDATE"
    left = (
        "SELECT count(*), extract(days FROM now() - min(expires_at)),"
        " extract(days FROM max(expires_at) - now()) FROM twilio_tokens_issuedtoken"
    )
    kill_half_way("twilio_purge", site, postgresql, held)
    assert postgresql.query(left) == (1_200, 1_190, 8)
    assert site.run("twilio_purge") == "Deleted 1,101 audit records.\n"
    assert postgresql.query(left) == (99, 89, 8)


def test_an_import_stores_nothing_or_everything(
    site: BreakableSite, postgresql: PostgreSQL
) -> None:
    credentials = {
        "TWILIO_ACCOUNT_SID": sid("AC", "9"),
        "TWILIO_API_KEY": sid("SK", "9"),
        "TWILIO_API_SECRET": new_secret(),
        "TWILIO_CHAT_SERVICE_SID": sid("IS", "9"),
    }
    stored = (
        "SELECT (SELECT count(*) FROM twilio_tokens_account),"
        " (SELECT count(*) FROM twilio_tokens_apikey WHERE sid LIKE 'SK9%'),"
        " (SELECT count(*) FROM twilio_tokens_chatservice)"
    )
    held = "LOCK TABLE twilio_tokens_chatservice IN SHARE MODE"
    kill_half_way("twilio_import_env", site, postgresql, held, **credentials)
    assert postgresql.query(stored) == (1, 0, 0)
    site.run("twilio_import_env", **credentials)
    assert postgresql.query(stored) == (2, 1, 1)
