"""A site of its own adopts the app, by what the README says and nothing else.

It starts from Django's own template of a project, has users with an e-mail address as their
username, and puts the API under another URL.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.issued import decoded
from tests.prose import blocks
from tests.rows import new_secret, sid
from twilio_tokens.identity import decode_identity

REPOSITORY = Path(__file__).resolve().parent.parent

MODELS = """
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    objects = BaseUserManager()

    USERNAME_FIELD = "email"
"""

SETTINGS = """
import os

AUTH_USER_MODEL = "people.User"
INSTALLED_APPS += ["people", "mysite"]
TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.encoded_username"
"""

URLS = """
from django.urls import include
"""


def what_the_readme_says() -> tuple[str, str]:
    """The lines for a site's settings and URLs, fit to be put at the end of those files."""
    [added] = blocks("README.md")
    assert added.count("+= [") == 2
    settings, _, urls = added.partition("# urls.py\n")
    return settings, urls.replace('path("twilio/"', 'path("api/v1/rtc/"')


def what_the_page_on_products_says() -> dict[str, str]:
    """The files of an app with a viewset and a product of its own."""
    page = (REPOSITORY / "docs/products.md").read_text()
    blocks = re.findall(r"```python\n# (mysite/\w+\.py)\n(.*?)```", page, re.DOTALL)
    names = ["mysite/views.py", "mysite/grants.py", "mysite/apps.py"]
    assert [name for name, _ in blocks] == names
    return dict(blocks)


SCRIPT = """
import json, os
import django
django.setup()

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp

call_command("makemigrations", "people", verbosity=0)
call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, verbosity=0)
call_command("check", fail_level="WARNING")

given = json.loads(os.environ["GIVEN"])
account = Account.objects.create(name="Ours", sid=given["account"])
APIKey.objects.create(
    account=account, name="Ours", sid=given["key"], region="us1", secret=given["secret"]
)
ChatService.objects.create(account=account, name="support", sid=given["service"], is_default=True)
TwiMLApp.objects.create(account=account, name="phone", sid=given["app"], is_default=True)
user = get_user_model().objects.create(email="anna@example.com")

client = Client(SERVER_NAME="localhost")
anonymous = client.post("/api/v1/rtc/tokens/video/")
client.force_login(user)
response = client.post(
    "/api/v1/rtc/tokens/", {"video": {"room": "a"}, "chat": {}, "voice": {}}, "application/json"
)
waiting = [
    client.post("/api/v1/rtc/tokens/waiting_room/", {"room": room}, "application/json")
    for room in ("waiting-1", "operating-1")
]
print(json.dumps({
    "waiting": [(each.status_code, each.json()) for each in waiting],
    "anonymous": anonymous.status_code,
    "admin": client.get("/admin/login/").status_code,
    "offered": client.get("/api/v1/rtc/tokens/chat/").json(),
    "answer": response.json(),
    "recorded_for": [record.user.email for record in IssuedToken.objects.all()],
}))
"""


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., str]:
    """Runs Python in the directory of the site, without anything of these tests' settings."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "DATABASE_", "TWILIO_"))
    }
    env["PYTHONPATH"] = str(REPOSITORY)

    def run(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=tmp_path,
            env=env | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_site_of_its_own_issues_tokens(python: Callable[..., str], tmp_path: Path) -> None:
    call_command("startproject", "shop", tmp_path)
    for app in ("people", "mysite"):
        (tmp_path / app).mkdir()
        call_command("startapp", app, tmp_path / app)
    for name, text in what_the_page_on_products_says().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "people/models.py").write_text(MODELS)
    for_settings, for_urls = what_the_readme_says()
    for name, text in (("settings", SETTINGS + for_settings), ("urls", URLS + for_urls)):
        with (tmp_path / f"shop/{name}.py").open("a") as file:
            file.write(text)

    key = python("manage.py", "twilio_generate_key").strip()
    site = {"TWILIO_TOKENS_ENCRYPTION_KEYS": key, "DJANGO_SETTINGS_MODULE": "shop.settings"}

    secret = new_secret()
    given = {"account": sid("AC"), "key": sid("SK"), "service": sid("IS"), "app": sid("AP")}
    (tmp_path / "use.py").write_text(SCRIPT)
    printed = python("use.py", GIVEN=json.dumps({**given, "secret": secret}), **site)
    told = json.loads(printed.splitlines()[-1])

    assert (told["anonymous"], told["admin"]) == (403, 200)
    assert told["offered"]["services"] == ["support"]
    claims = decoded(told["answer"]["token"], secret)
    assert (claims["iss"], claims["sub"]) == (sid("SK"), sid("AC"))
    identity = claims["grants"].pop("identity")
    assert decode_identity(identity) == "anna@example.com"
    assert (
        claims["grants"]
        == told["answer"]["grants"]
        == {
            "video": {"room": "a"},
            "chat": {"service_sid": sid("IS")},
            "voice": {"outgoing": {"application_sid": sid("AP")}},
        }
    )
    assert told["recorded_for"] == ["anna@example.com"] * 2
    (status, waiting), (refused, error) = told["waiting"]
    assert (status, refused, error["code"]) == (201, 403, "permission_denied")
    claims = decoded(waiting["token"], secret)
    assert claims["grants"]["video"] == {"room": "waiting-1"}
    assert claims["exp"] - claims["iat"] == 600
