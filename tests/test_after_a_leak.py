"""What ``docs/after-a-leak.md`` has people do, and what it promises them."""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import (
    CommandError,
    call_command,
    get_commands,
    load_command_class,
)
from rest_framework.test import APIClient

from twilio_tokens import conf
from twilio_tokens.crypto import generate_key
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

from .issued import decoded
from .rows import new_secret, sid
from .twilio_server import Key, TwilioServer

PAGE = (Path(__file__).parent.parent / "docs/after-a-leak.md").read_text()
COMMANDS = sorted({*re.findall(r"`manage\.py ([^`]+)`|^ +manage\.py (.+)$", PAGE, re.MULTILINE)})
TOKENS = "/twilio/tokens/video/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaked(
    twilio: TwilioServer,
    monkeypatch: pytest.MonkeyPatch,
    user: User,
    api_key: APIKey,
    secret: str,
) -> str:
    """A token; Twilio knows its key, and the one in the environment that is to take its place."""
    token = issue_access_token(user=user, grants=[Video()]).token
    secrets = {sid("SK"): secret, sid("SK", "1"): new_secret()}
    for name, text in secrets.items():
        twilio.keys[name] = Key(text, sid("AC"))
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", sid("AC"))
    monkeypatch.setenv("TWILIO_API_KEY", sid("SK", "1"))
    monkeypatch.setenv("TWILIO_API_SECRET", secrets[sid("SK", "1")])
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    monkeypatch.setattr("getpass.getpass", lambda prompt: secret)
    return token


@pytest.mark.parametrize("command", [code or line for code, line in COMMANDS])
def test_each_command_that_is_named_runs(leaked: str, command: str) -> None:
    name, *arguments = shlex.split(command.replace("USERNAME", "anna"))
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    known = re.findall(r"--[\w-]+", parser.format_help())
    assert {each for each in arguments if each.startswith("--")} <= {*known}
    call_command(name, *arguments)


def test_a_leaked_key_is_replaced_from_the_environment(
    leaked: str, twilio: TwilioServer, user: User
) -> None:
    call_command("twilio_import_env", "--retire-others")
    del twilio.keys[sid("SK")]
    call_command("twilio_verify")
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, twilio.keys[sid("SK", "1")].secret)["iss"] == sid("SK", "1")


def test_verifying_tells_that_an_active_key_was_deleted(leaked: str, twilio: TwilioServer) -> None:
    del twilio.keys[sid("SK")]
    with pytest.raises(CommandError):
        call_command("twilio_verify")


def test_after_a_change_of_encryption_keys_the_leaked_one_opens_nothing(
    key_ring: list[str], api_key: APIKey, user: User, secret: str, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new := generate_key(), *key_ring]
    call_command("twilio_reencrypt")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new]
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def choose_a_password(user: User) -> None:
    user.set_password(new_secret())
    user.save()


def end_all_sessions(user: User) -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize("measure", [deactivate, choose_a_password, end_all_sessions])
def test_who_is_signed_in_is_signed_out(
    api: APIClient, api_key: APIKey, user: User, measure: Callable[[User], None]
) -> None:
    assert api.post(TOKENS).status_code == 201
    measure(user)
    assert api.post(TOKENS).status_code in (401, 403)


def test_a_new_secret_key_signs_out_and_opens_what_is_stored(
    api: APIClient, api_key: APIKey, user: User, secret: str, settings: Any
) -> None:
    assert api.post(TOKENS).status_code == 201
    settings.SECRET_KEY = new_secret()
    assert api.post(TOKENS).status_code in (401, 403)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)


def test_the_times_are_those_of_the_settings() -> None:
    assert f"{conf.settings.credential_cache_seconds:g} seconds unless you set it" in PAGE
    assert f"{conf.settings.max_ttl // 3600} hours after it was issued at the latest" in PAGE
