"""The audit as a CSV file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from twilio_tokens.admin import audit_export, audit_list
from twilio_tokens.models import APIKey, IssuedToken

from .console import AUDIT_LIST, staff
from .issued import record
from .servers.site import Site


def form(rows: list[IssuedToken], **data: str) -> dict[str, Any]:
    return {"action": "export_csv", "_selected_action": [row.pk for row in rows], **data}


def lines(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(body.decode("utf-8-sig"), newline="")))


def exported(client: Client, rows: list[IssuedToken], **data: str) -> list[dict[str, str]]:
    response = client.post(reverse(AUDIT_LIST), form(rows, **data))
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="issued-tokens-[\d-]+\.csv"', response["Content-Disposition"]
    )
    assert "no-store" in response["Cache-Control"]
    return lines(b"".join(response))  # type: ignore[call-overload]


@pytest.fixture
def small_chunks(monkeypatch: Any) -> None:
    monkeypatch.setattr(audit_export, "CHUNK", 2)


def test_selected_records_are_exported(api_key: APIKey, user: User, admin_user: User) -> None:
    row = record(user=user, issued_by=admin_user, grants={"video": {"room": "Käse"}, "chat": {}})
    record()
    [line] = exported(staff("view_issuedtoken"), [row])
    assert json.loads(line.pop("grants")) == row.grants
    assert sorted(line.pop("products").split()) == ["chat", "video"]
    row.refresh_from_db()
    assert line == {
        "jti": row.jti,
        "issued_at": row.issued_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "identity": "anna",
        "user": "anna",
        "api_key_name": api_key.name,
        "api_key_sid": api_key.sid,
        "account_sid": api_key.account.sid,
        "issued_by": "admin",
    }


def test_all_records_are_exported_beyond_the_page_and_the_longest_list(
    api_key: APIKey, admin_client: Client, small_chunks: None, monkeypatch: Any
) -> None:
    monkeypatch.setattr(audit_list, "LONGEST_LIST", 2)
    monkeypatch.setattr(admin.site.get_model_admin(IssuedToken), "list_per_page", 1)
    now = timezone.now()
    rows = [record(identity="b", issued_at=now) for _ in range(5)]
    record(identity="c", issued_at=now + timedelta(seconds=1))
    record(identity="a", issued_at=now - timedelta(seconds=1))
    found = exported(admin_client, rows[:1], select_across="1")
    assert [line["jti"] for line in found] == [f"jti-{number}" for number in (5, 4, 3, 2, 1, 0, 6)]


def test_a_longer_export_holds_no_more_at_once(
    api_key: APIKey, admin_client: Client, small_chunks: None
) -> None:
    """No cursor either, which a pooler would lose, or the driver of MariaDB read to its end."""
    rows = [record() for _ in range(7)]
    with CaptureQueriesContext(connection) as captured:
        assert len(exported(admin_client, rows, select_across="1")) == 7
    sql = [each["sql"] for each in captured if "jti" in each["sql"]]
    assert len([each for each in sql if "LIMIT 2" in each]) == 5  # the last finds none
    assert not [each for each in sql if "DECLARE" in each]


def test_no_cell_ends_where_other_spreadsheets_expect_it(
    api_key: APIKey, admin_client: Client
) -> None:
    """German ones separate cells by semicolons."""
    row = record(identity='a;=SUM(A1);"b"')
    response = admin_client.post(reverse(AUDIT_LIST), form([row]))
    body = b"".join(response).decode()  # type: ignore[call-overload]
    assert '"a;=SUM(A1);""b""",' in body


def test_a_user_whose_name_fails_breaks_neither_list_nor_export(
    api_key: APIKey, user: User, admin_client: Client, monkeypatch: Any
) -> None:
    def fail(user: User) -> str:
        raise AttributeError("'NoneType' object has no attribute 'company'")

    monkeypatch.setattr(User, "__str__", fail)
    row = record(user=user, issued_by=user)
    query = f"?user__id__exact={user.pk}"
    assert ">anna</a>" in admin_client.get(reverse(AUDIT_LIST) + query).content.decode()
    [line] = exported(admin_client, [row])
    assert (line["user"], line["issued_by"]) == ("anna", "anna")


def test_a_user_without_a_name_is_told_by_the_primary_key(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    User.objects.filter(pk=user.pk).update(username="")
    user.username = ""
    [line] = exported(admin_client, [record(user=user)])
    assert line["user"] == str(user.pk)


# What fails, and who serves it


@pytest.fixture
def failing_database() -> Iterator[None]:
    """It goes while the second chunk is read."""
    chunks: list[str] = []

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "LIMIT 2" in sql:
            chunks.append(sql)
        if len(chunks) == 2:
            raise OperationalError("server closed the connection unexpectedly")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def test_an_export_that_breaks_off_says_so_in_its_last_line(
    api_key: APIKey, admin_client: Client, small_chunks: None, caplog: Any, request: Any
) -> None:
    rows = [record() for _ in range(4)]
    response = admin_client.post(reverse(AUDIT_LIST), form(rows))
    request.getfixturevalue("failing_database")
    found = lines(b"".join(response))  # type: ignore[call-overload]
    assert [line["jti"] for line in found] == [
        "jti-3",
        "jti-2",
        "INCOMPLETE: the database failed at this point. Export again.",
    ]
    assert [each.getMessage() for each in caplog.records if each.exc_info] == [
        "The export of issued tokens broke off."
    ]


@pytest.mark.parametrize("middleware", [[], ["django.middleware.gzip.GZipMiddleware"]])
def test_under_asgi_chunks_are_sent_as_they_are_made(
    middleware: list[str],
    api_key: APIKey,
    admin_user: User,
    small_chunks: None,
    settings: Any,
) -> None:
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]
    rows = [record() for _ in range(5)]
    client = AsyncClient()
    client.force_login(admin_user)

    @async_to_sync
    async def chunks() -> list[bytes]:
        response = await client.post(reverse(AUDIT_LIST), form(rows))
        return [chunk async for chunk in response]  # type: ignore[attr-defined]

    received = chunks()
    assert len(received) == 5  # the mark of the encoding, the heading, and three times two rows
    assert len(lines(b"".join(received))) == 5


def test_real_servers_stream_the_export(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.operator("add_old_records", number=3_000)
    audit = "/admin/twilio_tokens/issuedtoken/"
    # Django warns where it collects the whole file first; here that would fail.
    for server in ("uvicorn", "gunicorn"):
        with (
            site.served_by(server, PYTHONWARNINGS="error:StreamingHttpResponse") as client,
            site.console(client) as console,
        ):
            data = {
                "action": "export_csv",
                "_selected_action": "1",
                "select_across": "1",
            }
            with console.stream("POST", audit, data=data) as response:
                assert response.status_code == 200
                assert response.headers["Transfer-Encoding"] == "chunked"
                assert len(lines(b"".join(response.iter_raw()))) == 3_000
    site.close()
