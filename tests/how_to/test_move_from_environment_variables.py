"""The way from variables to rows, as ``docs/how-to/move-from-environment-variables.md`` shows."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.test import RequestFactory

from tests.issued import decoded
from tests.prose import blocks
from tests.rows import sid
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.models import APIKey, ChatService

PAGE = "docs/how-to/move-from-environment-variables.md"


@pytest.fixture
def env_file(tmp_path: Path, secret: str) -> Path:
    [text] = blocks(PAGE, "ini")
    for prefix in ("AC", "SK", "IS"):
        text = text.replace(f"{prefix}…", sid(prefix))
    path = tmp_path / ".env"
    path.write_text(text.replace("…", secret))
    return path


def test_what_is_imported_signs_for_the_new_view(
    env_file: Path,
    twilio: TwilioServer,
    user: User,
    secret: str,
    capsys: pytest.CaptureFixture[str],
    rf: RequestFactory,
) -> None:
    twilio.keys[sid("SK")] = Key(secret, sid("AC"))
    twilio.services[sid("IS")] = (sid("AC"), "Support")
    [session] = blocks(PAGE, "console")
    [first, *told, second] = session.splitlines()
    command = shlex.split(first.removeprefix("$ manage.py ").replace(".env", str(env_file)))
    call_command(*command)
    assert capsys.readouterr().out.replace(sid("SK"), "SK…").splitlines() == told
    call_command(second.removeprefix("$ manage.py "))

    [code] = [block for block in blocks(PAGE) if block.startswith("# mysite/views.py")]
    exec(code, view := {})  # noqa: S102 - the page's own
    request = rf.post("/token")
    request.user = user
    response = view["token"](request)
    assert (response.status_code, "no-store" in response["Cache-Control"]) == (200, True)
    claims = decoded(json.loads(response.content)["token"], secret)
    assert claims["grants"] == {"identity": "anna", "chat": {"service_sid": sid("IS")}}

    def refused() -> tuple[int, str]:
        response = view["token"](request)
        return response.status_code, json.loads(response.content)["code"]

    ChatService.objects.update(is_default=False)
    assert refused() == (503, "not_configured")
    request.user = AnonymousUser()
    assert refused() == (403, "not_authenticated")
    assert view["token"](rf.get("/token")).status_code == 405


SHIM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$*" in *twilio_import_env*) exit "$STATUS";; esac
"""


@pytest.mark.parametrize(("status", "is_started"), [(0, True), (3, True), (1, False), (2, False)])
def test_a_container_starts_unless_the_import_is_refused(
    status: int, is_started: bool, tmp_path: Path
) -> None:
    [script] = blocks(PAGE, "sh")
    for name in ("python", "gunicorn"):
        (tmp_path / name).write_text(SHIM)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "start").write_text(script)
    log = tmp_path / "log"
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / "start")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log), "STATUS": str(status)},
        check=False,
    )
    ran = [line.split()[0] for line in log.read_text().splitlines()]
    assert ran == ["python", "python", *(["gunicorn"] if is_started else [])]
    assert (done.returncode == 0) is is_started


def test_each_start_imports_the_key_of_its_environment(
    twilio: TwilioServer, api_key: APIKey, user: User, secret: str, monkeypatch: Any
) -> None:
    [script] = blocks(PAGE, "sh")
    [line] = [each for each in script.splitlines() if "twilio_import_env" in each]
    command = shlex.split(line.partition("||")[0].partition("manage.py ")[2])
    twilio.keys[sid("SK", "1")] = Key("new" + secret, sid("AC"))
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", sid("AC"))
    monkeypatch.setenv("TWILIO_API_KEY", sid("SK", "1"))
    monkeypatch.setenv("TWILIO_API_SECRET", "new" + secret)
    for _start in range(2):
        call_command(*command)
    active = APIKey.objects.filter(is_active=True).values_list("sid", flat=True)
    assert [*active] == [sid("SK", "1")]
