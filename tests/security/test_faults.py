"""A SQLite that is locked, lost or full, and functions of the site that raise or hang."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from .breakable import (
    CONSOLE,
    VIDEO,
    BreakableSite,
    Served,
    assert_told_in_the_console,
    assert_unavailable,
)
from .private_servers import wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> BreakableSite:
    """It counts in files, beside its database."""
    folder = tmp_path_factory.mktemp("site")
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "db.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 0.1},
    }
    return BreakableSite(
        folder, DATABASES={"default": database}, TWILIO_TOKENS_THROTTLE_RATE="1000/hour"
    )


@pytest.fixture(scope="module")
def served(site: BreakableSite) -> Iterator[Served]:
    with site.served() as served:
        served.assert_works()
        yield served


def database(site: BreakableSite) -> Path:
    return site.folder / "db.sqlite3"


def records(site: BreakableSite) -> int:
    with closing(sqlite3.connect(database(site))) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM twilio_tokens_issuedtoken")
        return int(count)


# The database


@contextmanager
def locked(site: BreakableSite, mode: str) -> Iterator[None]:
    with closing(sqlite3.connect(database(site), isolation_level=None)) as connection:
        connection.execute(f"BEGIN {mode}")
        yield


@contextmanager
def instead(site: BreakableSite, content: bytes | None) -> Iterator[None]:
    """Another file where the database should be, or none."""
    kept = database(site).rename(site.folder / "kept")
    if content is not None:
        database(site).write_bytes(content)
    yield
    kept.replace(database(site))


UNREADABLE = {
    "locked": lambda site: locked(site, "EXCLUSIVE"),
    "missing": lambda site: instead(site, None),
    "empty": lambda site: instead(site, b""),
    "overwritten": lambda site: instead(site, b"not a database" * 1_000),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_database_that_cannot_be_read_gets_an_answer_and_the_next_request_works(
    fault: str, served: Served
) -> None:
    by_session = served.operator
    with UNREADABLE[fault](served.site):
        assert_unavailable(served.post(), "not_configured")
        assert_unavailable(served.client.get(VIDEO), "not_configured")
        assert_unavailable(by_session.get(VIDEO), "not_configured")
        assert_told_in_the_console(by_session.get(f"{CONSOLE}/apikey/"))
    served.assert_works()


UNWRITABLE = {
    "locked": (lambda site: locked(site, "IMMEDIATE"), "audit_unavailable"),
    "full": (lambda site: site.failing("pre_save fills the disk"), "audit_unavailable"),
    "full, with the cache": (
        lambda site: site.failing("request fills the disk"),
        "throttle_unavailable",
    ),
}


@pytest.mark.parametrize("fault", UNWRITABLE)
def test_what_cannot_be_recorded_is_not_issued_and_the_console_is_shown(
    fault: str, served: Served
) -> None:
    before, operator = records(served.site), served.operator
    fails, code = UNWRITABLE[fault]
    with fails(served.site):
        assert_unavailable(served.post(), code)
        assert served.client.get(VIDEO).status_code == 200
        for page in ("account", "apikey", "issuedtoken", "issuedtoken/test"):
            assert operator.get(f"{CONSOLE}/{page}/").status_code == 200
        asked = served.send(f"{CONSOLE}/issuedtoken/test/", username="anna", video="on")
        assert "No token was issued: " in asked.text
        if fault != "full":  # which begins with the record
            assert_told_in_the_console(
                served.send(f"{CONSOLE}/account/add/", name="Other", sid="AC" + "1" * 32)
            )
    assert records(served.site) == before
    served.assert_works()
    assert records(served.site) == before + 1


# Functions of the site, and receivers. Those of the last two are called when the record is stored.


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("identity", "not_configured"),
        ("room_policy", "not_configured"),
        ("pre_save", "audit_unavailable"),
        ("post_save", "audit_unavailable"),
        ("access_token_issued", None),
    ],
)
def test_a_function_that_raises_gets_an_answer_and_the_next_request_works(
    place: str, code: str | None, served: Served
) -> None:
    with served.site.failing(f"{place} raises"):
        if code is None:
            served.assert_works()
        else:
            assert_unavailable(served.post(), code)
    served.assert_works()


@pytest.fixture(scope="module")
def hurried(site: BreakableSite) -> Iterator[Served]:
    """By a server that soon ends what takes long, as all do in the end."""
    with site.served("--preload", "--timeout=4") as served:
        yield served


@pytest.mark.parametrize(
    ("place", "recorded"),
    [
        ("request", 0),
        ("identity", 0),
        ("pre_save", 0),
        ("access_token_issued", 1),
    ],
)
def test_a_function_that_hangs_is_ended_with_its_request_and_the_next_request_works(
    place: str, recorded: int, hurried: Served
) -> None:
    before, hangs = records(hurried.site), hurried.site.folder / "hangs"
    with ExitStack() as fault:
        fault.enter_context(hurried.site.failing(f"{place} hangs"))
        with hurried.asked() as request:
            wait_until(hangs.exists, f"{place} hangs")
            fault.close()
            with suppress(httpx.RemoteProtocolError):  # without a word
                answer = request.result()
                assert (answer.status_code, "code" in answer.text) == (500, False), answer.text
    hangs.unlink()
    assert records(hurried.site) == before + recorded
    hurried.assert_works()
    assert records(hurried.site) == before + recorded + 1
