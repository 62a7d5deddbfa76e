"""What all commands have in common: odd terminals, and faults of the world."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, load_command_class
from django.db import DatabaseError, connection

from twilio_tokens.crypto import generate_key
from twilio_tokens.management.commands import twilio_generate_key
from twilio_tokens.models import APIKey, ChatService, Outcome
from twilio_tokens.verification import Finding

from .rows import new_secret, sid

REPOSITORY = Path(__file__).resolve().parent.parent


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a line in which $MANAGE is django-admin with the settings of these tests."""
    ours = {
        "MANAGE": f"{sys.executable} -m django",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONWARNINGS": "error",
        "PYTHONUNBUFFERED": "",
    }
    return subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": "sqlite://:memory:", **ours, **variables},
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", 'Zo\\xeb   IS00000000000000000000000000000000  "It\'s" \\u96fb...'),
        ("latin-1", 'Zoë   IS00000000000000000000000000000000  "It\'s" \\u96fb...'),
        ("utf-8", "Zoë   IS00000000000000000000000000000000  “It’s” 電…"),
    ],
)
def test_a_terminal_of_any_encoding_shows_what_it_can(
    encoding: str, shown: str, chat_service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    ChatService.objects.update(name="Zoë")
    monkeypatch.setattr(
        "twilio_tokens.management.commands.twilio_verify.verify_resource",
        lambda row: Finding(Outcome.REFUSED, "“It’s” 電…"),
    )
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with pytest.raises(CommandError):
        call_command("twilio_verify", stdout=terminal)
    terminal.flush()
    assert shown in terminal.buffer.getvalue().decode(encoding)


def test_what_a_terminal_obeys_is_shown_but_for_the_style_of_a_message() -> None:
    stream = io.StringIO()
    command = twilio_generate_key.Command(stderr=stream)
    command.stderr.write("a\x1b[2J\r\nb")
    command.stderr.write("red", lambda text: f"\x1b[31m{text}\x1b[0m")
    assert stream.getvalue() == "a\\x1b[2J\\r\nb\n\x1b[31mred\n\x1b[0m"


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        ("$MANAGE twilio_generate_key <&- >&- 2>&-", 0, ""),
        ("$MANAGE twilio_decode <&-", 1, "CommandError: There is no standard input. Pass the"),
        (
            "$MANAGE twilio_generate_key >/dev/full",
            1,
            "CommandError: Cannot write to standard output: No space left on device.",
        ),
        ("$MANAGE twilio_generate_key 2>&1 | true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
def test_odd_standard_streams_end_without_a_traceback(line: str, status: int, error: str) -> None:
    done = shell(line)
    assert (done.returncode, error in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def full_disk() -> IO[str]:
    return Path("/dev/full").open("w")


def closed_pipe() -> IO[str]:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize(("make_stream", "status"), [(full_disk, 1), (closed_pipe, 141)])
@pytest.mark.parametrize("has_stderr", [True, False])
def test_what_cannot_be_written_has_an_exit_status(
    has_stderr: bool,
    make_stream: Callable[[], IO[str]],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with make_stream() as stdout, (tmp_path / "stderr").open("w") as stderr:
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr if has_stderr else None)
        with pytest.raises(SystemExit) as caught:
            load_command_class("twilio_tokens", "twilio_generate_key").run_from_argv(
                ["manage.py", "twilio_generate_key"]
            )
    assert caught.value.code == status


class NoSpace(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_cannot_be_written_fails_a_command_that_another_calls(db: None) -> None:
    with pytest.raises(
        CommandError, match="Cannot write to standard output: No space left on device"
    ):
        call_command("twilio_generate_key", stdout=NoSpace())


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_hinders_no_command(
    stream: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, stream, None)
    call_command("twilio_generate_key")
    output = capsys.readouterr()
    assert {"stdout": output.err, "stderr": output.out}[stream]


def test_ctrl_c_ends_a_command_as_shells_expect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(twilio_generate_key, "generate_key", interrupted)
    with pytest.raises(SystemExit) as caught:
        load_command_class("twilio_tokens", "twilio_generate_key").run_from_argv(
            ["manage.py", "twilio_generate_key"]
        )
    assert caught.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


EACH_COMMAND = """
import sys
import django
django.setup()
from django.core.management import load_command_class

for line in (
    "twilio_import_env", "twilio_token anna --video", "twilio_verify", "twilio_reencrypt",
    "twilio_purge", "twilio_rollup", "twilio_decode " + sys.argv[1],
):
    name, *arguments = line.split()
    try:
        load_command_class("twilio_tokens", name).run_from_argv(["manage.py", name, *arguments])
    except SystemExit as error:
        print(name, error.code, file=sys.stderr)
"""


def test_every_command_asks_for_a_migrated_database() -> None:
    token = jwt.encode({"iss": sid("SK"), "grants": {}}, new_secret())
    variables = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK"),
        "TWILIO_API_SECRET": new_secret(),
        "SCRIPT": f"from tests import settings\nsettings.TWILIO_TOKENS_ENCRYPTION_KEYS = "
        f"[{generate_key()!r}]\n{EACH_COMMAND}",
    }
    done = shell(f'{sys.executable} -c "$SCRIPT" {token}', **variables)
    assert done.stderr.count("CommandError: The database cannot be used: no such table: ") == 7
    assert done.stderr.count("run “manage.py migrate” first.") == 7
    assert "Traceback" not in done.stderr


def test_of_what_the_database_says_only_the_first_line_is_told(db: None) -> None:
    """PostgreSQL tells the values of the row in the next."""

    def fail(*args: Any) -> None:
        raise DatabaseError("It failed.\nDETAIL: canary")

    with connection.execute_wrapper(fail), pytest.raises(CommandError) as caught:
        call_command("twilio_purge")
    assert str(caught.value).startswith("The database cannot be used: It failed.\nIf tables")
    assert "canary" not in str(caught.value)


def test_a_setting_that_cannot_be_used_is_named(api_key: APIKey, user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = "nowhere.to_be_found"
    with pytest.raises(CommandError, match="TWILIO_TOKENS_ACCOUNT should be a function or a"):
        call_command("twilio_verify")
