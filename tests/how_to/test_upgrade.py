"""The commands of an upgrade, as ``docs/how-to/upgrade.md`` has them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests.issued import decoded
from tests.prose import blocks
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/upgrade.md"

pytestmark = pytest.mark.django_db(transaction=True)


def test_its_commands_lead_there_and_back(
    twilio: TwilioServer,
    user: User,
    api_key: APIKey,
    secret: str,
    settings: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.STATIC_ROOT = tmp_path
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    told = ""
    for block in blocks(PAGE, "sh"):
        for line in block.splitlines():
            _, command = line.split("manage.py ")
            command = command.replace("USERNAME", "anna").replace("MIGRATION", "0005")
            call_command(*shlex.split(command))
            told += f"{line}\n{capsys.readouterr().out}"
    call_command("migrate", verbosity=0)
    token = told.partition("--ttl 60\n")[2].splitlines()[0]
    assert decoded(token, secret)["grants"] == {"identity": "anna", "video": {}}
    assert "[X] 0006" in told
    assert (tmp_path / "twilio_tokens" / "twilio-tokens.js").exists()
