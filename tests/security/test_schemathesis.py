"""The example site, really running, against its own OpenAPI document: all checks of schemathesis.

``SCHEMATHESIS_SEED`` and ``SCHEMATHESIS_EXAMPLES`` in the environment look further than CI does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.site import Site
from twilio_tokens.crypto import generate_key

pytest.importorskip("schemathesis", reason="schemathesis needs Python 3.11")

from .schemathesis_hooks import NAME

ROOT = Path(__file__).parent.parent.parent

#: Beside the site's anna, who may use all there is: ben, to whom none of it is open.
POPULATE = f"""
from django.contrib.auth.models import Group, User
from rest_framework.authtoken.models import Token
from example_project.demo_credentials import ACCOUNT_NAME
from twilio_tokens.models import (
    Account, ChatService, PushCredential, SyncService, TwiMLApp, Workspace
)
Account.objects.update(name=ACCOUNT_NAME)  # in the demo everyone is a worker
account = Account.objects.get()
TwiMLApp.objects.update(name={NAME!r})
row = {{"account": account, "name": {NAME!r}, "is_default": True}}
ChatService.objects.create(sid="IS" + "0" * 32, **row)
SyncService.objects.create(sid="IS" + "1" * 32, **row)
Workspace.objects.create(sid="WS" + "0" * 32, **row)
PushCredential.objects.create(sid="CR" + "0" * 32, platform="apn", **row)
members = Group.objects.create(name="members")
members.user_set.add(User.objects.get(username="anna"))
for model in (ChatService, SyncService, TwiMLApp, Workspace):
    model.objects.get().groups.add(members)
print(Token.objects.create(user=User.objects.create(username="ben")).key)
"""


@dataclass(frozen=True)
class Example:
    address: str
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    site = Site(
        folder,
        DJANGO_SETTINGS_MODULE="example_project.settings",
        DATABASE_URL=f"sqlite:///{folder / 'db.sqlite3'}",
        CACHE_URL="locmemcache://",
        SECRET_KEY="x" * 60,
        DEBUG="false",
        HTTPS="false",
        ALLOWED_HOSTS="127.0.0.1",
        TWILIO_TOKENS_ENCRYPTION_KEYS=generate_key(),
        TWILIO_TOKENS_IDENTITY="twilio_tokens.identity.username",
        TWILIO_TOKENS_MAX_TTL="86400",
        TWILIO_TOKENS_ROOM_REQUIRED="false",
        TWILIO_TOKENS_ROOM_POLICY="",
        TWILIO_TOKENS_AUDIT="true",
        TWILIO_TOKENS_THROTTLE_RATE="",  # or hardly a request would be looked at
    )
    populated = subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{POPULATE}"],
        env=site.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    tokens = {"anna": site.token, "ben": populated.stdout.strip()}
    with site.served_by("gunicorn") as client:
        yield Example(str(client.base_url).rstrip("/"), tokens)
    site.close()


def run(example: Example, folder: Path, user: str | None, *options: str) -> str:
    token = [] if user is None else ["--header", f"Authorization: Token {example.tokens[user]}"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{example.address}/schema/"),
            *("--checks", "all", "--continue-on-failure", "--no-color", *token, *options),
            *("--seed", os.environ.get("SCHEMATHESIS_SEED", "1")),
            *("--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "5")),
        ],
        cwd=folder,  # it leaves files
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.security.schemathesis_hooks",
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# For ben, whom the schema does not know, what is not his does not exist: a valid request for it is
# refused. For nobody there is nothing to accept.
UNFIT = {"anna": (), "ben": ("positive_data_acceptance",), None: ()}


@pytest.mark.parametrize("user", UNFIT)
def test_the_example_does_what_its_document_says(
    user: str | None, example: Example, tmp_path: Path
) -> None:
    without = [f"--exclude-checks={each}" for each in UNFIT[user]]
    said = run(example, tmp_path, user, *without)
    assert "12 selected / 12 total" in said
    [requests] = re.findall(r"(\d+) generated", said)
    assert int(requests) > 300
