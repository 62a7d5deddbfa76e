"""``docs/how-to/add-a-service-of-your-own.md``, done on a site that startproject makes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from django.core.management import call_command

from .issued import decoded
from .prose import REPOSITORY, blocks
from .rows import new_secret, sid

PAGE = "docs/how-to/add-a-service-of-your-own.md"
SETTINGS = """
import os

INSTALLED_APPS += ["mysite", "rest_framework", "twilio_tokens"]
TWILIO_TOKENS_ENCRYPTION_KEYS = [os.environ["KEY"]]
"""
URLS = """
from django.urls import include

urlpatterns += [path("twilio/", include("twilio_tokens.urls"))]
"""
USE = """
import json, os
import django
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from twilio_tokens.models import Account, APIKey, SyncService

call_command("makemigrations", check=True, verbosity=0)
given = json.loads(os.environ["GIVEN"])
account = Account.objects.create(name="Ours", sid=given["account"])
APIKey.objects.create(
    account=account, name="Ours", sid=given["key"], region="us1", secret=given["secret"]
)
SyncService.objects.create(account=account, name="all", sid=given["board"], is_default=True)
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.create_superuser("anna"))
data = {"account": account.pk, "name": "sales", "sid": given["board"], "is_default": "on"}
added = client.post("/admin/mysite/board/add/", data)
listed = client.get("/admin/mysite/board/")
index = client.get("/admin/")
answer = client.post("/twilio/tokens/boards/", {"board": "sales"}, "application/json")
both = client.post("/twilio/tokens/", {"boards": {}, "sync": {}}, "application/json")
print(json.dumps({
    "added": added.status_code,
    "listed": "sales" in listed.content.decode(),
    "action": "Check with Twilio" in listed.content.decode(),
    "index": "Boards" in index.content.decode(),
    "answer": answer.json(),
    "both": both.status_code,
}))
"""


def test_a_site_has_a_service_of_its_own(tmp_path: Path) -> None:
    call_command("startproject", "shop", tmp_path)
    (tmp_path / "mysite").mkdir()
    call_command("startapp", "mysite", tmp_path / "mysite")
    for block in blocks(PAGE):
        name, text = re.fullmatch(r"# (\S+)\n(.*)", block, re.DOTALL).groups()  # type: ignore[union-attr]
        assert (tmp_path / name).exists() or name.endswith("grants.py")
        (tmp_path / name).write_text(text)
    for name, text in (("settings", SETTINGS), ("urls", URLS)):
        with (tmp_path / "shop" / f"{name}.py").open("a") as file:
            file.write(text)
    (tmp_path / "use.py").write_text(USE)

    secret = new_secret()
    given = {"account": sid("AC"), "key": sid("SK"), "secret": secret, "board": sid("IS")}
    foreign = ("DJANGO_", "DATABASE_", "TWILIO_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment = inherited | {
        "PYTHONPATH": str(REPOSITORY),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "GIVEN": json.dumps(given),
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    [commands] = blocks(PAGE, "sh")
    for command in commands.splitlines():
        python, *arguments = shlex.split(command)
        assert python == "python"
        run(*arguments)
    told = json.loads(run("use.py").splitlines()[-1])
    assert (told["added"], told["listed"], told["action"], told["index"]) == (302, True, True, True)
    claims = decoded(told["answer"]["token"], secret)
    assert claims["grants"] == {"identity": "anna", "data_sync": {"service_sid": sid("IS")}}
    assert told["both"] == 400
