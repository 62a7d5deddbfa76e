"""Credentials that come back from a backup, as ``docs/how-to/restore-a-backup.md`` says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from tests.issued import decoded
from tests.prose import section
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.crypto import generate_key
from twilio_tokens.grants import Chat
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken

PAGE = "docs/how-to/restore-a-backup.md"


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], None]:
    def run(block: str) -> None:
        for line in block.replace("\\\n", "").splitlines():
            arguments = shlex.split(line.replace("credentials.json", str(tmp_path / "rows.json")))
            assert arguments[0] == "manage.py"
            call_command(*arguments[1:])

    return run


def test_a_backup_from_before_a_new_encryption_key_is_restored(
    run: Callable[[str], None],
    tmp_path: Path,
    twilio: TwilioServer,
    user: User,
    api_key: APIKey,
    chat_service: ChatService,
    secret: str,
    settings: Any,
) -> None:
    group = Group.objects.create(name="Agents")
    chat_service.groups.add(group)
    user.groups.add(group)
    issue_access_token(user=user, grants=[Chat()])
    [back_up] = section(PAGE, "What to keep", "sh")
    restore, look, encrypt = section(PAGE, "Restore", "sh")

    run(back_up)
    dumped = (tmp_path / "rows.json").read_text()
    assert secret not in dumped
    assert user.username not in dumped
    IssuedToken.objects.all().delete()
    Account.objects.all().delete()
    Group.objects.all().delete()
    user.groups.add(Group.objects.create(name="Agents"))  # with another number

    run(restore)
    old = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    with pytest.raises(CommandError) as caught:
        run("manage.py twilio_reencrypt --dry-run")
    assert caught.value.returncode == 1
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS += old
    with pytest.raises(CommandError) as caught:
        run(look)
    assert caught.value.returncode == 1  # the key was deleted at Twilio
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    twilio.services[chat_service.sid] = (api_key.account.sid, "Support")
    run(look)
    run(encrypt)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = settings.TWILIO_TOKENS_ENCRYPTION_KEYS[:1]

    issued = issue_access_token(user=User.objects.get(), grants=[Chat()])
    claims = decoded(issued.token, secret)
    assert (claims["iss"], claims["sub"]) == (api_key.sid, api_key.account.sid)
    assert claims["grants"]["chat"] == {"service_sid": chat_service.sid}
