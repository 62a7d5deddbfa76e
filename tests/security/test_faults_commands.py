"""Commands that are killed half-way, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.rows import new_secret, sid
from twilio_tokens.crypto import Sealed, generate_key, load_key_ring, seal, unseal

from .breakable import BreakableSite
from .private_servers import PostgreSQL, broken


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
    assert done == "3 re-encrypted, 2 up to date, 0 changed in the meantime, 0 unreadable.\n"

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


# Without a database, and without Twilio

STOPPED = (PostgreSQL.stop, PostgreSQL.start)
#: Nobody listens there.
WITHOUT_TWILIO = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """With which status, and what it said about it, which is no traceback."""
    _output, errors = process.communicate()
    assert "Traceback" not in errors
    return process.returncode, errors.strip().split("CommandError: ")[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("twilio_import_env",),
        ("twilio_token", "anna", "--video"),
        ("twilio_verify",),
        ("twilio_verify", "--json"),
        ("twilio_reencrypt",),
        ("twilio_purge",),
        ("twilio_decode", jwt.encode({"iss": sid("SK"), "grants": {}}, new_secret())),
    ],
    ids=lambda command: " ".join(command[:2])[:25],
)
def test_without_a_database_a_command_says_so_and_ends_with_3(
    command: tuple[str, ...], site: BreakableSite, postgresql: PostgreSQL
) -> None:
    credentials = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK", "a"),
        "TWILIO_API_SECRET": new_secret(),
    }
    with broken(postgresql, STOPPED), site.running(*command, **credentials) as process:
        status, sentence = ended(process)
    assert (status, sentence[:31]) == (3, "The database cannot be used: co")
    assert "Connection refused" in sentence


def test_a_command_whose_database_goes_away_ends_with_3(
    site: BreakableSite, postgresql: PostgreSQL
) -> None:
    with closing(postgresql.connect("site")) as other:
        other.execute("BEGIN; LOCK TABLE twilio_tokens_apikey")
        with site.running("twilio_reencrypt") as process:
            postgresql.wait_for_blocked()
            with broken(postgresql, STOPPED):
                status, sentence = ended(process)
    assert (status, sentence[:29]) == (3, "The database cannot be used: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_goes_on_when_the_database_is_back_and_ends_at_a_signal_as_its_last_check(
    number: signal.Signals, site: BreakableSite, postgresql: PostgreSQL
) -> None:
    postgresql.query("UPDATE twilio_tokens_apikey SET is_active = (sid LIKE 'SK00%')")
    with site.running("twilio_verify", "--watch=1", "--json", **WITHOUT_TWILIO) as process:
        checked = reports(process, has_database=True)["checked"]
        assert "unreachable" in {each["outcome"] for each in checked}
        with broken(postgresql, STOPPED):
            assert reports(process, has_database=False)["status"] == 3
        report = reports(process, has_database=True)
        process.send_signal(number)
        assert ended(process) == (report["status"], report["message"])


def reports(process: subprocess.Popen[str], *, has_database: bool) -> dict[str, Any]:
    """The first of its reports that it made with or without a database."""
    assert process.stdout is not None
    for line in process.stdout:
        report: dict[str, Any] = json.loads(line)
        if bool(report["checked"]) is has_database:
            return report
    raise AssertionError("The watch has ended.")
