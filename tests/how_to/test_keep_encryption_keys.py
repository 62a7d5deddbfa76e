"""Where encryption keys come from, as ``docs/how-to/keep-encryption-keys.md`` shows."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.issued import decoded
from tests.prose import section
from twilio_tokens.exceptions import SecretUnavailable
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/keep-encryption-keys.md"


@pytest.fixture
def new_key(capsys: pytest.CaptureFixture[str]) -> str:
    [line] = section(PAGE, "", "console")
    call_command(*shlex.split(line.removeprefix("$ manage.py ")))
    return capsys.readouterr().out.strip()


def setting(code: str) -> Any:
    exec(code, made := {})  # noqa: S102 - the page's own
    return made["TWILIO_TOKENS_ENCRYPTION_KEYS"]


def check_old_secret_opens(user: User, secret: str) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, secret)["grants"]["identity"] == "anna"


def test_one_variable_holds_several_keys(
    user: User,
    api_key: APIKey,
    secret: str,
    new_key: str,
    key_ring: list[str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    title, name = "In an environment variable", "TWILIO_TOKENS_ENCRYPTION_KEYS"
    [line] = section(PAGE, title, "sh")
    done = subprocess.run(
        ["/bin/sh", "-c", f'{line}\nprintf %s "${name}"'],
        env={"NEW": new_key, "OLD": key_ring[0]},
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv(name, done.stdout)
    [code] = section(PAGE, title)
    keys = settings.TWILIO_TOKENS_ENCRYPTION_KEYS = setting(code)
    assert keys == [new_key, *key_ring]
    check_old_secret_opens(user, secret)
    monkeypatch.delenv(name)
    assert setting(code) == []


def test_a_file_has_a_key_a_line(
    user: User,
    api_key: APIKey,
    secret: str,
    new_key: str,
    key_ring: list[str],
    settings: Any,
    tmp_path: Path,
) -> None:
    [code] = section(PAGE, "In a file")
    file = tmp_path / "keys"
    file.write_text(f"{new_key}\n{key_ring[0]}\n")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = setting(
        code.replace("/run/secrets/twilio_tokens_keys", str(file))
    )
    check_old_secret_opens(user, secret)


def test_a_vault_is_asked_now_and_then_and_may_be_away(
    user: User,
    api_key: APIKey,
    secret: str,
    new_key: str,
    key_ring: list[str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, chosen = section(PAGE, "In a vault")
    vault: Any = ModuleType("mysite.vault")
    exec(code, vars(vault))  # noqa: S102 - the page's own
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.vault", vault)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = setting(chosen)
    with pytest.raises(SecretUnavailable):
        check_old_secret_opens(user, secret)

    asked: list[float] = []

    def fetch() -> list[str]:
        asked.append(vault.time.monotonic())
        if len(asked) == 2:
            raise ConnectionError
        return [new_key, *key_ring]

    monkeypatch.setattr(vault, "fetch", fetch)
    for now in (1_000.0, 1_299.0, 1_301.0, 1_302.0, 1_400.0):
        monkeypatch.setattr(vault, "time", SimpleNamespace(monotonic=lambda now=now: now))
        check_old_secret_opens(user, secret)
    assert asked == [1_000.0, 1_301.0, 1_302.0]
