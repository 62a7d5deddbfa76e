from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from django.core.management import call_command, load_command_class

from twilio_tokens.models import APIKey


def test_the_key_alone_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("twilio_generate_key")
    output = capsys.readouterr()
    key = output.out.removesuffix("\n")
    assert len(urlsafe_b64decode(key)) == 32
    assert "Put this key first in TWILIO_TOKENS_ENCRYPTION_KEYS" in output.err
    assert key not in output.err


def test_no_two_keys_are_alike(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(100):
        call_command("twilio_generate_key")
    assert len(set(capsys.readouterr().out.split())) == 100


@pytest.mark.django_db
def test_the_printed_key_seals_and_opens(
    capsys: pytest.CaptureFixture[str], settings: Any, request: pytest.FixtureRequest
) -> None:
    call_command("twilio_generate_key")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [capsys.readouterr().out]
    api_key: APIKey = request.getfixturevalue("api_key")
    call_command("twilio_reencrypt")
    assert api_key.secret.key_id
    assert "1 up to date" in capsys.readouterr().out


def test_it_runs_where_the_system_checks_complain_of_the_keys(
    capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ["nonsense"]
    load_command_class("twilio_tokens", "twilio_generate_key").run_from_argv(
        ["manage.py", "twilio_generate_key"]
    )
    assert capsys.readouterr().out
