"""Of what is stored in files, nothing is plaintext."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections

from tests import twilio_server
from tests.issued import decoded
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken

from .story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["wal", "persist"])
def database_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A database in a file, with a log of what is written or a journal of what was there before.

    What is deleted stays in the file until its page is used again, as it does in most builds of
    SQLite.
    """
    if connection.vendor != "sqlite":
        pytest.skip("A server keeps its files to itself.")
    path = tmp_path / "db.sqlite3"
    connection.ensure_connection()
    with sqlite3.connect(path) as copy:
        connection.connection.backup(copy)
    copy.close()
    in_memory = connections["default"]
    connections["default"] = in_file = in_memory.copy()
    in_file.settings_dict["NAME"] = path
    with in_file.cursor() as cursor:
        for pragma in (f"journal_mode = {request.param}", "secure_delete = 0", "synchronous = 0"):
            cursor.execute(f"PRAGMA {pragma}")
    yield path
    in_file.close()
    connections["default"] = in_memory


def test_neither_the_database_nor_its_journal_nor_its_freed_pages_hold_plaintext(
    database_file: Path, settings: Any, tmp_path: Path
) -> None:
    with twilio_server.running(settings) as twilio:
        story = Story(settings, twilio, [], tmp_path)
        story.stock()
        story.type_in()
        story.correct()
        story.replace()
        story.ask()
    sealed = story.key.secret.text
    jti = IssuedToken.objects.earliest("pk").jti
    IssuedToken.objects.all().delete()
    APIKey.objects.all().delete()

    files = [path for path in tmp_path.iterdir() if path.name.startswith("db.sqlite3")]
    assert len(files) > 1
    text = "".join(path.read_bytes().decode("latin-1") for path in files)
    assert sealed in text, "as it was before it was deleted"
    assert jti in text
    assert story.leaked(text) == set()


def test_dumped_data_loads_back_and_signs(
    api_key: APIKey, secret: str, user: User, tmp_path: Path
) -> None:
    path = tmp_path / "dump.json"
    call_command("dumpdata", "twilio_tokens", output=str(path))
    assert secret not in path.read_text()
    Account.objects.all().delete()
    call_command("loaddata", str(path), verbosity=0)
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, secret)["iss"] == api_key.sid
