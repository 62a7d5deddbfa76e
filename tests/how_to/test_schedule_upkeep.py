"""What runs by itself, as ``docs/how-to/schedule-upkeep.md`` has it run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.how_to.sites import on_site
from tests.issued import record
from tests.prose import REPOSITORY, blocks
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.models import APIKey, IssuedToken

PAGE = "docs/how-to/schedule-upkeep.md"
COMMANDS = [
    *(
        line.partition("manage.py ")[2].split(" >")[0]
        for line in blocks(PAGE, "crontab")[0].splitlines()[1:]
    ),
    *re.findall(r"^ExecStart=.*manage\.py (.*)$", "".join(blocks(PAGE, "ini")), re.MULTILINE),
    *re.findall(r"^\| `(twilio_[^`]*)`", (REPOSITORY / PAGE).read_text(), re.MULTILINE),
]


@pytest.fixture
def records(api_key: APIKey) -> None:
    now = datetime.now(timezone.utc)
    for days in (0, 1, 89, 91):
        record(issued_at=now - timedelta(days=days, hours=1), expires_at=now - timedelta(days=days))
    record(expires_at=now + timedelta(hours=1))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(
    command: str, records: None, api_key: APIKey, twilio: TwilioServer, secret: str
) -> None:
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    call_command(*shlex.split(command))
    assert IssuedToken.objects.count() == (4 if "purge" in command else 5)


def test_the_crontab_has_five_times_a_user_and_a_command() -> None:
    [text] = blocks(PAGE, "crontab")
    for line in text.splitlines()[1:]:
        *times, user, python, manage = line.split()[:8]
        assert all(re.fullmatch(r"\*|\d+", each) for each in times)
        assert (user, python, manage) == (
            "www-data",
            "/srv/site/.venv/bin/python",
            "/srv/site/manage.py",
        )


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("There is no systemd-analyze.")
    units = []
    for text in blocks(PAGE, "ini"):
        first = text.splitlines()[0]
        units.append(tmp_path / first.rpartition("/")[2])
        # It looks for the program.
        units[-1].write_text(text.replace("/srv/site/.venv/bin/python", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "-twilio" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


@on_site(PAGE, needs=("celery",))
def test_celery_purges_counts_and_checks(
    records: None, api_key: APIKey, twilio: TwilioServer, secret: str, settings: Any
) -> None:
    from celery import Celery  # noqa: PLC0415 - only this site has it
    from mysite import tasks  # noqa: PLC0415 - likewise

    app = Celery("mysite")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    scheduled = {each["task"] for each in app.conf.beat_schedule.values()}
    assert scheduled == {each.name for each in (tasks.rollup, tasks.purge, tasks.verify)}
    tasks.rollup.apply().get()
    tasks.purge.apply().get()
    assert IssuedToken.objects.count() == 4
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    tasks.verify.apply().get()
    del twilio.keys[api_key.sid]
    with pytest.raises(CommandError) as caught:
        tasks.verify.apply().get()
    assert caught.value.returncode == 1
