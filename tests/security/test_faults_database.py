"""A real PostgreSQL that goes away, refuses and hangs up; a site that goes on when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from .breakable import (
    CONSOLE,
    VIDEO,
    BreakableSite,
    Served,
    assert_told_in_the_console,
    assert_unavailable,
)
from .private_servers import PostgreSQL, Step, broken

SETTINGS = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": True}
KEYS, AUDIT = "twilio_tokens_apikey", "twilio_tokens_issuedtoken"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def site(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> BreakableSite:
    database = postgresql.as_django_knows_it(**SETTINGS)
    return BreakableSite(tmp_path_factory.mktemp("site"), DATABASES={"default": database})


@pytest.fixture(scope="module")
def served(site: BreakableSite) -> Iterator[Served]:
    with site.served() as served:
        served.assert_works()
        yield served


def records(postgresql: PostgreSQL) -> int:
    [count] = postgresql.query("SELECT count(*) FROM twilio_tokens_issuedtoken")
    return int(count)


# Gone, before a request


def rename(server: PostgreSQL) -> None:
    server.execute("ALTER DATABASE site ALLOW_CONNECTIONS false")
    server.disconnect_site()
    server.execute("ALTER DATABASE site RENAME TO away")


def name_again(server: PostgreSQL) -> None:
    server.execute("ALTER DATABASE away RENAME TO site")
    server.execute("ALTER DATABASE site ALLOW_CONNECTIONS true")


def role(change: str) -> Step:
    """Of the site, for its connections from then on."""

    def step(server: PostgreSQL) -> None:
        server.execute(f"ALTER ROLE site {change}")
        server.disconnect_site()

    return step


GONE = {
    "killed": (PostgreSQL.kill, PostgreSQL.start),
    "renamed": (rename, name_again),
    "too many connections": (role("CONNECTION LIMIT 0"), role("CONNECTION LIMIT -1")),
    "locked out": (role("NOLOGIN"), role("LOGIN")),
}


@pytest.mark.parametrize("fault", GONE.values(), ids=GONE)
def test_a_database_that_is_gone_gets_an_answer_and_the_next_request_works(
    fault: tuple[Step, Step], served: Served, postgresql: PostgreSQL
) -> None:
    by_session = served.operator
    with broken(postgresql, fault):
        assert_unavailable(served.post(), "not_configured")
        assert_unavailable(served.client.get(VIDEO), "not_configured")
        assert_unavailable(by_session.get(VIDEO), "not_configured")
        for page in ("account", "apikey/add", "issuedtoken", "issuedtoken/test"):
            assert_told_in_the_console(by_session.get(f"{CONSOLE}/{page}/"))
        assert_told_in_the_console(served.send(f"{CONSOLE}/account/add/", name="A"))
    served.assert_works()


# It reads and does not write


def fail_over(server: PostgreSQL) -> None:
    """To a replica that is not the primary yet."""
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()


def promote(server: PostgreSQL) -> None:
    assert server.execute("SELECT pg_promote()") == (True,)


READ_ONLY = {
    "a replica": (fail_over, promote),
    "read-only by default": (
        role("SET default_transaction_read_only = on"),
        role("RESET default_transaction_read_only"),
    ),
}


@pytest.mark.parametrize("fault", READ_ONLY.values(), ids=READ_ONLY)
def test_a_database_that_only_reads_issues_no_token_and_shows_the_console(
    fault: tuple[Step, Step], served: Served, postgresql: PostgreSQL
) -> None:
    before, operator = records(postgresql), served.operator
    with broken(postgresql, fault):
        assert_unavailable(served.post(), "audit_unavailable")
        assert "problem" not in served.client.get(VIDEO).json()
        for page in ("account", "apikey", "issuedtoken", "issuedtoken/test"):
            assert operator.get(f"{CONSOLE}/{page}/").status_code == 200
        asked = served.send(f"{CONSOLE}/issuedtoken/test/", username="anna", video="on")
        assert asked.status_code == 200
        assert "The audit record was not written: InternalError." in asked.text
        assert_told_in_the_console(
            served.send(f"{CONSOLE}/account/add/", name="Other", sid="AC" + "1" * 32)
        )
        assert records(postgresql) == before
    served.assert_works()
    assert records(postgresql) == before + 1


# In the middle of a request


def lost_with_its_server(server: PostgreSQL, pid: int) -> None:
    server.kill()
    server.start()


def hung_up_on(server: PostgreSQL, pid: int) -> None:
    assert server.execute(f"SELECT pg_terminate_backend({pid})") == (True,)


def timed_out(server: PostgreSQL, pid: int) -> None:
    """``statement_timeout`` ends a statement in the same way."""
    assert server.execute(f"SELECT pg_cancel_backend({pid})") == (True,)


MID_REQUEST = [lost_with_its_server, hung_up_on, timed_out]


@pytest.mark.parametrize("happen", MID_REQUEST, ids=lambda happen: happen.__name__)
@pytest.mark.parametrize(
    ("table", "code"), [(KEYS, "not_configured"), (AUDIT, "audit_unavailable")]
)
def test_a_connection_that_is_lost_in_the_middle_of_a_request_gets_an_answer(
    happen: Callable[[PostgreSQL, int], None],
    table: str,
    code: str,
    served: Served,
    postgresql: PostgreSQL,
) -> None:
    before = records(postgresql)
    with closing(postgresql.connect("site")) as lock:
        lock.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        with served.asked() as request:
            happen(postgresql, postgresql.wait_for_blocked())
            assert_unavailable(request.result(), code)
    assert records(postgresql) == before
    served.assert_works()
    assert records(postgresql) == before + 1


HURRIED = (role("SET deadlock_timeout = '10ms'"), role("RESET deadlock_timeout"))


def test_a_deadlock_while_the_record_is_written_is_no_token(
    served: Served, postgresql: PostgreSQL
) -> None:
    before = records(postgresql)
    with ExitStack() as stack:
        stack.enter_context(broken(postgresql, HURRIED))
        first, second = (stack.enter_context(closing(postgresql.connect("site"))) for _ in "12")
        # The record refers to a user and to a key, so its transaction waits for each.
        first.execute("BEGIN; SELECT * FROM twilio_tokens_apikey FOR UPDATE")
        second.execute("BEGIN; SELECT * FROM auth_user FOR UPDATE")
        request = stack.enter_context(served.asked())
        postgresql.wait_for_blocked()
        second.execute("SET deadlock_timeout = '1min'")
        pool = stack.enter_context(ThreadPoolExecutor(1))
        locked = pool.submit(second.execute, f"LOCK TABLE {AUDIT} IN ACCESS EXCLUSIVE MODE")
        postgresql.wait_for_blocked(2)
        first.execute("ROLLBACK")
        assert_unavailable(request.result(), "audit_unavailable")
        locked.result()
    assert records(postgresql) == before
    served.assert_works()


def test_a_connection_that_was_closed_while_it_was_idle_costs_one_request_at_most(
    site: BreakableSite, postgresql: PostgreSQL
) -> None:
    """None where the site has Django's ``CONN_HEALTH_CHECKS``."""
    database = postgresql.as_django_knows_it(CONN_MAX_AGE=600)
    with site.served(DATABASES={"default": database}) as served:
        served.assert_works()
        postgresql.disconnect_site()
        assert_unavailable(served.post(), "not_configured")
        served.assert_works()
